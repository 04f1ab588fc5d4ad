package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// scene is a set-up in a directory, with an endpoint that answers and a port that is free.
type scene struct {
	Options
	out     bytes.Buffer
	secrets int // generated ones
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{}
	s.Options = Options{
		Path: filepath.Join(t.TempDir(), "config.yml"), Listen: "127.0.0.1:0", Host: "192.0.2.1", HostID: "edge-7", Endpoint: "http://tempo:4317",
		Load: load, NewSecret: func() string { s.secrets++; return fmt.Sprintf("secret-%d", s.secrets) },
		ReadSecret: func(path string) (string, error) {
			raw, err := os.ReadFile(path)
			return strings.TrimSpace(string(raw)), err
		},
		CheckOTLP: func(context.Context, string) error { return nil }, Out: &s.out,
	}
	return s
}

// load reads what setup writes.
func load(path string) (Current, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Current{}, err
	}
	var c struct {
		Webhook struct {
			Secrets []struct {
				File   string `yaml:"secret_file"`
				Secret string `yaml:"secret"`
			} `yaml:"secrets"`
		} `yaml:"webhook"`
		OTLP struct {
			Endpoint string `yaml:"endpoint"`
		} `yaml:"otlp"`
	}
	if err := yaml.Unmarshal(raw, &c); err != nil {
		return Current{}, err
	}
	current := Current{Endpoint: c.OTLP.Endpoint}
	for _, s := range c.Webhook.Secrets {
		current.Secret = s.Secret
		if s.File != "" {
			raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), s.File))
			if err != nil {
				return Current{}, err
			}
			current.Secret = strings.TrimSpace(string(raw))
		}
	}
	return current, nil
}

func (s *scene) run(t *testing.T) (string, error) {
	t.Helper()
	s.out.Reset()
	err := Run(t.Context(), s.Options)
	return s.out.String(), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestFirstRun(t *testing.T) {
	s := newScene(t)
	out, err := s.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = `# Written by smithproxy_exporter setup.
otlp:
  endpoint: http://tempo:4317
webhook:
  secrets:
    - secret_file: webhook-secret
`
	if got := read(t, s.Path); got != want {
		t.Errorf("the configuration is\n%s\nwant\n%s", got, want)
	}
	for _, line := range []string{
		`    url = "http://192.0.2.1:0/webhook/secret-1"`, `    hostid = "edge-7"`,
		"ok     port: 127.0.0.1:0 is free", "ok     traces: http://tempo:4317 answers",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("the output lacks %q:\n%s", line, out)
		}
	}
	info, err := os.Stat(filepath.Join(filepath.Dir(s.Path), secretFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of the secret is %v, %v", info.Mode(), err)
	}
}

// TestRepeated: a second run changes nothing, and says the same of the secret.
func TestRepeated(t *testing.T) {
	s := newScene(t)
	if out, err := s.run(t); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first := read(t, s.Path)
	out, err := s.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s.secrets != 1 || read(t, s.Path) != first || !strings.Contains(out, "/webhook/secret-1\"\n") {
		t.Errorf("%d secrets were generated; the output is\n%s", s.secrets, out)
	}
	// The secret is kept also when the configuration was emptied.
	if err := os.WriteFile(s.Path, []byte("# nothing\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	if out, err = s.run(t); err != nil || s.secrets != 1 {
		t.Errorf("%v, %d secrets were generated\n%s", err, s.secrets, out)
	}
	if got := read(t, s.Path); got != "# nothing\n\n"+first {
		t.Errorf("the configuration is\n%s", got)
	}
	if info, err := os.Stat(s.Path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

func TestConfigurationWithSettingsStays(t *testing.T) {
	for name, tt := range map[string]struct{ configuration, want, err string }{
		"with a secret":    {"webhook: {secrets: [{secret: mine}]}\notlp: {endpoint: http://tempo:4317}\n", "/webhook/mine\"\n", ""},
		"without a secret": {"access: {default: reject}\n", "has settings and stays", "has no webhook.secrets"},
		"another endpoint": {"webhook: {secrets: [{secret: mine}]}\n", `WRONG  traces: `, ErrFailed.Error()},
		"invalid":          {"{", "", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if err := os.WriteFile(s.Path, []byte(tt.configuration), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := s.run(t)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || !strings.Contains(out, tt.want) {
				t.Errorf("%v, want %q, and %q in\n%s", err, tt.err, tt.want, out)
			}
			if got := read(t, s.Path); got != tt.configuration {
				t.Errorf("the configuration is now\n%s", got)
			}
		})
	}
}

// TestSharedDirectory: in a directory with the set-group-ID bit, as that of the packages, the group reads the secret.
func TestSharedDirectory(t *testing.T) {
	s := newScene(t)
	if err := os.Chmod(filepath.Dir(s.Path), 0o750|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	if out, err := s.run(t); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if info, err := os.Stat(filepath.Join(filepath.Dir(s.Path), secretFile)); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode of the secret is %v, %v", info.Mode(), err)
	}
}

func TestPort(t *testing.T) {
	listening := func(status int, body string) func(*testing.T) string {
		return func(t *testing.T) string {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}))
			t.Cleanup(server.Close)
			return server.Listener.Addr().String()
		}
	}
	for name, tt := range map[string]struct {
		listen func(*testing.T) string
		want   string
		failed bool
	}{
		"the exporter":               {listening(400, `{"reason":"missing"}`), "ok     port: the exporter listens on", false},
		"with another secret":        {listening(404, `{"reason":"secret"}`), "does not accept the secret yet. Restart it", false},
		"another server":             {listening(404, "not found"), "WRONG  port: ", true},
		"an address of another host": {func(*testing.T) string { return "192.0.2.1:5000" }, "WRONG  port: the exporter cannot listen on 192.0.2.1:5000", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.Listen = tt.listen(t)
			out, err := s.run(t)
			if errors.Is(err, ErrFailed) != tt.failed || err != nil && !tt.failed || !strings.Contains(out, tt.want) {
				t.Errorf("%v, want %q in\n%s", err, tt.want, out)
			}
		})
	}
}

func TestEndpointThatDoesNotAnswer(t *testing.T) {
	s := newScene(t)
	s.CheckOTLP = func(context.Context, string) error { return errors.New("refused") }
	if out, err := s.run(t); !errors.Is(err, ErrFailed) || !strings.Contains(out, "WRONG  traces: http://tempo:4317 does not accept them: refused") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAsking(t *testing.T) {
	s := newScene(t)
	s.Host, s.HostID, s.Endpoint = "", "", ""
	var asked []string
	s.Ask = func(question, proposal string) (string, error) {
		asked = append(asked, proposal)
		return map[int]string{1: "192.0.2.9\n"}[len(asked)], nil
	}
	out, err := s.run(t)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if len(asked) != 3 || asked[1] != "edge-1" || !strings.Contains(out, net.JoinHostPort("192.0.2.9", "0")) || !strings.Contains(out, `hostid = "edge-1"`) ||
		!strings.Contains(out, "traces: are not sent") {
		t.Errorf("asked with the proposals %q\n%s", asked, out)
	}
}

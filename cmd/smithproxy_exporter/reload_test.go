package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"smithproxy_exporter/exporter/config"
)

const (
	mailLabel = "tcp_10.20.0.1:40000+tcp_192.0.2.1:25"
	webLabel  = "tcp_10.20.0.1:40000+tcp_192.0.2.1:443"
)

// configured is the exporter with a configuration file that a test changes.
type configured struct {
	*exporter
	dir string
}

func startConfigured(t *testing.T, args []string, access string) *configured {
	t.Helper()
	c := &configured{dir: t.TempDir()}
	c.write("config.yml", access)
	path := filepath.Join(c.dir, "config.yml")
	c.exporter = startLive(t, append(args, "--config.file="+path), func(cfg *config.Config) {
		loaded, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		*cfg = loaded
	})
	return c
}

// write replaces a file as an editor does. A configuration without a section webhook gets the secret of the test.
func (c *configured) write(name, text string) {
	if name == "config.yml" && !strings.Contains(text, "webhook:") {
		text += "webhook: {secrets: [{secret: " + secret + "}]}\n"
	}
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

func askBody(label string) []byte {
	return []byte(`{"action":"access-request","type":"proxy","source":"edge-1","id":"` + label + `","details":{"session":"` + label + `","policy":-1}}`)
}

func (c *configured) wantAnswer(label, want string) {
	c.t.Helper()
	if status, answer := c.post(askBody(label)); status != http.StatusOK || !strings.Contains(answer, want) {
		c.t.Errorf("answered %d %s, want %s", status, answer, want)
	}
}

func (c *configured) reload() (status int, answer string) {
	c.t.Helper()
	response, err := http.Post(c.web+"/-/reload", "", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, c.read(response)
}

func (c *configured) wantMetric(line string) {
	c.t.Helper()
	if body := c.metrics(); !strings.Contains(body, line) {
		c.t.Errorf("metrics lack %s", line)
	}
}

const rejectMail = "access: {rules: [{name: mail, port: 25, verdict: reject}]}\n"

func TestReload(t *testing.T) {
	c := startConfigured(t, []string{"--web.enable-lifecycle"}, rejectMail)
	c.wantAnswer(mailLabel, `{"access-response":"reject","rule":"mail","decision":"`)
	c.wantAnswer(webLabel, `{"access-response":"accept","rule":"default","decision":"`)

	c.write("config.yml", "access: {rules: [{name: web, port: 443, verdict: reject}]}\n")
	if status, answer := c.reload(); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, answer)
	}
	c.wantAnswer(mailLabel, `{"access-response":"accept","rule":"default"`)
	c.wantAnswer("tcp_10.20.0.1:40001+tcp_192.0.2.1:443", `{"access-response":"reject","rule":"web"`)
	c.wantMetric(`smithproxy_access_requests_total{rule="web",source="edge-1",verdict="reject"} 1`)
	c.wantMetric(`smithproxy_access_requests_total{rule="mail",source="edge-1",verdict="reject"} 1`)
	c.wantMetric("smithproxy_exporter_config_last_reload_successful 1")

	c.write("config.yml", "access:\n  rules:\n    - {name: web, port: https, verdict: reject}\n")
	status, answer := c.reload()
	want := filepath.Join(c.dir, "config.yml") + `:3: access.rules[0].port[0]: "https" is not a port`
	if status != http.StatusInternalServerError || !strings.Contains(answer, want) {
		t.Errorf("reload: %d %s, want %s", status, answer, want)
	}
	c.wantAnswer(webLabel, `{"access-response":"reject","rule":"web"`)
	c.wantMetric("smithproxy_exporter_config_last_reload_successful 0")

	c.write("config.yml", rejectMail)
	if status, answer := c.reload(); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, answer)
	}
	c.wantMetric("smithproxy_exporter_config_last_reload_successful 1")
}

func TestReloadByHTTPIsOffUnlessEnabled(t *testing.T) {
	c := startConfigured(t, nil, rejectMail)
	if status, _ := c.reload(); status != http.StatusForbidden {
		t.Errorf("answered %d, want 403", status)
	}
	response, err := http.Get(c.web + "/-/reload")
	if err != nil {
		t.Fatal(err)
	}
	c.read(response)
	if response.StatusCode == http.StatusOK {
		t.Error("a GET reloads")
	}
}

func TestReloadOnHangup(t *testing.T) {
	c := startConfigured(t, nil, rejectMail)
	c.write("config.yml", "access: {default: reject}\n")
	c.wantAnswer(webLabel, "accept")
	// SIGHUP is caught from before the first answer on, or it would end this process.
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.log.await("Reloaded the access rules")
	c.wantAnswer(webLabel, "reject")
}

// TestListIsFollowed replaces a list, and looks at what is answered and exposed.
func TestListIsFollowed(t *testing.T) {
	feed := &configured{dir: t.TempDir()}
	feed.write("feed.netset", "192.0.2.0/24\n")
	path := filepath.Join(feed.dir, "feed.netset")
	c := startConfigured(t, nil, "access: {rules: [{name: feed, server_file: "+path+", verdict: reject}]}\n")
	c.wantAnswer(webLabel, `"reject"`)
	c.wantMetric(`smithproxy_exporter_access_list_entries{file="` + path + `"} 1`)
	feed.write("feed.netset", "198.51.100.7 # another\n\n# no more\n198.51.100.8\n")
	c.log.await("Reloaded the access rules")
	c.wantAnswer(webLabel, `"accept"`)
	c.wantMetric(`smithproxy_exporter_access_list_entries{file="` + path + `"} 2`)
}

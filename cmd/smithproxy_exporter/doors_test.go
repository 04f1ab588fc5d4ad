package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode"

	"smithproxy_exporter/exporter/webhook"
	"smithproxy_exporter/test/loopback"
)

// TestReloadLetsInWhoTheFileSays changes secrets, allow list and certificate of a running exporter.
func TestReloadLetsInWhoTheFileSays(t *testing.T) {
	certificate, key := selfSigned(t)
	second, secondKey := selfSigned(t)
	c := &configured{dir: t.TempDir()}
	more := filepath.Join(c.dir, "more")
	c.write("more", "first\n")
	text := func(sources, allow, limits string) string {
		return fmt.Sprintf("webhook:\n  tls: {cert_file: %s, key_file: %s}\n  allow: [%s]\n  limits: {%s}\n  secrets:\n    - {secret: %s, sources: [%s]}\n    - {secret_file: %s}\n",
			certificate, key, allow, limits, secret, sources, more)
	}
	started := startConfigured(t, []string{"--web.enable-lifecycle"}, text("edge-*", "127.0.0.0/8", ""))
	client := func() *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	post := func(secret, source string) (int, error) {
		url := "https://" + started.app.webhookListener.Addr().String() + "/webhook/" + secret
		response, err := client().Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"action":"ping","source":%q}`, source)))
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		return response.StatusCode, nil
	}
	want := func(secret, source string, status int) {
		t.Helper()
		if got, err := post(secret, source); err != nil || got != status {
			t.Errorf("%s as %s: %d, %v, want %d", secret, source, got, err, status)
		}
	}
	want(secret, "edge-1", 200)
	want(secret, "lab", 403)
	want("first", "lab", 200)

	// A secret file and a certificate are followed.
	c.write("more", "second\n")
	for from, to := range map[string]string{second: certificate, secondKey: key} {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "in force", func() bool { status, _ := post("second", "lab"); return status == 200 })
	want("first", "lab", 404)
	eventually(t, "in force", func() bool {
		return served(t, started.app.webhookListener.Addr().String()) == readCertificate(t, second)
	})

	started.write("config.yml", text("lab", "127.0.0.0/8", "connections: 100"))
	if status, answer := started.reload(); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, answer)
	}
	want(secret, "edge-1", 403)
	want(secret, "lab", 200)
	started.write("config.yml", text("lab", "10.0.0.0/8", ""))
	if status, answer := started.reload(); status != http.StatusOK {
		t.Fatalf("reload: %d %s", status, answer)
	}
	if status, err := post(secret, "lab"); err == nil {
		t.Errorf("a client that is not allowed is answered %d", status)
	}
	started.wantMetric(`smithproxy_exporter_connections_refused_total{reason="not_allowed"} 1`)
	started.wantMetric(`smithproxy_exporter_events_rejected_total{reason="source"} 2`)

	// What is wrong changes nothing.
	started.write("config.yml", strings.Replace(text("lab", "127.0.0.0/8", ""), more, more+".not", 1))
	if status, answer := started.reload(); status != http.StatusInternalServerError || !strings.Contains(answer, ":7: webhook.secrets[1].secret_file: ") {
		t.Errorf("reload: %d %s", status, answer)
	}
	if status, err := post(secret, "lab"); err == nil {
		t.Errorf("after a reload that failed, a client that is not allowed is answered %d", status)
	}
}

// served returns the certificate that a listener shows.
func served(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return string(conn.ConnectionState().PeerCertificates[0].Raw)
}

func readCertificate(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	return string(block.Bytes)
}

// daemon is the binary, running as a user runs it, with what it writes.
type daemon struct {
	*testing.T
	command      *exec.Cmd
	webhook, web string
	output       lockedBuffer
	ended        bool
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func startDaemon(t *testing.T, binary, storage string, args ...string) *daemon {
	t.Helper()
	d := &daemon{T: t, webhook: loopback.Reserve(t), web: loopback.Reserve(t)}
	// With no umask at all, modes are what the exporter makes them.
	args = append([]string{"-c", `umask 0; exec "$@"`, "sh", binary, "--webhook.listen-address=" + d.webhook, "--web.listen-address=" + d.web,
		"--storage.path=" + storage}, args...)
	d.command = exec.Command("sh", args...)
	d.command.Stdout, d.command.Stderr = &d.output, &d.output
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.end(syscall.SIGKILL) })
	eventually(t, "ready", func() bool {
		response, err := http.Get("http://" + d.web + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return d
}

// end ends the process by a signal, and returns all that it wrote.
func (d *daemon) end(s syscall.Signal) string {
	if !d.ended {
		d.ended = true
		_ = d.command.Process.Signal(s)
		_ = d.command.Wait() // by a signal
	}
	return d.output.String()
}

// do sends a request, and returns the whole answer.
func (d *daemon) do(method, url, body string, header ...string) string {
	d.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		d.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		d.Fatal(err)
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	fmt.Fprintln(&answer, response.Status, response.Header)
	if _, err := io.Copy(&answer, response.Body); err != nil {
		d.Fatal(err)
	}
	return answer.String()
}

// TestSecretStaysInside posts with the secret in every place that a client controls, at the debug level, looks at every
// page, and searches all that comes out: answers, log, storage, spans, the process list, and the stacks of a crash.
func TestSecretStaysInside(t *testing.T) {
	const hidden = "Hidd3n-Webh00k-S3cr3t"
	binary, storage := buildBinary(t), filepath.Join(t.TempDir(), "data")
	backend := newReceiver(t)
	configuration := write(t, "config.yml", "webhook: {secrets: [{secret: "+hidden+", sources: [edge-1]}]}\n")
	for _, format := range []string{"logfmt", "json"} {
		t.Run(format, func(t *testing.T) {
			d := startDaemon(t, binary, storage, "--config.file="+configuration, "--log.level=debug", "--log.format="+format,
				"--otlp.endpoint=http://"+backend.address, "--web.enable-pprof", "--web.enable-lifecycle")
			url := "http://" + d.webhook + "/webhook/" + hidden
			var out strings.Builder
			for _, body := range []string{pingBody, accessBody, string(startBody(1)), string(stopBody(1)), "{", `{"action":"ping","source":"other"}`, `[]`,
				`{"action":"access-request"`, strings.Repeat("x", 5<<20)} {
				out.WriteString(d.do("POST", url, body, "Referer", url, "X-Secret", hidden))
			}
			for _, path := range []string{url + "x", url + "/", "http://" + d.webhook + "//webhook/" + hidden, "http://" + d.webhook + "/webhook/../webhook/" + hidden + "?a=" + hidden} {
				out.WriteString(d.do("POST", path, pingBody, "Referer", url))
				out.WriteString(d.do("GET", path, "", "Referer", url))
			}
			out.WriteString(d.do("POST", "http://"+d.web+"/-/reload", "", "Referer", url))
			for _, path := range []string{"/", "/metrics", "/api/v1/connections", "/api/v1/connections/edge-1/x", "/-/healthy", "/-/ready", "/webhook/none",
				"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1"} {
				out.WriteString(d.do("GET", "http://"+d.web+path, "", "Referer", url))
			}
			for _, file := range []string{"cmdline", "environ"} {
				raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.command.Process.Pid, file))
				if err != nil {
					t.Skip(err)
				}
				out.Write(raw)
			}
			out.WriteString(d.end(syscall.SIGQUIT)) // which dumps all stacks
			if !strings.Contains(out.String(), "goroutine ") {
				t.Error("there is no dump of stacks")
			}
			walk(t, storage, func(path string, entry fs.FileInfo) {
				if entry.Mode().IsRegular() {
					raw, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					out.Write(raw)
				}
			})
			for _, s := range backend.all() {
				out.WriteString(s.String())
			}
			for _, part := range []string{hidden, hidden[:12]} {
				if i := strings.Index(out.String(), part); i >= 0 {
					t.Errorf("the secret is in %q", out.String()[max(0, i-200):i+50])
				}
			}
		})
	}
}

func walk(t *testing.T, root string, visit func(string, fs.FileInfo)) {
	t.Helper()
	if err := filepath.Walk(root, func(path string, info fs.FileInfo, err error) error {
		if err == nil {
			visit(path, info)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestLeastPrivilege looks at the modes of what is stored, whatever the umask; at the warning for root; and that a
// generated secret is not in the log.
func TestLeastPrivilege(t *testing.T) {
	storage := filepath.Join(t.TempDir(), "data")
	d := startDaemon(t, buildBinary(t), storage)
	kept, err := os.ReadFile(filepath.Join(storage, "webhook-secret"))
	if err != nil {
		t.Fatal(err)
	}
	generated := strings.TrimSpace(string(kept))
	d.do("POST", "http://"+d.webhook+"/webhook/"+generated, pingBody)
	d.do("POST", "http://"+d.webhook+"/webhook/"+generated, string(startBody(1)))
	if answer := d.do("GET", "http://"+d.web+"/debug/pprof/", ""); !strings.HasPrefix(answer, "404") {
		t.Errorf("profiles are served without a flag: %s", answer)
	}
	walk(t, storage, func(path string, info fs.FileInfo) {
		want := fs.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("the mode of %s is %v, want %v", path, info.Mode(), want)
		}
	})
	log := d.end(syscall.SIGTERM)
	if strings.Contains(log, generated) {
		t.Errorf("the generated secret is in the log:\n%s", log)
	}
	want := 0
	if os.Geteuid() == 0 {
		want = 1
	}
	if n := strings.Count(log, "Running as root"); n != want {
		t.Errorf("%d warnings of running as root, want %d", n, want)
	}
}

// TestCommandsTouchNothing runs what only prints or checks in an empty folder.
func TestCommandsTouchNothing(t *testing.T) {
	binary, dir := buildBinary(t), t.TempDir()
	for _, args := range [][]string{
		{"--version"}, {"--help"}, {"--config.check"}, {"trace-id", "edge-1", "Proxy-1-SID-1"},
		{"access-check", "--source=edge-1", "--session=" + mailLabel},
	} {
		command := exec.Command(binary, args...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > 0 {
			t.Fatalf("%v leaves %v", args, entries)
		}
	}
}

// TestLogCannotBeForged sends names that would be lines of their own, or hide what is before them, and reads the log.
func TestLogCannotBeForged(t *testing.T) {
	binary := buildBinary(t)
	configuration := write(t, "config.yml", "webhook: {secrets: [{secret: "+secret+", sources: [edge-1]}]}\nproxies: {max: 1}\n")
	hostile := "evil\nlevel=ERROR msg=forged\r\x1b[2J\u009b2J\u202e\u2028\u2029\u200b\"'\\"
	for _, format := range []string{"logfmt", "json"} {
		t.Run(format, func(t *testing.T) {
			d := startDaemon(t, binary, filepath.Join(t.TempDir(), "data"), "--config.file="+configuration, "--log.format="+format, "--log.level=debug")
			name, err := json.Marshal(hostile)
			if err != nil {
				t.Fatal(err)
			}
			url := "http://" + d.webhook + "/webhook/" + secret
			if answer := d.do("POST", url, `{"action":"ping","source":`+string(name)+`}`); !strings.HasPrefix(answer, "403") {
				t.Errorf("answered %s", answer)
			}
			d.do("POST", "http://"+d.webhook+"/webhook/%0alevel=ERROR%20msg=forged%1b%e2%80%ae", "{}")
			log := d.end(syscall.SIGTERM)
			if !strings.Contains(log, "reason=source") && !strings.Contains(log, `"reason":"source"`) {
				t.Errorf("the log does not tell of it:\n%s", log)
			}
			for line := range strings.Lines(log) {
				line = strings.TrimSuffix(line, "\n")
				if strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
					t.Errorf("%q cannot be printed", line)
				}
				if format == "json" && !json.Valid([]byte(line)) || format == "logfmt" && !strings.HasPrefix(line, "time=") {
					t.Errorf("%q is no line of the log", line)
				}
			}
		})
	}
}

func TestOpenFilesBoundConnections(t *testing.T) {
	l := webhook.DefaultConfig().Limits
	for files, want := range map[int]int{256: 128, 1024: 512, 4096: 3584, 1 << 20: l.Connections} {
		if got := l.Within(files); got.Connections != want || got.ConnectionsPerAddress != min(want, l.ConnectionsPerAddress) {
			t.Errorf("with %d files: %d connections, %d of one address, want %d", files, got.Connections, got.ConnectionsPerAddress, want)
		}
	}
}

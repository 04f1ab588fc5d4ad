//go:build browser

package browser

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const secret = "browser-test-secret"

// exporter is a running exporter.
type exporter struct {
	webhook, web string // addresses
	config       string // path of its configuration
	log          tail
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines[max(0, len(l.lines)-50):], line)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

var (
	webhookLine = regexp.MustCompile(`msg="Receiving webhooks" address=(\S+)`)
	webLine     = regexp.MustCompile(`msg="Listening on" address=(\S+)`)
)

const configuration = `webhook:
  secrets: [{secret: %s}]
access:
  rules:
    - {name: lab-may-do-anything, source: ["lab-*"], verdict: accept}
    - {name: no-mail-from-guests, client: [10.20.0.0/16, "fd00:20::/32"], port: ["25", "465", "587"], transport: [tcp, tls], verdict: reject}
    - {name: threat-feed, server_file: [botnet.netset], verdict: reject, dry_run: true}
    - {name: no-ssh, port: "22", verdict: reject}
`

// startExporter starts an exporter whose configuration can be reloaded, and waits until it is ready.
func startExporter(t testing.TB, flags ...string) *exporter {
	t.Helper()
	dir := t.TempDir()
	e := &exporter{config: filepath.Join(dir, "config.yml")}
	write(t, e.config, fmt.Sprintf(configuration, secret))
	write(t, filepath.Join(dir, "botnet.netset"), "# example\n198.51.100.0/24\n203.0.113.0/25\n10.0.0.0/9\n")
	cmd := exec.Command(filepath.Join(binaries, "smithproxy_exporter"), append([]string{"--config.file=" + e.config,
		"--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle",
		"--storage.path=" + filepath.Join(dir, "data")}, flags...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	webhook, web := make(chan string, 1), make(chan string, 1)
	go e.follow(stderr, webhook, web)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the exporter's log:\n%s", &e.log)
		}
	})
	e.webhook, e.web = first(t, webhook, "the webhook"), first(t, web, "the web listener")
	eventually(t, "the exporter is ready", func() bool {
		response, err := http.Get("http://" + e.web + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return e
}

func (e *exporter) follow(log io.Reader, webhook, web chan<- string) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		e.log.add(lines.Text())
		for pattern, found := range map[*regexp.Regexp]chan<- string{webhookLine: webhook, webLine: web} {
			if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m[1]:
				default:
				}
			}
		}
	}
}

func first(t testing.TB, found <-chan string, what string) string {
	t.Helper()
	select {
	case address := <-found:
		return address
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not listen", what)
		return ""
	}
}

// simulate starts simulated proxies, which send until the test ends or stop is called.
func (e *exporter) simulate(t testing.TB, flags ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "smithproxy_sim"), append([]string{
		"--url=http://" + e.webhook + "/webhook/" + secret, "--generation=2026", "--quiet", "--drain=0s", "--first-ping=100ms", "--ping-interval=2s"}, flags...)...)
	return start(t, cmd)
}

// wait runs simulated proxies to their end.
func (e *exporter) wait(t testing.TB, flags ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "smithproxy_sim"), append([]string{
		"--url=http://" + e.webhook + "/webhook/" + secret, "--generation=2026", "--quiet"}, flags...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("smithproxy_sim: %v\n%s", err, out)
	}
}

// start starts a process that ends with the test, and with this process whatever happens.
func start(t testing.TB, cmd *exec.Cmd) (stop func()) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually asks again and again until so holds. It is for the state of other processes, which nothing announces.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	again, over := time.NewTicker(25*time.Millisecond), time.After(30*time.Second)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-over:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

//go:build rude

package rude

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exporter is the process under attack.
type exporter struct {
	webhook, web string // addresses
	cmd          *exec.Cmd
	log          *log
	logEnded     chan struct{} // it is closed when the process has ended
}

var (
	webhookLine = regexp.MustCompile(`msg="Receiving webhooks" address=(\S+)`)
	webLine     = regexp.MustCompile(`msg="Listening on" address=(\S+)`)
)

// startExporter starts the exporter with its defaults and waits until it is ready. It reads the ports from the log.
func startExporter(t *testing.T, p place, secure bool, backend string) *exporter {
	t.Helper()
	dir := t.TempDir()
	configuration := fmt.Sprintf("webhook:\n  secrets: [{secret: %s}]\n", secret)
	if secure {
		configuration += fmt.Sprintf("  tls: {cert_file: %s, key_file: %s}\n", p.certificate, p.key)
	}
	configuration += fmt.Sprintf("otlp: {endpoint: %s, protocol: http/protobuf}\n", backend)
	path := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(path, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &exporter{log: new(log), logEnded: make(chan struct{})}
	e.cmd = exec.Command(p.binary, "--config.file="+path, "--webhook.listen-address=127.0.0.1:0",
		"--web.listen-address=127.0.0.1:0", "--storage.path="+filepath.Join(dir, "data"))
	stderr, err := e.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProcess(t, e.cmd)
	webhook, web := make(chan string, 1), make(chan string, 1)
	go func() {
		defer close(e.logEnded)
		e.log.follow(stderr, func(line []byte) {
			for pattern, found := range map[*regexp.Regexp]chan string{webhookLine: webhook, webLine: web} {
				if m := pattern.FindSubmatch(line); m != nil {
					select {
					case found <- string(m[1]):
					default:
					}
				}
			}
		})
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the exporter's log:\n%s", e.log)
		}
	})
	for _, a := range []struct {
		found   chan string
		address *string
	}{{webhook, &e.webhook}, {web, &e.web}} {
		select {
		case *a.address = <-a.found:
		case <-e.logEnded:
			t.Fatal("the exporter has ended")
		case <-time.After(10 * time.Second):
			t.Fatal("the exporter does not listen")
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if response, err := http.Get("http://" + e.web + "/-/ready"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return e
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the exporter does not become ready")
		}
	}
}

// mustLive fails the test if the process has ended.
func (e *exporter) mustLive(t *testing.T) {
	t.Helper()
	select {
	case <-e.logEnded:
		t.Error("the exporter has ended")
	default:
	}
}

// sample is the state of a process at one moment.
type sample struct {
	memory     int // resident, in bytes
	files      int // open file descriptors, of which connections are most
	goroutines int
}

func (e *exporter) sample(t *testing.T) sample {
	t.Helper()
	exposed, err := e.exposition()
	if err != nil {
		t.Fatal(err)
	}
	return sample{memory: e.status(t, "VmRSS"), files: number(t, exposed, "process_open_fds"), goroutines: number(t, exposed, "go_goroutines")}
}

const (
	filesEvery  = 50 * time.Millisecond
	scrapeEvery = 500 * time.Millisecond
)

// watch counts open files until stop is closed, and returns the most there were. It also scrapes, which must succeed.
func (e *exporter) watch(t *testing.T, stop <-chan struct{}) (files int) {
	t.Helper()
	scraped := make(chan struct{})
	defer func() { <-scraped }()
	go func() {
		defer close(scraped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(scrapeEvery):
			}
			if _, err := e.exposition(); err != nil {
				t.Errorf("scrape during the attack: %v", err)
			}
		}
	}()
	count := time.NewTicker(filesEvery)
	defer count.Stop()
	for {
		select {
		case <-stop:
			return files
		case <-count.C:
			files = max(files, e.files())
		}
	}
}

// Idle is never exactly the same: the web listener keeps connections, the store opens files.
const (
	idleFiles      = 16
	idleGoroutines = 24
)

// recover waits until the exporter is as it was when idle, and returns how it is then and how long that took.
func (e *exporter) recover(t *testing.T, idle sample) (sample, time.Duration) {
	t.Helper()
	began := time.Now()
	for {
		now := e.sample(t)
		took := time.Since(began)
		if now.files <= idle.files+idleFiles && now.goroutines <= idle.goroutines+idleGoroutines && now.memory <= idle.memory+memoryBudget {
			return now, took
		}
		if took > recoveryTime {
			t.Errorf("%v after the attack: %d open files, %d goroutines, %d MiB; idle are %d, %d, %d MiB", took.Round(time.Millisecond),
				now.files, now.goroutines, now.memory>>20, idle.files, idle.goroutines, idle.memory>>20)
			return now, took
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// status reads a size from proc_pid_status(5), in bytes, or 0 if the process has ended.
func (e *exporter) status(t *testing.T, name string) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var size int
		if _, err := fmt.Sscanf(line, name+": %d kB", &size); err == nil {
			return size << 10
		}
	}
	return 0
}

// peakMemory is the largest resident memory since the start.
func (e *exporter) peakMemory(t *testing.T) int { return e.status(t, "VmHWM") }

// files counts the open files, 0 if that is not allowed: those of a process that cannot be dumped are for root.
func (e *exporter) files() int {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", e.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(names)
}

// cpu is the user and system time of the process, which Linux counts in hundredths of a second.
func (e *exporter) cpu(t *testing.T) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	// utime and stime are the 12th and 13th field after the command's name in parentheses (proc_pid_stat(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Error(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// number finds the value of a metric without labels; to parse all of an exposition can take long.
func number(t *testing.T, exposed []byte, name string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(exposed)
	if m == nil {
		t.Fatalf("the exposition has no %s", name)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// scrape parses /metrics.
func (e *exporter) scrape(t *testing.T) metrics {
	t.Helper()
	exposed, err := e.exposition()
	if err != nil {
		t.Fatal(err)
	}
	return parseMetrics(t, exposed)
}

// exposition reads /metrics, over a connection of its own.
func (e *exporter) exposition() ([]byte, error) {
	scraper := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := scraper.Get("http://" + e.web + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", response.Status)
	}
	return body, err
}

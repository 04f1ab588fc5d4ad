package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// baselineVariable makes this test binary serve the handler that the exporter is compared with.
const baselineVariable = "COST_BASELINE_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(baselineVariable); address != "" {
		http.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		})
		fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
		os.Exit(1)
	}
	if disk := os.Getenv(diskVariable); disk != "" {
		fmt.Fprintln(os.Stderr, serveDisk(disk))
		os.Exit(1)
	}
	if n, err := strconv.ParseInt(os.Getenv(operationVariable), 10, 64); err == nil {
		os.Exit(crashAtOperation(n))
	}
	status := m.Run()
	_ = os.RemoveAll(binaryDirectory) // empty if nothing was built
	os.Exit(status)
}

// long marks a test that plays for seconds or minutes: make test-long runs it, make test does not.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("run by make test-long")
	}
}

// binaryDirectory is where build has left the exporter.
var binaryDirectory string

// build builds the exporter once for all tests.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if binaryDirectory, err = os.MkdirTemp("", "smithproxy_exporter"); err != nil {
		return "", err
	}
	binary := filepath.Join(binaryDirectory, "smithproxy_exporter")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// buildBinary returns the path of the exporter, built as users have it: without the race detector.
func buildBinary(t *testing.T) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// eventually asks again and again until so holds. It is for what nothing announces to this process: the state of
// another process.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	again, over := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-over:
			t.Fatalf("not %s within a minute", what)
		}
	}
}

// process starts a command and waits until it accepts connections. It is killed when the test ends.
func process(t *testing.T, address string, command *exec.Cmd) *os.Process {
	t.Helper()
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	gone := ended(command)
	t.Cleanup(func() { _ = command.Process.Kill(); <-gone })
	if !listening(address, gone) {
		t.Fatalf("%s has ended", command)
	}
	return command.Process
}

// ended returns a channel that is closed when a process that was started has ended, however that was.
func ended(command *exec.Cmd) <-chan struct{} {
	gone := make(chan struct{})
	go func() { defer close(gone); _ = command.Wait() }()
	return gone
}

// listening waits until somebody accepts connections. It returns false when gone is closed before.
func listening(address string, gone <-chan struct{}) bool {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return true
		}
		select {
		case <-gone:
			return false
		case <-again.C:
		}
	}
}

// awaitReady waits until the exporter has loaded its rules and its state.
func awaitReady(t *testing.T, web string) {
	t.Helper()
	eventually(t, "ready", func() bool { status, _ := fetch(web, "/-/ready"); return status == http.StatusOK })
}

// fetch returns status 0 if the server does not answer.
func fetch(web, path string) (status int, body string) {
	response, err := http.Get("http://" + web + path)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(read)
}

// cpuTime is the user and system time of a process, which Linux counts in hundredths of a second.
func cpuTime(t *testing.T, p *os.Process) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the command's name in parentheses: state is the first field, utime and stime the 12th
	// and 13th (proc_pid_stat(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is the resident memory of a process in bytes (VmRSS of proc_pid_status(5)).
func resident(t *testing.T, p *os.Process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid))
	if err != nil {
		t.Error(err)
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Error(err)
	}
	return kib << 10
}

//go:build rude

package rude

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// The roles that this test binary plays in child processes. A role gets its job as JSON in the environment, and
// writes what it has to say to its standard output, one JSON value a line.
const (
	roleVariable = "RUDE_ROLE"
	jobVariable  = "RUDE_JOB"

	roleEmpty  = "empty"
	roleProxy  = "proxy"
	roleClient = "client"
)

func play(role string) error {
	job := []byte(os.Getenv(jobVariable))
	switch role {
	case roleEmpty:
		return playEmpty(job)
	case roleProxy:
		return playProxy(job)
	case roleClient:
		return playClient(job)
	}
	return fmt.Errorf("unknown role")
}

// say writes a line to the parent.
func say(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// child is a process that plays a role.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// startChild starts a process in a role.
func startChild(t *testing.T, role string, job any) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, jobVariable+"="+string(encoded))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	startProcess(t, cmd)
	return &child{cmd, stdin, bufio.NewReader(stdout)}
}

// startProcess starts a process that ends with the test at the latest, and with this process whatever happens.
func startProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		_ = cmd.Wait()
	})
}

// hear reads a line of the child.
func (c *child) hear(t *testing.T, v any) {
	t.Helper()
	line, err := c.stdout.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", c.cmd, err)
	}
}

// log keeps the last lines of what a process logs, and counts all.
type log struct {
	mu    sync.Mutex
	lines int
	tail  [][]byte
}

const tailLines = 30

// follow reads until the end, and passes each line to found.
func (l *log) follow(r io.Reader, found func(line []byte)) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			l.mu.Lock()
			l.lines++
			if l.tail = append(l.tail, line); len(l.tail) > tailLines {
				l.tail = l.tail[1:]
			}
			l.mu.Unlock()
			found(line)
		}
		if err != nil {
			return
		}
	}
}

func (l *log) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.tail, nil))
}

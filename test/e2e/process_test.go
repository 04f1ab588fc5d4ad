//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"smithproxy_exporter/test/loopback"
)

// process is a program that runs until the test is over, or until it is killed.
type process struct {
	name   string
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	wanted bool // its end
}

// start runs a program, and ends it with the test. What it says is shown when the test fails.
func start(t *testing.T, name, path string, env []string, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(t.TempDir(), "log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = filepath.Dir(p.log)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A test that is killed cannot clean up; the kernel does.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() { p.end(t) })
	return p
}

// end asks the process to stop, and does not wait for long.
func (p *process) end(t *testing.T) {
	select {
	case <-p.exited:
		if !p.wanted {
			t.Errorf("%s ended by itself: %v", p.name, p.cmd.ProcessState)
		}
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(3 * time.Second):
			p.kill()
		}
	}
	if t.Failed() {
		t.Logf("%s: %s\n%s", p.name, p.cmd.ProcessState, p.tail())
	}
}

// kill is what a power cut does.
func (p *process) kill() {
	p.wanted = true
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// tail is the end of what the process said.
func (p *process) tail() []byte {
	const most = 4000
	said, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	if len(said) > most {
		said = said[len(said)-most:]
		said = said[bytes.IndexByte(said, '\n')+1:]
	}
	return said
}

// addresses reserves n addresses on loopback until the test ends.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	reserved := make([]string, n)
	for i := range reserved {
		reserved[i] = loopback.Reserve(t)
	}
	return reserved
}

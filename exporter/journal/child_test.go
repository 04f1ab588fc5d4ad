package journal

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The variables that make this binary a child: what it does, and in which folder.
const (
	childVariable = "JOURNAL_TEST_CHILD"
	pathVariable  = "JOURNAL_TEST_PATH"
)

// children are what a child can do. They say what happened on their standard output.
var children = map[string]func(path string) error{
	"hold":   holdDir,
	"append": appendFlatOut,
}

func runChild(name string) int {
	if err := children[name](os.Getenv(pathVariable)); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// child is a running child. Closing stdin tells it to end.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
}

func startChild(t *testing.T, name, path string) *child {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+name, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	c := &child{cmd, stdin, bufio.NewScanner(stdout)}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	return c
}

// line is the next line of the child, "" at its end.
func (c *child) line() string {
	c.lines.Scan()
	return c.lines.Text()
}

// rest is what the child still says, once it has ended.
func (c *child) rest() []string {
	var out []string
	for c.lines.Scan() {
		out = append(out, c.lines.Text())
	}
	c.cmd.Wait()
	return out
}

// end tells the child to end, and fails the test if it had an error.
func (c *child) end(t *testing.T) {
	t.Helper()
	c.stdin.Close()
	said := c.rest()
	if !c.cmd.ProcessState.Success() {
		t.Fatal(strings.Join(said, "\n"))
	}
}

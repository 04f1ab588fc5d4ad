package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"smithproxy_exporter/test/loopback"
)

// child is the exporter as a process of its own, which is killed and started again.
type child struct {
	t                        *testing.T
	binary, webhook, web     string
	configuration, directory string
	endpoint                 string
	// wrap is a command that runs the binary, if it is not run by itself; files are handed to it.
	wrap    []string
	files   []*os.File
	command *exec.Cmd
	kills   []time.Time
}

func newChild(t *testing.T, binary string, backend *receiver) *child {
	t.Helper()
	c := &child{
		t: t, binary: binary, webhook: loopback.Reserve(t), web: loopback.Reserve(t), directory: t.TempDir(),
		configuration: filepath.Join(t.TempDir(), "config.yml"), endpoint: "http://" + backend.address,
	}
	if err := os.WriteFile(c.configuration, []byte(crashConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *child) start() {
	c.t.Helper()
	line := append(slices.Clone(c.wrap), c.binary, "--config.file="+c.configuration, "--storage.path="+c.directory,
		"--webhook.listen-address="+c.webhook, "--web.listen-address="+c.web, "--otlp.endpoint="+c.endpoint,
		"--log.level=error")
	c.command = exec.Command(line[0], line[1:]...)
	c.command.Stderr, c.command.ExtraFiles = os.Stderr, c.files
	if err := c.command.Start(); err != nil {
		c.t.Fatal(err)
	}
	awaitReady(c.t, c.web)
}

func (c *child) kill() {
	c.t.Helper()
	c.kills = append(c.kills, time.Now())
	if err := c.command.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.command.Wait() // It was killed.
}

// stop ends it in order.
func (c *child) stop() {
	c.t.Helper()
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.command.Wait(); err != nil {
		c.t.Errorf("exporter: %v", err)
	}
}

// end leaves no process behind.
func (c *child) end() {
	if c.command.ProcessState == nil {
		c.kill()
	}
}

func (c *child) get(path string) (status int, body string) { return fetch(c.web, path) }

// await is eventually; a test that fails shows what is not over.
func (c *child) await(what string, done func() bool) {
	c.t.Helper()
	came := false
	defer func() {
		if !came {
			_, metrics := c.get("/metrics")
			_, closing := c.get("/api/v1/connections?state=closing&limit=3")
			c.t.Logf("closing are %s\n%s", closing, told(metrics))
		}
	}()
	eventually(c.t, what, done)
	came = true
}

const crashConfig = `
webhook: {secrets: [{secret: ` + secret + `}]}
connections: {grace_period: 4s}
`

// settled reports whether no connection that is over waits for more, and no span to be sent.
func (c *child) settled() bool {
	_, closing := c.get("/api/v1/connections?state=closing")
	_, metrics := c.get("/metrics")
	return strings.Contains(closing, `"connections": []`) && !strings.Contains(closing, "next_cursor") && strings.Contains(metrics, "\nsmithproxy_exporter_spans_pending 0\n")
}

// post sends an event, which must be answered well.
func (c *child) post(body []byte) {
	c.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post("http://"+c.webhook+"/webhook/"+secret, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode/100 != 2 {
		c.t.Fatalf("%s is answered %s, %v", body, response.Status, err)
	}
}

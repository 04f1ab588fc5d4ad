package systemd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/systemd"
)

// childVariable makes the test binary a child that takes over sockets; its value is the argument of Listeners.
const childVariable = "SYSTEMD_TEST_CHILD"

// result is what Listeners returned, with addresses in place of listeners.
type result struct {
	Webhook string
	Web     []string
	Err     string
	// Passed are the variables that the child's own children would see.
	Passed []string
}

func TestMain(m *testing.M) {
	argument, isChild := os.LookupEnv(childVariable)
	if !isChild {
		os.Exit(m.Run())
	}
	if err := playChild(argument == "true"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func playChild(webSockets bool) error {
	webhook, web, err := systemd.Listeners(webSockets)
	var r result
	if err != nil {
		r.Err = err.Error()
	}
	if webhook != nil {
		r.Webhook = webhook.Addr().String()
	}
	for _, l := range web {
		r.Web = append(r.Web, l.Addr().String())
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if _, ok := os.LookupEnv(name); ok {
			r.Passed = append(r.Passed, name)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// handOver runs a child as systemd would: with sockets from file descriptor 3 on, and their names in a variable. The
// child is the one that LISTEN_PID names, unless pid is set.
func handOver(t *testing.T, webSockets bool, pid string, names []string, sockets []*os.File) result {
	t.Helper()
	// Only the shell knows its own number before it becomes the child.
	if pid == "" {
		pid = "$$"
	}
	c := exec.Command("sh", "-c", "LISTEN_PID="+pid+` exec "$@"`, "sh", os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+strconv.FormatBool(webSockets))
	if sockets != nil {
		c.Env = append(c.Env, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
		c.ExtraFiles = sockets
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var r result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.Web)
	return r
}

// socket returns a listening socket as a file, and its address.
func socket(t *testing.T, network, address string) (*os.File, string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); l.Close() })
	return file, l.Addr().String()
}

func TestListeners(t *testing.T) {
	a, addrA := socket(t, "tcp", "127.0.0.1:0")
	b, addrB := socket(t, "tcp", "127.0.0.1:0")
	c, addrC := socket(t, "unix", filepath.Join(t.TempDir(), "web.sock"))
	for _, tt := range []struct {
		name       string
		webSockets bool
		names      []string
		sockets    []*os.File
		webhook    string
		web        []string
		err        string
	}{
		{name: "none"},
		{name: "none, web sockets", webSockets: true},
		{name: "one without a name", names: []string{"unknown"}, sockets: []*os.File{a}, webhook: addrA},
		{name: "one by its name", names: []string{"webhook"}, sockets: []*os.File{a}, webhook: addrA},
		{name: "two, both of the webhook", names: []string{"webhook", "other"}, sockets: []*os.File{a, b}, err: "2 sockets"},
		{name: "web sockets, both", webSockets: true, names: []string{"web", "webhook"}, sockets: []*os.File{a, b}, webhook: addrB, web: []string{addrA}},
		{name: "web sockets, several", webSockets: true, names: []string{"webhook", "web", "page"}, sockets: []*os.File{a, b, c}, webhook: addrA, web: []string{addrC, addrB}},
		{name: "web sockets, none of the webhook", webSockets: true, names: []string{"web"}, sockets: []*os.File{a}, web: []string{addrA}},
		{name: "web sockets, two of the webhook", webSockets: true, names: []string{"webhook", "webhook"}, sockets: []*os.File{a, b}, err: "2 sockets"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := handOver(t, tt.webSockets, "", tt.names, tt.sockets)
			slices.Sort(tt.web)
			if got.Webhook != tt.webhook || !slices.Equal(got.Web, tt.web) || (got.Err == "") != (tt.err == "") || !strings.Contains(got.Err, tt.err) {
				t.Errorf("webhook %q, web %q, error %q; want %q, %q, %q", got.Webhook, got.Web, got.Err, tt.webhook, tt.web, tt.err)
			}
			if len(got.Passed) > 0 {
				t.Errorf("%v would be passed on", got.Passed)
			}
		})
	}
}

// Sockets that are for another process are left alone.
func TestSocketsOfAnotherProcess(t *testing.T) {
	a, _ := socket(t, "tcp", "127.0.0.1:0")
	if got := handOver(t, false, "1", []string{"webhook"}, []*os.File{a}); got.Webhook != "" || got.Err != "" {
		t.Errorf("it took over %+v", got)
	}
}

// A listener that is taken over accepts connections that were made before.
func TestConnectionBeforeTheProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	early, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := handOver(t, false, "", []string{"webhook"}, []*os.File{file})
	if got.Webhook != l.Addr().String() {
		t.Fatalf("it took over %+v", got)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

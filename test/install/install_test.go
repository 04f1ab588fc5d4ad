//go:build install

// Package install installs the .deb in a Debian tree in which systemd runs, upgrades, removes and purges it. Start it with
// test/install/run.
package install

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"smithproxy_exporter/test/namespace"
)

var (
	archive = flag.String("tree", "", "archive of a clean Debian tree")
	deb     = flag.String("deb", "", "the package")
)

const (
	name    = "smithproxy-exporter"
	service = "smithproxy_exporter.service"
	socket  = "smithproxy_exporter.socket"
	config  = "/etc/smithproxy_exporter/config.yml"
	state   = "/var/lib/smithproxy_exporter"
)

func TestInstall(t *testing.T) {
	if !namespace.Enter(t) {
		return // the test has run in a process of its own
	}
	backend := newBackend(t)
	s := boot(t, *archive)
	older := repack(t, s)
	output(t, exec.Command("cp", *deb, s.path("/root/new.deb")))
	clean := s.files(t)

	step := func(name string, run func(*testing.T)) {
		t.Helper()
		if !t.Run(name, run) {
			t.FailNow() // the next steps would fail for the same reason
		}
	}
	step("install", func(t *testing.T) { s.install(t, backend, older) })
	step("unit", s.unit)
	step("upgrade", s.upgrade)
	step("remove", s.remove)
	step("purge", func(t *testing.T) { s.purge(t, clean) })
}

// backend receives spans.
type backend struct {
	coltracepb.UnimplementedTraceServiceServer
	address string
	first   chan time.Time
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:4317")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: listener.Addr().String(), first: make(chan time.Time, 1)}
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, b)
	go func() { _ = server.Serve(listener) }() // it ends with Stop
	t.Cleanup(server.Stop)
	return b
}

func (b *backend) Export(_ context.Context, request *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if len(request.GetResourceSpans()) > 0 {
		select {
		case b.first <- time.Now():
		default:
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// repack makes a package of a lower version, with another commented configuration.
func repack(t *testing.T, s *tree) (inTree string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "older")
	output(t, exec.Command("dpkg-deb", "--raw-extract", *deb, dir))
	control := filepath.Join(dir, "DEBIAN", "control")
	replaceInFile(t, control, regexp.MustCompile(`(?m)^Version: .*$`), "Version: 0.0.1")
	replaceInFile(t, filepath.Join(dir, config), regexp.MustCompile(`$`), "# of an older version\n")
	if err := os.Remove(filepath.Join(dir, "DEBIAN", "md5sums")); err != nil {
		t.Fatal(err)
	}
	output(t, exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, s.path("/root/older.deb")))
	return "/root/older.deb"
}

func replaceInFile(t *testing.T, path string, old *regexp.Regexp, with string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old.ReplaceAll(content, []byte(with)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// install installs the older package, sets it up, and lets a simulated proxy send until a span arrives.
func (s *tree) install(t *testing.T, b *backend, older string) {
	began := time.Now()
	s.run(t, "dpkg", "--install", older)
	installed := time.Since(began)
	for _, unit := range []string{service, socket} {
		s.run(t, "systemctl", "is-enabled", unit)
		s.run(t, "systemctl", "is-active", unit)
	}
	out := s.run(t, "smithproxy_exporter", "setup", "--host=127.0.0.1", "--hostid=edge-1", "--otlp.endpoint=http://"+b.address)
	if !strings.Contains(out, "ok     traces: http://"+b.address+" answers") {
		t.Errorf("setup says\n%s", out)
	}
	s.run(t, "systemctl", "restart", service)
	s.run(t, "smithproxy_sim", "--url=http://127.0.0.1:5000/webhook/", "--secret-file=/etc/smithproxy_exporter/webhook-secret", "--wait=10s",
		"--generation=2026", "--proxies=1", "--name-prefix=edge-", "--rate=20", "--duration=2s", "--duration-max=500ms", "--info-delay-max=100ms",
		"--first-ping=100ms", "--drain=5s", "--quiet")
	select {
	case at := <-b.first:
		t.Logf("dpkg --install took %v; the first span arrived %v after its start", installed.Round(time.Millisecond), at.Sub(began).Round(time.Millisecond))
	case <-time.After(30 * time.Second):
		t.Fatal("no span arrived")
	}
	if out := s.run(t, "smithproxy_exporter", "doctor"); strings.Contains(out, "WRONG") {
		t.Errorf("the doctor says\n%s", out)
	} else {
		t.Logf("the doctor says\n%s", out)
	}
}

// unit looks at the units and at the running process.
func (s *tree) unit(t *testing.T) {
	if out := s.run(t, "systemd-analyze", "verify", "--man=no", "/usr/lib/systemd/system/"+service, "/usr/lib/systemd/system/"+socket); strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify says\n%s", out)
	}
	pid := strings.TrimSpace(s.run(t, "systemctl", "show", "--property=MainPID", "--value", service))
	uid := strings.TrimSpace(s.run(t, "id", "--user", "smithproxy_exporter"))
	if status := s.run(t, "cat", "/proc/"+pid+"/status"); uid == "0" || !strings.Contains(status, "\nUid:\t"+uid+"\t"+uid+"\t"+uid+"\t"+uid+"\n") ||
		!strings.Contains(status, "\nCapEff:\t0000000000000000\n") || !strings.Contains(status, "\nNoNewPrivs:\t1\n") || !strings.Contains(status, "\nSeccomp:\t2\n") {
		t.Errorf("the process is not that of the user %s without privileges:\n%s", uid, status)
	}
	s.run(t, "systemctl", "reload", service)
	security := strings.Split(strings.TrimSpace(s.run(t, "systemd-analyze", "security", "--no-pager", "--threshold=15", service)), "\n")
	t.Log(security[len(security)-1])
}

// ping is a number of pings a second, none of which may fail.
type pinging struct {
	stop         chan struct{}
	stopped      chan struct{}
	sent, failed atomic.Int64
	last         atomic.Value
}

func (s *tree) ping(t *testing.T) *pinging {
	t.Helper()
	url := "http://127.0.0.1:5000/webhook/" + strings.TrimSpace(s.read(t, "/etc/smithproxy_exporter/webhook-secret"))
	p := &pinging{stop: make(chan struct{}), stopped: make(chan struct{})}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		defer close(p.stopped)
		for {
			select {
			case <-p.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			p.sent.Add(1)
			response, err := client.Post(url, "application/json", strings.NewReader(`{"action":"ping","source":"edge-2","type":"proxy"}`))
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode/100 == 2 {
					continue
				}
				err = fmt.Errorf("status %s", response.Status)
			}
			p.failed.Add(1)
			p.last.Store(err)
		}
	}()
	return p
}

// upgrade installs the package over the older one, while a proxy pings.
func (s *tree) upgrade(t *testing.T) {
	secret, settings := s.read(t, "/etc/smithproxy_exporter/webhook-secret"), s.read(t, config)
	before := strings.TrimSpace(s.run(t, "systemctl", "show", "--property=MainPID", "--value", service))
	p := s.ping(t)
	s.run(t, "dpkg", "--force-confold", "--install", "/root/new.deb")
	s.ready(t)
	close(p.stop)
	<-p.stopped
	if p.failed.Load() > 0 || p.sent.Load() < 5 {
		t.Errorf("%d of %d pings during the upgrade failed: %v", p.failed.Load(), p.sent.Load(), p.last.Load())
	}
	t.Logf("%d pings during the upgrade, none failed", p.sent.Load())
	if after := strings.TrimSpace(s.run(t, "systemctl", "show", "--property=MainPID", "--value", service)); after == before {
		t.Error("the upgrade has not restarted the service")
	}
	if s.read(t, "/etc/smithproxy_exporter/webhook-secret") != secret || s.read(t, config) != settings {
		t.Error("the upgrade has changed the configuration")
	}
	if info, err := os.Stat(s.path("/etc/smithproxy_exporter")); err != nil || info.Mode() != os.ModeDir|os.ModeSetgid|0o750 {
		t.Errorf("the mode of the directory of the configuration is %v, %v", info.Mode(), err)
	}
	// Of the proxy that pinged the older version only.
	if metrics := s.metrics(t); !strings.Contains(metrics, `smithproxy_up{source="edge-1"} 1`) {
		t.Errorf("the upgrade has lost the state:\n%s", metrics)
	}
}

func (s *tree) metrics(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://127.0.0.1:10932/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func (s *tree) ready(t *testing.T) {
	t.Helper()
	eventually(t, 30*time.Second, "the exporter is ready", func() error {
		response, err := http.Get("http://127.0.0.1:10932/-/ready")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", response.Status)
		}
		return nil
	})
}

// remove keeps configuration and state.
func (s *tree) remove(t *testing.T) {
	s.run(t, "dpkg", "--remove", name)
	for _, port := range []string{"5000", "10932"} {
		if connection, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			connection.Close()
			t.Errorf("port %s is still open", port)
		}
	}
	for _, kept := range []string{config, "/etc/smithproxy_exporter/webhook-secret", "/etc/default/smithproxy_exporter", state} {
		if _, err := os.Stat(s.path(kept)); err != nil {
			t.Errorf("removing the package has removed %s: %v", kept, err)
		}
	}
	if _, err := os.Stat(s.path("/usr/bin/smithproxy_exporter")); !os.IsNotExist(err) {
		t.Errorf("the program is still there: %v", err)
	}
}

// purge leaves nothing.
func (s *tree) purge(t *testing.T, clean map[string]bool) {
	s.run(t, "dpkg", "--purge", name)
	var left []string
	for file := range s.files(t) {
		// Backups of the tools that manage users, and what systemd itself keeps of any system that ran.
		if !clean[file] && !strings.HasPrefix(file, "/etc/") || !clean[file] && !slices.Contains(ofOthers, file) {
			left = append(left, file)
		}
	}
	if slices.Sort(left); len(left) > 0 {
		t.Errorf("purge leaves %s", strings.Join(left, ", "))
	}
	s.fails(t, "getent", "passwd", "smithproxy_exporter")
	s.fails(t, "getent", "group", "smithproxy_exporter")
	s.fails(t, "dpkg", "--status", name)
}

// ofOthers are backups that tools for users leave behind.
var ofOthers = []string{"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/etc/subuid-", "/etc/subgid-"}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/store"
)

func startBody(id int) []byte {
	return fmt.Appendf(nil, `{"action":"connection-start","type":"proxy","source":"edge-1","id":"Proxy-A1-OID-%X","details":{"info":{"session":"tcp_10.77.1.2:%d+tcp_10.77.2.2:8080"}}}`,
		id, 10_000+id)
}

func stopBody(id int) []byte {
	return fmt.Appendf(nil, `{"action":"connection-stop","type":"proxy","source":"edge-1","id":"Proxy-A1-OID-%X","details":{"info":{"session":"tcp_10.77.1.2:%d+tcp_10.77.2.2:8080","bytes_up":1,"bytes_down":2}}}`,
		id, 10_000+id)
}

const (
	pingBody   = `{"action":"ping","type":"proxy","source":"edge-1","instance":"Proxy-A1"}`
	accessBody = `{"action":"access-request","type":"proxy","source":"edge-1","id":"tcp_10.77.1.2:10001+tcp_10.77.2.2:8080",` +
		`"details":{"policy":-1,"session":"tcp_10.77.1.2:10001+tcp_10.77.2.2:8080"}}`
)

// TestRestartKeepsConnections restarts the exporter while a connection is open.
func TestRestartKeepsConnections(t *testing.T) {
	backend := newReceiver(t)
	args := []string{"--storage.path=" + t.TempDir(), "--otlp.endpoint=http://" + backend.address}
	e := startExporter(t, args, nil)
	for _, body := range [][]byte{[]byte(pingBody), []byte(accessBody), startBody(1)} {
		e.post(body)
		e.clock.set(e.clock.now().Add(time.Second))
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startExporter(t, args, nil)
	exposed := parseMetrics(t, e.metrics())
	for metric, want := range map[string]float64{
		"smithproxy_connections_active": 1, "smithproxy_up": 1,
		"smithproxy_last_ping_timestamp_seconds": float64(epoch.Unix()), "smithproxy_instance_info": 1,
		"smithproxy_connections_started_total": 0, "smithproxy_pings_total": 0, "smithproxy_access_requests_total": 0,
	} {
		check(t, metric, exposed.sum(metric, "source=edge-1"), want)
	}
	e.post(stopBody(1))
	check(t, "closed", parseMetrics(t, e.metrics()).sum("smithproxy_connections_closed_total"), 1)
	e.advance(e.clock.now().Add(time.Hour))
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	spans := backend.all()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want a connection and its access-request", len(spans))
	}
	for _, s := range spans {
		if s.parent() != "" {
			continue
		}
		if got := startOf(s); !got.Equal(epoch.Add(time.Second)) {
			t.Errorf("it began at %v, want when it was asked about before the restart", got)
		}
		if got := values(s.GetAttributes())["smithproxy.access.verdict"]; got != "accept" {
			t.Errorf("its verdict is %v", got)
		}
	}
}

func TestSecondExporterOnOneStorage(t *testing.T) {
	storage := t.TempDir()
	startExporter(t, []string{"--storage.path=" + storage}, nil)
	f, _, err := parse([]string{"--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", "--storage.path=" + storage})
	if err != nil {
		t.Fatal(err)
	}
	second, err := openAt(t.Context(), f, config.Default(), slog.New(slog.DiscardHandler), realClock)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.serve(t.Context()); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), storage) {
		t.Errorf("a second exporter on %s: %v", storage, err)
	}
}

// TestStorageCannotBeWritten has a file where the folder should be.
func TestStorageCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	backend := newReceiver(t)
	e := startLive(t, []string{"--storage.path=" + filepath.Join(file, "data"), "--otlp.endpoint=http://" + backend.address}, nil)
	for _, body := range [][]byte{[]byte(pingBody), []byte(accessBody), startBody(1), stopBody(1)} {
		if status, answer := e.post(body); status/100 != 2 {
			t.Errorf("%s is answered %d: %s", body, status, answer)
		}
	}
	if status, _ := e.get("/-/ready"); status != http.StatusOK {
		t.Error("not ready")
	}
	exposed := parseMetrics(t, e.metrics())
	check(t, "unsaved", exposed.sum("smithproxy_exporter_events_unsaved_total"), 4)
	check(t, "behind", exposed.sum("smithproxy_exporter_store_behind"), 1)
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	if spans := backend.all(); len(spans) != 2 {
		t.Errorf("%d spans were sent, want what could be kept in memory", len(spans))
	}
}

// TestDiskIsFull gives the process a limit of file size that it soon reaches, and raises it later.
func TestDiskIsFull(t *testing.T) {
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip(err)
	}
	backend := newReceiver(t)
	c := newChild(t, buildBinary(t), backend)
	c.wrap = []string{prlimit, "--fsize=65536:unlimited", "--"}
	c.start()
	defer c.end()
	const connections = 400
	for id := range connections {
		c.post(startBody(id))
		if id%20 == 0 {
			c.post([]byte(accessBody))
		}
	}
	_, text := c.get("/metrics")
	lost := parseMetrics(t, text).sum("smithproxy_exporter_events_unsaved_total")
	if lost == 0 {
		t.Fatal("the limit was not reached")
	}
	if out, err := exec.Command(prlimit, "--fsize=unlimited", "--pid="+strconv.Itoa(c.command.Process.Pid)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// It is tried again every few seconds.
	c.await("written again", func() bool {
		_, text := c.get("/metrics")
		return parseMetrics(t, text).sum("smithproxy_exporter_store_behind") == 0
	})
	c.kill()
	c.wrap = nil
	c.start()
	_, list := c.get("/api/v1/connections?state=open&limit=1000")
	if n := strings.Count(list, `"source"`); n != connections {
		t.Errorf("%d connections are known after the crash, want %d; %v were not written down at first", n, connections, lost)
	}
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/test/loopback"
)

var storeCrashes = flag.Int("crash.operations", 40, "at how many store operations TestCrashAtStoreOperation kills the exporter")

// operationVariable makes this test binary be the exporter, which dies at the store operation of that number: of all
// operations, or of writes to the log if the number is negative.
const operationVariable = "CRASH_AT_STORE_OPERATION"

// crashAtOperation runs the exporter with the arguments of the process, and kills it at an operation that its store does
// on files, see operationVariable; 0 is never.
func crashAtOperation(n int64) int {
	var operations, logged atomic.Int64
	storeFaults = func(op, path string) error {
		all, writes := operations.Add(1), int64(0)
		if op == "write" && filepath.Ext(path) == ".log" {
			writes = -logged.Add(1)
		}
		if n != 0 && (all == n || writes == n) {
			process, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = process.Kill()
			}
			if err != nil {
				panic(err)
			}
			select {} // until the signal arrives
		}
		return nil
	}
	return run(os.Args[1:], os.Stdout, os.Stderr)
}

// TestCrashAtStoreOperation kills the exporter at each of its first store operations, which open the store, and at each
// of its first commits, in turn, on one storage directory, while connections come and go. All that was acknowledged has
// exactly one root span in the end, or the very same again.
func TestCrashAtStoreOperation(t *testing.T) {
	long(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	backend := newReceiver(t)
	dir := t.TempDir()
	configuration := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\nconnections: {grace_period: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook, web := loopback.Reserve(t), loopback.Reserve(t)
	start := func(n int) *exec.Cmd {
		command := exec.Command(self, "--config.file="+configuration, "--storage.path="+filepath.Join(dir, "data"),
			"--webhook.listen-address="+webhook, "--web.listen-address="+web, "--otlp.endpoint=http://"+backend.address, "--log.level=error")
		command.Env = append(os.Environ(), operationVariable+"="+strconv.Itoa(n))
		command.Stderr = os.Stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		return command
	}
	const (
		connectionsPerRun = 6
		opening           = 60 // about how many operations open the store
	)
	acknowledged := map[string]bool{} // stops, by the id of the connection
	next, killed := 0, 0
	send := func(command *exec.Cmd) (alive bool) {
		gone := ended(command)
		if !listening(webhook, gone) {
			return false
		}
		for range connectionsPerRun {
			next++
			id := fmt.Sprintf("Proxy-A1-OID-%X", next)
			if deliver(webhook, startBody(next)) != nil || deliver(webhook, stopBody(next)) != nil {
				<-gone
				return false
			}
			acknowledged[id] = true
		}
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		<-gone
		return true
	}
	for n := range *storeCrashes {
		at := 1 + n/2%(opening+10)
		if n%2 == 1 {
			at = -1 - n/2%(2*connectionsPerRun)
		}
		if !send(start(at)) {
			killed++
		}
	}
	last := start(0)
	eventually(t, "sent", func() bool {
		if status, _ := fetch(web, "/metrics"); status != http.StatusOK {
			return false
		}
		have := map[string]bool{}
		for _, s := range backend.all() {
			have[s.traceID()] = true
		}
		for id := range acknowledged {
			if !have[traceid.Of("edge-1", id).TraceString()] {
				return false
			}
		}
		return true
	})
	if err := last.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := last.Wait(); err != nil {
		t.Errorf("exporter: %v", err)
	}
	roots, repeats := map[string]received{}, 0
	for _, s := range backend.all() {
		if s.parent() != "" {
			continue
		}
		if first, ok := roots[s.traceID()]; ok {
			repeats++
			if !proto.Equal(first.Span, s.Span) {
				t.Errorf("two root spans of one connection differ:\n%v\n%v", first.Span, s.Span)
			}
		}
		roots[s.traceID()] = s
	}
	for id := range acknowledged {
		root, ok := roots[traceid.Of("edge-1", id).TraceString()]
		if !ok {
			t.Errorf("%s has no root span", id)
		} else if reason := values(root.GetAttributes())["smithproxy.close.reason"]; reason != "stop" {
			t.Errorf("%s ended by %v", id, reason)
		}
	}
	if killed < *storeCrashes/2 || len(acknowledged) < *storeCrashes {
		t.Errorf("%d of %d were killed at a store operation, %d connections were acknowledged", killed, *storeCrashes, len(acknowledged))
	}
	t.Logf("killed %d times at a store operation and %d times between; %d connections acknowledged, %d identical repeats",
		killed, *storeCrashes-killed, len(acknowledged), repeats)
}

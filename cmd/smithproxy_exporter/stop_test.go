package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"smithproxy_exporter/test/loopback"
)

// TestStopSucceedsWheneverNothingIsLost stops the exporter, with spans that were not sent and a request that is half
// there, and expects status 0.
func TestStopSucceedsWheneverNothingIsLost(t *testing.T) {
	binary := buildBinary(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, answer := range map[string]func(*coltracepb.ExportTraceServiceRequest) error{
		"accepting":    nil,
		"unavailable":  func(*coltracepb.ExportTraceServiceRequest) error { return status.Error(codes.Unavailable, "down") },
		"rejecting":    func(*coltracepb.ExportTraceServiceRequest) error { return status.Error(codes.InvalidArgument, "no") },
		"unauthorized": func(*coltracepb.ExportTraceServiceRequest) error { return status.Error(codes.Unauthenticated, "who?") },
		"hanging":      func(*coltracepb.ExportTraceServiceRequest) error { <-hang; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := newReceiver(t)
			backend.refuse = answer
			dir := t.TempDir()
			configuration := filepath.Join(dir, "config.yml")
			if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\nconnections: {grace_period: 100ms}\notlp: {flush_timeout: 1s}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			webhook, web := loopback.Reserve(t), loopback.Reserve(t)
			command := exec.Command(binary, "--config.file="+configuration, "--webhook.listen-address="+webhook, "--web.listen-address="+web,
				"--otlp.endpoint=http://"+backend.address, "--storage.path="+filepath.Join(dir, "data"), "--log.level=error")
			command.Stderr = os.Stderr
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = command.Process.Kill() }) // if it runs still
			if !listening(webhook, nil) {
				t.Fatal("it does not listen")
			}
			for i := range 10 {
				for _, body := range [][]byte{startBody(i), stopBody(i)} {
					if err := deliver(webhook, body); err != nil {
						t.Fatal(err)
					}
				}
			}
			half, err := net.Dial("tcp", webhook)
			if err != nil {
				t.Fatal(err)
			}
			defer half.Close()
			if _, err := half.Write([]byte("POST /webhook/" + secret + " HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := command.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

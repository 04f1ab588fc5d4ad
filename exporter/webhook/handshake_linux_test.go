package webhook_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHandshake is a full handshake, as smithproxy makes one for every event. It reports the CPU time of the
// server's side.
func BenchmarkHandshake(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	ca := newAuthority(b)
	for _, kind := range []struct {
		name string
		key  crypto.Signer
	}{{"ECDSA-P256", ecdsaKey(b)}, {"RSA-2048", rsaKey}} {
		certificate := ca.issue("server", kind.key, "server")
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			b.Run(kind.name+"/"+strings.ReplaceAll(tls.VersionName(version), " ", ""), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				server := &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true}
				client := &tls.Config{InsecureSkipVerify: true, MaxVersion: version}
				before := threadTime(b)
				for b.Loop() {
					near, far := net.Pipe()
					done := make(chan error, 1)
					go func() { done <- tls.Client(near, client).Handshake() }()
					if err := tls.Server(far, server).Handshake(); err != nil {
						b.Fatal(err)
					}
					if err := <-done; err != nil {
						b.Fatal(err)
					}
					near.Close()
					far.Close()
				}
				b.ReportMetric(float64((threadTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

// threadTime returns the CPU time of this thread.
func threadTime(b *testing.B) time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	if err := syscall.Getrusage(thread, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

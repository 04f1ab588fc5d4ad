//go:build rude

// Package rude attacks the exporter with rude clients, and reports what a well-behaved proxy sees meanwhile.
//
// Each attack has an exporter of its own, with its defaults except for ports and paths, and beside it an empty
// net/http handler. Both are attacked in the same way at the same time, and the proxy sends the same to both, so
// that the comparison holds on a busy machine. All of them are child processes: the attackers do not delay the
// measurement inside one Go runtime, and memory and CPU time can be read from /proc.
package rude

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	attackTime   = flag.Duration("rude.time", time.Second, "duration of each attack; latencies are judged from 10s on")
	exporterPath = flag.String("rude.exporter", "", "exporter to attack, instead of the one of this tree")
	reportPath   = flag.String("rude.report", "", "file to write the table to, in Markdown")
)

const (
	// judgedFrom is the duration of an attack from which on there are enough requests for a p99. A shorter attack is
	// judged by the median.
	judgedFrom = 10 * time.Second
	// latencyBudget is how far above the empty handler's p99 that of the access-requests may be.
	latencyBudget = 20 * time.Millisecond
	// measurementError is the share, one in so many, of the empty handler's time by which two equal servers differ on a
	// machine that has more to do than it can. It counts where it is more than the budget.
	measurementError = 4
	// attempts is how often an attack is tried when answers were slow meanwhile. What else the machine does passes, what
	// the exporter does comes again.
	attempts = 3
	// memoryBudget is how far above idle the resident memory may be.
	memoryBudget = 256 << 20
	// recoveryTime is how soon after the attack everything must be as before.
	recoveryTime = 10 * time.Second
	// logBudget is how many lines the exporter may log, and how many a second besides.
	logBudget, logRate = 100, 10
)

const (
	secret = "rude-clients-know-this-secret"
	// The addresses on the loopback network that the clients connect from.
	proxyAddress = "127.10.0.1"
	rudeAddress  = "127.66.0.1"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestRude runs the attacks one after the other.
func TestRude(t *testing.T) {
	dir := t.TempDir()
	place := place{
		binary: filepath.Join(dir, "smithproxy_exporter"), certificate: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	if *exporterPath != "" {
		place.binary = *exporterPath
	} else if out, err := exec.Command("go", "build", "-o", place.binary, "../../cmd/smithproxy_exporter").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	writeCertificate(t, place.certificate, place.key)
	var results report
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { results = append(results, a.repeat(t, place)) })
	}
	results.publish(t)
}

// place is what the attacks share.
type place struct{ binary, certificate, key string }

// writeCertificate makes a certificate for loopback, ECDSA as the documentation advises.
func writeCertificate(t *testing.T, certPath, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		certPath: {Type: "CERTIFICATE", Bytes: certificate}, keyPath: {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

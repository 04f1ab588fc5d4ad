package webhook_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/webhook"
)

// authority is a CA of a test, with its certificates in files.
type authority struct {
	testing.TB
	dir         string
	certificate *x509.Certificate
	key         crypto.Signer
	pool        *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{TB: t, dir: t.TempDir(), key: key, pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate = template
	a.certificate = a.sign(template, key)
	a.pool.AddCert(a.certificate)
	a.write("ca.pem", "CERTIFICATE", a.certificate.Raw)
	return a
}

func (a *authority) sign(template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	a.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		a.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return certificate
}

func (a *authority) write(name, kind string, der []byte) string {
	a.Helper()
	path := filepath.Join(a.dir, name)
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}); err != nil {
		a.Fatal(err)
	}
	if t, ok := a.TB.(*testing.T); ok {
		write(t, path, text.String())
	}
	return path
}

// issue returns a certificate for 127.0.0.1 and the names, and writes it and its key to files.
func (a *authority) issue(file string, key crypto.Signer, names ...string) tls.Certificate {
	a.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names[1:],
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate := a.sign(template, key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	a.write(file+".pem", "CERTIFICATE", certificate.Raw)
	a.write(file+".key", "PRIVATE KEY", raw)
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
}

func ecdsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tlsConfig is of a listener with the certificate "server" of the authority.
func (a *authority) tlsConfig() *webhook.TLS {
	a.issue("server", ecdsaKey(a), "server")
	return &webhook.TLS{CertFile: filepath.Join(a.dir, "server.pem"), KeyFile: filepath.Join(a.dir, "server.key")}
}

// postTLS posts as smithproxy does: over a connection of its own, by HTTP/2.
func (s *listening) postTLS(c *tls.Config, body string) (*http.Response, error) {
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Post("https://"+s.address+path, "application/json", strings.NewReader(body))
	if err == nil {
		response.Body.Close()
	}
	return response, err
}

// Every way for a handshake to fail is counted under its reason, and noted for its client.
func TestFailedHandshakes(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	config := ca.tlsConfig()
	config.ClientCAFile = filepath.Join(ca.dir, "ca.pem")
	client := ca.issue("client", ecdsaKey(t), "client")
	s := listen(t, webhook.Config{TLS: config}, func(l *webhook.Limits) { l.HeaderTimeout = time.Second })
	good := func() *tls.Config {
		return &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{client}, ServerName: "127.0.0.1"}
	}
	handshake := func(change func(*tls.Config)) {
		c := good()
		change(c)
		secure := tls.Client(s.dial("127.0.0.1"), c)
		_ = secure.Handshake()
		_, _ = secure.Read(make([]byte, 1)) // an alert of TLS 1.3 comes after the client's part
	}
	raw := func(bytes string, close bool) {
		c := s.dial("127.0.0.1")
		if _, err := io.WriteString(c, bytes); err != nil {
			t.Fatal(err)
		}
		if close {
			c.Close()
		}
		_, _ = io.Copy(io.Discard, c)
	}
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for _, tt := range []struct {
		reason string
		try    func()
	}{
		{"untrusted", func() { handshake(func(c *tls.Config) { c.RootCAs = other.pool }) }},
		{"untrusted", func() { handshake(func(c *tls.Config) { c.RootCAs, c.MaxVersion = other.pool, tls.VersionTLS12 }) }},
		{"untrusted", func() { handshake(func(c *tls.Config) { c.ServerName = "another.example.com" }) }},
		{"version", func() {
			handshake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
		}},
		{"client_certificate", func() { handshake(func(c *tls.Config) { c.Certificates = nil }) }},
		{"client_certificate", func() {
			foreign := other.issue("client", ecdsaKey(t), "client")
			handshake(func(c *tls.Config) {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }
			})
		}},
		{"plain_http", func() { raw("POST "+path+" HTTP/1.1\r\n\r\n", false) }},
		{"not_tls", func() { raw("SSH-2.0-OpenSSH_9.9\r\n", false) }},
		{"aborted", func() { raw(hello, true) }},
		{"timeout", func() { raw(hello, false) }},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			tt.try()
			s.refused.check(t, "handshake "+tt.reason)
			failed := s.server.Handshakes.Failed()
			if len(failed) != 1 || failed[0].Reason != tt.reason || failed[0].Client.String() != "127.0.0.1" || time.Since(failed[0].At) > time.Minute {
				t.Errorf("noted are %+v", failed)
			}
		})
	}
	// A port scan is no handshake.
	s.dial("127.0.0.1").Close()
	if response, err := s.postTLS(good(), ping); err != nil || response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Errorf("answered %+v, %v", response, err)
	}
	s.refused.check(t)
	if failed := s.server.Handshakes.Failed(); failed[0].Failed != 10 {
		t.Errorf("%d failed, want 10", failed[0].Failed)
	}
}

// A client certificate speaks for its sources, and no more than the secret does.
func TestClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	config := ca.tlsConfig()
	config.ClientCAFile = filepath.Join(ca.dir, "ca.pem")
	config.Clients = []webhook.Client{
		{Name: "edge", Sources: []access.Glob{"edge-*"}}, {Name: "lab.example.com", Sources: []access.Glob{"lab"}}, {Name: "any"},
	}
	s := listen(t, webhook.Config{TLS: config, Secrets: []webhook.Secret{{Secret: secret, Sources: []access.Glob{"edge-*", "lab", "core"}}}}, nil)
	for _, tt := range []struct {
		names  []string
		source string
		status int
		reason string
	}{
		{[]string{"edge"}, "edge-1", 200, ""},
		{[]string{"edge"}, "lab", 403, "source"},
		{[]string{"another", "lab.example.com"}, "lab", 200, ""},
		{[]string{"edge", "lab.example.com"}, "lab", 200, ""},
		{[]string{"edge", "lab.example.com"}, "core", 403, "source"},
		{[]string{"any"}, "core", 200, ""},
		{[]string{"any"}, "other", 403, "source"},
		{[]string{"stranger"}, "edge-1", 403, "certificate"},
	} {
		t.Run(fmt.Sprint(tt.names, tt.source), func(t *testing.T) {
			certificate := ca.issue("client", ecdsaKey(t), tt.names...)
			response, err := s.postTLS(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{certificate}}, pingOf(tt.source))
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.status {
				t.Errorf("answered %d, want %d", response.StatusCode, tt.status)
			}
			if tt.reason != "" {
				s.refused.check(t, tt.reason)
			}
			s.refused.check(t)
		})
	}
}

package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"smithproxy_exporter/exporter/setting"
)

// Door decides who is let in: by secrets, networks, and certificates. All of them can be replaced at any time, for
// the requests and the handshakes that come after.
type Door struct {
	storageDir string
	logger     *slog.Logger
	admission  atomic.Pointer[admission]
	tls        atomic.Pointer[tls.Config] // nil for plain HTTP

	// The rest belongs to the one goroutine that calls Prepare.

	// secure is whether the listener speaks TLS, which stays as it was at the start.
	secure bool
	// kept is the generated secret, once there is one. It outlives a storage directory that cannot be written.
	kept    string
	created bool
	opened  bool
}

// NewDoor returns a Door that keeps a generated secret in storageDir. It lets nobody in before Prepare.
func NewDoor(storageDir string, logger *slog.Logger) *Door {
	d := &Door{storageDir: storageDir, logger: logger}
	d.admission.Store(new(admission))
	return d
}

// Prepare reads the files that a configuration names. use puts all of it in force. If anything is wrong, Prepare
// returns a *setting.Error, and what is in force stays. It is called by one goroutine at a time.
func (d *Door) Prepare(c Config) (use func(), err error) {
	secrets, secure, err := c.read()
	if err != nil {
		return nil, err
	}
	if len(c.Secrets) == 0 {
		secret, err := d.generated()
		if err != nil {
			return nil, err
		}
		secrets = []string{secret}
	}
	admission := newAdmission(c, secrets)
	return func() {
		if !d.opened {
			d.opened, d.secure = true, secure != nil
		}
		d.admission.Store(admission)
		if d.secure && secure != nil {
			d.tls.Store(secure)
		}
	}, nil
}

// Check reads the files that the configuration names, and returns a *setting.Error if they cannot be used.
func (c Config) Check() error {
	_, _, err := c.read()
	return err
}

// read returns the secrets, and the configuration of TLS; nil without.
func (c Config) read() (secrets []string, secure *tls.Config, err error) {
	for i, s := range c.Secrets {
		if s.SecretFile != "" {
			if s.Secret, err = ReadSecret(s.SecretFile); err == nil {
				err = CheckSecret(s.Secret)
			}
			if err != nil {
				return nil, nil, setting.Invalid(fmt.Sprintf("secrets[%d].secret_file", i), err)
			}
		}
		secrets = append(secrets, s.Secret)
	}
	if c.TLS != nil {
		if secure, err = c.TLS.load(); err != nil {
			return nil, nil, setting.Within("tls", err)
		}
	}
	return secrets, secure, nil
}

func (d *Door) generated() (string, error) {
	if d.kept != "" {
		// The file may have been replaced, but no other secret is generated while this one is in use.
		if replaced, err := ReadSecret(SecretPath(d.storageDir)); err == nil {
			d.kept = replaced
		}
		return d.kept, nil
	}
	secret, created, err := KeptSecret(d.storageDir)
	if errors.Is(err, ErrNotKept) {
		d.logger.Error("Failed to keep the webhook secret, the next start will generate another", "err", err)
	} else if err != nil {
		return "", err
	}
	d.kept, d.created = secret, created
	return secret, nil
}

// Generated returns the generated secret and whether this Door generated it; "" if secrets are configured.
func (d *Door) Generated() (secret string, created bool) { return d.kept, d.created }

// Files returns the files whose change needs another Prepare.
func (d *Door) Files(c Config) []string {
	if len(c.Secrets) == 0 {
		return append(c.files(), SecretPath(d.storageDir))
	}
	return c.files()
}

// TLSConfig returns the configuration of the listener, nil for plain HTTP. It always uses the certificates in force.
func (d *Door) TLSConfig() *tls.Config {
	if d.tls.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return d.tls.Load(), nil
		},
	}
}

var protocols = []string{"h2", "http/1.1"}

// load reads the files.
func (t TLS) load() (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, setting.Invalid("cert_file", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: protocols}
	if t.ClientCAFile == "" {
		return c, nil
	}
	raw, err := os.ReadFile(t.ClientCAFile)
	if err != nil {
		return nil, setting.Invalid("client_ca_file", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(raw) {
		return nil, setting.Invalid("client_ca_file", fmt.Errorf("%s has no certificate", t.ClientCAFile))
	}
	return c, nil
}

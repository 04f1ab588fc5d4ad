package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/setting"
)

// Webhook is how events are received.
type Webhook struct {
	// Secrets are the last path segments of the webhook's URL that are let in. Without any, one is
	// generated and kept in the storage directory.
	Secrets []Secret `yaml:"secrets"`
	// TLS makes the listener speak HTTPS, and with it HTTP/2.
	TLS *TLS `yaml:"tls"`
	// MaxBodySize is the largest event, e.g. 4MiB.
	MaxBodySize units.Base2Bytes `yaml:"max_body_size"`
}

// Secret is a secret, or a file that holds one.
type Secret struct {
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
}

// TLS names a certificate and its key, both PEM.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
}

func defaultWebhook() Webhook { return Webhook{MaxBodySize: 4 * units.MiB} }

func (w *Webhook) setDirectory(dir string) {
	rebase := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for i := range w.Secrets {
		rebase(&w.Secrets[i].SecretFile)
	}
	if t := w.TLS; t != nil {
		rebase(&t.CertFile)
		rebase(&t.KeyFile)
	}
}

func (w *Webhook) validate() error {
	for i, s := range w.Secrets {
		if err := s.validate(); err != nil {
			return setting.Invalid(fmt.Sprintf("secrets[%d]", i), err)
		}
	}
	if t := w.TLS; t != nil && (t.CertFile == "" || t.KeyFile == "") {
		return setting.Invalid("tls", errors.New("needs both cert_file and key_file"))
	}
	return setting.Positive("max_body_size", w.MaxBodySize)
}

func (s Secret) validate() error {
	if (s.Secret == "") == (s.SecretFile == "") {
		return errors.New("needs either secret or secret_file")
	}
	if s.Secret == "" {
		return nil
	}
	return CheckSecret(s.Secret)
}

// secretPunctuation is what may be in a secret besides letters and digits.
const secretPunctuation = "-._~"

// CheckSecret says why a secret would not do as a segment of a URL's path, just as it is.
func CheckSecret(secret string) error {
	if secret == "." || secret == ".." {
		return errors.New("secret: dots alone are removed from URLs")
	}
	for _, r := range secret {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune(secretPunctuation, r) {
			return errors.New("secret: only letters, digits and " + secretPunctuation + " go into a URL as they are")
		}
	}
	return nil
}

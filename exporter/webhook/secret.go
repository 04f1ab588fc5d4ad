package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"smithproxy_exporter/exporter/durable"
)

// secretFile is the name of the file that holds a generated secret, in the storage directory.
const secretFile = "webhook-secret"

// SecretPath returns the path of the file that holds a generated secret.
func SecretPath(storageDir string) string { return filepath.Join(storageDir, secretFile) }

var (
	// ErrNotKept is returned with a secret that could not be written: the next start will generate another.
	ErrNotKept = errors.New("webhook secret cannot be kept")
	// ErrBadSecretFile is returned for a file that does not hold a secret.
	ErrBadSecretFile = errors.New("not a secret")
)

// KeptSecret returns the secret that is kept in dir. If there is none yet, it generates one and sets
// created. With ErrNotKept the secret can be used all the same. An empty or damaged file is an error
// and stays as it is: generating another secret would lock out the proxies that use the old one.
func KeptSecret(dir string) (secret string, created bool, err error) {
	path := filepath.Join(dir, secretFile)
	kept, err := ReadSecret(path)
	switch {
	case errors.Is(err, ErrBadSecretFile):
		return "", false, fmt.Errorf("%w. Write the last path segment of the proxies' webhook URL into it, "+
			"or delete it to have a new secret generated and give the new URL to all proxies", err)
	case !durable.IsMissing(err):
		return kept, false, err
	}
	secret = NewSecret()
	if err := durable.WriteFile(path, secret+"\n"); err != nil {
		return secret, true, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return secret, true, nil
}

// NewSecret returns a random secret of 192 bits, which goes into a URL as it is.
func NewSecret() string {
	raw := make([]byte, 24)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ReadSecret returns the secret in a file, without the white space around it. ErrBadSecretFile is
// returned for a file that is empty, or has in it what cannot be part of a secret: white space, control
// characters, or bytes that are not UTF-8.
func ReadSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("webhook secret: %w", err)
	}
	secret := strings.TrimSpace(string(raw))
	switch {
	case secret == "":
		return "", fmt.Errorf("webhook secret: file %s is empty: %w", path, ErrBadSecretFile)
	case !utf8.ValidString(secret) || strings.ContainsFunc(secret, notOfSecret):
		return "", fmt.Errorf("webhook secret: file %s is damaged: %w", path, ErrBadSecretFile)
	}
	return secret, nil
}

func notOfSecret(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

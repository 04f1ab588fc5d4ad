package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Secrets are the last path segments that are let in. Only their hashes are kept, so that a
// comparison takes equally long whatever their length.
type Secrets [][sha256.Size]byte

// NewSecrets returns the set of the given secrets.
func NewSecrets(plain ...string) Secrets {
	s := make(Secrets, len(plain))
	for i, p := range plain {
		s[i] = sha256.Sum256([]byte(p))
	}
	return s
}

// Match reports whether candidate is one of the secrets, in a time that does not depend on which, or
// on how much of it is right.
func (s Secrets) Match(candidate string) bool {
	hash := sha256.Sum256([]byte(candidate))
	match := 0
	for _, known := range s {
		match |= subtle.ConstantTimeCompare(hash[:], known[:])
	}
	return match == 1
}

// secretFile is where a generated secret is kept, in the storage directory.
const secretFile = "webhook-secret"

// KeptSecret returns the secret that is kept in dir, and makes one at the first call: created is set
// then. The file is readable for its owner only.
func KeptSecret(dir string) (secret string, created bool, err error) {
	path := filepath.Join(dir, secretFile)
	kept, err := ReadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return kept, false, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", false, fmt.Errorf("keep webhook secret: %w", err)
	}
	raw := make([]byte, 24)
	rand.Read(raw)
	secret = base64.RawURLEncoding.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", false, fmt.Errorf("keep webhook secret: %w", err)
	}
	return secret, true, nil
}

// ReadSecret returns the secret in a file, without the white space around it.
func ReadSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("webhook secret: %w", err)
	}
	secret := strings.TrimSpace(string(raw))
	if secret == "" {
		return "", fmt.Errorf("webhook secret: %s is empty", path)
	}
	return secret, nil
}

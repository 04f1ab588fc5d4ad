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
	"syscall"
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

// ErrNotKept is returned with a secret that could not be written down: the next start will make another.
var ErrNotKept = errors.New("webhook secret cannot be kept")

// KeptSecret returns the secret that is kept in dir, and makes one at the first call: created is set
// then. The file is readable for its owner only. With ErrNotKept the secret can be used all the same.
func KeptSecret(dir string) (secret string, created bool, err error) {
	path := filepath.Join(dir, secretFile)
	kept, err := ReadSecret(path)
	// ENOTDIR: what should be a folder is a file, and can hold no secret.
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return kept, false, err
	}
	raw := make([]byte, 24)
	rand.Read(raw)
	secret = base64.RawURLEncoding.EncodeToString(raw)
	err = os.MkdirAll(dir, 0o750)
	if err == nil {
		err = os.WriteFile(path, []byte(secret+"\n"), 0o600)
	}
	if err != nil {
		return secret, true, fmt.Errorf("%w: %w", ErrNotKept, err)
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

// Package keyfile keeps the key for hashed client addresses in the storage directory, so that an address has the
// same hash after a restart.
package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"smithproxy_exporter/exporter/durable"
	"smithproxy_exporter/exporter/privacy"
)

// Name is the name of the file in the storage directory. It holds the key in hexadecimal.
const Name = "client-address-key"

var (
	// ErrNotKept is returned with a key that could not be written: the next start will generate another.
	ErrNotKept = errors.New("key for client addresses cannot be kept")
	// ErrDamaged is returned for a file that does not hold a key.
	ErrDamaged = errors.New("not a key for client addresses")
)

// Policy returns the policy of a valid configuration, with the key in dir if it needs one. Errors are those of Load. With
// ErrNotKept the policy can be used all the same.
func Policy(c privacy.Config, dir string) (*privacy.Policy, error) {
	if !c.NeedsKey() {
		return privacy.New(c, nil), nil
	}
	key, err := Load(dir)
	if key == nil {
		return nil, err
	}
	return privacy.New(c, key), err
}

// Load returns the key in dir. If there is none yet, it generates one. With ErrNotKept the key can be used all the
// same. A damaged file is an error and stays as it is: with another key, no hash would match an earlier one.
func Load(dir string) (key []byte, err error) {
	path := filepath.Join(dir, Name)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		key, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(key) != privacy.KeyBytes {
			return nil, fmt.Errorf("%s: %w. Restore it, or delete it to have a new key generated: "+
				"all clients get new hashes then", path, ErrDamaged)
		}
		return key, nil
	case !durable.IsMissing(err):
		return nil, fmt.Errorf("key for client addresses: %w", err)
	}
	key = make([]byte, privacy.KeyBytes)
	rand.Read(key)
	if err := durable.WriteFile(path, hex.EncodeToString(key)+"\n"); err != nil {
		return key, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return key, nil
}

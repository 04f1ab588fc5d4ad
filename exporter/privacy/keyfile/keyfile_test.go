package keyfile_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/privacy/keyfile"
)

func TestKeyStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := keyfile.Load(dir)
	if err != nil || len(first) != privacy.KeyBytes {
		t.Fatalf("key %x, %v", first, err)
	}
	again, err := keyfile.Load(dir)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("key %x, %v, want %x again", again, err, first)
	}
	other, err := keyfile.Load(t.TempDir())
	if err != nil || bytes.Equal(other, first) {
		t.Errorf("another directory has the key %x, %v, want another one", other, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, keyfile.Name))
	if err != nil || string(text) != hex.EncodeToString(first)+"\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, keyfile.Name): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestDamagedKey(t *testing.T) {
	whole := strings.Repeat("0f", privacy.KeyBytes)
	for name, text := range map[string]string{
		"empty": "", "cut off": whole[:len(whole)-2], "too long": whole + "00", "not hexadecimal": "x" + whole[1:],
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, keyfile.Name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := keyfile.Load(dir); !errors.Is(err, keyfile.ErrDamaged) || key != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: key %x, %v", name, key, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%s: the file holds %q afterwards, %v", name, kept, err)
		}
	}
}

// TestKeyCannotBeKept has a file where the directory should be.
func TestKeyCannotBeKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := keyfile.Load(filepath.Join(file, "data")); !errors.Is(err, keyfile.ErrNotKept) || len(key) != privacy.KeyBytes {
		t.Errorf("key %x, %v, want one that is not kept", key, err)
	}
	c := privacy.Config{URLs: privacy.URLsNone, ClientAddresses: privacy.AddressesHashed}
	if p, err := keyfile.Policy(c, filepath.Join(file, "data")); !errors.Is(err, keyfile.ErrNotKept) || !privacy.IsHash(p.Address("10.1.2.3")) {
		t.Errorf("policy %+v, %v, want one that hashes", p, err)
	}
}

func TestPolicy(t *testing.T) {
	dir := t.TempDir()
	c := privacy.DefaultConfig()
	if p, err := keyfile.Policy(c, dir); err != nil || p.Address("10.1.2.3") != "10.1.2.3" {
		t.Errorf("policy %+v, %v, want one that keeps addresses", p, err)
	}
	if _, err := os.Stat(filepath.Join(dir, keyfile.Name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a key was generated that is not needed: %v", err)
	}
	c.ClientAddresses = privacy.AddressesHashed
	one, err := keyfile.Policy(c, dir)
	two, errTwo := keyfile.Policy(c, dir)
	if err := errors.Join(err, errTwo); err != nil || one.Address("10.1.2.3") != two.Address("10.1.2.3") {
		t.Errorf("the hash is another one after a restart: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, keyfile.Name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := keyfile.Policy(c, dir); p != nil || !errors.Is(err, keyfile.ErrDamaged) {
		t.Errorf("policy %+v, %v, want an error", p, err)
	}
}

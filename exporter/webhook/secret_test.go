package webhook_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"smithproxy_exporter/exporter/webhook"
)

const secretFile = "webhook-secret"

func TestKeptSecret(t *testing.T) {
	// The folder is made too.
	dir := filepath.Join(t.TempDir(), "lib", "smithproxy_exporter")
	first, created, err := webhook.KeptSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !created {
		t.Error("the first call did not create the secret")
	}
	// 32 characters of base64 are 192 random bits, and go into a URL as they are.
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(first) {
		t.Errorf("secret is %q", first)
	}
	info, err := os.Stat(filepath.Join(dir, secretFile))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode != 0o600 {
		t.Errorf("the file's mode is %v, want -rw-------", mode)
	}

	second, created, err := webhook.KeptSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	if created || second != first {
		t.Errorf("the second call returns %q, created %v, want %q", second, created, first)
	}

	other, _, err := webhook.KeptSecret(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if other == first {
		t.Error("two exporters have the same secret")
	}
}

func TestKeptSecretOfTheUser(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, secretFile), " S3CRET \n\n")
	got, created, err := webhook.KeptSecret(dir)
	if err != nil || created || got != "S3CRET" {
		t.Errorf("KeptSecret() = %q, %v, %v, want the secret in the file", got, created, err)
	}
}

func TestKeptSecretErrors(t *testing.T) {
	tests := []struct {
		name    string
		dir     func(t *testing.T) string
		notRoot bool // root may do what the test wants to fail
		usable  bool // a secret that cannot be kept is still one
	}{
		{name: "empty file", dir: func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, secretFile), "")
			return dir
		}},
		{name: "blank file", dir: func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, secretFile), " \n\t")
			return dir
		}},
		{name: "file is a folder", dir: func(t *testing.T) string {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, secretFile), 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{name: "folder is a file", usable: true, dir: func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "file")
			write(t, file, "")
			return file
		}},
		{name: "link to nowhere", dir: func(t *testing.T) string {
			dir := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(filepath.Join(dir, "none"), dir); err != nil {
				t.Fatal(err)
			}
			return dir
		}},
		{name: "folder not writable", notRoot: true, usable: true, dir: func(t *testing.T) string {
			dir := t.TempDir()
			chmod(t, dir, 0o500)
			return dir
		}},
		{name: "folder cannot be made", notRoot: true, usable: true, dir: func(t *testing.T) string {
			dir := t.TempDir()
			chmod(t, dir, 0o500)
			return filepath.Join(dir, "below")
		}},
		{name: "file not readable", notRoot: true, dir: func(t *testing.T) string {
			dir := t.TempDir()
			write(t, filepath.Join(dir, secretFile), "S3CRET")
			chmod(t, filepath.Join(dir, secretFile), 0)
			return dir
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.notRoot && os.Geteuid() == 0 {
				t.Skip("root is not kept from it")
			}
			got, created, err := webhook.KeptSecret(tt.dir(t))
			if tt.usable {
				if !errors.Is(err, webhook.ErrNotKept) || !created || got == "" {
					t.Errorf("KeptSecret() = %q, %v, %v, want a secret and %v", got, created, err, webhook.ErrNotKept)
				}
				return
			}
			if err == nil || created || got != "" {
				t.Errorf("KeptSecret() = %q, %v, %v, want an error and nothing else", got, created, err)
			}
		})
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, "\tS3CRET\r\n")
	if got, err := webhook.ReadSecret(path); err != nil || got != "S3CRET" {
		t.Errorf("ReadSecret() = %q, %v", got, err)
	}
	if got, err := webhook.ReadSecret(path + "2"); err == nil {
		t.Errorf("ReadSecret() of no file = %q", got)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		name      string
		secrets   []string
		candidate string
		want      bool
	}{
		{"only one", []string{"a"}, "a", true},
		{"first", []string{"a", "b"}, "a", true},
		{"last", []string{"a", "b"}, "b", true},
		{"given twice", []string{"a", "a"}, "a", true},
		{"other", []string{"a", "b"}, "c", false},
		{"other case", []string{"a"}, "A", false},
		{"empty", []string{"a"}, "", false},
		{"of none", nil, "a", false},
		{"empty of none", nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := webhook.NewSecrets(tt.secrets...).Match(tt.candidate); got != tt.want {
				t.Errorf("Match(%q) = %v, want %v", tt.candidate, got, tt.want)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// chmod changes a mode until the end of the test, when the folder must be removable again.
func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
}

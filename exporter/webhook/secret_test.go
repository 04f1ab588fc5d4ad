package webhook_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
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

// The permissions do not depend on the umask, which may leave out bits of the owner's as well.
func TestKeptSecretPermissions(t *testing.T) {
	base := t.TempDir()
	for _, mask := range []int{0, 0o022, 0o277} {
		t.Run(fmt.Sprintf("%03o", mask), func(t *testing.T) {
			dir := filepath.Join(base, fmt.Sprintf("%03o", mask))
			before := syscall.Umask(mask)
			_, _, err := webhook.KeptSecret(dir)
			syscall.Umask(before)
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]os.FileMode{dir: os.ModeDir | 0o700, filepath.Join(dir, secretFile): 0o600} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode() != want {
					t.Errorf("the mode of %s is %v, want %v", path, info.Mode(), want)
				}
			}
		})
	}
}

// A crash while the secret was written leaves a temporary file: it is not taken for the secret, and not in the way.
func TestKeptSecretAfterCrash(t *testing.T) {
	dir := t.TempDir()
	leftover := filepath.Join(dir, secretFile+".tmp")
	write(t, leftover, "half a sec")
	if err := os.Chmod(leftover, 0o444); err != nil {
		t.Fatal(err)
	}
	got, created, err := webhook.KeptSecret(dir)
	if err != nil || !created || len(got) != 32 {
		t.Fatalf("KeptSecret() = %q, %v, %v, want a new secret", got, created, err)
	}
	again, created, err := webhook.KeptSecret(dir)
	if err != nil || created || again != got {
		t.Errorf("KeptSecret() = %q, %v, %v, want %q", again, created, err, got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != secretFile {
		t.Errorf("the directory has %v, want %s alone", entries, secretFile)
	}
	info, err := os.Stat(filepath.Join(dir, secretFile))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has %v, %v", info.Mode(), err)
	}
}

// What cannot be a secret is an error that names the file and says what to do; the file stays.
func TestKeptSecretDamaged(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "blank": " \n\t", "zeros": strings.Repeat("\x00", 33), "zero at the end": "S3CR\x00\x00",
		"not UTF-8": "S3\xff\xfe", "two words": "S3 CRET", "two lines": "S3\nCRET\n", "control character": "S3\x1bCRET",
		"invisible": "S3\u200bCRET", "next line": "\u0085",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, secretFile)
			write(t, path, content)
			got, created, err := webhook.KeptSecret(dir)
			if !errors.Is(err, webhook.ErrBadSecretFile) || errors.Is(err, webhook.ErrNotKept) || got != "" || created {
				t.Fatalf("KeptSecret() = %q, %v, %v, want %v", got, created, err, webhook.ErrBadSecretFile)
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "delete it") {
				t.Errorf("error %q does not say which file, and what to do", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != content {
				t.Errorf("the file has %q, %v", after, err)
			}
		})
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

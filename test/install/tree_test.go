//go:build install

package install

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tree is a Debian tree in which systemd is the first process.
type tree struct {
	root string
	init *exec.Cmd
}

// prepare mounts what systemd expects, and becomes systemd. It runs with process ids, mounts and control groups of its own.
const prepare = `set -e
# Services with mounts of their own need a root that is a mount.
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
	set -- $node
	mknod -m 666 "dev/$1" c "$2" "$3"
done
pivot_root . .
umount -l .
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=smithproxy-test /lib/systemd/systemd
`

// boot unpacks a tree and starts systemd in it.
func boot(t *testing.T, archive string) *tree {
	t.Helper()
	s := &tree{root: t.TempDir()}
	output(t, exec.Command("tar", "--extract", "--numeric-owner", "--preserve-permissions", "--file", archive, "--directory", s.root))
	// What a container does not have: consoles, and devices to wait for.
	for _, unit := range []string{"console-getty.service", "getty.target", "systemd-udevd.service", "systemd-resolved.service", "systemd-networkd.service"} {
		if err := os.Symlink("/dev/null", filepath.Join(s.root, "etc/systemd/system", unit)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.root, "etc/machine-id"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	console, err := os.Create(filepath.Join(t.TempDir(), "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	s.init = exec.Command("sh", "-c", prepare, "sh", s.root)
	s.init.Stdout, s.init.Stderr = console, console
	s.init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWCGROUP | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := s.init.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := s.command("journalctl", "--no-pager", "--lines=100").CombinedOutput()
			t.Logf("the journal: %v\n%s", err, log)
		}
		_ = s.init.Process.Kill() // with all that it has started
		_ = s.init.Wait()
		if said, err := os.ReadFile(console.Name()); t.Failed() && err == nil {
			t.Logf("systemd: %s", said)
		}
	})
	eventually(t, 30*time.Second, "systemd runs", func() error {
		out, err := s.command("systemctl", "is-system-running").Output()
		if state := strings.TrimSpace(string(out)); state != "running" && state != "degraded" {
			return fmt.Errorf("it is %q: %v", state, err)
		}
		return nil
	})
	return s
}

// command returns a command that runs in the tree.
func (s *tree) command(args ...string) *exec.Cmd {
	pid := strconv.Itoa(s.init.Process.Pid)
	c := exec.CommandContext(context.Background(), "nsenter", append([]string{"--target", pid, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd", "--"}, args...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	return c
}

// run runs a command in the tree, which must succeed, and returns its output.
func (s *tree) run(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, s.command(args...))
}

// fails runs a command in the tree, which must fail.
func (s *tree) fails(t *testing.T, args ...string) {
	t.Helper()
	if out, err := s.command(args...).CombinedOutput(); err == nil {
		t.Errorf("%s succeeds:\n%s", strings.Join(args, " "), out)
	}
}

func (s *tree) path(name string) string { return filepath.Join(s.root, name) }

// files returns the names of all files, but those of the kernel, the running system, the package manager and the log.
func (s *tree) files(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(s.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, s.root)
		if slices.Contains([]string{"/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var/log", "/var/lib/dpkg", "/var/cache", "/var/tmp"}, name) {
			return fs.SkipDir
		}
		names[name] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s *tree) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
	return string(out)
}

// eventually calls attempt until it succeeds, or fails the test when the time is over.
func eventually(t *testing.T, within time.Duration, what string, attempt func() error) {
	t.Helper()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for deadline := time.Now().Add(within); ; <-retry.C {
		err := attempt()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
	}
}

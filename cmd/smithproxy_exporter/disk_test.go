package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// diskVariable makes this test binary serve a file system: <folder>/mount shows what <folder>/content holds.
const diskVariable = "LATENCY_DISK"

func serveDisk(folder string) error {
	root, err := fs.NewLoopbackRoot(filepath.Join(folder, "content"))
	if err != nil {
		return err
	}
	server, err := fs.Mount(filepath.Join(folder, "mount"), root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true},
	})
	if err != nil {
		return err
	}
	fmt.Println(diskMounted)
	server.Wait()
	return nil
}

// diskMounted is what the server of a file system says once it is mounted.
const diskMounted = "mounted"

// disk is a file system whose server is another process: while that is stopped, whoever touches the file
// system waits.
type disk struct {
	path   string
	server *os.Process
}

// mountDisk returns nil where file systems cannot be mounted.
func mountDisk(t *testing.T) *disk {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		t.Logf("no file system can be mounted (%v, uid %d)", err, os.Geteuid())
		return nil
	}
	folder := t.TempDir()
	d := &disk{path: filepath.Join(folder, "mount", "data")}
	for _, name := range []string{"mount", "content"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), diskVariable+"="+folder)
	command.Stderr = os.Stderr
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	d.server = command.Process
	lines := bufio.NewScanner(said)
	if !lines.Scan() || lines.Text() != diskMounted {
		_ = d.server.Kill()
		_ = command.Wait()
		t.Logf("no file system can be mounted: %q", lines.Text())
		return nil
	}
	t.Cleanup(func() {
		// What waits for the file system is let go once its server is no more.
		_ = d.server.Kill()
		_ = command.Wait()
		if err := syscall.Unmount(filepath.Join(folder, "mount"), syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	if err := os.Mkdir(d.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "content", "data")); err != nil {
		t.Fatal(err)
	}
	return d
}

// block makes everything on the disk wait from now on.
func (d *disk) block(t *testing.T) {
	t.Helper()
	if err := d.server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// It goes on until each of its threads has stopped.
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(d.server.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the server of the disk did not stop: %v, status %v", err, status)
	}
}

// The disk of the tests really blocks: a write returns only when the disk goes away, and fails then.
func TestBlockedDisk(t *testing.T) {
	d := mountDisk(t)
	if d == nil {
		t.Skip("cannot mount")
	}
	if err := os.WriteFile(filepath.Join(d.path, "a"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.block(t)
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(filepath.Join(d.path, "b"), []byte("b"), 0o600) }()
	// Time for a write that is not blocked; whether one goes through does not depend on it.
	select {
	case err := <-written:
		t.Fatalf("a write returned: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := d.server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err == nil {
		t.Error("a write went through without a file system")
	}
}

// Package namespace runs a test in namespaces of its own, in which it cannot disturb others: every port is free, and mounts are
// seen by nobody else.
package namespace

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// inside is set in the process that Enter starts.
const inside = "SMITHPROXY_TEST_NAMESPACE"

// Enter runs the calling test again, in a process with a network and mounts of its own, where each of the hosts is a name of
// another address on loopback. It reports whether this is that process, in which the test shall go on; in the other one the
// test is over, and has failed if the process has. It needs root, or a kernel that lets users make namespaces.
func Enter(t *testing.T, hosts ...string) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		setUp(t, hosts)
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	for _, arg := range os.Args[1:] {
		if !strings.HasPrefix(arg, "-test.run=") && !strings.HasPrefix(arg, "-test.testlogfile=") {
			args = append(args, arg)
		}
	}
	command := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	command.Env = append(os.Environ(), inside+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		command.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := command.CombinedOutput()
	t.Logf("in namespaces:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

func setUp(t *testing.T, hosts []string) {
	t.Helper()
	if err := loopbackUp(); err != nil {
		t.Fatalf("loopback: %v", err)
	}
	lines := []string{"127.0.0.1 localhost", "::1 localhost"}
	for i, host := range hosts {
		lines = append(lines, fmt.Sprintf("127.0.1.%d %s", i+1, host))
	}
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// Private, so that nothing of this is seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf("mounts: %v", err)
	}
	if err := syscall.Mount(file, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("/etc/hosts: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount("/etc/hosts", syscall.MNT_DETACH) })
}

// loopbackUp does what "ip link set lo up" does (netdevice(7)).
func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// Package loopback reserves TCP addresses for tests that name an address before a server, often in another process,
// listens on it.
package loopback

import (
	"fmt"
	"net"
	"syscall"
	"testing"
)

// Reserve returns an address on 127.0.0.1 with a port that the kernel gives to nobody else until the test ends: not to a
// listener on port 0, and not to a client. It refuses connections until a server that knows the address listens on it,
// and again when that server has ended.
//
// Reserve binds a socket that does not listen. Linux lets sockets with SO_REUSEADDR, as those of package net have it,
// share an address while only one of them listens.
func Reserve(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("reserve an address: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatalf("reserve an address: %v", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("reserve an address: %v", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatalf("reserve an address: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(bound.(*syscall.SockaddrInet4).Port))
}

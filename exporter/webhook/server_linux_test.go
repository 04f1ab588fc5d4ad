package webhook_test

import (
	"net"
	"syscall"
	"testing"

	"smithproxy_exporter/exporter/webhook"
)

func TestListenSetsNoKeepAlive(t *testing.T) {
	l, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		on, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if on != 0 {
		t.Error("keep-alive is on")
	}
}

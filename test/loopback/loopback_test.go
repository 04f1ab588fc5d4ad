package loopback_test

import (
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"

	"smithproxy_exporter/test/loopback"
)

func TestReservedAddressRefusesUntilItIsListenedOn(t *testing.T) {
	reserved := loopback.Reserve(t)
	for range 2 {
		if conn, err := net.Dial("tcp", reserved); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial without a server: %v, %v", conn, err)
		}
		listener, err := net.Listen("tcp", reserved)
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", reserved)
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// The server's end stays behind in TIME_WAIT.
		server.Close()
		if _, err := io.ReadAll(client); err != nil {
			t.Error(err)
		}
		client.Close()
		listener.Close()
	}
}

func TestReservedPortIsGivenToNobodyElse(t *testing.T) {
	reserved := loopback.Reserve(t)
	_, text, err := net.SplitHostPort(reserved)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	// The kernel shall choose from this port only.
	const ipLocalPortRange = 51 // IP_LOCAL_PORT_RANGE of Linux 6.3
	only := func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipLocalPortRange, port<<16|port)
		}), err)
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	listen, dial := net.ListenConfig{Control: only}, net.Dialer{Control: only}
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("this kernel always chooses from all ports")
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the port is given to a listener: %v, %v", listener, err)
	}
	if conn, err := dial.DialContext(t.Context(), "tcp", server.Addr().String()); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("the port is given to a client: %v, %v", conn, err)
	}
}

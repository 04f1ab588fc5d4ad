package webhook_test

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/webhook"
)

// The server stops while it has accepted a connection and read only a part of the request's header: the request is
// answered.
func TestAcceptedConnectionIsAnsweredDuringShutdown(t *testing.T) {
	h, _ := newHandler(&intake{})
	l, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := webhook.NewServer(h)
	accepted, note := make(chan struct{}, 1), server.HTTP.ConnState
	server.HTTP.ConnState = func(c net.Conn, s http.ConnState) {
		note(c, s)
		if s == http.StateNew {
			accepted <- struct{}{}
		}
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+path+" HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	<-accepted
	l.Close()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(t.Context()) }()
	if _, err := io.WriteString(conn, "Host: h\r\nContent-Length: "+strconv.Itoa(len(ping))+"\r\n\r\n"+ping); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("answered %q, %v", answer, err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

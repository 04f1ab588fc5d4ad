package web_test

import (
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/web"
)

// The web listener has every time-out, and closes connections over its bound.
func TestServerIsBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, err := web.NewServer(web.Options{
		MetricsPath: "/metrics", Gatherer: registry, Registerer: registry, API: web.NewAPI(nil, nil), Ready: func() bool { return true },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, timeout := range map[string]time.Duration{
		"header": server.ReadHeaderTimeout, "read": server.ReadTimeout, "write": server.WriteTimeout, "idle": server.IdleTimeout,
	} {
		if timeout <= 0 {
			t.Errorf("there is no %s time-out", name)
		}
	}
	s := httptest.NewUnstartedServer(nil) // whose hook calls that of the server
	s.Config = server
	s.Start()
	defer s.Close()
	const bound = 512
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range bound {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	over, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer over.Close()
	if _, err := over.Read(make([]byte, 1)); err == nil {
		t.Error("a connection over the bound is open")
	}
	if _, err := io.WriteString(open[0], "GET /-/healthy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(open[0])
	if err != nil || len(answer) == 0 || string(answer[:15]) != "HTTP/1.1 200 OK" {
		t.Errorf("answered %s, %v", answer, err)
	}
}

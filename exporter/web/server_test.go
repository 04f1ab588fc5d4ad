package web_test

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/web"
)

// TestServerIsBounded: the web listener has every time-out, and at its bound closes the connection that has waited longest.
func TestServerIsBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, err := web.NewServer(web.Options{
		MetricsPath: "/metrics", Gatherer: registry, Registerer: registry, Ready: func() bool { return true },
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
	if _, err := io.WriteString(over, "GET /-/healthy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(over)
	if err != nil || len(answer) == 0 || string(answer[:15]) != "HTTP/1.1 200 OK" {
		t.Errorf("answered %s, %v", answer, err)
	}
	if _, err := open[0].Read(make([]byte, 1)); err == nil {
		t.Error("the connection that has waited longest is open")
	}
}

// manySeries is an exposition that no socket buffer holds.
type manySeries struct{}

func (manySeries) Describe(chan<- *prometheus.Desc) {}

func (manySeries) Collect(metrics chan<- prometheus.Metric) {
	description := prometheus.NewDesc("series", "h", []string{"value"}, nil)
	for range 10_000 {
		noise := make([]byte, 600)
		for i := range noise {
			noise[i] = byte('!' + rand.IntN('~'-'!'))
		}
		metrics <- prometheus.MustNewConstMetric(description, prometheus.GaugeValue, 1, string(noise))
	}
}

// TestStalledScrapesGiveWay: clients that do not read do not keep others from scraping.
func TestStalledScrapesGiveWay(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(manySeries{})
	server, err := web.NewServer(web.Options{
		MetricsPath: "/metrics", Gatherer: registry, Registerer: registry, Ready: func() bool { return true },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(nil)
	s.Config = server
	s.Start()
	defer s.Close()
	for range 20 {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	// Some of the others may still be making their answers.
	for deadline := time.Now().Add(20 * time.Second); ; {
		answer, err := http.Get(s.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err == nil && answer.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no scrape is answered: %s, %v", answer.Status, err)
		}
	}
}

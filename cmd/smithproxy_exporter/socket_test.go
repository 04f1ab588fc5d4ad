package main

import (
	"net"
	"os"
	"testing"
	"time"

	"smithproxy_exporter/cmd/internal/fleet"
)

// TestRestartWithHandedSocket restarts the exporter under load, with its socket held open by the test as
// systemd would: no event is lost. A proxy may try one again, if the restart takes longer than its 5 s.
func TestRestartWithHandedSocket(t *testing.T) {
	long(t)
	binary := buildBinary(t)
	for _, generation := range fleet.Generations {
		t.Run(string(generation), func(t *testing.T) { restartWithSocket(t, binary, generation) })
	}
}

func restartWithSocket(t *testing.T, binary string, generation fleet.Generation) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	backend := newReceiver(t)
	c := newChild(t, binary, backend)
	c.files = []*os.File{socket}
	// Only the shell knows its own number before it becomes the exporter.
	c.wrap = []string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=webhook exec "$@"`, "sh"}
	c.start()
	defer c.end()

	cfg := fleetOf(generation)
	cfg.URL = "http://" + listener.Addr().String() + "/webhook/" + secret
	cfg.Rate = 150
	cfg.DurationMax, cfg.InfoDelayMax = 2*time.Second, time.Second
	cfg.PingInterval, cfg.FirstPing = time.Second, 500*time.Millisecond
	report := playFleet(t, cfg)
	const restarts, load = 2, 400 // events before each, of a second or so
	for range restarts {
		c.await("loaded", func() bool {
			_, text := c.get("/metrics")
			return parseMetrics(t, text).sum("smithproxy_events_total") >= load
		})
		c.stop()
		c.start()
	}
	played := report()
	events, retries := 0, 0
	for action, n := range played.Total.Actions {
		events, retries = events+n.Events, retries+n.Retries
		if lost := n.FailedEvents - n.Discarded; lost != 0 { // a proxy of 2026 that stops discards what it has not sent
			t.Errorf("%s: %d events failed, want none", action, lost)
		}
	}
	c.await("settled", c.settled)
	c.stop()
	checkCrash(t, c, played, backend.all())
	t.Logf("%d restarts, %d events, none lost, %d retries", restarts, events, retries)
}

package webhook_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

// listening is a server as the exporter runs it, on a listener with its limits.
type listening struct {
	*testing.T
	server  *webhook.Server
	address string
	refused refusals
	in      *intake
}

func listen(t *testing.T, c webhook.Config, change func(*webhook.Limits)) *listening {
	t.Helper()
	if c.Secrets == nil {
		c.Secrets = []webhook.Secret{{Secret: secret}}
	}
	limits := webhook.DefaultConfig().Limits
	if change != nil {
		change(&limits)
	}
	in := &intake{}
	h, refused := newHandlerOf(in, c, limits)
	h.Now = time.Now
	l, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := webhook.NewServer(h)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.HTTP.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &listening{t, s, l.Addr().String(), refused, in}
}

// dial connects from an address of the loopback network.
func (s *listening) dial(from string) net.Conn {
	s.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return c
}

func (s *listening) request(body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// post sends an event over a connection of its own, and returns its status line.
func (s *listening) post(from, body string) string {
	s.Helper()
	c := s.dial(from)
	defer c.Close()
	return s.exchange(c, body)
}

func (s *listening) exchange(c net.Conn, body string) string {
	s.Helper()
	if _, err := io.WriteString(c, s.request(body)); err != nil {
		return err.Error()
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if err != nil {
		return err.Error()
	}
	status, _, _ := strings.Cut(string(answer[:n]), "\r\n")
	return status
}

// waitOpen waits until so many connections are open: the server sees the end of one a moment later.
func (s *listening) waitOpen(n int) {
	for s.server.Connections.Open() != n {
		time.Sleep(time.Millisecond)
	}
}

// closed waits for the other side to close a connection.
func (s *listening) closed(c net.Conn) {
	s.Helper()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		s.Error("the connection is answered, want it closed")
	}
}

const ok = "HTTP/1.1 200 OK"

// Silent connections do not keep others out: the one that has waited longest goes.
func TestSilentConnectionsAreEvicted(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 3, 3 })
	var silent []net.Conn
	for range 3 {
		silent = append(silent, s.dial("127.0.0.1"))
	}
	half := silent[2]
	if _, err := io.WriteString(half, s.request(ping)[:90]); err != nil { // within the body
		t.Fatal(err)
	}
	if got := s.post("127.0.0.2", ping); got != ok {
		t.Errorf("answered %s", got)
	}
	s.refused.check(t, "connection evicted")
	s.closed(silent[0])
	// Neither a header nor half a body keeps a connection.
	for range 3 {
		c := s.dial("127.0.0.2")
		if got := s.exchange(c, ping); got != ok {
			t.Errorf("answered %s", got)
		}
	}
	for c := range s.refused {
		if c == "connection evicted" {
			break
		}
	}
	s.closed(silent[1])
	s.closed(half)
}

func TestConnectionsOfOneAddress(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 4, 2 })
	first, other := s.dial("127.0.0.1"), s.dial("127.0.0.2")
	s.dial("127.0.0.1")
	if got := s.post("127.0.0.1", ping); got != ok {
		t.Errorf("answered %s", got)
	}
	s.closed(first)
	s.refused.check(t, "connection evicted")
	if got := s.exchange(other, ping); got != ok {
		t.Errorf("a connection of another address is answered %s", got)
	}
}

// A connection whose request is being answered is not closed for another one. Over the bound only access-requests are
// taken.
func TestBusyConnectionsStay(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 3, 2 })
	release, taken := make(chan struct{}), make(chan struct{}, 3)
	s.in.event = func(event.Event) error { taken <- struct{}{}; <-release; return nil }
	answers := make(chan string, 3)
	fill := func(from string) {
		go func() { answers <- s.post(from, ping) }()
		<-taken
	}
	fill("127.0.0.1")
	fill("127.0.0.1")
	fill("127.0.0.2")
	for _, from := range []string{"127.0.0.1", "127.0.0.3"} {
		s.waitOpen(3)
		if got := s.post(from, ping); got != "HTTP/1.1 503 Service Unavailable" {
			t.Errorf("an event is answered %s", got)
		}
		s.refused.check(t, "connections")
		s.waitOpen(3)
		if got := s.post(from, accessRequest); got != ok {
			t.Errorf("an access-request is answered %s", got)
		}
	}
	close(release)
	for range 3 {
		if got := <-answers; got != ok {
			t.Errorf("answered %s", got)
		}
	}
}

// Over the reserve for access-requests, connections are refused.
func TestReserveOfConnections(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 3, 1 })
	release, taken := make(chan struct{}), make(chan struct{}, 1)
	s.in.event = func(event.Event) error { taken <- struct{}{}; <-release; return nil }
	asked := make(chan struct{})
	s.in.decision = func(track.Decision) (bool, error) { asked <- struct{}{}; <-release; return true, nil }
	answered := make(chan string, 2)
	go func() { answered <- s.post("127.0.0.1", ping) }()
	<-taken
	go func() { answered <- s.post("127.0.0.1", accessRequest) }()
	<-asked
	s.closed(s.dial("127.0.0.1"))
	s.refused.check(t, "connection address_limit")
	close(release)
	<-answered
	<-answered
}

// A connection that is kept and used, as by a reverse proxy, outlives silent ones.
func TestUsedConnectionsOutliveSilentOnes(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 3, 3 })
	kept := s.dial("127.0.0.1")
	for i := range 20 {
		if got := s.exchange(kept, ping); got != ok {
			t.Fatalf("answered %s", got)
		}
		s.dial("127.0.0.1")
		s.dial("127.0.0.1")
		// They are accepted a moment later.
		if i == 0 {
			s.waitOpen(3)
		} else {
			s.refused.check(t, "connection evicted", "connection evicted")
		}
	}
}

func TestClosedConnectionsDoNotCount(t *testing.T) {
	s := listen(t, webhook.Config{}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 2, 2 })
	for range 50 {
		if got := s.post("127.0.0.1", ping); got != ok {
			t.Fatalf("answered %s", got)
		}
	}
	s.waitOpen(0)
}

func networks(cidrs ...string) (list []access.Network) {
	for _, cidr := range cidrs {
		list = append(list, access.Network(netip.MustParsePrefix(cidr)))
	}
	return list
}

func TestAllow(t *testing.T) {
	config := webhook.Config{Secrets: []webhook.Secret{{Secret: secret}}, Allow: networks("127.0.0.2/32")}
	s := listen(t, config, nil)
	s.closed(s.dial("127.0.0.1"))
	s.refused.check(t, "connection not_allowed")
	kept := s.dial("127.0.0.2")
	if got := s.exchange(kept, ping); got != ok {
		t.Fatalf("answered %s", got)
	}
	// A connection that was kept is under the list in force.
	config.Allow = networks("127.0.0.3/32")
	use, err := s.server.HTTP.Handler.(*webhook.Handler).Door.Prepare(config)
	if err != nil {
		t.Fatal(err)
	}
	use()
	if got := s.exchange(kept, ping); got != "HTTP/1.1 403 Forbidden" {
		t.Errorf("answered %s", got)
	}
	s.refused.check(t, "address")
	if got := s.post("127.0.0.3", ping); got != ok {
		t.Errorf("answered %s", got)
	}
}

func TestEventRate(t *testing.T) {
	in := &intake{}
	limits := webhook.DefaultConfig().Limits
	limits.EventsPerSecond = 5
	h, refused := newHandlerOf(in, webhook.Config{Secrets: []webhook.Secret{{Secret: secret}}}, limits)
	s := serve(t, h)
	for range 10 {
		if got := post(t, s, pingOf("edge-1")); got.status != http.StatusOK {
			t.Fatalf("answered %d", got.status)
		}
	}
	refused.check(t)
	checkRefusal(t, post(t, s, pingOf("edge-1")), http.StatusTooManyRequests, "rate")
	refused.check(t, "rate")
	if got := post(t, s, pingOf("edge-2")); got.status != http.StatusOK {
		t.Errorf("another source is answered %d", got.status)
	}
	// Access-requests are always answered; beyond the rate nothing else comes of them.
	for i := range 12 {
		if got := post(t, s, askOf("edge-1")); got.status != http.StatusOK || !strings.Contains(got.body, `"reject"`) {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		if i >= 10 {
			refused.check(t, "rate")
		}
	}
	refused.check(t)
	if len(in.decisions) != 10 {
		t.Errorf("%d decisions were taken, want 10", len(in.decisions))
	}
}

func TestUnauthenticatedRate(t *testing.T) {
	limits := webhook.DefaultConfig().Limits
	limits.UnauthenticatedPerSecond = 2
	h, refused := newHandlerOf(&intake{}, webhook.Config{Secrets: []webhook.Secret{{Secret: secret}}}, limits)
	s := serve(t, h)
	guess := func() answer {
		return do(t, s.Client(), request(t, http.MethodPost, s.URL+"/webhook/guess", strings.NewReader(ping)))
	}
	for range 4 {
		checkRefusal(t, guess(), http.StatusNotFound, "secret")
		refused.check(t, "secret")
	}
	checkRefusal(t, guess(), http.StatusTooManyRequests, "secret_rate")
	refused.check(t, "secret_rate")
	// A proxy behind the same address is not locked out.
	if got := post(t, s, ping); got.status != http.StatusOK {
		t.Errorf("with the right secret: %d", got.status)
	}
}

// Large bodies that stall take the memory for large bodies, and nothing else: small events and access-requests are
// answered, a large access-request does not wait, and the stalled ones are given up.
func TestStalledLargeBodies(t *testing.T) {
	const large = 256 << 10
	config := webhook.Config{Secrets: []webhook.Secret{{Secret: secret}}}
	limits := webhook.DefaultConfig().Limits
	limits.BodyMemory, limits.LargeBodyTimeout = 2*large, 500*time.Millisecond
	h, refused := newHandlerOf(&intake{}, config, limits)
	h.Options.MaxBody = large
	h = webhook.NewHandler(h.Options)
	s := serve(t, h)
	for range 20 {
		c, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", path, large)
		if _, err := c.Write(append([]byte(`{"action":"connection-content","x":"`), bytes.Repeat([]byte{'A'}, 100<<10)...)); err != nil {
			t.Fatal(err)
		}
	}
	for h.BodyBytes() < large {
		time.Sleep(time.Millisecond) // until they have arrived
	}
	if got := post(t, s, ping); got.status != http.StatusOK {
		t.Errorf("an event is answered %d", got.status)
	}
	if got := post(t, s, accessRequest); got.status != http.StatusOK || !strings.Contains(got.body, "rule 1") {
		t.Errorf("an access-request is answered %d %s", got.status, got.body)
	}
	if got := h.BodyBytes(); got > 2*large {
		t.Errorf("%d bytes are held, want %d at most", got, 2*large)
	}
	// They are given up in time, all of them, and then there is memory again.
	for range 20 {
		if reason := <-refused; reason != "body" && reason != "memory" {
			t.Errorf("given up as %q", reason)
		}
	}
	content := `{"action":"connection-content","details":{"info":{"session":"l","side":"L","content":"` +
		strings.Repeat("QUFB", 40<<10) + `"}},"id":"i","source":"s"}`
	if got := post(t, s, content); got.status != http.StatusOK {
		t.Errorf("a large event is answered %d %s", got.status, got.body)
	}
	for h.BodyBytes() > 0 {
		time.Sleep(time.Millisecond) // it is given back after the answer
	}
}

package fleet

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// received is one request as the test's receiver got it whole.
type received struct {
	Action      Action          `json:"action"`
	Address     string          `json:"address"`
	Addresses   []string        `json:"addresses"`
	Details     json.RawMessage `json:"details"`
	ID          string          `json:"id"`
	Instance    string          `json:"instance"`
	Proxies     []string        `json:"proxies"`
	ProxiesPlus []string        `json:"proxies-plus"`
	Source      string          `json:"source"`
	State       string          `json:"state"`
	Type        string          `json:"type"`

	body       string
	header     http.Header
	connection int64 // numbers connections as the receiver accepts them
	major      int   // of the HTTP version
	closes     bool
}

// connectionKey is the context key of a connection's number.
type connectionKey struct{}

// receiver is a webhook that remembers everything.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
	statuses map[int]int // by status, unusable requests included
}

const secretPath = "/webhook/S3CRET"

// newReceiver starts one; answer decides about each request, nil accepts all.
func newReceiver(t *testing.T, secure bool, answer func(received) (status int, body string)) *receiver {
	t.Helper()
	r := &receiver{statuses: make(map[int]int)}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		status, body := r.handle(req, answer)
		r.mu.Lock()
		r.statuses[status]++
		r.mu.Unlock()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	var accepted atomic.Int64
	r.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, accepted.Add(1))
	}
	if secure {
		r.EnableHTTP2 = true
		r.StartTLS()
	} else {
		r.Start()
	}
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) handle(req *http.Request, answer func(received) (int, string)) (int, string) {
	switch {
	case req.URL.Path != secretPath:
		return http.StatusNotFound, ""
	case req.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, ""
	case req.ContentLength > 2<<20:
		return http.StatusRequestEntityTooLarge, ""
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return http.StatusBadRequest, ""
	}
	var m received
	if json.Unmarshal(body, &m) != nil || m.Type != "proxy" || m.Action == "connection-teapot" {
		return http.StatusBadRequest, ""
	}
	m.body, m.header, m.major, m.closes = string(body), req.Header, req.ProtoMajor, req.Close
	m.connection = req.Context().Value(connectionKey{}).(int64)
	r.mu.Lock()
	r.requests = append(r.requests, m)
	r.mu.Unlock()
	if answer == nil {
		return http.StatusOK, "{}"
	}
	return answer(m)
}

// all returns what has been received.
func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.requests...)
}

// quick is a configuration of generation 2025 whose runs take a fraction of a
// second.
func quick(url string) Config {
	cfg := DefaultConfig()
	cfg.URL = url + secretPath
	cfg.Generation = Generation2025
	cfg.MaxSpeed = true
	cfg.Connections = 60
	cfg.DurationMax = 20 * time.Millisecond
	cfg.InfoDelayMax = 20 * time.Millisecond
	cfg.Drain = 200 * time.Millisecond
	cfg.FirstPing, cfg.PingInterval = time.Millisecond, 20*time.Millisecond
	cfg.NeighborInterval = 20 * time.Millisecond
	cfg.LastPingGap = time.Millisecond
	cfg.Faults.LateStartDelay = 50 * time.Millisecond
	cfg.Faults.GarbageSize = 3 << 20
	return cfg
}

// newTestProxy is a proxy that has booted and sends, but does nothing by itself.
func newTestProxy(t *testing.T, cfg Config) *proxy {
	t.Helper()
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := f.proxies[0]
	p.sendContext = t.Context()
	p.pool = newPool(cfg.Threads, 1024, p.behavior.queueLimit, p.send)
	t.Cleanup(p.pool.close)
	p.boot(time.Now())
	return p
}

// playAll does what a proxy has on its schedule for connections, whatever the
// time.
func playAll(p *proxy) {
	for p.schedule.connTimers > 0 {
		if a := p.schedule.take(); a.conn != nil {
			p.perform(a.conn, a.op)
			p.pool.idle() // in order
			p.release(a.conn)
		}
	}
	p.pool.idle()
}

package fleet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"smithproxy_exporter/test/loopback"
)

func TestEachEventHasItsOwnConnection(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, secure, nil)
			cfg := quick(r.URL)
			cfg.InsecureSkipVerify = true
			cfg.Connections = 10
			report, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if n := report.Total.Actions[ActionStart]; n == nil || n.Failures > 0 || n.FailedEvents > 0 {
				t.Fatalf("starts: %+v", n)
			}
			used := make(map[int64]bool)
			for _, m := range r.all() {
				if used[m.connection] {
					t.Errorf("connection %d is used twice", m.connection)
				}
				used[m.connection] = true
				if want := map[bool]int{false: 1, true: 2}[secure]; m.major != want {
					t.Errorf("HTTP/%d, want HTTP/%d", m.major, want)
				}
				if got := m.header.Get("Content-Type"); got != "application/json" {
					t.Errorf("Content-Type is %q", got)
				}
				for _, absent := range []string{"User-Agent", "Connection", "Expect", "Accept-Encoding", "Authorization"} {
					if got, ok := m.header[absent]; ok {
						t.Errorf("%s is %q", absent, got)
					}
				}
				if m.closes {
					t.Error("the request announces that the connection will be closed")
				}
			}
		})
	}
}

func TestTransferFailuresAreTriedFiveTimes(t *testing.T) {
	tests := []struct {
		name   string
		answer string // written as it is, then the connection is closed
		tries  int
		status int
	}{
		{"dropped", "", 5, 0},
		{"no HTTP", "hello\r\n\r\n", 5, 0},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", 5, 0},
		{"500 is an answer", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 1, 500},
		{"302 is an answer", "HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 1, 302},
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 1, 200},
		{"until it closes", "HTTP/1.1 200 OK\r\n\r\n{}", 1, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var bodies atomic.Int64
			url := rawServer(t, func(conn net.Conn, req *http.Request) {
				if body, err := io.ReadAll(req.Body); err == nil && string(body) == `{"a":1}` {
					bodies.Add(1)
				}
				_, _ = io.WriteString(conn, tt.answer)
			})
			p := newTestProxy(t, quick(url))
			o := p.deliver(t.Context(), event{action: ActionStart, body: []byte(`{"a":1}`), timeout: time.Second})
			if o.tries != tt.tries || int(bodies.Load()) != tt.tries || o.last.status != tt.status {
				t.Errorf("tries %d, received %d, status %d; want %d, status %d",
					o.tries, bodies.Load(), o.last.status, tt.tries, tt.status)
			}
			n := p.ledger.totals.Actions[ActionStart]
			if acked := tt.status == 200; n.Events != 1 || n.Retries != tt.tries-1 || (n.AcknowledgedEvents == 1) != acked {
				t.Errorf("counted %+v", n)
			}
		})
	}
}

func TestTimeoutIsATransferFailure(t *testing.T) {
	release := make(chan struct{})
	url := rawServer(t, func(net.Conn, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	cfg := quick(url)
	p := newTestProxy(t, cfg)
	o := p.deliver(t.Context(), event{action: ActionStart, body: []byte("{}"), timeout: 20 * time.Millisecond})
	if o.failures != 5 || o.acked != 0 {
		t.Errorf("%+v", o)
	}
}

func TestFaultsOfTries(t *testing.T) {
	r := newReceiver(t, false, nil)
	p := newTestProxy(t, quick(r.URL))
	e := event{action: ActionPing, body: []byte(`{"action":"ping","type":"proxy"}`), timeout: time.Second}
	for _, tt := range []struct {
		tries             tries
		received, retries int
	}{
		{tries{}, 1, 0},
		{tries{repeats: 4}, 5, 4},
		{tries{aborts: 1}, 1, 1},
		{tries{aborts: 1, repeats: 3}, 4, 4},
		{tries{never: true}, 0, 0},
	} {
		before := len(r.all())
		e.tries = tt.tries
		o := p.deliver(t.Context(), e)
		if got := len(r.all()) - before; got != tt.received || o.acked != tt.received || max(0, o.tries-1) != tt.retries {
			t.Errorf("%+v: received %d, %+v", tt.tries, got, o)
		}
	}
}

func TestAbortOverTLS(t *testing.T) {
	r := newReceiver(t, true, nil)
	cfg := quick(r.URL)
	cfg.InsecureSkipVerify = true
	p := newTestProxy(t, cfg)
	_, err := p.exchange(t.Context(), request{method: "POST", path: secretPath, abort: true,
		body: []byte(`{"action":"ping","type":"proxy"}`)})
	if !errors.Is(err, errAborted) {
		t.Errorf("error is %v", err)
	}
	r.Close() // waits for what is being handled
	if got := r.all(); len(got) > 0 {
		t.Errorf("received %v", got)
	}
}

func TestLargeBodiesAskFirst(t *testing.T) {
	body := strings.Repeat("x", expectAbove+1)
	for _, tt := range []struct {
		name, interim string
		status        int
	}{
		{"wanted", "HTTP/1.1 100 Continue\r\n\r\n", 200},
		{"refused", "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := rawServer(t, func(conn net.Conn, req *http.Request) {
				if req.Header.Get("Expect") != "100-continue" {
					t.Error("it does not ask")
				}
				_, _ = io.WriteString(conn, tt.interim)
				if tt.status != 200 {
					return
				}
				if got, err := io.ReadAll(req.Body); err != nil || len(got) != len(body) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
			})
			p := newTestProxy(t, quick(url))
			a, err := p.exchange(t.Context(), request{method: "POST", path: secretPath, body: []byte(body)})
			if err != nil || a.status != tt.status {
				t.Errorf("status %d, %v", a.status, err)
			}
		})
	}
}

// rawServer reads one request of each connection, lets the function answer, and
// closes it.
func rawServer(t *testing.T, answer func(net.Conn, *http.Request)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				answer(conn, req)
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestRefusedConnection(t *testing.T) {
	p := newTestProxy(t, quick("http://"+loopback.Reserve(t)))
	o := p.deliver(t.Context(), event{action: ActionStop, body: []byte("{}"), timeout: time.Second})
	if o.tries != 5 || o.failures != 5 {
		t.Errorf("%+v", o)
	}
}

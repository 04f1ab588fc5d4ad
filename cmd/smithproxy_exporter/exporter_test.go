package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

const secret = "S3CRET"

// exporter is the binary's own wiring, running, with real listeners and a clock of the test's.
type exporter struct {
	t     testing.TB
	app   *app
	clock testClock
	log   *logLines
	// webhook and web are the URLs of the two listeners.
	webhook, web string
	// handled has a token for each webhook whose handler has returned.
	handled chan struct{}
	stop    func() error
}

// testClock is a clock that can be set forward.
type testClock interface {
	now() time.Time
	mono(time.Time) time.Duration
	set(time.Time)
}

// manualClock stands still until it is set.
type manualClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *manualClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *manualClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// mono is the monotonic clock, which goes as the wall clock does.
func (c *manualClock) mono(at time.Time) time.Duration { return at.Sub(epoch) }

// liveClock goes on by itself, too.
type liveClock struct {
	start time.Time
	ahead atomic.Int64
}

func (c *liveClock) now() time.Time                  { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *liveClock) set(at time.Time)                { c.ahead.Store(int64(time.Until(at))) }
func (c *liveClock) mono(at time.Time) time.Duration { return at.Sub(c.start) }

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// startExporter runs the exporter by a clock that stands still until the test sets it; change can
// change its configuration.
func startExporter(t testing.TB, args []string, change func(*config.Config)) *exporter {
	t.Helper()
	return launch(t, &manualClock{at: epoch}, time.Hour, args, change)
}

// startLive runs the exporter by the real clock.
func startLive(t testing.TB, args []string, change func(*config.Config)) *exporter {
	t.Helper()
	return launch(t, &liveClock{start: time.Now()}, pipeline.DefaultTick, args, change)
}

func launch(t testing.TB, c testClock, tick time.Duration, args []string, change func(*config.Config)) *exporter {
	t.Helper()
	log := newLogLines(t)
	e := launchLogged(t, c, tick, args, change, slog.NewTextHandler(log, nil))
	e.log = log
	return e
}

func launchLogged(t testing.TB, c testClock, tick time.Duration, args []string, change func(*config.Config), log slog.Handler) *exporter {
	t.Helper()
	cfg := config.Default()
	cfg.Webhook.Secrets = []webhook.Secret{{Secret: secret}}
	if change != nil {
		change(&cfg)
	}
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--storage.path=") }) {
		args = append(args, "--storage.path="+filepath.Join(t.TempDir(), "data"))
	}
	f, _, err := parse(append(args, "--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{t: t, clock: c, handled: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	e.app, err = openAt(ctx, f, cfg, slog.New(log), clock{now: c.now, mono: c.mono, tick: tick})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	e.notify()
	webAddress := make(chan net.Addr, 1)
	e.app.web.BaseContext = func(l net.Listener) context.Context {
		webAddress <- l.Addr()
		return context.Background()
	}
	done := make(chan error, 1)
	go func() { done <- e.app.serve(ctx) }()
	e.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Errorf("exporter: %v", err)
		}
	})
	scheme := "http"
	if cfg.Webhook.TLS != nil {
		scheme = "https"
	}
	e.webhook = fmt.Sprintf("%s://%s/webhook/%s", scheme, e.app.webhookListener.Addr(), secret)
	e.web = "http://" + (<-webAddress).String()
	e.query(func(*track.Tracker) {}) // what was there before a restart is back
	return e
}

// notify lets the test wait for a handler's return, which for an access-request comes after its
// answer.
func (e *exporter) notify() {
	next := e.app.webhook.HTTP.Handler
	e.app.webhook.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		select {
		case e.handled <- struct{}{}:
		default: // nobody posts one at a time
		}
	})
}

// post sends one webhook as smithproxy does, over a connection of its own, and returns the answer once
// all that comes of the event has happened.
func (e *exporter) post(body []byte) (status int, answer string) {
	e.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post(e.webhook, "application/json", bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	answer = e.read(response)
	<-e.handled
	e.query(func(*track.Tracker) {})
	return response.StatusCode, answer
}

// query looks into the state once all that was posted has gone through.
func (e *exporter) query(look func(*track.Tracker)) {
	e.t.Helper()
	if err := e.app.pipeline.Query(context.Background(), look); err != nil {
		e.t.Fatal(err)
	}
}

// advance lets time pass for the state; the manual clock goes on with it.
func (e *exporter) advance(to time.Time) {
	e.t.Helper()
	// More at once would look as if the process had not run.
	const step = 50 * time.Second
	for e.clock.now().Before(to) {
		next := e.clock.now().Add(step)
		if next.After(to) {
			next = to
		}
		e.clock.set(next)
		if err := e.app.pipeline.Advance(); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *exporter) get(path string) (status int, body string) {
	e.t.Helper()
	response, err := http.Get(e.web + path)
	if err != nil {
		e.t.Fatal(err)
	}
	return response.StatusCode, e.read(response)
}

func (e *exporter) read(response *http.Response) string {
	e.t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return string(body)
}

func (e *exporter) metrics() string {
	e.t.Helper()
	_, body := e.get("/metrics")
	return body
}

// logLines sends the log to the test, which shows it if it fails, and lets the test wait for a line.
type logLines struct {
	t testing.TB

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed with the next line
}

func newLogLines(t testing.TB) *logLines { return &logLines{t: t, more: make(chan struct{})} }

func (l *logLines) Write(line []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(line))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	close(l.more)
	l.more = make(chan struct{})
	return len(line), nil
}

// await waits for the next line that contains the text, from the first line that no call of await has seen.
func (l *logLines) await(text string) {
	l.t.Helper()
	over := time.After(time.Minute)
	for {
		l.mu.Lock()
		i := slices.IndexFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
		l.lines = l.lines[i+1:]
		more := l.more
		l.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-more:
		case <-over:
			l.t.Fatalf("%q was not logged within a minute", text)
		}
	}
}

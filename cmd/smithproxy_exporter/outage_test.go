package main

import (
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/test/loopback"
)

var outageConnections = flag.Int("outage.connections", 10_000, "how many connections end while TestOutage has no backend")

const (
	outageClients = 8
	// outageGrowth bounds the resident memory that an outage takes, in bytes.
	outageGrowth = 64 << 20
	// outageDrain is how many spans of the backlog leave each second at least.
	outageDrain = 5000
	// outageJudged is how many there must be for that to be judged: fewer are gone too soon, and with the
	// race detector it is the receiver of the test that is slow. make outage has more.
	outageJudged = 20_000
	// outageAnswer bounds an answer while the backlog drains: a proxy gives up after five times of it.
	outageAnswer = time.Second
	// outageSlower is by how much the slowest answer then may be slower than the slowest before, if that is more.
	outageSlower = 3
)

// TestOutage takes the backend away from the binary, lets many connections end, and gives the backend
// back: memory and disk stay within their bounds, what fits the disk arrives once, soon, and what does
// not is counted. New events are answered meanwhile.
func TestOutage(t *testing.T) {
	long(t)
	binary := buildBinary(t)
	n := *outageConnections
	for _, c := range []struct {
		name string
		hole bool
		// maxSize is storage.max_size in bytes. With many URLs to a span, what is remembered of finished
		// connections is little beside the spans.
		maxSize, urls int
	}{
		{"connection refused", false, 1 << 30, 1},
		{"black hole", true, 1 << 30, 1},
		{"more than the disk may take", false, 64 << 20, 30},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := startOutage(t, binary, c.maxSize, c.urls)
			// What any load takes is not the outage's: the same load, while there is a backend.
			t.Run("with a backend", func(t *testing.T) {
				backend := newReceiverAt(t, o.backend)
				o.load("before", n)
				o.await("sent", func() bool { return o.pending() == 0 && backend.count() == n })
			})
			if c.hole {
				fill := blackHole(t, o.backend)
				o.outage(n, c.maxSize)
				fill()
			} else {
				o.outage(n, c.maxSize)
			}
			o.drain(n)
		})
	}
}

// outage is a binary whose backend comes and goes.
type outage struct {
	*child
	backend, log string
	urls         int // of each connection
	left         int // spans that wait when the backend comes back
	made         int // spans, over the whole life of the binary
}

func startOutage(t *testing.T, binary string, maxSize, urls int) *outage {
	t.Helper()
	o := &outage{
		child:   &child{t: t, webhook: loopback.Reserve(t), web: loopback.Reserve(t), directory: t.TempDir()},
		backend: loopback.Reserve(t), log: filepath.Join(t.TempDir(), "log"), urls: urls,
	}
	configuration := filepath.Join(t.TempDir(), "config.yml")
	// What is remembered of finished connections, for a day, is no matter of the outage: with a
	// short one there is as much of it before.
	content := fmt.Sprintf("webhook: {secrets: [{secret: %s}], limits: {events_per_second: 100000}}\nstorage: {max_size: %dB}\nconnections: {grace_period: 5s}\n", secret, maxSize)
	if err := os.WriteFile(configuration, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(o.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	o.command = exec.Command(binary, "--config.file="+configuration, "--storage.path="+o.directory,
		"--webhook.listen-address="+o.webhook, "--web.listen-address="+o.web, "--otlp.endpoint=http://"+o.backend,
		"--log.level=warn")
	o.command.Stderr = log
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.kill)
	o.await("ready", func() bool { status, _ := o.get("/-/ready"); return status == http.StatusOK })
	return o
}

// outage lets n connections end while there is no backend.
func (o *outage) outage(n, maxSize int) {
	o.t.Helper()
	memory, disk, stop := o.rss(), 0, make(chan struct{})
	peak := memory
	var watching sync.WaitGroup
	watching.Go(func() {
		for ticker := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-ticker.C:
				peak, disk = max(peak, o.rss()), max(disk, size(o.directory))
			}
		}
	})
	watched := sync.OnceFunc(func() { close(stop); watching.Wait() })
	defer watched()
	took := o.load("load", n)
	var dropped int
	// Spans are written down by the next tick after the last answer.
	o.await("kept or dropped", func() bool {
		o.left, dropped = o.pending(), o.metric("smithproxy_exporter_spans_dropped_total", "reason=queue_full")
		return o.left+dropped == n
	})
	watched()
	o.t.Logf("outage: %d connections in %v; memory %d KiB before, %d at most, growth %.1f MiB; disk %d of %d bytes at most; %d spans kept, %d dropped",
		n, took.Round(time.Millisecond), memory>>10, peak>>10, float64(peak-memory)/(1<<20), disk, maxSize, o.left, dropped)
	if peak-memory >= outageGrowth {
		o.t.Errorf("memory grew by %d bytes", peak-memory)
	}
	if disk > maxSize {
		o.t.Errorf("%d bytes on disk, may be %d", disk, maxSize)
	}
	if full := maxSize < 1<<30; full != (dropped > 0) {
		o.t.Errorf("%d spans were dropped", dropped)
	}
}

// drain brings the backend back, while new events and access-requests come.
func (o *outage) drain(n int) {
	o.t.Helper()
	var answers []answer
	var probing sync.WaitGroup
	stop := make(chan struct{})
	probing.Go(func() { answers = o.probe(stop) })
	probed := sync.OnceFunc(func() { close(stop); probing.Wait() })
	defer probed()
	// So many events before, to compare with.
	o.await("answered for a while", func() bool {
		return o.metric("smithproxy_events_total", "source=probe") >= 2000
	})
	back := time.Now()
	backend := newReceiverAt(o.t, o.backend)
	var first, last time.Time
	var begun int
	peak := o.rss()
	for ticker := time.NewTicker(5 * time.Millisecond); last.IsZero(); {
		now := <-ticker.C
		switch received := backend.count(); {
		case received > 0 && first.IsZero():
			first, begun = now, received
		case received >= o.left:
			last = now
		case now.Sub(back) > time.Minute:
			o.t.Fatalf("%d spans within a minute", received)
		}
		peak = max(peak, o.rss())
	}
	probed()
	o.t.Logf("drain: first batch %v after the return; %d spans in %v, %.0f a second; memory %d KiB at most",
		first.Sub(back).Round(time.Millisecond), o.left-begun, last.Sub(first).Round(time.Millisecond),
		float64(o.left-begun)/last.Sub(first).Seconds(), peak>>10)
	if took := last.Sub(first); o.left >= outageJudged && took > time.Duration(o.left)*time.Second/outageDrain {
		o.t.Errorf("the backlog of %d spans took %v", o.left, took)
	}
	o.report("events", answers, false, first, last)
	o.report("access-requests", answers, true, first, last)

	o.made += len(answers) / probeAnswers * probeSpans
	o.await("settled", func() bool {
		return o.metric("smithproxy_exporter_spans_exported_total")+o.metric("smithproxy_exporter_spans_dropped_total") >= o.made
	})
	o.check(n, backend.all())
}

// check holds what arrived after the outage against what was made.
func (o *outage) check(n int, spans []received) {
	o.t.Helper()
	got := map[string]int{}
	for _, s := range spans {
		got[s.spanID()]++
		if got[s.spanID()] == 2 {
			o.t.Errorf("span %v arrived twice", s.Span)
		}
	}
	var missing []int // of the load, in the order in which they ended
	for i := range n {
		if got[traceid.Of("load", outageID("load", i)).SpanString()] == 0 {
			missing = append(missing, i)
		}
	}
	exported := o.metric("smithproxy_exporter_spans_exported_total") - n // those of before
	dropped := o.metric("smithproxy_exporter_spans_dropped_total")
	full := o.metric("smithproxy_exporter_spans_dropped_total", "reason=queue_full")
	o.t.Logf("%d spans arrived, %d of the load did not; exported %d, dropped %d", len(spans), len(missing), exported, dropped)
	if dropped != full || len(missing) > full || exported != len(spans) || n+exported+full != o.made {
		o.t.Errorf("of %d spans %d were sent before the outage, %d after and %d arrived; %d were dropped as the oldest, %d in all, and %d of the outage are missing",
			o.made, n, exported, len(spans), full, dropped, len(missing))
	}
	// One batch was under way when the backend went, and is kept in memory; behind it the oldest go.
	// Connections that end at once can change places.
	const underWay, apart = 2048, 10 * outageClients
	if m := len(missing); m > 0 && (missing[0] > underWay+apart || missing[m-1]-missing[0] >= m+apart) {
		o.t.Errorf("%d connections are missing, from %d to %d: not the oldest", m, missing[0], missing[m-1])
	}
	log, err := os.ReadFile(o.log)
	if err != nil {
		o.t.Fatal(err)
	}
	for line, want := range map[string]int{
		"Failed to send spans, they are kept": 1, "Store is full, dropping the oldest spans": min(full, 1),
	} {
		if times := strings.Count(string(log), line); times != want {
			o.t.Errorf("%q was logged %d times, want %d:\n%s", line, times, want, log)
		}
	}
}

// blackHole accepts connections and says nothing, until fill.
func blackHole(t *testing.T, address string) (fill func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	return func() { listener.Close(); <-done }
}

func (o *outage) pending() int { return o.metric("smithproxy_exporter_spans_pending") }

func (o *outage) metric(name string, labels ...string) int {
	_, exposition := o.get("/metrics")
	return int(parseMetrics(o.t, exposition).sum(name, labels...))
}

func (o *outage) rss() int { return resident(o.t, o.command.Process) }

// size is that of all files in a folder, in bytes. Some go while it looks.
func size(folder string) (bytes int) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += int(info.Size())
		}
		return nil
	})
	return bytes
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.spans)
}

package main

import (
	"bufio"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"smithproxy_exporter/exporter/traceid"
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
)

// TestOutage takes the backend away from the binary, lets many connections end, and gives the backend
// back: memory and disk stay within their bounds, what fits the disk arrives once, soon, and what does
// not is counted. New events are answered meanwhile.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	binary := buildBinary(t)
	n := *outageConnections
	for _, c := range []struct {
		name string
		hole bool
		// maxSize is storage.max_size in bytes. A span with one URL takes about 750 there; one with ten
		// about 3,400, beside which what is remembered of finished connections is little.
		maxSize, urls int
	}{
		{"connection refused", false, 1 << 30, 1},
		{"black hole", true, 1 << 30, 1},
		{"more than the disk may take", false, n * 1200, 10},
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
	*crashed
	backend, log string
	urls         int // of each connection
	left         int // spans that wait when the backend comes back
	made         int // spans, over the whole life of the binary
}

func startOutage(t *testing.T, binary string, maxSize, urls int) *outage {
	t.Helper()
	o := &outage{
		crashed: &crashed{t: t, webhook: freeAddress(t), web: freeAddress(t), directory: t.TempDir()},
		backend: freeAddress(t), log: filepath.Join(t.TempDir(), "log"), urls: urls,
	}
	configuration := filepath.Join(t.TempDir(), "config.yml")
	// What is remembered of finished connections, for four lingers, is no matter of the outage: with a
	// short one there is as much of it before.
	content := fmt.Sprintf("webhook: {secrets: [{secret: %s}]}\nstorage: {max_size: %dB}\nconnections: {linger: 5s}\n", secret, maxSize)
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
		"could not be sent, and are kept": 1, "The storage is full": min(full, 1),
	} {
		if times := strings.Count(string(log), line); times != want {
			o.t.Errorf("%q was logged %d times, want %d:\n%s", line, times, want, log)
		}
	}
}

// answering is a receiver that answers as it is told, and keeps what it accepted.
type answering struct {
	*receiver
	// held lets the first request wait until all that there will be is there.
	held chan struct{}
	// answer is for the attempt of that number, from 1. What it rejects is not kept.
	answer func(attempt int, spans []*tracepb.Span) (rejected []*tracepb.Span, err error)

	attempts []time.Time
}

func (a *answering) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	<-a.held
	var spans []*tracepb.Span
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			spans = append(spans, ss.GetSpans()...)
		}
	}
	a.mu.Lock()
	a.attempts = append(a.attempts, time.Now())
	attempt := len(a.attempts)
	a.mu.Unlock()
	rejected, err := a.answer(attempt, spans)
	if err != nil {
		return nil, err
	}
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			ss.Spans = slices.DeleteFunc(ss.Spans, func(s *tracepb.Span) bool { return slices.Contains(rejected, s) })
		}
	}
	response, err := a.receiver.Export(ctx, req)
	if len(rejected) > 0 {
		response.PartialSuccess = &coltracepb.ExportTracePartialSuccess{
			RejectedSpans: int64(len(rejected)), ErrorMessage: "not those",
		}
	}
	return response, err
}

// TestAnswers has a backend answer what it may by the specification of OTLP: what it does not refuse
// for good arrives once, and does not wait for what it does.
func TestAnswers(t *testing.T) {
	const connections, bad = 60, 23
	name := "b" + strconv.Itoa(bad) // of the span of the bad connection
	first := func(err error) func(int, []*tracepb.Span) ([]*tracepb.Span, error) {
		return func(attempt int, _ []*tracepb.Span) ([]*tracepb.Span, error) {
			if attempt > 1 {
				return nil, nil
			}
			return nil, err
		}
	}
	isBad := func(s *tracepb.Span) bool { return s.GetName() == name }
	later, err := status.New(codes.ResourceExhausted, "later").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		answer  func(attempt int, spans []*tracepb.Span) ([]*tracepb.Span, error)
		options []grpc.ServerOption
		refused int
		pause   time.Duration // before the second attempt, at least
	}{
		{"UNAVAILABLE", first(status.Error(codes.Unavailable, "down")), nil, 0, time.Second},
		{"DEADLINE_EXCEEDED", first(status.Error(codes.DeadlineExceeded, "slow")), nil, 0, time.Second},
		{"RESOURCE_EXHAUSTED", first(status.Error(codes.ResourceExhausted, "full")), nil, 0, time.Second},
		{"RESOURCE_EXHAUSTED with RetryInfo", first(later.Err()), nil, 0, 3 * time.Second},
		{"partial success", func(_ int, spans []*tracepb.Span) (rejected []*tracepb.Span, _ error) {
			return slices.DeleteFunc(spans, func(s *tracepb.Span) bool { return !isBad(s) }), nil
		}, nil, 1, 0},
		{"INVALID_ARGUMENT", func(_ int, spans []*tracepb.Span) ([]*tracepb.Span, error) {
			if slices.ContainsFunc(spans, isBad) {
				return nil, status.Error(codes.InvalidArgument, "bad span")
			}
			return nil, nil
		}, nil, 1, 0},
		{"a server that takes small requests only", first(nil), []grpc.ServerOption{grpc.MaxRecvMsgSize(24 << 10)}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := &answering{receiver: &receiver{}, held: make(chan struct{}), answer: c.answer}
			backend.address = serveOTLP(t, backend, c.options...)
			e := startLive(t, []string{"--otlp.endpoint=" + backend.address}, nil)
			for i := range connections {
				for _, body := range life("edge", i, 1) {
					if code, answer := e.post([]byte(strings.Replace(body, `"http1",`, `"b`+strconv.Itoa(i)+`",`, 1))); code/100 != 2 {
						t.Fatalf("answered %d %s", code, answer)
					}
				}
			}
			close(backend.held)
			sum := func(name string, labels ...string) int { return int(parseMetrics(t, e.metrics()).sum(name, labels...)) }
			e.waitFor(func() bool {
				return backend.count()+c.refused >= connections && sum("smithproxy_exporter_spans_pending") == 0
			})
			got := map[string]int{}
			for _, s := range backend.all() {
				got[s.spanID()]++
			}
			for i := range connections {
				want := 1
				if c.refused > 0 && i == bad {
					want = 0
				}
				if n := got[traceid.Of("edge", outageID("edge", i)).SpanString()]; n != want {
					t.Errorf("the span of connection %d arrived %d times, want %d", i, n, want)
				}
			}
			if n := sum("smithproxy_exporter_spans_dropped_total", "reason=refused"); n != c.refused {
				t.Errorf("%d spans refused, want %d", n, c.refused)
			}
			backend.mu.Lock()
			defer backend.mu.Unlock()
			if c.pause > 0 && backend.attempts[1].Sub(backend.attempts[0]) < c.pause {
				t.Errorf("second attempt %v after the first, want %v", backend.attempts[1].Sub(backend.attempts[0]), c.pause)
			}
			t.Logf("%d requests, %d spans arrived", len(backend.attempts), len(got))
		})
	}
}

// serveOTLP serves until the test is over, and returns where.
func serveOTLP(t *testing.T, service coltracepb.TraceServiceServer, options ...grpc.ServerOption) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	coltracepb.RegisterTraceServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func outageID(source string, i int) string { return fmt.Sprintf("Proxy-%X-OID-%X", len(source), i) }

// life is what a proxy sends of a connection that has asked for so many URLs.
func life(source string, i, urls int) []string {
	details := strings.Repeat(`,"http://10.77.2.2:8080/`+strings.Repeat("long/", 50)+`"`, max(0, urls-1))
	session := fmt.Sprintf("tcp_10.%d.%d.%d:%d+tcp_10.77.2.2:8080", i>>16&255, i>>8&255, i&255, 1024+i%60000)
	common := fmt.Sprintf(`"id":%q,"source":%q,"type":"proxy"}`, outageID(source, i), source)
	return []string{
		`{"action":"connection-start","details":{"info":{"session":"` + session + `"}},` + common,
		`{"action":"connection-stop","details":{"info":{"bytes_down":123,"bytes_up":107,"ja4_ch":"","ja4_ch_ignore_sni":false,"ja4_sh":"",` +
			`"l7":{"app":"http1","details":["http://10.77.2.2:8080/rate?req=9_0"` + details + `],"ja4h":["ge11nn030000_cd680697de12_000000000000_000000000000"],` +
			`"signatures":["www/http/request","www/http/get|post+reply"]},"policy":2,"session":"` + session + `"}},` + common,
		`{"action":"connection-info","details":{"statistics":{"entropy":{"left":{"bytes_accounted":107,"entropy":4.9994687726072335},` +
			`"right":{"bytes_accounted":123,"entropy":4.8236814783205455}},"flow":{"skew":0.06956521739130435,"skew_all":0.06956521739130435},` +
			`"info":{"protocol":"http1","session":"` + session + `"}}},` + common,
	}
}

// accessRequest is what a proxy asks before the start of a connection.
func accessRequest(source string, i int) string {
	_, session, _ := strings.Cut(life(source, i, 0)[0], `"session":"`)
	session, _, _ = strings.Cut(session, `"`)
	return `{"action":"access-request","details":{"bytes_side":"L","bytes_size":0,"policy":-1,"require":"origin-info","session":"` + session +
		`","state":"init"},"id":"` + session + `","source":"` + source + `","type":"proxy"}`
}

// load delivers the whole lives of n connections, in order, as fast as the clients go.
func (o *outage) load(source string, n int) time.Duration {
	o.t.Helper()
	began := time.Now()
	var clients sync.WaitGroup
	var next atomic.Int64
	for range outageClients {
		clients.Go(func() {
			c, err := dialKept(o.webhook)
			if err != nil {
				o.t.Error(err)
				return
			}
			defer c.Close()
			for j := int(next.Add(1)) - 1; j < n; j = int(next.Add(1)) - 1 {
				for _, body := range life(source, j, o.urls) {
					if err := c.deliver(body); err != nil {
						o.t.Error(err)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	o.made += n
	if o.t.Failed() {
		o.t.FailNow()
	}
	return time.Since(began)
}

// answer is how long one took, and when it came.
type answer struct {
	at     time.Time
	took   time.Duration
	access bool
}

// probeAnswers are those to one connection of probe, which makes probeSpans: its own and its decision's.
const (
	probeAnswers = 4
	probeSpans   = 2
)

// probe plays a proxy of 200 connections a second, until it is stopped.
func (o *outage) probe(stop <-chan struct{}) (answers []answer) {
	c, err := dialKept(o.webhook)
	if err != nil {
		o.t.Error(err)
		return nil
	}
	defer c.Close()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return answers
		case <-ticker.C:
		}
		for j, body := range append([]string{accessRequest("probe", i)}, life("probe", i, 1)...) {
			sent := time.Now()
			if err := c.deliver(body); err != nil {
				o.t.Error(err)
				return answers
			}
			answers = append(answers, answer{time.Now(), time.Since(sent), j == 0})
		}
	}
}

func (o *outage) report(what string, answers []answer, access bool, first, last time.Time) {
	o.t.Helper()
	var before, during []time.Duration
	for _, a := range answers {
		switch {
		case a.access != access || a.at.After(last):
		case a.at.Before(first):
			before = append(before, a.took)
		default:
			during = append(during, a.took)
		}
	}
	o.t.Logf("%s answered before the drain: %s; during: %s", what, spread(before), spread(during))
	if len(during) > 0 && slices.Max(during) > outageAnswer {
		o.t.Errorf("one of the %s was answered after %v while the backlog drained", what, slices.Max(during))
	}
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.SortFunc(d, cmp.Compare[time.Duration])
	at := func(q int) time.Duration { return d[len(d)*q/1000].Round(time.Microsecond) }
	return fmt.Sprintf("%d, half of them within %v, 99%% %v, all %v", len(d), at(500), at(990), d[len(d)-1].Round(time.Microsecond))
}

// kept is a connection over which one webhook follows another, as from a reverse proxy.
type kept struct {
	net.Conn
	answers *bufio.Reader
	address string
}

func dialKept(address string) (*kept, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &kept{conn, bufio.NewReader(conn), address}, nil
}

func (k *kept) deliver(body string) error {
	if _, err := fmt.Fprintf(k, "POST /webhook/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		secret, k.address, len(body), body); err != nil {
		return err
	}
	response, err := http.ReadResponse(k.answers, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s to %s", response.Status, body)
	}
	return nil
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

// rss is the resident memory of the binary in bytes (VmRSS of proc_pid_status(5)).
func (o *outage) rss() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.command.Process.Pid))
	if err != nil {
		o.t.Error(err)
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		o.t.Error(err)
	}
	return kib << 10
}

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

package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/test/loopback"
)

var latency = flag.Bool("latency", false, "have TestLatency measure for long, and judge")

const (
	otherEvents  = 3000 // a second
	accessProbes = 200  // a second, at each of the two
	// latencyBudget is by how much the p99 may be above that of a handler that answers a constant.
	latencyBudget = 2 * time.Millisecond
	// proxyTimeout is when a proxy gives an answer up.
	proxyTimeout = 5 * time.Second
	// latencyPrefixes is the length of the list that is reloaded all the time.
	latencyPrefixes = 1_000_000
)

// TestLatency measures access-requests in the worst state of the exporter: 3,000 other events a second, the
// collector gone, the disk blocked, and a list of a million prefixes being loaded over and over. Beside it, in
// another process, a net/http handler answers a constant. It judges the times only with -latency, for which the
// machine should be idle; that none fails, always.
func TestLatency(t *testing.T) {
	long(t)
	duration, prefixes := 3*time.Second, latencyPrefixes/10
	if *latency {
		duration, prefixes = 30*time.Second, latencyPrefixes
	}
	bodies := make(chan []byte, otherEvents)
	go makeBodies(t, bodies)

	storage := t.TempDir()
	stored := mountDisk(t)
	switch {
	case stored != nil:
		storage = stored.path
	case *latency:
		t.Fatal("the disk cannot be blocked here")
	}
	binary := buildBinary(t)
	dir := t.TempDir()
	feed, configuration := filepath.Join(dir, "feed.netset"), filepath.Join(dir, "config.yml")
	versions := []string{feed + "1", feed + "2"}
	for i, path := range versions {
		writeFeed(t, path, prefixes, uint64(i))
	}
	if err := os.Symlink(versions[1], feed); err != nil {
		t.Fatal(err)
	}
	access := "access: {rules: [{name: feed, server_file: feed.netset, verdict: reject}, {name: mail, port: 25, verdict: reject}]}\n"
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\n"+access), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook, web, constant := loopback.Reserve(t), loopback.Reserve(t), loopback.Reserve(t)
	exporter := exec.Command(binary, "--config.file="+configuration, "--web.enable-lifecycle",
		"--webhook.listen-address="+webhook, "--web.listen-address="+web,
		"--otlp.endpoint=http://"+loopback.Reserve(t), "--storage.path="+storage, "--log.level=error")
	exporting := process(t, webhook, exporter)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	baseline := exec.Command(self)
	baseline.Env = append(os.Environ(), baselineVariable+"="+constant)
	process(t, constant, baseline)
	awaitReady(t, web)
	if stored != nil {
		// After process, so that it comes before what ends the exporter: it may be waiting for the disk.
		t.Cleanup(func() { _ = stored.server.Kill() })
		stored.block(t)
	}

	used := cpuTime(t, exporting)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var load, probing sync.WaitGroup
	var sent, lost atomic.Int64
	load.Go(func() { sendOthers(ctx, webhook, bodies, &sent, &lost) })
	reloads := 0
	load.Go(func() { reloads = reloadEvery(ctx, t, 0, web, feed, versions) })
	var ours, theirs probes
	probing.Go(func() { ours.run(ctx, webhook) })
	probing.Go(func() { theirs.run(ctx, constant) })
	probing.Wait()
	load.Wait()

	t.Logf("%v: %d other events (%.0f/s), %d of them not acknowledged; %d reloads of %d prefixes; disk blocked: %v",
		duration, sent.Load(), float64(sent.Load())/duration.Seconds(), lost.Load(), reloads, prefixes, stored != nil)
	t.Logf("the exporter used %.2f of the %d processors", (cpuTime(t, exporting)-used).Seconds()/duration.Seconds(), runtime.NumCPU())
	t.Logf("access-requests: %v", &ours)
	t.Logf("constant answer: %v", &theirs)
	for _, p := range []*probes{&ours, &theirs} {
		if p.failed > 0 || len(p.times) == 0 {
			t.Errorf("%d of %d failed: %v", p.failed, p.failed+len(p.times), p.cause)
		}
	}
	if reloads == 0 {
		t.Error("no reload came to its end")
	}
	if more := ours.quantile(.99) - theirs.quantile(.99); *latency && more > latencyBudget {
		t.Errorf("the p99 is %v above that of a constant answer, want %v at the most", more, latencyBudget)
	}
}

// probes are the times that requests took, each over a connection of its own, as a proxy's are.
type probes struct {
	times  []time.Duration
	failed int
	cause  error
}

func (p *probes) run(ctx context.Context, address string) {
	gap := time.NewTicker(time.Second / accessProbes)
	defer gap.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			slices.Sort(p.times)
			return
		case <-gap.C:
		}
		label := fmt.Sprintf("tcp_10.20.%d.%d:40000+tcp_192.0.2.1:443", i>>8&255, i&255)
		begin := time.Now()
		if err := deliverWithin(proxyTimeout, address, askBody(label)); err != nil {
			p.failed, p.cause = p.failed+1, err
			continue
		}
		p.times = append(p.times, time.Since(begin))
	}
}

func (p *probes) quantile(q float64) time.Duration {
	if len(p.times) == 0 {
		return 0
	}
	return p.times[int(q*float64(len(p.times)-1))]
}

func (p *probes) String() string {
	return fmt.Sprintf("%d, p50 %v, p90 %v, p99 %v, p99.9 %v, max %v, %d failed", len(p.times),
		p.quantile(.5), p.quantile(.9), p.quantile(.99), p.quantile(.999), p.quantile(1), p.failed)
}

// sendOthers sends events at their rate, whatever becomes of those before.
func sendOthers(ctx context.Context, address string, bodies <-chan []byte, sent, lost *atomic.Int64) {
	const batch = 30
	gap := time.NewTicker(time.Second * batch / otherEvents)
	defer gap.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-gap.C:
		}
		for range batch {
			sending.Go(func() {
				sent.Add(1)
				if deliverWithin(proxyTimeout, address, <-bodies) != nil {
					lost.Add(1)
				}
			})
		}
	}
}

// makeBodies gives start, stop and info of the captured load without end, under ids of their own.
func makeBodies(t *testing.T, bodies chan<- []byte) {
	requests, err := capture.Read(filepath.Join("..", "..", "exporter", "testdata", "captures", "load-statistics.jsonl"))
	if err != nil {
		t.Error(err)
		return
	}
	for i := 0; t.Context().Err() == nil; i++ {
		again := []byte("-OID-" + strconv.Itoa(i/len(requests)))
		select {
		case bodies <- bytes.Replace(requests[i%len(requests)].Body, []byte("-OID-"), again, 1):
		case <-t.Context().Done():
		}
	}
}

// reloadEvery has the list replaced and loaded, over and over with a pause, and returns how often.
func reloadEvery(ctx context.Context, t *testing.T, pause time.Duration, web, feed string, versions []string) int {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return n
		case <-time.After(pause):
		}
		link := feed + ".link"
		if err := os.Symlink(versions[n%len(versions)], link); err != nil {
			t.Error(err)
			return n
		}
		if err := os.Rename(link, feed); err != nil {
			t.Error(err)
			return n
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+web+"/-/reload", nil)
		if err != nil {
			t.Error(err)
			return n
		}
		response, err := http.DefaultClient.Do(request)
		if ctx.Err() != nil {
			return n
		}
		if err != nil {
			t.Error(err)
			return n
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("reload: %s", response.Status)
			return n
		}
	}
}

// writeFeed writes a list as public ones are: mostly addresses, half of it IPv6 networks. None of it is what the
// probes ask for.
func writeFeed(t *testing.T, path string, entries int, seed uint64) {
	file, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	w, r := bufio.NewWriter(file), rand.New(rand.NewPCG(seed, 3))
	for i := range entries {
		switch {
		case i%2 == 1:
			fmt.Fprintf(w, "2001:db8:%x:%x::/64\n", r.IntN(65536), r.IntN(65536))
		case i%8 == 0:
			fmt.Fprintf(w, "%d.%d.%d.0/24 # a network\n", 1+r.IntN(190), r.IntN(256), r.IntN(256))
		default:
			fmt.Fprintf(w, "%d.%d.%d.%d\n", 1+r.IntN(190), r.IntN(256), r.IntN(256), r.IntN(256))
		}
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

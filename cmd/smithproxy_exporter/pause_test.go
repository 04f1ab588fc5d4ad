package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/test/loopback"
)

var pauseDuration = flag.Duration("latency.duration", 5*time.Minute, "how long TestPause measures with -latency")

const (
	// pauseOpen connections stay open on pauseProxies proxies, which list them all in each ping.
	pauseOpen, pauseProxies = 200_000, 4
	pauseScrape             = 5 * time.Second
	pausePing               = 10 * time.Second
	pauseRead               = time.Second     // by each of 8 clients
	pauseReload             = 5 * time.Second // of the list
	pauseSamples            = 300             // events a second for the empty handler, whose times need no more
	// By how much events and access-requests may be slower than an empty handler.
	pauseQuantile, pauseSlowest = 20 * time.Millisecond, 60 * time.Millisecond
)

// TestPause measures every event while much is open and everything that could make them wait goes on: scrapes, reads of
// what pages show by many clients, with searches of the history, a stream, reloads of a long list, and pings that list all
// connections. A current smithproxy drops events when a receiver pauses for 85 ms. Beside it, in another process, an empty
// handler gets the same load. It judges the times only with -latency, for which the machine should be idle; that none fails,
// always.
func TestPause(t *testing.T) {
	long(t)
	duration, open := 5*time.Second, pauseOpen/20
	if *latency {
		duration, open = *pauseDuration, pauseOpen
	}
	dir := t.TempDir()
	feed, configuration := filepath.Join(dir, "feed.netset"), filepath.Join(dir, "config.yml")
	versions := []string{feed + "1", feed + "2"}
	for i, path := range versions {
		writeFeed(t, path, open/2, uint64(i))
	}
	if err := os.Symlink(versions[1], feed); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\n"+
		"connections: {max_open_total: 400000}\n"+
		"access: {rules: [{name: feed, server_file: feed.netset, verdict: reject}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook, web, empty := loopback.Reserve(t), loopback.Reserve(t), loopback.Reserve(t)
	exporter := process(t, webhook, exec.Command(buildBinary(t), "--config.file="+configuration, "--web.enable-lifecycle",
		"--webhook.listen-address="+webhook, "--web.listen-address="+web, "--otlp.endpoint=http://"+newReceiver(t).address,
		"--storage.path="+filepath.Join(dir, "data"), "--log.level=warn"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), baselineVariable+"="+empty)
	process(t, empty, command)

	pings := openMany(t, webhook, open)
	used := cpuTime(t, exporter)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	bodies, same := make(chan []byte, otherEvents), make(chan []byte, pauseSamples)
	go makeBodies(t, bodies)
	go makeBodies(t, same)
	var all sync.WaitGroup
	var ours, theirs, asked, constant probes
	all.Go(func() { ours.send(ctx, webhook, bodies, otherEvents) })
	all.Go(func() { theirs.send(ctx, empty, same, pauseSamples) })
	all.Go(func() { asked.run(ctx, webhook) })
	all.Go(func() { constant.run(ctx, empty) })
	reloads, scrapes, reads := 0, 0, [8]int{}
	all.Go(func() { reloads = reloadEvery(ctx, t, pauseReload, web, feed, versions) })
	all.Go(func() { scrapes = fetchEvery(ctx, t, pauseScrape, "http://"+web+"/metrics") })
	for i := range reads {
		all.Go(func() {
			reads[i] = fetchEvery(ctx, t, pauseRead, urlsOf(web, pauseReads)...)
		})
	}
	streamed := 0
	all.Go(func() { streamed = follow(ctx, t, "http://"+web+"/api/v1/stream") })
	all.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pausePing / pauseProxies):
			}
			if err := deliverWithin(proxyTimeout, webhook, pings[n%len(pings)]); err != nil {
				t.Errorf("ping: %v", err)
			}
		}
	})
	all.Wait()
	total := 0
	for _, n := range reads {
		total += n
	}
	if streamed == 0 {
		t.Error("the stream sent nothing")
	}
	t.Logf("%v, %d open: %d reloads, %d scrapes, %d API reads, %d KiB streamed; %.2f processors; %.0f MiB resident", duration, open, reloads, scrapes, total, streamed>>10,
		(cpuTime(t, exporter)-used).Seconds()/duration.Seconds(), float64(resident(t, exporter))/(1<<20))
	for _, pair := range []struct {
		what         string
		ours, theirs *probes
	}{{"events", &ours, &theirs}, {"access-requests", &asked, &constant}} {
		t.Logf("%s: exporter      %v", pair.what, pair.ours)
		t.Logf("%s: empty handler %v", pair.what, pair.theirs)
		if pair.ours.failed > 0 || len(pair.ours.times) == 0 {
			t.Errorf("%d %s failed: %v", pair.ours.failed, pair.what, pair.ours.cause)
		}
		for q, most := range map[float64]time.Duration{.999: pauseQuantile, 1: pauseSlowest} {
			if more := pair.ours.quantile(q) - pair.theirs.quantile(q); *latency && more > most {
				t.Errorf("%s: quantile %v is %v above that of an empty handler, want %v at the most", pair.what, q, more, most)
			}
		}
	}
}

// pauseReads are what the page asks for: lists, searches of open connections and of the history, and the other pages.
var pauseReads = []string{
	"connections?limit=1000", "connections?client=203.0.113.1", "connections?state=finished&limit=1000", "connections?q=state:finished+nothing.example",
	"overview", "top?window=24h&dimension=sni", "access", "status", "connections?q=since:1m+bytes>1kB&format=csv",
}

func urlsOf(web string, paths []string) (urls []string) {
	for _, path := range paths {
		urls = append(urls, "http://"+web+"/api/v1/"+path)
	}
	return urls
}

// follow reads a stream until ctx is done, and returns how many bytes it had.
func follow(ctx context.Context, t *testing.T, url string) (read int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer response.Body.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buf)
		read += n
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("the stream ended: %v", err)
			}
			return read
		}
	}
}

// openMany opens connections, and returns pings that list them.
func openMany(t *testing.T, address string, open int) (pings [][]byte) {
	var all sync.WaitGroup
	for p := range pauseProxies {
		var ids []string
		work := make(chan []byte, 64)
		for range 2 {
			all.Go(func() {
				for body := range work {
					if err := deliver(address, body); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range open / pauseProxies {
			id := fmt.Sprintf("Proxy-%X-SID-%X", 0xA000+p, i+1)
			ids = append(ids, `"`+id+`"`)
			work <- fmt.Appendf(nil, `{"action":"connection-start","details":{"info":{"session":"ssli_10.%d.%d.%d:%d+ssli_192.0.2.10:443"}},"id":"%s","source":"edge-%d","type":"proxy"}`,
				p, i>>8&255, i&255, 1024+i%60000, id, p)
		}
		close(work)
		pings = append(pings, fmt.Appendf(nil, `{"action":"ping","instance":"Proxy-%X","proxies":[%s],"source":"edge-%d","type":"proxy"}`,
			0xA000+p, strings.Join(ids, ","), p))
	}
	all.Wait()
	return pings
}

// send sends events at a rate, whatever becomes of those before, and takes their times.
func (p *probes) send(ctx context.Context, address string, bodies <-chan []byte, rate int) {
	const batch = 10
	gap := time.NewTicker(time.Second * batch / time.Duration(rate))
	defer gap.Stop()
	var sending sync.WaitGroup
	var mu sync.Mutex
	for ctx.Err() == nil {
		<-gap.C
		for range batch {
			sending.Go(func() {
				body := <-bodies
				begin := time.Now()
				err := deliverWithin(proxyTimeout, address, body)
				took := time.Since(begin)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					p.failed, p.cause = p.failed+1, err
					return
				}
				p.times = append(p.times, took)
			})
		}
	}
	sending.Wait()
	slices.Sort(p.times)
}

// fetchEvery reads URLs, one after the other, and returns how many.
func fetchEvery(ctx context.Context, t *testing.T, every time.Duration, urls ...string) int {
	for n := 0; ; n++ {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, urls[n%len(urls)], nil)
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
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: %s", request.URL, response.Status)
		}
		select {
		case <-ctx.Done():
			return n
		case <-time.After(every):
		}
	}
}

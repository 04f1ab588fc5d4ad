//go:build rude

package rude

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// attack is a kind of rude client.
type attack struct {
	name string
	// secure is whether the listener speaks TLS.
	secure bool
	// web is whether the listener of metrics and pages is attacked.
	web bool
	// from is the address that the rude client connects from, or the first of them; rudeAddress if it is "".
	from string
	// addresses is how many addresses the client has, in turn; 0 for one.
	addresses int
	// forgets is whether the exporter forgets proxies meanwhile, and their series with them.
	forgets bool
	// run attacks until ctx is done. It runs in a process of its own for each target.
	run func(ctx context.Context, c *client)
	// judge, if set, looks at what the exporter exposes afterwards.
	judge func(t *testing.T, o outcome)
}

// outcome is what is known after an attack.
type outcome struct {
	metrics metrics
	client  clientResult // of the one that attacked the exporter
	proxy   proxyResult
}

// attacks is every attack of the suite.
var attacks = []attack{
	{name: "10,000 idle connections", run: idleConnections},
	{name: "10,000 idle connections from 500 addresses, TLS", secure: true, addresses: 500, run: idleConnections},
	{name: "10,000 idle connections from the proxy's address", from: proxyAddress, run: idleConnections},
	{name: "slow headers", run: slowHeaders},
	{name: "slow bodies", run: slowBodies},
	{name: "slow bodies from 500 addresses", addresses: 500, run: slowBodies},
	{name: "half requests", run: halfRequests, judge: judgeHalfRequests},
	{name: "2,000 silent connections/s, TLS", secure: true, run: silentConnections},
	{name: "garbage", run: garbage},
	{name: "garbage, TLS", secure: true, run: garbage},
	{name: "plain HTTP to TLS", secure: true, run: plainToTLS},
	{name: "TLS to plain HTTP", run: tlsToPlain},
	{name: "500 handshakes at once, TLS", secure: true, run: handshakes},
	{name: "500 handshakes at once from 500 addresses, TLS", secure: true, addresses: 500, run: handshakes},
	{name: "4 MiB SNI", secure: true, run: largeServerName},
	{name: "HTTP/2 rapid reset", secure: true, run: rapidReset},
	{name: "HTTP/2 SETTINGS flood", secure: true, run: settingsFlood},
	{name: "HTTP/2 PING flood", secure: true, run: pingFlood},
	{name: "HTTP/2 CONTINUATION flood", secure: true, run: continuationFlood},
	{name: "200 bodies of 4 MiB at once", run: largeBodies},
	{name: "compressed and chunked bodies", run: encodedBodies},
	{name: "hostile JSON", run: hostileJSON, judge: judgeJSON},
	{name: "pings that list 100,000 ids", run: longLists, judge: judgeLongLists},
	{name: "ids of another proxy", run: foreignIDs},
	{name: "events replayed", run: replays, judge: judgeReplays},
	{name: "100,000 invented sources", forgets: true, run: inventedSources, judge: judgeSources},
	{name: "path tricks", run: pathTricks, judge: judgePaths},
	{name: "5,000 wrong secrets/s", run: wrongSecrets, judge: judgeSecrets},
	{name: "5,000 wrong secrets/s from the proxy's address", from: proxyAddress, run: wrongSecrets, judge: judgeSecrets},
	{name: "web listener: 10,000 idle connections", web: true, run: idleConnections},
	{name: "web listener: slow headers", web: true, run: slowHeaders},
	{name: "web listener: 200 clients that do not read", web: true, run: slowReaders},
}

// quietTime is how long the proxy is alone before an attack.
const quietTime = 300 * time.Millisecond

// repeat runs one attack, and again as long as answers are slow, and returns what was measured last.
func (a attack) repeat(t *testing.T, p place) (r row) {
	for n := 1; n <= attempts && !t.Failed(); n++ {
		t.Run(fmt.Sprintf("attempt %d", n), func(t *testing.T) { r = a.try(t, p) })
		r.attempts = n
		slow := r.slow()
		if slow == "" {
			break
		}
		if n == attempts {
			t.Error(slow)
		} else {
			t.Log(slow)
		}
	}
	r.failed = t.Failed()
	return r
}

// try runs one attack, and judges all but the times.
func (a attack) try(t *testing.T, p place) row {
	backend := newBackend(t)
	empty := startEmpty(t, p, a.secure)
	exporter := startExporter(t, p, a.secure, backend.url)
	proxy := startProxy(t, proxyJob{Exporter: exporter.webhook, Empty: empty.address, Secure: a.secure})
	// The proxy has measured by itself for a while before anything is compared.
	time.Sleep(quietTime)
	r := row{attack: a, duration: *attackTime, idle: exporter.sample(t)}

	proxy.say(t, phaseAttack)
	began, used := time.Now(), exporter.cpu(t)
	job := clientJob{Attack: a.name, Secure: a.secure, Duration: *attackTime}
	rival := startClient(t, job, empty.address, false)
	attacked := exporter.webhook
	if a.web {
		attacked = exporter.web
	}
	ours := startClient(t, job, attacked, true)
	over, files := make(chan struct{}), make(chan int, 1)
	end := sync.OnceFunc(func() { close(over) })
	defer end()
	go func() { files <- exporter.watch(t, over) }()
	r.client, r.rival = ours.wait(t), rival.wait(t)
	end()
	r.peak.files, r.took, r.cpu = <-files, time.Since(began), exporter.cpu(t)-used
	proxy.say(t, phaseAfter)

	r.after, r.recovered = exporter.recover(t, r.idle)
	r.proxy = proxy.finish(t)
	r.peak.memory = max(r.peak.memory, exporter.peakMemory(t))
	r.logged = exporter.log.count()
	backend.check(t, exporter)
	exposed := exporter.scrape(t)
	exposed.check(t)
	r.judge(t, exposed)
	if a.judge != nil {
		a.judge(t, outcome{exposed, r.client, r.proxy})
	}
	exporter.mustLive(t)
	return r
}

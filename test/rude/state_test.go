//go:build rude

package rude

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	listedIDs      = 100_000
	listedSessions = 60_000 // as many as fit into 4 MiB
	listGap        = 250 * time.Millisecond
	foreignRate    = 300 // a second
	replayed       = 50
	replayRate     = 500
	invented       = 100_000
	sourceWorkers  = 8
)

// longLists pings with lists of all that is open, which is a lot, and another list each time.
func longLists(ctx context.Context, c *client) {
	list := func(name string, n, from int, entry string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"Proxy-3C-SID-%X%s"`, from+i, entry)
		}
		return fmt.Sprintf(`{"action":"ping","instance":"Proxy-3C",%s:[%s],"source":"rude-lists","type":"proxy"}`, name, b.String()[1:])
	}
	var pings []probe
	for i := range 4 {
		from := 1 + i*30_000
		pings = append(pings,
			event("a list of sessions", "ping", list(`"proxies":null,"proxies-plus"`, listedSessions, from, "=tcp_10.0.0.2:50001+tcp_192.0.2.10:22"), accepted),
			event("a list of ids", "ping", list(`"proxies"`, listedIDs, from, ""), accepted))
	}
	for i := 0; ; i++ {
		c.try(ctx, pings[i%len(pings)])
		select {
		case <-ctx.Done():
			return
		case <-time.After(listGap):
		}
	}
}

func judgeLongLists(t *testing.T, o outcome) {
	if n := o.metrics.value("smithproxy_connections_active", "source=rude-lists"); n > 100_000 {
		t.Errorf("%v connections are open, want at most connections.max_open", n)
	}
}

// foreignIDs sends events with the ids of the well-behaved proxy, and lists that lack them, as another proxy. What
// happens to that one's connections is judged after every attack.
func foreignIDs(ctx context.Context, c *client) {
	bodies := []struct{ action, format string }{
		{actionStop, `{"action":"connection-stop","details":{"info":{"bytes_down":1,"bytes_up":1,"session":%[2]q}},"id":%[1]q,"source":"rude-twin","type":"proxy"}`},
		{actionStart, `{"action":"connection-start","details":{"info":{"session":%[2]q}},"id":%[1]q,"source":"rude-twin","type":"proxy"}`},
		{actionInfo, `{"action":"connection-info","details":{"access-request":{"info":{"access-response":{"access-response":"reject"},"session":%[2]q}}},"id":%[1]q,"source":"rude-twin","type":"proxy"}`},
		{"ping", `{"action":"ping","instance":"` + proxyBoot + `","proxies":[],"proxies-plus":[],"source":"rude-twin","type":"proxy","x":[%q,%q]}`},
	}
	c.every(ctx, foreignRate, func(i int) {
		b := bodies[i%len(bodies)]
		// The proxy may be anywhere in the first hundreds of its ids.
		n := i / len(bodies) % 400
		c.try(ctx, event("an id of another proxy", b.action, fmt.Sprintf(b.format, fmt.Sprintf("%s-SID-%X", proxyBoot, n), proxyLabel("ssli", n)), accepted))
	})
}

// replays sends connections that are over, again and again, as somebody does who has recorded them.
func replays(ctx context.Context, c *client) {
	var recorded []probe
	for i := range replayed {
		id, label := fmt.Sprintf("Proxy-4D-SID-%X", i), fmt.Sprintf("tcp_10.8.0.%d:4000+tcp_192.0.2.9:80", i)
		for _, e := range []struct{ action, details string }{
			{actionStart, fmt.Sprintf(`{"info":{"session":%q}}`, label)},
			{actionStop, fmt.Sprintf(`{"info":{"bytes_down":1000,"bytes_up":100,"policy":0,"session":%q}}`, label)},
			{actionInfo, fmt.Sprintf(`{"statistics":{"info":{"session":%q},"entropy":{"left":{"entropy":7,"bytes_accounted":512},"right":{"entropy":7,"bytes_accounted":512}},"flow":{"skew":0.5}}}`, label)},
		} {
			recorded = append(recorded, event("a replay", e.action, fmt.Sprintf(`{"action":%q,"details":%s,"id":%q,"source":"rude-replay","type":"proxy"}`, e.action, e.details, id), accepted))
		}
	}
	for _, p := range recorded {
		c.try(ctx, p)
	}
	c.every(ctx, replayRate, func(i int) { c.try(ctx, recorded[i%len(recorded)]) })
}

func judgeReplays(t *testing.T, o outcome) {
	for name, want := range map[string]float64{
		"smithproxy_connections_started_total": replayed,
		"smithproxy_connections_closed_total":  replayed,
		"smithproxy_connection_bytes_total":    replayed * 1100,
		"smithproxy_payload_entropy_bits":      replayed * 2,
		"smithproxy_connections_active":        0,
	} {
		if got := o.metrics.value(name, "source=rude-replay"); got != want {
			t.Errorf("%s is %v after replays, want %v", name, got, want)
		}
	}
}

// inventedSources speaks as ever new proxies, some of which ping.
func inventedSources(ctx context.Context, c *client) {
	c.stream(ctx, sourceWorkers, invented/5, func(worker, i int) probe {
		source := fmt.Sprintf("rude-%d-%d", worker, i%(invented/sourceWorkers))
		if i%10 == 0 {
			return event("an invented ping", "ping", fmt.Sprintf(`{"action":"ping","instance":"Proxy-5E","proxies":[],"source":%q,"type":"proxy"}`, source), accepted)
		}
		return event("an invented start", actionStart, startBody(source, "Proxy-5E-SID-1"), accepted)
	})
}

func judgeSources(t *testing.T, o outcome) {
	if n := o.metrics.value("smithproxy_exporter_proxies"); n > 1000 {
		t.Errorf("%v proxies are known, want at most proxies.max", n)
	}
	if o.metrics.value("smithproxy_up", "source="+proxySource) != 1 {
		t.Error("the proxy that pings was forgotten for invented ones")
	}
}

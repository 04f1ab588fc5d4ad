package collector

import (
	"fmt"
	"testing"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

func TestPolicies(t *testing.T) {
	w := newWorld(t, 10)
	for policy := range map[int]bool{event.PolicyImplicit: true, 0: true} {
		w.connection(fmt.Sprintf("Proxy-A1-OID-%d", policy), event.Stop{Policy: &policy})
	}
	series := func(policy, app, reason string, n int) string {
		return fmt.Sprintf(`{app=%q,policy=%q,reason=%q,source="edge-1"} %d`, app, policy, reason, n)
	}
	var want []string
	for _, kind := range []kind{{"-1", ""}, {"0", ""}, {"_other", "_other"}, {"implicit", ""}} {
		for _, reason := range []string{"evicted", "lost", "rejected", "restart", "stop"} {
			n := 0
			if reason == "stop" && (kind.policy == "0" || kind.policy == "implicit") {
				n = 1
			}
			want = append(want, series(kind.policy, kind.app, reason, n))
		}
	}
	// In the order of labels: by app first.
	want = append(append(append([]string{}, want[:10]...), want[15:]...), want[10:15]...)
	w.shows("smithproxy_connections_closed_total", want...)
}

// TestEviction has no room for a second connection.
func TestEviction(t *testing.T) {
	w := newWorld(t, 10)
	c := track.DefaultConfig()
	c.Connections.MaxOpen = 1
	w.tracker = track.New(c, w.sink.Take)
	w.send(event.ActionStart, "Proxy-A1-OID-1", event.Start{Session: "tcp_10.0.0.1:1+tcp_10.0.0.2:2"})
	w.send(event.ActionStart, "Proxy-A1-OID-2", event.Start{Session: "tcp_10.0.0.1:3+tcp_10.0.0.2:2"})
	w.shows("smithproxy_connections_closed_total",
		`{app="",policy="-1",reason="evicted",source="edge-1"} 1`,
		`{app="",policy="-1",reason="lost",source="edge-1"} 0`,
		`{app="",policy="-1",reason="rejected",source="edge-1"} 0`,
		`{app="",policy="-1",reason="restart",source="edge-1"} 0`,
		`{app="",policy="-1",reason="stop",source="edge-1"} 0`,
		`{app="_other",policy="_other",reason="evicted",source="edge-1"} 0`,
		`{app="_other",policy="_other",reason="lost",source="edge-1"} 0`,
		`{app="_other",policy="_other",reason="rejected",source="edge-1"} 0`,
		`{app="_other",policy="_other",reason="restart",source="edge-1"} 0`,
		`{app="_other",policy="_other",reason="stop",source="edge-1"} 0`,
	)
	w.shows("smithproxy_connections_active", `{source="edge-1"} 1`)
}

// TestTransports has more transports than there is room for: any client with the secret can invent them.
func TestTransports(t *testing.T) {
	w := newWorld(t, 2)
	for i, name := range []string{"mf", "ssh", "ssli", "new1", "new2", "new3", "new4", "new1", "NO"} {
		label := fmt.Sprintf("%s_10.0.0.1:%d+%s_10.0.0.2:443", name, i+1, name)
		w.send(event.ActionStart, fmt.Sprintf("Proxy-A1-OID-%d", i), event.Start{Session: label})
	}
	w.shows("smithproxy_connections_started_total",
		`{source="edge-1",transport="_other"} 3`,
		`{source="edge-1",transport="new1"} 2`,
		`{source="edge-1",transport="new2"} 1`,
		`{source="edge-1",transport="quic"} 1`,
		`{source="edge-1",transport="ssh"} 1`,
		`{source="edge-1",transport="tcp"} 0`,
		`{source="edge-1",transport="tls"} 1`,
		`{source="edge-1",transport="udp"} 0`,
		`{source="edge-1",transport="unix"} 0`,
	)
}

func TestSinkhole(t *testing.T) {
	w := newWorld(t, 10)
	info := event.Info{Sinkhole: &event.Sinkhole{Left: true, Right: true, SunkenLeft: 10, SunkenRight: 3}}
	w.send(event.ActionInfo, "Proxy-A1-OID-1", info)
	w.send(event.ActionInfo, "Proxy-A1-OID-1", info) // a repeat
	w.shows("smithproxy_sinkhole_bytes_total", `{direction="down",source="edge-1"} 3`, `{direction="up",source="edge-1"} 10`)
}

// TestUnanswered has proxies report the answers that they got, in time and late.
func TestUnanswered(t *testing.T) {
	w := newWorld(t, 10)
	const session = "tcp_10.0.0.1:1+tcp_10.0.0.2:2"
	for id, echo := range map[string]*event.Echo{
		"Proxy-A1-OID-1": {Session: session}, "Proxy-A1-OID-2": {Session: session, Verdict: event.Accept},
		"Proxy-A1-OID-3": {Session: session, Verdict: event.Reject}, "Proxy-A1-OID-4": nil,
	} {
		w.send(event.ActionStop, id, event.Stop{Session: session})
		w.send(event.ActionInfo, id, event.Info{Echo: echo})
	}
	w.send(event.ActionStop, "Proxy-A1-OID-5", event.Stop{Session: session})
	w.wait(track.DefaultConfig().Connections.GracePeriod * 2)
	w.shows("smithproxy_access_unanswered_total", `{source="edge-1"} 1`)
	for range 2 {
		w.send(event.ActionInfo, "Proxy-A1-OID-5", event.Info{Echo: &event.Echo{Session: session}})
	}
	w.shows("smithproxy_access_unanswered_total", `{source="edge-1"} 2`)
}

// TestRestoredProxy has a proxy come back from the store: it is shown, and has not spoken.
func TestRestoredProxy(t *testing.T) {
	w := newWorld(t, 10)
	w.sink.Take(track.ProxyAppeared{Source: "edge-1"})
	w.sink.Take(track.ProxyStatus{Source: "edge-1", Unknown: true, Open: 2, Neighbors: 1})
	w.shows("smithproxy_up")
	w.shows("smithproxy_last_ping_timestamp_seconds")
	w.shows("smithproxy_connections_active", `{source="edge-1"} 2`)
	w.now = w.now.Add(DefaultConfig().Expiry)
	w.sink.Take(track.NeighborSeen{Source: "edge-1", Address: "10.0.0.1", At: epoch, Discovered: true, Restored: true})
	w.shows("smithproxy_neighbors_discovered_total")
	w.sink.Take(track.ProxyStatus{Source: "edge-1", PingedAt: epoch, Instance: "Proxy-A1"})
	w.shows("smithproxy_up", `{source="edge-1"} 0`)
	w.shows("smithproxy_instance_info", `{instance="Proxy-A1",source="edge-1"} 1`)
	w.sink.Take(track.Received{Source: "edge-1", Action: event.ActionPing})
	w.sink.Take(track.ProxyStatus{Source: "edge-1", Up: true, PingedAt: epoch, Instance: "Proxy-A1"})
	w.shows("smithproxy_up", `{source="edge-1"} 1`)
	w.shows("smithproxy_neighbors_discovered_total", `{source="edge-1"} 0`)
}

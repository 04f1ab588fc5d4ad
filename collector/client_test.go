package collector

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/track"
)

func network(name string, cidrs ...string) NetworkConfig {
	n := NetworkConfig{Name: name}
	for _, cidr := range cidrs {
		n.CIDRs = append(n.CIDRs, access.Network(netip.MustParsePrefix(cidr)))
	}
	return n
}

func TestNetworks(t *testing.T) {
	n := NewNetworks([]NetworkConfig{
		network("lab", "10.0.0.0/8", "fd00::/8"), network("guests", "10.20.0.0/16"), network("printer", "10.20.0.9/32"),
	})
	for host, want := range map[string]string{
		"10.1.1.1": "lab", "fd00::1": "lab", "10.20.1.1": "guests", "10.20.0.9": "printer", "::ffff:10.20.0.9": "printer",
		"192.0.2.1": "", "client-0123456789abcdef": "", "": "",
	} {
		if got := n.NameOf(host); got != want {
			t.Errorf("%q is in %q, want %q", host, got, want)
		}
	}
	if got := (Networks{}).NameOf("10.1.1.1"); got != "" {
		t.Errorf("without networks, an address is in %q", got)
	}
}

// visit starts and stops a connection of a client.
func (w *world) visit(n int, client, server string, stop event.Stop) {
	stop.Session = fmt.Sprintf("tcp_%s:%d+tcp_%s:80", client, 1024+n, server)
	id := fmt.Sprintf("Proxy-A1-SID-%X", n)
	w.send(event.ActionStart, id, event.Start{Session: stop.Session})
	w.send(event.ActionStop, id, stop)
}

// reject answers an access-request of a client.
func (w *world) reject(n int, rule, client, server string) {
	w.tracker.Decide(track.Decision{
		Source: "edge-1", ID: fmt.Sprint("d", n), Label: fmt.Sprintf("tcp_%s:%d+tcp_%s:25", client, 30000+n, server), Policy: -1,
		Verdict: event.Reject, Rule: rule, Received: w.now, Mono: instant(w.now).Mono, Answered: w.now,
	}, nil)
}

// TestClients has more clients than series: the sums of each network are exact all the same.
func TestClients(t *testing.T) {
	w := newWorldOf(t, func(c *Config) {
		c.MaxValues = 2
		c.Networks = []NetworkConfig{network("guests", "10.20.0.0/16")}
	})
	for i, client := range []string{"10.20.0.1", "10.20.0.2", "10.20.0.3", "10.30.0.1", "10.20.0.1"} {
		w.visit(i, client, "192.0.2.1", event.Stop{BytesUp: 1, BytesDown: 10})
	}
	w.reject(1, "mail", "10.20.0.1", "192.0.2.7")
	w.reject(2, "mail", "10.20.0.9", "192.0.2.8")
	w.send(event.ActionStop, "Proxy-A1-SID-FF", event.Stop{BytesUp: 3}) // of an unknown client
	w.shows("smithproxy_client_connections_total",
		`{client="10.20.0.1",network="guests",source="edge-1"} 2`,
		`{client="10.20.0.2",network="guests",source="edge-1"} 1`,
		`{client="_other",network="",source="edge-1"} 2`,
		`{client="_other",network="guests",source="edge-1"} 1`)
	w.shows("smithproxy_client_bytes_total",
		`{client="10.20.0.1",direction="down",network="guests",source="edge-1"} 20`,
		`{client="10.20.0.1",direction="up",network="guests",source="edge-1"} 2`,
		`{client="10.20.0.2",direction="down",network="guests",source="edge-1"} 10`,
		`{client="10.20.0.2",direction="up",network="guests",source="edge-1"} 1`,
		`{client="_other",direction="down",network="",source="edge-1"} 10`,
		`{client="_other",direction="down",network="guests",source="edge-1"} 10`,
		`{client="_other",direction="up",network="",source="edge-1"} 4`,
		`{client="_other",direction="up",network="guests",source="edge-1"} 1`)
	w.shows("smithproxy_client_rejects_total",
		`{client="10.20.0.1",network="guests",source="edge-1"} 1`,
		`{client="10.20.0.2",network="guests",source="edge-1"} 0`,
		`{client="_other",network="",source="edge-1"} 0`,
		`{client="_other",network="guests",source="edge-1"} 1`)
	w.shows("smithproxy_access_rejects_total",
		`{client="10.20.0.1",network="guests",rule="mail",source="edge-1"} 1`,
		`{client="10.20.0.9",network="guests",rule="mail",source="edge-1"} 1`,
		`{client="_other",network="",rule="_other",source="edge-1"} 0`)
	w.shows("smithproxy_server_rejects_total",
		`{rule="_other",server="_other",source="edge-1"} 0`,
		`{rule="mail",server="192.0.2.7",source="edge-1"} 1`,
		`{rule="mail",server="192.0.2.8",source="edge-1"} 1`)
}

// TestServerAddresses counts a connection by its server's address, or by its server name, and not by both.
func TestServerAddresses(t *testing.T) {
	w := newWorld(t, 10)
	w.visit(1, "10.0.0.1", "192.0.2.1", event.Stop{BytesUp: 1, BytesDown: 2})
	w.visit(2, "10.0.0.1", "192.0.2.1", event.Stop{SNI: "example.com", BytesUp: 4})
	w.shows("smithproxy_server_connections_total", `{server="192.0.2.1",source="edge-1"} 1`, `{server="_other",source="edge-1"} 0`)
	w.shows("smithproxy_server_bytes_total",
		`{direction="down",server="192.0.2.1",source="edge-1"} 2`, `{direction="down",server="_other",source="edge-1"} 0`,
		`{direction="up",server="192.0.2.1",source="edge-1"} 1`, `{direction="up",server="_other",source="edge-1"} 0`)
}

// atlas is a geo.Locator.
type atlas map[string]geo.Place

func (a atlas) Place(addr netip.Addr) geo.Place { return a[addr.String()] }

func TestPlaces(t *testing.T) {
	w := newWorld(t, 10)
	w.visit(1, "10.0.0.1", "192.0.2.1", event.Stop{BytesUp: 1})
	if text := w.exposition(); strings.Contains(text, "smithproxy_geo_") {
		t.Errorf("there are places without a locator:\n%s", text)
	}
	w = newWorld(t, 10)
	w.sink.UseLocator(atlas{"192.0.2.1": {Country: "CZ", ASN: 64500, Organization: "Example"}})
	w.visit(1, "10.0.0.1", "192.0.2.1", event.Stop{BytesUp: 1, BytesDown: 2})
	w.visit(2, "10.0.0.1", "10.0.0.2", event.Stop{BytesUp: 4})
	w.visit(3, "10.0.0.1", "a.example", event.Stop{})
	w.shows("smithproxy_geo_connections_total",
		`{as="",country="",source="edge-1"} 2`, `{as="AS64500 Example",country="CZ",source="edge-1"} 1`, `{as="_other",country="_other",source="edge-1"} 0`)
	w.shows("smithproxy_geo_bytes_total",
		`{as="",country="",direction="down",source="edge-1"} 0`, `{as="",country="",direction="up",source="edge-1"} 4`,
		`{as="AS64500 Example",country="CZ",direction="down",source="edge-1"} 2`, `{as="AS64500 Example",country="CZ",direction="up",source="edge-1"} 1`,
		`{as="_other",country="_other",direction="down",source="edge-1"} 0`, `{as="_other",country="_other",direction="up",source="edge-1"} 0`)
}

// TestConnectionsOfProxyThatIsDown: they are not active, until the proxy lists them.
func TestConnectionsOfProxyThatIsDown(t *testing.T) {
	w := newWorld(t, 10)
	list := event.Ping{Instance: "Proxy-A1", Listed: true, Open: []string{"Proxy-A1-SID-1"}}
	w.send(event.ActionPing, "", list)
	w.send(event.ActionStart, "Proxy-A1-SID-1", event.Start{Session: "tcp_10.0.0.1:1+tcp_10.0.0.2:2"})
	w.shows("smithproxy_connections_active", `{source="edge-1"} 1`)
	w.wait(6 * time.Minute)
	w.shows("smithproxy_up", `{source="edge-1"} 0`)
	w.shows("smithproxy_connections_active", `{source="edge-1"} 0`)
	w.send(event.ActionPing, "", list)
	w.shows("smithproxy_connections_active", `{source="edge-1"} 1`)
}

// TestForgottenOnDemand: an operator has a proxy forgotten. It is named for a while, or until it is back.
func TestForgottenOnDemand(t *testing.T) {
	w := newWorld(t, 10)
	const name = "smithproxy_exporter_proxy_forgotten_timestamp_seconds"
	forget := func() {
		t.Helper()
		w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
		if err := w.tracker.Forget("edge-1"); err != nil {
			t.Fatal(err)
		}
		w.advance()
	}
	forget()
	if text := w.exposition(); strings.Count(text, "edge-1") != 1 {
		t.Errorf("series of a forgotten proxy are left:\n%s", text)
	}
	w.shows(name, fmt.Sprintf(`{source="edge-1"} %v`, float64(epoch.Unix())))
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.shows(name)
	forget()
	w.now = w.now.Add(forgottenFor)
	w.shows(name)
}

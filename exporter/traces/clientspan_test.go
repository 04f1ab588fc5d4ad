package traces

import (
	"net/netip"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
)

func TestServices(t *testing.T) {
	p := newPeers(ClientSpanConfig{Services: []ServiceConfig{
		{Name: "code", Domains: []string{"GitHub.com.", "example.org"}},
		{Name: "backups", Servers: []access.Network{access.Network(netip.MustParsePrefix("192.0.2.0/24"))}},
	}}, func(host string) string { return map[string]string{"10.20.0.1": "guests"}[host] })
	for _, tt := range []struct{ server, sni, want string }{
		{"198.51.100.1", "github.com", "code"},
		{"198.51.100.1", "API.github.com.", "code"},
		{"198.51.100.1", "notgithub.com", "internet"},
		{"198.51.100.1", "github.com.evil.example", "internet"},
		{"192.0.2.7", "", "backups"},
		{"192.0.2.7", "example.org", "code"},
		{"::ffff:192.0.2.7", "", "backups"},
		{"198.51.100.1", "", "internet"},
		{"2001:db8::1", "", "internet"},
		{"10.1.1.1", "", "internal"},
		{"fd00::1", "intranet.example", "internal"},
		{"127.0.0.1", "", "internal"},
		{"host.example", "", "unknown"},
		{"host.example", "www.example.com", "internet"},
		{"", "", "unknown"},
	} {
		s := event.Session{Server: event.Endpoint{Host: tt.server}}
		if got := p.server(s, tt.sni); got != tt.want {
			t.Errorf("%q at %q is %s, want %s", tt.sni, tt.server, got, tt.want)
		}
	}
	for host, want := range map[string]string{"10.20.0.1": "guests", "10.30.0.1": "clients"} {
		if got := p.client(event.Session{Client: event.Endpoint{Host: host}}); got != want {
			t.Errorf("%s is one of %s, want %s", host, got, want)
		}
	}
}

// TestClientSpan has what a service graph needs: a SERVER span without a parent, and a CLIENT span below it without a
// child, each with the name of the other side.
func TestClientSpan(t *testing.T) {
	c := DefaultSpanConfig()
	c.ClientSpan.Enabled = true
	l := newLife(t, c)
	l.apply(event.Start{Session: lifeLabel}, 0)
	l.apply(event.Stop{Session: lifeLabel, SNI: "example.org"}, time.Second)
	l.apply(event.Info{}, 2*time.Second)
	spans, _ := made(t, l.sink)
	root, client := spans["tcp"], spans[nameClient]
	if root == nil || client == nil || len(spans) != 2 {
		t.Fatalf("spans are %v", spans)
	}
	if string(client.GetParentSpanId()) != string(root.GetSpanId()) || client.GetKind() != tracepb.Span_SPAN_KIND_CLIENT ||
		client.GetStartTimeUnixNano() != root.GetStartTimeUnixNano() || client.GetEndTimeUnixNano() != root.GetEndTimeUnixNano() ||
		client.GetTraceState() != root.GetTraceState() {
		t.Errorf("the spans are %v and %v", root, client)
	}
	for span, want := range map[*tracepb.Span]string{root: serviceClients, client: serviceInternet} {
		if got := attributeOf(span, "peer.service"); got != want {
			t.Errorf("the peer of %s is %q, want %q", span.GetName(), got, want)
		}
	}
	if got := attributeOf(client, "server.address"); got != "example.org" {
		t.Errorf("server.address is %q", got)
	}
}

// TestNoClientSpanOfRejected: nothing was sent to the server.
func TestNoClientSpanOfRejected(t *testing.T) {
	c := DefaultSpanConfig()
	c.ClientSpan.Enabled = true
	l := newLife(t, c)
	l.apply(event.Info{Echo: &event.Echo{Session: lifeLabel, Verdict: event.Reject}}, 0)
	l.sends(time.Minute, "tcp")
}

func attributeOf(span *tracepb.Span, key string) string {
	for _, kv := range span.GetAttributes() {
		if kv.GetKey() == key {
			return kv.GetValue().GetStringValue()
		}
	}
	return ""
}

package web

import (
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

func TestFilter(t *testing.T) {
	const label = "ssli_10.77.1.2:40762+ssli_192.0.2.10:443"
	open := track.Connection{Source: "proxy-a", ID: "1", N: 1, State: track.StateOpen, Label: label, Transport: event.TCP}
	stop := &event.Stop{App: "http1", SNI: "www.example.com"}
	closing := track.Connection{Source: "proxy-a", ID: "1", N: 1, State: track.StateClosing, Cause: track.CauseStop, Label: label, Stop: stop}
	closed := track.Connection{Source: "proxy-a", ID: "1", N: 1, State: track.StateClosed, Cause: track.CauseIdle, Label: label}
	labelled := func(label string) track.Connection {
		return track.Connection{Source: "proxy-a", ID: "1", N: 1, State: track.StateOpen, Label: label}
	}
	v6 := labelled("udp_2001:db8::2:5000+udp_2001:db8:1::1:53")
	mapped := labelled("tcp_::ffff:10.0.0.1:1+tcp_::ffff:10.0.0.2:2")
	tests := []struct {
		query string
		c     track.Connection
		want  bool
	}{
		{"", open, true},
		{"source=proxy-a", open, true},
		{"source=proxy", open, false},
		{"source=PROXY-A", open, false},
		{"state=open", open, true},
		{"state=open", closing, false},
		{"state=unknown", open, false},
		{"state=unknown", closing, false},
		{"state=closing", closing, true},
		{"state=finished", closed, true},
		{"state=finished", closing, false},
		{"reason=stop", closing, true},
		{"reason=stop", open, false},
		{"reason=lost", closed, true},
		{"reason=evicted", closed, false},
		{"app=http1", closing, true},
		{"app=http", closing, false},
		{"app=http1", open, false},
		{"client=10.77.1.2", open, true},
		{"client=10.77.1.3", open, false},
		{"client=10.77.0.0/16", open, true},
		{"client=10.77.1.2/32", open, true},
		{"client=10.78.0.0/16", open, false},
		{"client=0.0.0.0/0", open, true},
		{"client=::/0", open, false},
		{"client=192.0.2.10", open, false}, // the server
		{"client=::ffff:10.77.1.2", open, true},
		{"client=client-0123456789abcdef", labelled("tcp_client-0123456789abcdef:1+tcp_10.0.0.2:2"), true},
		{"client=client-0123456789abcdef", labelled("tcp_client-0123456789abcdee:1+tcp_10.0.0.2:2"), false},
		{"client=0.0.0.0/0", labelled("tcp_client-0123456789abcdef:1+tcp_10.0.0.2:2"), false},
		{"client=10.77.1.0/24", labelled("tcp_10.77.1.0:1+tcp_10.0.0.2:2"), true}, // truncated
		{"client=::ffff:10.77.0.0/112", open, true},
		{"client=2001:db8:0::2", v6, true},
		{"client=2001:db8::/32", v6, true},
		{"client=2001:db9::/32", v6, false},
		{"client=10.0.0.1", mapped, true},
		{"client=10.0.0.0/8", mapped, true},
		{"client=10.0.0.0/8", labelled("tcp_host.example:1+tcp_10.0.0.2:2"), false},
		{"client=10.0.0.0/8", labelled("tcp_1.2.3:1+tcp_10.0.0.2:2"), false},
		{"client=0.0.0.0/0", labelled("tcp_:1+?:"), false},
		{"client=10.0.0.0/8", labelled("nonsense"), false},
		{"server=192.0.2.10", open, true},
		{"server=192.0.2.0/24", open, true},
		{"server=198.51.100.0/24", open, false},
		{"server=10.77.1.2", open, false}, // the client
		{"server=www.example.com", closing, true},
		{"server=www.example.com", open, false},
		{"server=example.com", closing, false},
		{"server=192.0.2.10", closing, true},
		{"server=host.example", labelled("tcp_10.0.0.1:1+tcp_host.example:2"), true},
		{"server=/run/a.sock", labelled("ux_10.0.0.1:1+ux_/run/a.sock:2"), true},
		{"transport=tcp", open, true}, // by the start, whatever the label
		{"transport=tls", open, false},
		{"transport=tls", closing, true},
		{"transport=udp", v6, true},
		{"transport=quic", labelled("mf_10.0.0.1:1+mf_10.0.0.2:443"), true},
		{"transport=unknown", labelled("nonsense"), true},
		{"client=10.77.1.2&server=192.0.2.10&app=http1&state=closing&reason=stop&source=proxy-a&transport=tls", closing, true},
		{"client=10.77.1.2&server=192.0.2.11&app=http1", closing, false},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			q, err := newQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := q.matches(&tt.c); got != tt.want {
				t.Errorf("matches(%s) = %v, want %v", tt.c.Label, got, tt.want)
			}
		})
	}
}

func TestQueryRefuses(t *testing.T) {
	tests := []struct{ query, names string }{
		{"state=done", "state"},
		{"state=Open", "state"},
		{"state=closed", "state"},
		{"limit=0", "limit"},
		{"limit=-1", "limit"},
		{"limit=1001", "limit"},
		{"limit=ten", "limit"},
		{"limit=99999999999999999999", "limit"},
		{"reason=stopped", "reason"},
		{"client=www.example.com", "client"},
		{"client=10.0.0.0/33", "client"},
		{"client=10.0.0.1:80", "client"},
		{"server=10.0.0.0/33", "server"},
		{"transport=TLS", "transport"},
		{"transport=a-b", "transport"},
		{"cursor=1", "cursor"},
		{"cursor=!", "cursor"},
		{"cursor=bA", "cursor"},   // "l"
		{"cursor=eAE", "cursor"},  // "x\x01"
		{"cursor=ZgA", "cursor"},  // "f\x00"
		{"cursor=ZgFh", "cursor"}, // "f\x01a"
		{"cursor=bP8", "cursor"},  // "l\xff"
		{"sources=a", "sources"},
		{"Source=a", "Source"},
		{"=a", ": "},
		{"source=a&source=a", "source"},
		{"source=%zz", "query string"},
		{"source=a;state=open", "query string"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			if _, err := newQuery(tt.query); err == nil || !strings.HasPrefix(err.Error(), tt.names) {
				t.Errorf("newQuery() = %v, want an error that begins with %q", err, tt.names)
			}
		})
	}
}

func TestPositionEncode(t *testing.T) {
	for _, p := range []position{
		{}, {before: 1}, {before: 1 << 63},
		{live: track.Cursor{Source: "proxy-a", Serial: 1 << 40}}, {live: track.Cursor{Source: "ä\x00/"}},
	} {
		text := p.encode()
		got, err := decodePosition(text)
		if err != nil || got != p {
			t.Errorf("decodePosition(%q) = %v, %v, want %v", text, got, err, p)
		}
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			t.Errorf("%q has to be escaped in a URL", text)
		}
	}
}

// What does not match is looked at without an allocation: the pipeline waits meanwhile.
func TestMatchesAllocatesNothing(t *testing.T) {
	q, err := newQuery("client=192.0.2.0/24&server=host.example&transport=tcp")
	if err != nil {
		t.Fatal(err)
	}
	server, err := newQuery("server=192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{
		"tcp_10.77.1.2:40762+tcp_10.77.2.2:443", "tcp_2001:db8::2:5000+tcp_2001:db8:1::1:53",
		"tcp_host.example:1+tcp_www.example.com:443", "nonsense", "",
	} {
		c := &track.Connection{Source: "proxy-a", ID: "1", State: track.StateOpen, Label: label}
		if n := testing.AllocsPerRun(100, func() { q.matches(c); server.matches(c) }); n > 0 {
			t.Errorf("matches(%q) allocates %v times", label, n)
		}
	}
}

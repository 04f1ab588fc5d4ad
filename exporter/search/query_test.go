package search

import (
	"errors"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// subjects are connections of one page by a name for tests.
func subjects() map[string]*Subject {
	endpoint := func(t event.Transport, host string, port uint16) event.Endpoint {
		return event.Endpoint{Transport: t, Host: host, Port: port}
	}
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixNano() }
	return map[string]*Subject{
		"web": {
			Source: "edge-1", ID: "Proxy-A1-SID-1", N: 1, State: Finished, Reason: track.ReasonStop, SNI: "WWW.Example.com", App: "http2",
			Client: endpoint(event.TLS, "10.1.2.3", 40000), Server: endpoint(event.TLS, "192.0.2.10", 443), JA4: "t13d1516h2_a_b",
			Policy: 2, Verdict: event.Accept, Rule: "web", DryRunRule: "new", Stopped: true, Up: 1 << 20, Down: 10_000_000,
			Measured: true, Entropy: 7.9, Start: ago(30 * time.Minute), End: ago(20 * time.Minute),
			Requests: []string{"https://www.example.com/Login?user=1"},
		},
		"open": {
			Source: "edge-2", ID: "Proxy-A1-PTR-2", N: 2, State: Open, Transport: event.TCP, Policy: event.PolicyUnknown,
			Client: endpoint(event.TCP, "2001:db8::2", 5000), Server: endpoint(event.TCP, "", 0), Start: ago(3 * time.Hour),
		},
		"rejected": {
			Source: "lab", ID: "x", N: 1, State: Closing, Reason: track.ReasonRejected, Policy: event.PolicyImplicit, Verdict: event.Reject,
			Rule: "default", Client: endpoint(event.UDP, "client-0123456789abcdef", 1), Server: endpoint(event.UDP, "::ffff:10.0.0.2", 53),
			Start: ago(time.Minute), End: ago(time.Minute),
		},
	}
}

func TestMatch(t *testing.T) {
	tests := []struct{ query, want string }{
		{"", "open rejected web"},
		{"  ", "open rejected web"},
		{"source:edge-1", "web"},
		{"source:edge-*", "open web"},
		{"source:EDGE-1", ""},
		{"source:edge-1,lab", "rejected web"},
		{"-source:edge-1", "open rejected"},
		{"client:10.0.0.0/8", "web"},
		{"client:10.1.2.3", "web"},
		{"client:::ffff:10.1.2.3", "web"},
		{"client:2001:db8::/32", "open"},
		{"client:client-0123456789abcdef", "rejected"},
		{"client:0.0.0.0/0,::/0", "open web"},
		{"-client:0.0.0.0/0", "open rejected"},
		{"server:192.0.2.0/24", "web"},
		{"server:10.0.0.2", "rejected"},
		{"server:www.example.com", "web"},
		{"server:*.example.com", "web"},
		{"server:example.com", ""},
		{"port:443", "web"},
		{"port:443,53", "rejected web"},
		{"sni:www.example.com", "web"},
		{"sni:*example*", "web"},
		{"sni:*", "web"},
		{"-sni:*", "open rejected"},
		{"app:HTTP2", "web"},
		{"app:http", ""},
		{"transport:tls", "web"},
		{"transport:tcp,udp", "open rejected"},
		{"policy:2", "web"},
		{"policy:implicit", "rejected"},
		{"policy:unknown", "open"},
		{"verdict:reject", "rejected"},
		{"verdict:none", "open"},
		{"rule:web", "web"},
		{"rule:new", "web"},
		{"rule:default", "rejected"},
		{"state:open", "open"},
		{"state:open,closing", "open rejected"},
		{"-state:finished", "open rejected"},
		{"reason:rejected", "rejected"},
		{"bytes>10MB", "web"},
		{"bytes>=11048576", "web"},
		{"bytes>11048576", ""},
		{"bytes:11048576", "web"},
		{"bytes<1", ""}, // unknown ones do not match
		{"up>1000kB up<=1MiB", "web"},
		{"down<10MB", ""},
		{"down<=10MB", "web"},
		{"duration>1h", "open"},
		{"duration>=10m", "open web"},
		{"duration<1s", "rejected"},
		{"entropy>7.5", "web"},
		{"entropy<8", "web"},
		{"-entropy>7.5", "open rejected"},
		{"since:10m", "open rejected"},
		{"since:25m", "open rejected web"},
		{"since:2026-11-24T11:50:00Z", "open rejected"},
		{"since:2026-11-24T12:50:00+01:00", "open rejected"},
		{"until:1h", "open"},
		{"until:2026-11-24T11:30", "open web"},
		{"until:2026-11-24", ""},
		{"since:40m until:2m", "open web"},
		{"ja4:t13*", "web"},
		{"id:Proxy-A1-SID-1", "web"},
		{"id:Proxy-A1-PTR-2", "open"},
		{"id:Proxy-A1-PTR-2#2", "open"},
		{"id:Proxy-A1-PTR-2#3", ""},
		{"example", "web"},
		{"EXAMPLE.com", "web"},
		{"login", "web"},
		{"https://www.example.com/login", "web"},
		{`"user=1"`, "web"},
		{`-"user=1"`, "open rejected"},
		{"10.1.2.3", "web"},
		{"10.1.2.", "web"},
		{"10.0.0.0/8", "rejected web"},
		{"2001:db8::2", "open"},
		{"db8", "open"},
		{"a,b", ""},
		{"<script>", ""},
		{":", "open rejected web"},
		{"source:edge-* -state:open bytes>1k", "web"},
		{`source:"edge-1"`, "web"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			q, err := Parse(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range []string{"open", "rejected", "web"} {
				if q.Match(subjects()[name], now.UnixNano()) {
					got = append(got, name)
				}
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("matches %q, want %q", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		query    string
		position int
		says     string
	}{
		{"clint:10.0.0.1", 0, "there is no term clint"},
		{"app:http2 foo:bar", 10, "there is no term foo"},
		{"ap:http2", 0, "similar is app"},
		{"foo>5", 0, "there is no term foo"},
		{"client:", 7, "client: the value is missing"},
		{"client:10.0.0.1,", 7, "client: the value is missing"},
		{"client:www.example.com", 7, "client: must be an IP address"},
		{"client:10.0.0.0/33", 7, "client: must be"},
		{"server:10.0.0.0/33", 7, `server: "10.0.0.0/33" is not a CIDR`},
		{"  -port:99999", 8, "port: \"99999\" is not a port"},
		{"port>5", 0, "port: wrong operator >: use :"},
		{"bytes>10XB", 6, "bytes: \"10XB\" is not a size"},
		{"bytes>1e9", 6, "is not a size"},
		{"bytes>-1", 6, "is not a size"},
		{"bytes>1,2", 6, "takes one value"},
		{"bytes>NaN", 6, "is not a size"},
		{"duration>10", 9, "duration: \"10\" is not a duration"},
		{"duration>-1m", 9, "is not a duration"},
		{"duration>4000d", 9, "is not a duration"},
		{"entropy>9", 8, "from 0 to 8"},
		{"entropy>NaN", 8, "from 0 to 8"},
		{"since:yesterday", 6, "neither a duration"},
		{"since:2026-13-01", 6, "neither a duration"},
		{"until:9999-01-01", 6, "neither a duration"},
		{"state:done", 6, "must be open, closing or finished"},
		{"verdict:maybe", 8, "none of accept, reject, none"},
		{"reason:stopped", 7, "must be one of"},
		{"policy:x", 7, "is not a policy"},
		{"policy:-2", 7, "is not a policy"},
		{"transport:TLS", 10, "must consist of"},
		{"-", 0, "nothing follows the -"},
		{"a - b", 2, "nothing follows the -"},
		{`sni:"www`, 4, "sni: the closing quotation mark"},
		{strings.Repeat("a ", 65), 128, "more than 64 terms"},
		{strings.Repeat("a", MaxLength+1), MaxLength, "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.query[:min(len(tt.query), 30)], func(t *testing.T) {
			_, err := Parse(tt.query)
			wrong, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("Parse() = %v", err)
			}
			if wrong.Position != tt.position || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("at %d: %v, want %q at %d", wrong.Position, err, tt.says, tt.position)
			}
			if wrong.End < wrong.Position || wrong.End > len(tt.query) {
				t.Errorf("the mistake ends at %d", wrong.End)
			}
		})
	}
}

// The parameters of the API stand for terms with one value, in which nothing is special.
func TestExact(t *testing.T) {
	s := &Subject{Source: "a*b,c", State: Open}
	for value, want := range map[string]bool{"a*b,c": true, "a*": false, "a": false} {
		q, err := Exact("source", value)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.Match(s, 0); got != want {
			t.Errorf("source %q matches: %v", value, got)
		}
	}
	if _, err := Exact("state", "done"); err == nil {
		t.Error("an invalid state is accepted")
	}
}

// What narrows a search must not exclude what matches.
func TestNarrowing(t *testing.T) {
	tests := []struct {
		query, source  string
		open, finished bool
		since          bool
	}{
		{"", "", true, true, false},
		{"source:a", "a", true, true, false},
		{"source:a*", "", true, true, false},
		{"source:a,b", "", true, true, false},
		{"-source:a", "", true, true, false},
		{"state:open", "", true, false, false},
		{"-state:open", "", false, true, false},
		{"state:finished source:a", "a", false, true, false},
		{"since:1h", "", true, true, true},
		{"-since:1h", "", true, true, false},
	}
	for _, tt := range tests {
		q, err := Parse(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		_, since := q.Since(now.UnixNano())
		if q.Source() != tt.source || q.MayBe(Open) != tt.open || q.MayBe(Finished) != tt.finished || since != tt.since {
			t.Errorf("%q: source %q, open %v, finished %v, since %v", tt.query, q.Source(), q.MayBe(Open), q.MayBe(Finished), since)
		}
	}
}

// The pipeline waits while open connections are compared.
func TestMatchAllocatesNothing(t *testing.T) {
	for _, term := range Terms {
		q, err := Parse(term.Example)
		if err != nil {
			t.Fatalf("the example %s: %v", term.Example, err)
		}
		for name, s := range subjects() {
			if n := testing.AllocsPerRun(100, func() { q.Match(s, now.UnixNano()) }); n > 0 {
				t.Errorf("%s of %s allocates %v times", term.Example, name, n)
			}
		}
	}
}

// TestTermsAreCompiled: each term has an example that uses it, and a compiler.
func TestTermsAreCompiled(t *testing.T) {
	if len(Terms) != len(compilers) {
		t.Errorf("%d terms and %d compilers", len(Terms), len(compilers))
	}
	for _, term := range Terms {
		if _, ok := compilers[term.Name]; !ok {
			t.Errorf("%s has no compiler", term.Name)
		}
		if !strings.HasPrefix(term.Example, term.Name) {
			t.Errorf("the example of %s is %s", term.Name, term.Example)
		}
	}
}

// FuzzParse: a query is parsed or refused with a position inside of it, and what is parsed can be matched.
func FuzzParse(f *testing.F) {
	for _, term := range Terms {
		f.Add(term.Example)
		f.Add("-" + term.Example + ` "a b" ` + term.Name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if wrong, ok := errors.AsType[*Error](err); ok {
			if wrong.Position < 0 || wrong.Position > wrong.End || wrong.End > len(text) || wrong.Error() == "" {
				t.Errorf("Parse(%q) = %v at %d to %d", text, err, wrong.Position, wrong.End)
			}
			return
		}
		if err != nil {
			t.Errorf("Parse(%q) = %v, which has no position", text, err)
		}
		for name, s := range subjects() {
			matches := q.Match(s, now.UnixNano())
			if matches && (!q.MayBe(s.State) || q.Source() != "" && q.Source() != s.Source) {
				t.Errorf("%q matches %s, which it excludes", text, name)
			}
			if since, ok := q.Since(now.UnixNano()); ok && matches && s.State != Open && s.End < since {
				t.Errorf("%q matches %s, which ended before %d", text, name, since)
			}
		}
	})
}

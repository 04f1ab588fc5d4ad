package traces

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/track"
)

// documentedPage is the reference of all spans, attributes and span events.
var documentedPage = filepath.Join("..", "..", "docs", "traces.md")

// The two kinds of spans in the tables of documentedPage.
const (
	connectionSpans = "connection"
	accessSpans     = nameAccess
)

// table has the names of attributes by the kind of spans that have them, and of span events with an attribute each.
type table map[string][]string

func (n table) add(kind, name string) {
	if !slices.Contains(n[kind], name) {
		n[kind] = append(n[kind], name)
	}
}

var (
	documentedAttribute = regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| ([a-z, -]+) \\| (?:string|int|double|boolean|string\\[\\]|int or string) \\| .+ \\| `.+` \\|$")
	documentedEvent     = regexp.MustCompile("(?m)^\\| `([a-z.]+)` \\| connection \\| `([a-z.]+)` \\| [^|]+ \\|$")
)

// documentedSpan matches the row of a child span.
func documentedSpan(name string) *regexp.Regexp {
	return regexp.MustCompile("(?m)^\\| [^|]*`" + regexp.QuoteMeta(name) + "`[^|]* \\| INTERNAL \\|")
}

// documentation returns what the tables of documentedPage have.
func documentation(t *testing.T) (attributes, events table, page string) {
	t.Helper()
	raw, err := os.ReadFile(documentedPage)
	if err != nil {
		t.Fatal(err)
	}
	attributes, events = table{}, table{}
	for _, row := range documentedAttribute.FindAllStringSubmatch(string(raw), -1) {
		for kind := range strings.SplitSeq(row[2], ", ") {
			attributes.add(kind, row[1])
		}
	}
	for _, row := range documentedEvent.FindAllStringSubmatch(string(raw), -1) {
		events.add(row[1], row[2])
	}
	return attributes, events, string(raw)
}

// TestSpansAreDocumented compares the tables of documentedPage with spans that have every attribute.
func TestSpansAreDocumented(t *testing.T) {
	attributes, events, page := documentation(t)
	madeAttributes, madeEvents := table{}, table{}
	for _, span := range everySpan(t) {
		kind := connectionSpans
		if span.GetName() == nameAccess {
			kind = accessSpans
		}
		for _, kv := range span.GetAttributes() {
			madeAttributes.add(kind, kv.GetKey())
		}
		for _, e := range span.GetEvents() {
			for _, kv := range e.GetAttributes() {
				madeEvents.add(e.GetName(), kv.GetKey())
			}
		}
		if span.GetKind() == tracepb.Span_SPAN_KIND_INTERNAL && !documentedSpan(span.GetName()).MatchString(page) {
			t.Errorf("the span %s is not documented", span.GetName())
		}
	}
	for _, key := range declaredKeys(t) {
		if !slices.Contains(madeAttributes[connectionSpans], key) && !slices.Contains(madeAttributes[accessSpans], key) {
			t.Errorf("no span of this test has the attribute %s", key)
		}
	}
	compare(t, "attributes", attributes, madeAttributes)
	compare(t, "span events", events, madeEvents)
}

func compare(t *testing.T, what string, documented, made table) {
	t.Helper()
	kinds := maps.Clone(documented)
	maps.Copy(kinds, made)
	for kind := range kinds {
		for _, name := range made[kind] {
			if !slices.Contains(documented[kind], name) {
				t.Errorf("%s of %s: %s is not documented", what, kind, name)
			}
		}
		for _, name := range documented[kind] {
			if !slices.Contains(made[kind], name) {
				t.Errorf("%s of %s: %s is documented and does not exist", what, kind, name)
			}
		}
	}
}

// everySpan returns spans of all kinds, which together have every attribute and span event.
func everySpan(t *testing.T) (spans []*tracepb.Span) {
	const label = "ssli_10.20.0.1:40000+ssli_192.0.2.1:443"
	cfg := track.DefaultConfig()
	cfg.Connections.MaxRequests = 1
	spanConfig := DefaultSpanConfig()
	spanConfig.ClientSpan.Enabled = true
	sink, err := NewSink(t.Context(), SinkOptions{
		Config: spanConfig, Requests: 10, Metrics: &traceCounts{by: map[Sampling]int{}},
		Network: func(string) string { return "guests" }, Places: everywhere{},
	})
	if err != nil {
		t.Fatal(err)
	}
	tracker := track.New(cfg, sink.Take)
	decision := func(id, label string) track.Decision {
		return track.Decision{
			Source: "a", ID: id, Label: label, Policy: 3, Verdict: event.Accept, Rule: "web", DryRunRule: "trial",
			Received: epoch, Mono: time.Minute, Answered: epoch.Add(time.Millisecond),
		}
	}
	apply := func(id string, action event.Action, payload any, after time.Duration) {
		tracker.Apply(event.Event{Action: action, Source: "a", ID: id, Payload: payload}, at(after), nil)
	}
	skew, policy, ignoreSNI := 0.5, 3, false
	stop := event.Stop{
		Session: label, Policy: &policy, JA4Client: "t13", JA4Server: "t13", JA4IgnoreSNI: &ignoreSNI, JA4HTTP: []string{"ge11"},
		TLS: true, SNI: "example.org", App: "http2", Details: []string{"https://example.org/1", "https://example.org/2"},
		Signatures: []string{"www/http2"},
	}
	info := event.Info{
		Statistics: &event.Statistics{Session: label, Up: &event.Entropy{Bits: 5}, Down: &event.Entropy{Bits: 7}, Skew: &skew},
		Sinkhole:   &event.Sinkhole{Left: true, SunkenLeft: 1},
	}
	// Complete, with its access-request.
	tracker.Decide(decision("1", label), nil)
	apply("Proxy-A-OID-1", event.ActionStart, event.Start{Session: label}, time.Second)
	apply("Proxy-A-OID-1", event.ActionStop, stop, 2*time.Second)
	apply("Proxy-A-OID-1", event.ActionInfo, info, 3*time.Second)
	// Without a start or a stop: both ends are estimated.
	apply("Proxy-A-OID-2", event.ActionInfo, event.Info{Statistics: &event.Statistics{Session: label}}, time.Second)
	// The second connection of an id, of another client.
	for i, client := range []string{"tcp_10.20.0.2:40000", "tcp_10.20.0.3:40000"} {
		session, start := client+"+tcp_192.0.2.1:80", time.Duration(2*i+1)*time.Second
		apply("Proxy-A-PTR-3", event.ActionStart, event.Start{Session: session}, start)
		apply("Proxy-A-PTR-3", event.ActionStop, event.Stop{Session: session}, start+time.Second)
	}
	// An access-request that no connection follows, one that stays open, and a start after its connection was finished.
	tracker.Decide(decision("4", "tcp_10.20.0.4:40000+tcp_192.0.2.1:80"), nil)
	apply("Proxy-A-OID-5", event.ActionStart, event.Start{Session: "tcp_10.20.0.5:40000+tcp_192.0.2.1:80"}, time.Second)
	apply("Proxy-A-OID-6", event.ActionStop, event.Stop{Session: "tcp_10.20.0.6:40000+tcp_192.0.2.1:80"}, time.Second)
	for passed := 10 * time.Second; passed <= cfg.Connections.OpenSpanAge+time.Minute; passed += 10 * time.Second {
		tracker.Advance(at(passed))
	}
	apply("Proxy-A-OID-6", event.ActionStart, event.Start{Session: "tcp_10.20.0.6:40000+tcp_192.0.2.1:80"}, cfg.Connections.OpenSpanAge+2*time.Minute)

	sink.Encoded(func(encoded []byte, _ int) {
		var message tracepb.ResourceSpans
		if err := proto.Unmarshal(encoded, &message); err != nil {
			t.Fatal(err)
		}
		for _, scope := range message.GetScopeSpans() {
			spans = append(spans, scope.GetSpans()...)
		}
	})
	return spans
}

// everywhere is a geo.Locator that knows all of each address.
type everywhere struct{}

func (everywhere) Place(netip.Addr) geo.Place {
	return geo.Place{Continent: "EU", Country: "CZ", Region: "CZ-10", City: "Prague", ASN: 64500, Organization: "Example"}
}

// declaredKeys returns the names that attributes.go declares, so that everySpan cannot miss one.
func declaredKeys(t *testing.T) (keys []string) {
	file, err := parser.ParseFile(token.NewFileSet(), "attributes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, value := range spec.Values {
			if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				key, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, key)
			}
		}
		return true
	})
	if len(keys) == 0 {
		t.Fatal("attributes.go declares no keys")
	}
	return keys
}

var (
	goldenSpan      = regexp.MustCompile(`^ *(\S+) (SERVER|INTERNAL) `)
	goldenAttribute = regexp.MustCompile(`^ +([a-z][a-z0-9_.]+) = `)
	goldenEvent     = regexp.MustCompile(`^ +event (\S+) map\[([a-z.]+):`)
)

// TestGoldenSpansAreDocumented looks up the spans of all captures in documentedPage.
func TestGoldenSpansAreDocumented(t *testing.T) {
	attributes, events, _ := documentation(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "cmd", "smithproxy_exporter", "testdata", "golden", "*.spans"))
	if err != nil {
		t.Fatal(err)
	}
	goldenAttributes, goldenEvents := table{}, table{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kind := ""
		for line := range strings.Lines(string(raw)) {
			if span := goldenSpan.FindStringSubmatch(line); span != nil {
				kind = connectionSpans
				if span[1] == nameAccess {
					kind = accessSpans
				}
			} else if e := goldenEvent.FindStringSubmatch(line); e != nil {
				goldenEvents.add(e[1], e[2])
			} else if a := goldenAttribute.FindStringSubmatch(line); a != nil && a[1] != "resource" {
				goldenAttributes.add(kind, a[1])
			}
		}
	}
	if len(goldenAttributes) == 0 || len(goldenEvents) == 0 {
		t.Fatal("the golden files have no spans")
	}
	for kind, found := range goldenAttributes {
		for _, name := range found {
			if !slices.Contains(attributes[kind], name) {
				t.Errorf("the attribute %s of %s is not documented", name, kind)
			}
		}
	}
	for name, found := range goldenEvents {
		for _, attribute := range found {
			if !slices.Contains(events[name], attribute) {
				t.Errorf("the span event %s with %s is not documented", name, attribute)
			}
		}
	}
}

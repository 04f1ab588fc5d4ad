package pipeline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

// collected keeps the spans that are made, beside the store.
type collected struct {
	*traces.Sink
	spans []*tracepb.Span
	err   error
}

func (c *collected) Encoded(visit func([]byte, int)) {
	c.Sink.Encoded(func(encoded []byte, n int) {
		var rs tracepb.ResourceSpans
		c.err = errors.Join(c.err, proto.Unmarshal(encoded, &rs))
		for _, ss := range rs.GetScopeSpans() {
			c.spans = append(c.spans, ss.GetSpans()...)
		}
		visit(encoded, n)
	})
}

// exporter is all that an event goes through, from the handler to the metrics and the spans. There is one
// for each input, so that one that fails does so on its own as well.
type exporter struct {
	handler  http.Handler
	gatherer prometheus.Gatherer
	pipeline *pipeline.Pipeline
	spans    *collected
	store    *store.Store
	ran      chan struct{}
}

// grain is how often the pipeline looks at the clock.
const grain = 5 * time.Second

// fuzzBody is the largest body: small, for the fuzzer takes long to mutate and minimise a large one.
const fuzzBody = 16 << 10

// startExporter must be called in a bubble of synctest, whose clock the exporter then runs by.
func startExporter(t *testing.T) *exporter {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	config := track.DefaultConfig()
	x := &exporter{store: openStore(t, t.TempDir(), nil), ran: make(chan struct{})}
	families := collector.New(collector.DefaultConfig(), time.Now)
	own := collector.NewExporter(registry, collector.ExporterOptions{
		Refusals: webhook.Refusals, Fallbacks: webhook.Fallbacks, DropReasons: traces.DropReasons, Samplings: traces.Samplings,
		Store: collector.StoreState{
			Bytes: x.store.Size, Pending: x.store.Pending, Oldest: x.store.OldestSpan,
		},
		Connections: func() int { return 0 }, BodyBytes: func() int64 { return 0 },
	})
	sink, err := traces.NewSink(t.Context(), traces.SinkOptions{
		Config: traces.DefaultSpanConfig(), Requests: config.Connections.MaxRequests, Metrics: own,
	})
	if err != nil {
		t.Fatal(err)
	}
	x.spans = &collected{Sink: sink}
	x.gatherer = prometheus.Gatherers{registry, families}
	x.pipeline = pipeline.New(pipeline.Options{
		Track: config, Now: time.Now, Tick: grain, Spans: x.spans, Sinks: []track.Sink{families},
		Metrics: &metrics{}, Logger: slog.New(slog.DiscardHandler),
	})
	set, err := new(access.Loader).Load(access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	rules := access.New()
	rules.Use(set)
	families.UseAccessRules(set)
	door := webhook.NewDoor("", slog.New(slog.DiscardHandler))
	use, err := door.Prepare(webhook.Config{Secrets: []webhook.Secret{{Secret: "S3CRET"}}})
	if err != nil {
		t.Fatal(err)
	}
	use()
	x.handler = webhook.NewHandler(webhook.Options{
		Door: door, Decider: rules, Intake: x.pipeline, Metrics: own, Now: time.Now,
		MaxBody: fuzzBody, Limits: webhook.DefaultConfig().Limits, Logger: slog.New(slog.DiscardHandler),
	})
	go func() { defer close(x.ran); x.pipeline.Run(x.store, func() {}) }()
	return x
}

// post returns once the event has gone through.
func (x *exporter) post(body []byte) int {
	w := httptest.NewRecorder()
	x.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhook/S3CRET", bytes.NewReader(body)))
	synctest.Wait()
	return w.Code
}

func (x *exporter) stop(t *testing.T) {
	t.Helper()
	x.pipeline.Stop()
	<-x.ran
	if err := errors.Join(x.store.Close(), x.spans.err); err != nil {
		t.Error(err)
	}
}

// matchingStop is the stop of the connection that body is about, if it is about one.
func matchingStop(body []byte) ([]byte, bool) {
	ev, err := event.Decode(body)
	if err != nil || ev.ID == "" {
		return nil, false
	}
	session := ev.ID
	switch p := ev.Payload.(type) {
	case event.Start:
		session = p.Session
	case event.Stop:
		session = p.Session
	case event.Access:
		session = p.Session
	}
	stop, err := json.Marshal(map[string]any{
		"action": event.ActionStop, "type": "proxy", "source": ev.Source, "id": ev.ID,
		"details": map[string]any{"info": map[string]any{
			"session": session, "bytes_up": 1, "bytes_down": 2, "policy": 0,
			"l7": map[string]any{"app": session, "details": []string{session}, "signatures": []string{ev.ID}},
		}},
	})
	return stop, err == nil
}

// FuzzWholeWay takes each input the whole way, as what a proxy could send: twice, then with the stop
// that belongs to it, and again when all of that is over.
func FuzzWholeWay(f *testing.F) {
	files, err := capture.Files(filepath.Join("..", "testdata", "captures"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		requests, err := capture.Read(file)
		if err != nil {
			f.Fatal(err)
		}
		// The first ones of each show what it is about; the rest repeats it.
		for _, r := range requests[:min(len(requests), 12)] {
			f.Add(r.Body)
		}
	}
	f.Add([]byte(`{"action":"connection-stop","source":"\ud800","id":"\u0000","details":{"info":{"session":"+","bytes_up":0,` +
		`"bytes_down":9007199254740992,"l7":{"app":"\u202e","details":[""],"signatures":[""]},"tls":{"sni":"\n"}}}}`))
	f.Add(bytes.Repeat([]byte{' '}, fuzzBody+1))
	f.Fuzz(func(t *testing.T, body []byte) {
		synctest.Test(t, func(t *testing.T) { wholeWay(t, body) })
	})
}

func wholeWay(t *testing.T, body []byte) {
	x := startExporter(t)
	over := track.DefaultConfig().Connections.GracePeriod + grain
	stop, ok := matchingStop(body)
	deliveries := [][]byte{body, body}
	if ok {
		deliveries = append(deliveries, stop)
	}
	for _, b := range deliveries {
		checkStatus(t, x.post(b), b)
		time.Sleep(time.Second)
	}
	time.Sleep(over)
	synctest.Wait()
	checkStatus(t, x.post(body), body)
	time.Sleep(over)
	checkMetrics(t, x.gatherer)
	x.stop(t)
	checkMetrics(t, x.gatherer)
	for _, span := range x.spans.spans {
		if err := checkSpan(span); err != nil {
			t.Errorf("%v: %v", err, span)
		}
	}
	if ok && len(x.spans.spans) == 0 {
		t.Error("a connection that stopped has no span")
	}
}

func checkStatus(t *testing.T, status int, body []byte) {
	t.Helper()
	switch status {
	case http.StatusOK, http.StatusAccepted, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
	default:
		t.Errorf("answered %d to %q", status, body)
	}
}

func checkMetrics(t *testing.T, gatherer prometheus.Gatherer) {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if !utf8.ValidString(l.GetValue()) {
					t.Errorf("%s: %s is %q", family.GetName(), l.GetName(), l.GetValue())
				}
			}
			if v := m.GetGauge().GetValue(); family.GetName() == "smithproxy_connections_active" && v < 0 {
				t.Errorf("%s is %v", family.GetName(), v)
			}
		}
	}
}

func checkSpan(s *tracepb.Span) error {
	zero := func(id []byte) bool { return len(bytes.Trim(id, "\x00")) == 0 }
	// Strings that are not UTF-8 cannot be encoded.
	if _, err := proto.Marshal(s); err != nil {
		return err
	}
	switch {
	case len(s.GetTraceId()) != 16 || zero(s.GetTraceId()):
		return fmt.Errorf("trace id is %x", s.GetTraceId())
	case len(s.GetSpanId()) != 8 || zero(s.GetSpanId()):
		return fmt.Errorf("span id is %x", s.GetSpanId())
	case len(s.GetParentSpanId()) > 0 && zero(s.GetParentSpanId()):
		return fmt.Errorf("parent's id is %x", s.GetParentSpanId())
	case s.GetName() == "":
		return fmt.Errorf("no name")
	case s.GetStartTimeUnixNano() == 0 || s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano():
		return fmt.Errorf("lasts from %d to %d", s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	}
	return nil
}

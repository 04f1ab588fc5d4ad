//go:build rude

package rude

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// backend receives spans by OTLP/HTTP and judges them.
type backend struct {
	url string

	mu     sync.Mutex
	spans  int
	seen   map[string]bool // span ids
	faults []string
}

func newBackend(t *testing.T) *backend {
	b := &backend{seen: map[string]bool{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The exporter has ended.
	}
	var request coltracepb.ExportTraceServiceRequest
	b.mu.Lock()
	defer b.mu.Unlock()
	// Strings that are not UTF-8 are an error here.
	if err := proto.Unmarshal(body, &request); err != nil {
		b.faults = append(b.faults, err.Error())
	}
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				b.judge(s)
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// maxSpanBytes is far above what the limits of a record add up to.
const maxSpanBytes = 512 << 10

func (b *backend) judge(s *tracepb.Span) {
	b.spans++
	fault := func(format string, args ...any) {
		if len(b.faults) < 10 {
			b.faults = append(b.faults, fmt.Sprintf(format, args...)+fmt.Sprintf(" in the span %q (%x)", s.GetName(), s.GetSpanId()))
		}
	}
	if len(s.GetTraceId()) != 16 || len(s.GetSpanId()) != 8 {
		fault("malformed ids")
	}
	if s.GetStartTimeUnixNano() == 0 || s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
		fault("times %d to %d", s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	}
	for _, a := range s.GetAttributes() {
		if n := a.GetValue().GetIntValue(); n < 0 && strings.HasPrefix(a.GetKey(), "smithproxy.bytes") {
			fault("%s is %d", a.GetKey(), n)
		}
	}
	if n := proto.Size(s); n > maxSpanBytes {
		fault("%d bytes", n)
	}
	if id := string(s.GetTraceId()) + string(s.GetSpanId()); b.seen[id] {
		fault("an id that was there before")
	} else {
		b.seen[id] = true
	}
}

// check waits until all spans have been sent, and reports what was wrong with them.
func (b *backend) check(t *testing.T, e *exporter) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b.mu.Lock()
		spans, faults := b.spans, b.faults
		b.mu.Unlock()
		late := time.Now().After(deadline)
		if len(faults) > 0 || late || spans > 0 && e.scrape(t).value("smithproxy_exporter_spans_pending") == 0 {
			for _, f := range faults {
				t.Errorf("spans: %s", f)
			}
			if spans == 0 {
				t.Error("no span was sent")
			}
			return
		}
	}
}

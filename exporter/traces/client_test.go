package traces

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// upload sends a span to a URL by HTTP, and returns what the client noted of the response.
func upload(t *testing.T, url string) response {
	t.Helper()
	client, err := NewClient(Config{Protocol: protocolHTTP, Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	var r response
	_ = client.UploadTraces(withResponse(t.Context(), &r), []*tracepb.ResourceSpans{{}}) // r says more
	return r
}

// TestRedirects: a redirect after which a client asks for a page, as a login does, is not taken for accepted spans.
func TestRedirects(t *testing.T) {
	for code, want := range map[int]verdict{301: rejected, 302: rejected, 303: rejected, 307: accepted, 308: accepted} {
		to := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		from := httptest.NewServer(http.RedirectHandler(to.URL, code))
		if r := upload(t, from.URL); r.verdict != want {
			t.Errorf("after %d the verdict is %d (%v), want %d", code, r.verdict, r.err, want)
		}
		from.Close()
		to.Close()
	}
}

// TestEndpoints follow the specification: a base URL gets the path of the signal, one for traces alone is taken as it
// is.
func TestEndpoints(t *testing.T) {
	paths := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths <- r.URL.Path }))
	defer server.Close()
	for _, tt := range []struct{ endpoint, all, traces, want string }{
		{endpoint: server.URL, want: "/v1/traces"},
		{endpoint: server.Listener.Addr().String(), want: "/v1/traces"},
		{endpoint: server.URL + "/custom", want: "/custom"},
		{all: server.URL, want: "/v1/traces"},
		{all: server.URL + "/base", want: "/base/v1/traces"},
		{traces: server.URL + "/custom", want: "/custom"},
		{endpoint: server.URL, traces: "http://127.0.0.1:1", want: "/v1/traces"},
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tt.all)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", tt.traces)
		if c := (Config{Endpoint: tt.endpoint}); !c.HasEndpoint() {
			t.Errorf("%+v is not taken for configured", tt)
		}
		if r := upload(t, tt.endpoint); r.verdict != accepted {
			t.Errorf("%+v: %v", tt, r.err)
		} else if got := <-paths; got != tt.want {
			t.Errorf("%+v: sent to %s", tt, got)
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	if (Config{}).HasEndpoint() {
		t.Error("configured by nothing")
	}
}

// TestTimeoutOfTheEnvironment has a backend hang.
func TestTimeoutOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	begin := time.Now()
	if r := upload(t, server.URL); r.verdict != unavailable || time.Since(begin) > 5*time.Second {
		t.Errorf("after %v the verdict is %d", time.Since(begin), r.verdict)
	}
}

func TestCertificatesOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", filepath.Join(t.TempDir(), "none.pem"))
	if _, err := NewClient(Config{Protocol: protocolHTTP, Endpoint: "https://127.0.0.1:1"}); err == nil {
		t.Error("a certificate that does not exist is taken")
	}
}

// TestBytesOnTheWire compares what arrives with what the sink encoded.
func TestBytesOnTheWire(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		sink := newSink(t)
		for i := range 100 {
			play(sink, []string{"a", "b"}[i%2], names(i, i+1)[0])
		}
		var want []*tracepb.ResourceSpans
		sink.Encoded(func(encoded []byte, n int) {
			decoded := new(tracepb.ResourceSpans)
			if err := proto.Unmarshal(encoded, decoded); err != nil {
				t.Fatal(err)
			}
			want = append(want, decoded)
			s.queue.messages = append(s.queue.messages, message{uint64(len(want)), n, slices.Clone(encoded)})
		})
		client := s.client
		if err := client.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := s.send(s.queue.messages); r.verdict != accepted {
			t.Fatal(r.err)
		}
		if err := client.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if len(s.backend.last.GetResourceSpans()) != len(want) {
			t.Fatalf("%d messages arrived, want %d", len(s.backend.last.GetResourceSpans()), len(want))
		}
		for i, got := range s.backend.last.GetResourceSpans() {
			if !proto.Equal(got, want[i]) || len(got.ProtoReflect().GetUnknown()) > 0 {
				t.Errorf("message %d differs: %v, want %v", i, got, want[i])
			}
		}
	})
}

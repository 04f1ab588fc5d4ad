package history

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/track"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 123456789, time.UTC)

func ptr[T any](v T) *T { return &v }

// full has every field.
func full() Record {
	return Record{
		Source: "edge-1", ID: "Proxy-1234ABCD-PTR-1", N: 3, State: track.StateClosed, Reason: track.ReasonStop,
		Label: "ssli_10.0.0.1:50000+ssli_192.0.2.1:443", Transport: event.TCP, Start: epoch, End: epoch.Add(time.Minute),
		StartEstimated: true, EndEstimated: true, DurationKnown: true, Policy: -1, Verdict: event.Reject, Rule: "r", DryRunRule: "d",
		Decision: "0123456789abcdef0123456789abcdef", Stopped: true, TLS: true, SNI: "www.example.com", App: "http2", Up: 1 << 40, Down: 1,
		JA4: "t13", JA4S: "t13s", JA4H: []string{"h1", "h2"}, Requests: []string{"https://www.example.com/?password=x", ""}, RequestsDropped: 7,
		Signatures: []string{"a/b"}, EntropyUp: &event.Entropy{Bits: 7.25, Sampled: 100}, EntropyDown: &event.Entropy{Bits: 0.5, Sampled: 1},
		Skew: ptr(-0.25), Sinkhole: &event.Sinkhole{Left: true, Right: true, SunkenLeft: 1, SunkenRight: 2, ReplacementSize: 3},
		Timeline: track.Timeline{
			First: epoch.Add(-time.Second), Requested: epoch, Answered: epoch.Add(time.Millisecond), Requests: 2, Started: epoch,
			Listed: epoch.Add(30 * time.Second), Stopped: epoch.Add(time.Minute), Informed: epoch.Add(61 * time.Second),
			StartRepeats: 1, StopRepeats: 255, InfoRepeats: 3, RepeatedAt: epoch.Add(2 * time.Minute),
		},
		Late: true, LateAction: event.ActionInfo, LateAt: epoch.Add(time.Hour),
	}
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	least := Record{Source: "a", ID: "b", N: 1, State: track.StateClosed, Start: epoch, Policy: event.PolicyUnknown}
	other := full()
	other.Decision, other.Late, other.EntropyUp, other.LateAction, other.LateAt = "not in hex", false, nil, "", time.Time{}
	for name, want := range map[string]Record{"full": full(), "least": least, "other": other} {
		t.Run(name, func(t *testing.T) {
			entry := want.Append(nil, Forms{"t", "x"})
			got, forms, err := decode(entry)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if forms != (Forms{"t", "x"}) || IsLate(entry) != want.Late {
				t.Errorf("forms %v, late %v", forms, IsLate(entry))
			}
			for n := range entry {
				if _, _, err := decode(entry[:n]); err == nil {
					t.Errorf("%d of %d bytes are decoded without an error", n, len(entry))
				}
			}
		})
	}
}

// TestSubjects: searches find a finished connection by what they find an open one by.
func TestSubjects(t *testing.T) {
	r := full()
	r.Late = false
	var fromRecord, fromEntry search.Subject
	needs := search.NeedSession | search.NeedRequests
	r.SetSubject(&fromRecord, needs)
	if !NewReader(nil).Subject(r.Append(nil, Forms{}), needs, &fromEntry) {
		t.Fatal("the entry cannot be read")
	}
	if diff := cmp.Diff(fromRecord, fromEntry); diff != "" {
		t.Errorf("-record +entry:\n%s", diff)
	}
}

// Entries of another privacy configuration are shown as the one in force wants it.
func TestReaderAppliesPrivacy(t *testing.T) {
	r := full()
	open := r.Append(nil, Forms{})
	c := privacy.DefaultConfig()
	c.ClientAddresses, c.URLs = privacy.AddressesTruncated, privacy.URLsHost
	policy := privacy.New(c, nil)
	reader := NewReader(policy)
	got, err := reader.Record(open)
	if err != nil {
		t.Fatal(err)
	}
	if client := event.ParseSession(got.Label).Client.Host; client != "10.0.0.0" {
		t.Errorf("the client is %s", client)
	}
	if len(got.Requests) != 1 || got.Requests[0] != "https://www.example.com" || got.RequestsDropped != 8 {
		t.Errorf("the requests are %q, %d dropped", got.Requests, got.RequestsDropped)
	}
	var s search.Subject
	reader.Subject(open, search.NeedSession|search.NeedRequests, &s)
	if s.Client.Host != "10.0.0.0" || len(s.Requests) != 1 || s.Requests[0] != "https://www.example.com" {
		t.Errorf("searches see %s, %q", s.Client.Host, s.Requests)
	}
	// Hashed by a key that is not known any more: the client cannot be told.
	hashed := r.Append(nil, Forms{Addresses: "h123456"})
	if got, err = reader.Record(hashed); err != nil || event.ParseSession(got.Label).Client.Known() {
		t.Errorf("the label is %s, %v", got.Label, err)
	}
}

// TestSizeOfCaptured: what a running proxy sends takes 200 to 300 bytes a connection.
func TestSizeOfCaptured(t *testing.T) {
	requests, err := capture.Read(filepath.Join("..", "testdata", "captures", "load-statistics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	sink := NewSink(nil)
	tracker := track.New(track.DefaultConfig(), sink.Take)
	for i, request := range requests {
		ev, err := event.Decode(request.Body)
		if err != nil {
			continue
		}
		tracker.Apply(ev, track.At(epoch.Add(time.Duration(i)*time.Millisecond), time.Duration(i+1)*time.Millisecond), nil)
	}
	for tracker.Drain(track.At(epoch.Add(time.Hour), time.Hour)) {
	}
	count, bytes := 0, 0
	sink.Entries(func(_, _ string, entry []byte) {
		if _, _, err := decode(entry); err != nil {
			t.Fatal(err)
		}
		count++
		bytes += len(entry)
	})
	if count < 1000 {
		t.Fatalf("%d connections", count)
	}
	t.Logf("%d connections, %d bytes each", count, bytes/count)
	if bytes/count > 300 {
		t.Errorf("a connection takes %d bytes", bytes/count)
	}
}

// FuzzDecode: what is damaged is an error, and no panic.
func FuzzDecode(f *testing.F) {
	r := full()
	f.Add(r.Append(nil, Forms{"t", "x"}))
	f.Add((&Record{Start: epoch}).Append(nil, Forms{}))
	f.Fuzz(func(t *testing.T, entry []byte) {
		reader := NewReader(nil)
		var s search.Subject
		readable := reader.Subject(entry, search.NeedSession|search.NeedRequests, &s)
		if _, err := reader.Record(entry); err == nil && !readable {
			t.Error("a record that searches cannot read is decoded")
		}
	})
}

func BenchmarkTake(b *testing.B) {
	sink := NewSink(nil)
	var last *track.Connection
	tracker := track.New(track.DefaultConfig(), func(f track.Fact) {
		if done, ok := f.(track.Finished); ok {
			last = done.C
		}
	})
	const label = "ssli_10.77.1.2:40762+ssli_192.0.2.10:443"
	stop := event.Stop{Session: label, SNI: "www.example.com", App: "http2", BytesUp: 1000, BytesDown: 5000, Details: []string{"https://www.example.com/"}}
	for i, payload := range []any{event.Start{Session: label}, stop, event.Info{Statistics: &event.Statistics{Up: &event.Entropy{Bits: 5, Sampled: 100}}}} {
		tracker.Apply(event.Event{Source: "edge", ID: "Proxy-A1-SID-1", Payload: payload}, track.At(epoch, time.Duration(i+1)*time.Second), nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		sink.Take(track.Finished{C: last})
		sink.Entries(func(string, string, []byte) {})
	}
}

func BenchmarkSubject(b *testing.B) {
	r := full()
	r.Late = false
	entry := r.Append(nil, Forms{})
	reader := NewReader(nil)
	var s search.Subject
	b.ReportAllocs()
	for b.Loop() {
		reader.Subject(entry, search.NeedSession, &s)
	}
}

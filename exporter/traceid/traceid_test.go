package traceid_test

import (
	"testing"
	"time"

	"smithproxy_exporter/exporter/traceid"
)

const (
	source = "oneofmany1"
	id     = "Proxy-A65E609B-OID-FEE9B1098109"
)

// The digits are what the commands in the comments print: users compute ids by them, so that a change
// here breaks what they wrote down.
func TestOf(t *testing.T) {
	tests := []struct{ name, trace, span string }{
		// printf %s "oneofmany1/<name>" | sha256sum
		{id, "220132e20e64ca91a4e7333ba5734a9e", "7810e1d3ef885761"},
		{"Proxy-A65E609B-PTR-7F3A2C001B40#2", "9e0c039b769632b393f2b8fb57b1068c", "2c9c05c433a642e0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := traceid.Of(source, tt.name)
			if got.TraceString() != tt.trace || got.SpanString() != tt.span {
				t.Errorf("Of() = %s, %s, want %s, %s", got.TraceString(), got.SpanString(), tt.trace, tt.span)
			}
		})
	}
}

func TestOfDecision(t *testing.T) {
	// printf %s "oneofmany1/tcp_10.77.1.2:1+tcp_10.77.2.2:2/1700000000000000001" | sha256sum
	const trace, span = "1fb38e29b26856a312f4c1f9566da407", "b014b3afc292eb11"
	received := time.Unix(1_700_000_000, 1)
	const label = "tcp_10.77.1.2:1+tcp_10.77.2.2:2"
	got := traceid.OfDecision(source, label, received)
	if got.TraceString() != trace || got.SpanString() != span {
		t.Errorf("OfDecision() = %s, %s, want %s, %s", got.TraceString(), got.SpanString(), trace, span)
	}
	if elsewhere := traceid.OfDecision(source, label, received.In(time.FixedZone("", 3600))); elsewhere != got {
		t.Error("OfDecision() depends on the time zone")
	}
	if later := traceid.OfDecision(source, label, received.Add(1)); later.Trace == got.Trace {
		t.Error("OfDecision() does not depend on the time")
	}
}

func TestIDsDiffer(t *testing.T) {
	root := traceid.Of(source, id)
	tests := []struct {
		name string
		id   traceid.ID
	}{
		{"other source", traceid.Of("oneofmany2", id)},
		{"other connection", traceid.Of(source, id+"A")},
		{"decision", traceid.OfDecision(source, id, time.Unix(0, 0))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.id.Trace == root.Trace || tt.id.Span == root.Span {
				t.Errorf("has the ids of another connection: %s, %s", tt.id.TraceString(), tt.id.SpanString())
			}
		})
	}
}

func TestChild(t *testing.T) {
	root := traceid.Of(source, id)
	child := root.Child("access-request")
	if child.Trace != root.Trace {
		t.Errorf("a child's trace is %s, want its root's, %s", child.TraceString(), root.TraceString())
	}
	if child.Span == root.Span {
		t.Error("a child has its root's span id")
	}
	if child != root.Child("access-request") {
		t.Error("a child's id is not the same at the second call")
	}
	if sibling := root.Child("connection-stop"); sibling.Span == child.Span {
		t.Error("siblings have the same span id")
	}
	if stranger := traceid.Of(source, id+"A").Child("access-request"); stranger.Span == child.Span {
		t.Error("children of two roots have the same span id")
	}
}

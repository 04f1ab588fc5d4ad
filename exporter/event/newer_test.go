package event_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

// newerMessage is one message of the versions of summer and autumn 2026.
type newerMessage struct {
	Name, Body string
}

func newerMessages(t testing.TB) []newerMessage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "newer-messages.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var messages []newerMessage
	for line := range strings.Lines(string(text)) {
		var m newerMessage
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

func TestDecodeNewer(t *testing.T) {
	const (
		boot    = "Proxy-1234ABCD"
		plain   = "tcp_10.0.0.2:50000+tcp_192.0.2.10:80"
		ssh     = "ssh_10.0.0.2:50001+ssh_192.0.2.10:22"
		pointer = "Proxy-9F01-PTR-7F3A4C0012A0"
	)
	of := func(action event.Action, id string, payload any) event.Event {
		return event.Event{Action: action, Source: "sx-1", ID: id, Payload: payload}
	}
	const (
		ping, start, stop, info = event.ActionPing, event.ActionStart, event.ActionStop, event.ActionInfo
		access                  = event.ActionAccess
	)
	want := map[string]event.Event{
		"F1": of(ping, "", event.Ping{Instance: boot, Listed: true, Open: []string{boot + "-SID-1", boot + "-SID-1A"}}),
		"F2": of(ping, "", event.Ping{Instance: boot, Listed: true}),
		"F3": of(ping, "", event.Ping{
			Instance: boot, Listed: true, Open: []string{boot + "-SID-1A"},
			Full: true, Sessions: []event.OpenSession{{ID: boot + "-SID-1A", Session: ssh}},
		}),
		"F4": of(ping, "", event.Ping{Instance: "Proxy-9F01", Listed: true}),
		"F5": of(start, boot+"-SID-1", event.Start{Session: plain}),
		"F6": of(start, boot+"-SID-1A", event.Start{Session: ssh}),
		"F7": of(start, boot+"-SID-2C", event.Start{Session: "mf_10.0.0.2:50002+mf_192.0.2.10:443"}),
		"F8": of(start, boot+"-SID-3", event.Start{Session: "tcp_10.0.0.2:50003+0:0"}),
		"F9": of(stop, boot+"-SID-3", event.Stop{
			Session: "ssli_10.0.0.2:50003+ssli_192.0.2.10:443", Policy: ptr(2), BytesUp: 206, BytesDown: 4096,
			JA4Client: "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6", JA4Server: "t130200_1301_a56c5b993250",
			JA4IgnoreSNI: ptr(false), TLS: true, SNI: "www.example.com", App: "http2",
			Details: []string{"https://www.example.com/"}, Signatures: []string{"www/http2/start"},
		}),
		"F10": of(stop, boot+"-SID-4", event.Stop{
			Session: "tcp_2001:db8::2:50004+tcp_2001:db8:1::1:22", Policy: ptr(event.PolicyImplicit),
			BytesUp: 120, BytesDown: 9000, JA4IgnoreSNI: ptr(false),
		}),
		"F11": of(info, boot+"-SID-1", event.Info{Statistics: &event.Statistics{
			Session: plain, Up: &event.Entropy{Bits: 7.5, Sampled: 562}, Skew: ptr(-1.0),
		}}),
		"F12": of(info, boot+"-SID-5", event.Info{Echo: &event.Echo{Session: plain, Verdict: event.Reject}}),
		"F13": of(info, boot+"-SID-6", event.Info{Echo: &event.Echo{Session: plain}}),
		"F14": of(info, boot+"-SID-7", event.Info{Sinkhole: &event.Sinkhole{Left: true, SunkenLeft: 512}}),
		"F15": of(access, plain, event.Access{Session: plain, Policy: event.PolicyUnknown}),
		"F16": of(access, "tcp_10.0.0.2:50003+tcp_192.0.2.10:443",
			event.Access{Session: "tcp_10.0.0.2:50003+tcp_192.0.2.10:443", Policy: 2}),
		"F17":  of(event.ActionNeighbor, "", event.Neighbor{State: event.NeighborNew, Addresses: []string{"10.0.0.2"}}),
		"F18":  of(event.ActionContent, boot+"-SID-1", event.Content{Side: "L", Bytes: 5}),
		"F19a": of(start, pointer, event.Start{Session: plain}),
		"F19b": of(stop, pointer, event.Stop{
			Session: plain, Policy: ptr(0), BytesUp: 10, BytesDown: 20, JA4IgnoreSNI: ptr(false),
		}),
		"F19c": of(start, pointer, event.Start{Session: "tcp_10.0.0.9:40404+tcp_192.0.2.11:443"}),
	}
	messages := newerMessages(t)
	if len(messages) != len(want) {
		t.Errorf("%d messages, want %d", len(messages), len(want))
	}
	for _, m := range messages {
		t.Run(m.Name, func(t *testing.T) {
			got, err := event.Decode([]byte(m.Body))
			if err != nil {
				t.Fatal(err)
			}
			checkEvent(t, got)
			if diff := cmp.Diff(want[m.Name], got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

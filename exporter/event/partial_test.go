package event_test

import (
	"runtime"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
)

func TestPartialAccess(t *testing.T) {
	long := strings.Repeat("s", event.MaxNameBytes+1)
	tests := []struct {
		name, body, source string
		ok                 bool
	}{
		{"whole", `{"action":"access-request","details":{"session":"l"},"id":"l","source":"sx-1","type":"proxy"}`, "sx-1", true},
		{"spaces", " {\n \"action\" : \"access-request\" , \"source\" : \"sx-1\" }", "sx-1", true},
		{"action last", `{"source":"sx-1","action":"access-request"}`, "sx-1", true},
		{"action last, cut off", `{"source":"sx-1","action":"access-req`, "", false},
		{"details of another type", `{"action":"access-request","details":[{"a":1}],"source":"sx-1"}`, "sx-1", true},
		{"source of another type", `{"action":"access-request","source":5}`, "", true},
		{"source too long", `{"action":"access-request","source":"` + long + `"}`, "", true},
		{"of another daemon", `{"action":"access-request","source":"sx-1","type":"switch"}`, "sx-1", true},
		{"cut off in the details", `{"action":"access-request","details":{"session":"tcp_10`, "", true},
		{"cut off after the action", `{"action":"access-request"`, "", true},
		{"garbage after the action", `{"action":"access-request" oops`, "", true},
		{"not UTF-8 after the action", "{\"action\":\"access-request\",\"x\":\"\xff\",\"source\":\"sx-1\"}", "sx-1", true},
		{"other action", `{"action":"ping","source":"sx-1"}`, "", false},
		{"other action first", `{"action":"ping","action":"access-request","source":"sx-1"`, "", false},
		{"action in the details", `{"details":{"action":"access-request"},"source":"sx-1"}`, "", false},
		{"action as a value", `{"details":"\"action\":\"access-request\"","id":"action"`, "", false},
		{"action of another type", `{"action":["access-request"]}`, "", false},
		{"in an array", `[{"action":"access-request"}]`, "", false},
		{"empty", ``, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if source, ok := event.PartialAccess([]byte(tt.body)); source != tt.source || ok != tt.ok {
				t.Errorf("PartialAccess() = %q, %v, want %q, %v", source, ok, tt.source, tt.ok)
			}
		})
	}
}

// A flood of large bodies that end early must not cost as much memory again as was received of them.
func TestPartialAccessOfALargeBody(t *testing.T) {
	for _, action := range []string{"connection-content", "access-request"} {
		body := []byte(`{"action":"` + action + `","details":{"info":{"content":"` + strings.Repeat("A", 1<<20))
		const calls = 10
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range calls {
			event.PartialAccess(body)
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / calls; n > 64<<10 {
			t.Errorf("%s of 1 MiB: %d bytes are allocated", action, n)
		}
	}
}

// Every prefix that holds the action of an access-request is told as one.
func TestPartialAccessPrefixes(t *testing.T) {
	const body = `{"action":"access-request","details":{"policy":-1,"session":"tcp_10.0.0.2:1+tcp_192.0.2.10:80"},"id":"x","source":"sx-1","type":"proxy"}`
	action := len(`{"action":"access-request"`)
	for n := range len(body) + 1 {
		if _, ok := event.PartialAccess([]byte(body[:n])); ok != (n >= action) {
			t.Errorf("the first %d bytes: %v", n, ok)
		}
	}
}

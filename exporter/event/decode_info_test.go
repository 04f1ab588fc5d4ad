package event_test

import (
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
)

func TestDecodeStatistics(t *testing.T) {
	const info = event.ActionInfo
	statistics := func(left, right, flow string) string {
		return connection(info, `{"statistics":{"entropy":{"left":`+left+`,"right":`+right+`},"flow":`+flow+`,`+
			`"info":{"protocol":"http1","session":"`+label+`"}}}`)
	}
	measured := func(up, down *event.Entropy, skew *float64) event.Event {
		return of(info, event.Info{Statistics: &event.Statistics{Session: label, Up: up, Down: down, Skew: skew}})
	}
	const (
		some   = `{"bytes_accounted":610,"entropy":5.25,"top_byte":101,"top_byte_frequency":24,"top_byte_ratio":0.0895}`
		noData = `{"bytes_accounted":0,"entropy":0.0,"top_byte":0,"top_byte_frequency":0,"top_byte_ratio":null}`
		flow   = `{"aggregate_rates":[{"aggBD":785,"aggBU":268,"aggRD":1.0,"aggRU":-1.175,"interval_index":0}],"skew":0.5,"skew_all":0.25}`
	)
	up := &event.Entropy{Bits: 5.25, Sampled: 610}
	runDecode(t, []decodeTest{
		{"howto", connection(info, `{"statistics":{"entropy":{"left":`+some+`,"right":`+some+`},"flow":`+flow+`}}`),
			of(info, event.Info{Statistics: &event.Statistics{Up: up, Down: up, Skew: ptr(0.5)}})},
		{"current", statistics(some, some, flow), measured(up, up, ptr(0.5))},
		{"no data down", statistics(some, noData, `{"skew":-1.0}`), measured(up, nil, ptr(-1.0))},
		// Without any data there is no skew either, and 0 would say that both sides sent as much.
		{"no data at all", statistics(noData, noData, `{"skew":0.0}`), measured(nil, nil, nil)},
		{"one repeated byte", statistics(`{"bytes_accounted":9,"entropy":0.0}`, noData, `{"skew":null}`),
			measured(&event.Entropy{Sampled: 9}, nil, nil)},
		{"nulls for floats", statistics(`{"bytes_accounted":9,"entropy":null}`, some,
			`{"skew":null,"skew_all":null,"aggregate_rates":[{"aggRD":null}]}`), measured(nil, up, nil)},
		{"nulls for objects", statistics("null", "null", "null"), measured(nil, nil, nil)},
		{"size of the sample not said", statistics(`{"entropy":5.25}`, some, flow), measured(nil, up, ptr(0.5))},
		{"out of range", statistics(`{"bytes_accounted":9,"entropy":8.01}`, `{"bytes_accounted":9,"entropy":-0.1}`, flow),
			measured(nil, nil, nil)},
		{"most there can be", statistics(`{"bytes_accounted":9,"entropy":8}`, noData, `{"skew":1.0}`),
			measured(&event.Entropy{Bits: 8, Sampled: 9}, nil, ptr(1.0))},
		{"skew out of range", statistics(some, some, `{"skew":1.01}`), measured(up, up, nil)},
		{"statistics null", connection(info, `{"statistics":null}`), of(info, event.Info{})},
		{"of no feature", connection(info, `{}`), of(info, event.Info{})},
		{"of a later feature", connection(info, `{"later":{"info":[]}}`), of(info, event.Info{})},
	})
}

func TestDecodeSinkhole(t *testing.T) {
	sinkhole := func(json string, want *event.Sinkhole) decodeTest {
		return decodeTest{json, connection(event.ActionInfo, `{"sinkhole":`+json+`,"later":[1]}`),
			of(event.ActionInfo, event.Info{Sinkhole: want})}
	}
	runDecode(t, []decodeTest{
		sinkhole(`null`, nil),
		sinkhole(`{}`, &event.Sinkhole{}),
		sinkhole(`{"sink_left":true,"sink_right":true,"sunken_left":512,"sunken_right":9007199254740992,"replacement_size":7}`,
			&event.Sinkhole{Left: true, Right: true, SunkenLeft: 512, SunkenRight: event.MaxBytes, ReplacementSize: 7}),
	})
}

func TestDecodeEcho(t *testing.T) {
	longest := strings.Repeat("r", event.MaxNameBytes)
	tests := []struct {
		name, response string
		want           event.Echo
	}{
		{"accept", `{"access-response":"accept"}`, event.Echo{Verdict: event.Accept}},
		{"reject with rule and decision", `{"access-response":"reject","rule":"default","decision":"0af7"}`,
			event.Echo{Verdict: event.Reject, Rule: "default", Decision: "0af7"}},
		{"of another receiver", `{"access-response":"maybe","status":"success"}`, event.Echo{}},
		{"verdict is no string", `{"access-response":["reject"],"rule":"r"}`, event.Echo{Rule: "r"}},
		{"rule and decision are no strings", `{"access-response":"reject","rule":1,"decision":{}}`,
			event.Echo{Verdict: event.Reject}},
		{"rule and decision are null", `{"access-response":"accept","rule":null,"decision":null}`,
			event.Echo{Verdict: event.Accept}},
		{"longest rule", `{"rule":"` + longest + `"}`, event.Echo{Rule: longest}},
		{"rule too long", `{"access-response":"accept","rule":"` + longest + `r"}`, event.Echo{Verdict: event.Accept}},
		{"array", `[{"access-response":"reject"}]`, event.Echo{}},
		{"string", `"reject"`, event.Echo{}},
		{"number", `1e400`, event.Echo{}},
		{"null after a failure", `null`, event.Echo{}},
	}
	for _, tt := range tests {
		tt.want.Session = label
		runDecode(t, []decodeTest{{
			tt.name,
			connection(event.ActionInfo, `{"access-request":{"info":{"access-response":`+tt.response+`,"session":"`+label+`"}}}`),
			of(event.ActionInfo, event.Info{Echo: &tt.want}),
		}})
	}
	runDecode(t, []decodeTest{
		{"absent", connection(event.ActionInfo, `{"access-request":{"info":{"session":"`+label+`"}}}`),
			of(event.ActionInfo, event.Info{Echo: &event.Echo{Session: label}})},
		{"feature is null", connection(event.ActionInfo, `{"access-request":null}`), of(event.ActionInfo, event.Info{})},
		{"both features", connection(event.ActionInfo, `{"access-request":{"info":{"access-response":{"access-response":"accept"},`+
			`"session":"`+label+`"}},"statistics":{"info":{"session":"`+label+`"}}}`), of(event.ActionInfo, event.Info{
			Statistics: &event.Statistics{Session: label}, Echo: &event.Echo{Session: label, Verdict: event.Accept},
		})},
	})
}

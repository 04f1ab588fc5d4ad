package event_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"smithproxy_exporter/exporter/event"
)

var sentinels = []error{event.ErrSyntax, event.ErrType, event.ErrMissing, event.ErrTooLong}

// sentinelOf returns the sentinel that err wraps, and fails the test unless it is exactly one.
func sentinelOf(t *testing.T, err error) error {
	t.Helper()
	var found []error
	for _, s := range sentinels {
		if errors.Is(err, s) {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%v wraps %d sentinels, want 1: %v", err, len(found), found)
	}
	return found[0]
}

func TestDecodeErrors(t *testing.T) {
	const (
		start, stop, info         = event.ActionStart, event.ActionStop, event.ActionInfo
		access, content, neighbor = event.ActionAccess, event.ActionContent, event.ActionNeighbor
	)
	session := `"session":"` + label + `"`
	tests := []struct {
		name, body string
		want       error
	}{
		{"empty", "", event.ErrSyntax},
		{"blank", " \n", event.ErrSyntax},
		{"cut off", `{"action":"ping","source":"s"`, event.ErrSyntax},
		{"more after the end", `{"action":"ping","source":"s"} x`, event.ErrSyntax},
		{"two messages", `{"action":"ping","source":"s"}{}`, event.ErrSyntax},
		{"no JSON", "action=ping", event.ErrSyntax},
		{"single quotes of the howto", `{'action': 'ping'}`, event.ErrSyntax},
		{"NaN", connection(info, `{"statistics":{"flow":{"skew":NaN}}}`), event.ErrSyntax},
		{"syntax after a wrong type", `{"action":"ping","source":"s","state":5,}`, event.ErrSyntax},
		{"too deep", `{"action":"ping","source":"s","later":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, event.ErrSyntax},

		{"array", `[]`, event.ErrType},
		{"number", `5`, event.ErrType},
		{"string", `"ping"`, event.ErrType},
		{"action is a number", `{"action":5,"source":"s"}`, event.ErrType},
		{"type is a number", `{"action":"ping","source":"s","type":5}`, event.ErrType},
		{"source is a list", `{"action":"ping","source":["s"]}`, event.ErrType},
		{"source of an unknown action is a list", `{"action":"reload","source":["s"]}`, event.ErrType},
		{"id is a number", `{"action":"connection-start","source":"s","id":5}`, event.ErrType},
		{"instance is a number", message(event.ActionPing, `"instance":5`), event.ErrType},
		{"list is an object", message(event.ActionPing, `"proxies":{}`), event.ErrType},
		{"list of numbers", message(event.ActionPing, `"proxies":["a",1]`), event.ErrType},
		{"list of lists", message(event.ActionPing, `"proxies":[["a"]]`), event.ErrType},
		{"labels are an object", message(event.ActionPing, `"proxies-plus":{}`), event.ErrType},
		{"addresses are text", message(neighbor, `"addresses":"10.77.1.2"`), event.ErrType},
		{"details are text", connection(start, `"none"`), event.ErrType},
		{"session is a number", connection(start, `{"info":{"session":5}}`), event.ErrType},
		{"bytes negative", connection(stop, `{"info":{`+session+`,"bytes_up":-1,"bytes_down":0}}`), event.ErrType},
		{"bytes are text", connection(stop, `{"info":{`+session+`,"bytes_up":"1","bytes_down":0}}`), event.ErrType},
		{"bytes up that no connection can carry", connection(stop, `{"info":{`+session+`,"bytes_up":9007199254740993,"bytes_down":0}}`), event.ErrType},
		{"bytes down that are a negative number", connection(stop, `{"info":{`+session+`,"bytes_up":0,"bytes_down":18446744073709551615}}`), event.ErrType},
		{"sinkhole of more than a connection can carry", connection(info, `{"sinkhole":{"sunken_right":9007199254740993}}`), event.ErrType},
		{"bytes over 64 bit", connection(stop, `{"info":{`+session+`,"bytes_up":18446744073709551616,"bytes_down":0}}`), event.ErrType},
		{"details of l7 are numbers", connection(stop, `{"info":{`+session+`,"bytes_up":1,"bytes_down":0,"l7":{"details":[1]}}}`), event.ErrType},
		{"entropy is text", connection(info, `{"statistics":{"entropy":{"left":{"entropy":"high"}}}}`), event.ErrType},
		{"sinkhole is negative", connection(info, `{"sinkhole":{"sunken_left":-1}}`), event.ErrType},
		{"JA4H is text", connection(stop, `{"info":{`+session+`,"bytes_up":1,"bytes_down":0,"l7":{"ja4h":"ge11"}}}`), event.ErrType},
		{"policy is text", connection(access, `{"policy":"any",`+session+`}`), event.ErrType},
		{"content is a number", connection(content, `{"info":{`+session+`,"content":5}}`), event.ErrType},
		{"content is a list", connection(content, `{"info":{`+session+`,"content":["QQ=="]}}`), event.ErrType},

		{"null", `null`, event.ErrMissing},
		{"object", `{}`, event.ErrMissing},
		{"no action", `{"source":"s"}`, event.ErrMissing},
		{"no action, and odd fields", `{"source":"s","id":5}`, event.ErrMissing},
		{"action null", `{"action":null,"source":"s"}`, event.ErrMissing},
		{"no source", `{"action":"ping"}`, event.ErrMissing},
		{"no source of an unknown action", `{"action":"reload","id":5}`, event.ErrMissing},
		{"source empty", `{"action":"ping","source":""}`, event.ErrMissing},
		{"no id", `{"action":"connection-start","source":"s","details":{"info":{` + session + `}}}`, event.ErrMissing},
		{"no id of an access-request", `{"action":"access-request","source":"s","details":{` + session + `}}`, event.ErrMissing},
		{"no addresses", message(neighbor, `"state":"new"`), event.ErrMissing},
		{"addresses null", message(neighbor, `"addresses":null`), event.ErrMissing},
		{"start without details", message(start, `"id":"x"`), event.ErrMissing},
		{"start without info", connection(start, `{}`), event.ErrMissing},
		{"start without session", connection(start, `{"info":{}}`), event.ErrMissing},
		{"stop without bytes up", connection(stop, `{"info":{`+session+`,"bytes_down":0}}`), event.ErrMissing},
		{"stop without bytes down", connection(stop, `{"info":{`+session+`,"bytes_up":0}}`), event.ErrMissing},
		{"stop with bytes null", connection(stop, `{"info":{`+session+`,"bytes_up":null,"bytes_down":0}}`), event.ErrMissing},
		{"info without details", connection(info, `null`), event.ErrMissing},
		{"access-request without session", connection(access, `{"policy":-1}`), event.ErrMissing},
		{"content without session", connection(content, `{"info":{"content":"QQ=="}}`), event.ErrMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := event.Decode([]byte(tt.body))
			if err == nil {
				t.Fatalf("Decode(%.200s) = %+v, want an error", tt.body, ev)
			}
			if got := sentinelOf(t, err); got != tt.want {
				t.Errorf("Decode(%.200s): %q, want one of %q", tt.body, err, tt.want)
			}
		})
	}
}

func TestDecodeNameLength(t *testing.T) {
	longest := strings.Repeat("n", event.MaxNameBytes)
	// Two bytes a character: it is bytes that count.
	wide := strings.Repeat("ü", event.MaxNameBytes/2)
	tests := []struct {
		name string
		body func(name string) string
	}{
		{"source", func(name string) string { return `{"action":"ping","source":"` + name + `"}` }},
		{"source of an unknown action", func(name string) string { return `{"action":"reload","source":"` + name + `","id":5}` }},
		{"id", func(name string) string {
			return message(event.ActionStart, `"id":"`+name+`","details":{"info":{"session":"s"}}`)
		}},
		{"instance", func(name string) string { return message(event.ActionPing, `"instance":"`+name+`"`) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{longest, wide} {
				if _, err := event.Decode([]byte(tt.body(name))); err != nil {
					t.Errorf("%d bytes: %v", len(name), err)
				}
				_, err := event.Decode([]byte(tt.body(name + "n")))
				if err == nil {
					t.Fatalf("%d bytes: no error", len(name)+1)
				}
				if got := sentinelOf(t, err); got != event.ErrTooLong {
					t.Errorf("%d bytes: %v, want %v", len(name)+1, err, event.ErrTooLong)
				}
			}
		})
	}
}

// Bytes that are not UTF-8 must not cost the event, nor get any further.
func TestDecodeInvalidUTF8(t *testing.T) {
	bodies := map[string]string{
		"raw":             "\xff",
		"cut off":         "\xe2\x82",
		"lone surrogate":  `\ud800`,
		"swapped":         `\udc00\ud800`,
		"overlong":        "\xc0\xaf",
		"surrogate bytes": "\xed\xa0\x80",
	}
	for name, bad := range bodies {
		t.Run(name, func(t *testing.T) {
			body := `{"action":"connection-stop","source":"s` + bad + `","id":"i` + bad + `","details":{"info":{"session":"l` + bad +
				`","bytes_up":1,"bytes_down":2,"tls":{"sni":"` + bad + `"},"l7":{"app":"` + bad + `","details":["u` + bad + `"]}}}}`
			ev, err := event.Decode([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range texts(ev) {
				if !utf8.ValidString(s) {
					t.Errorf("%q is not UTF-8", s)
				}
			}
			if stop := ev.Payload.(event.Stop); !strings.ContainsRune(stop.SNI, utf8.RuneError) || ev.Source == "s" {
				t.Errorf("nothing stands for the bad bytes: source %q, SNI %q", ev.Source, stop.SNI)
			}
		})
	}
}

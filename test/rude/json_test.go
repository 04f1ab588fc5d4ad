//go:build rude

package rude

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
)

// jsonRate is how many hostile bodies are sent a second.
const jsonRate = 100

// hostileJSON sends bodies that are hard to parse, or that parsers disagree about.
func hostileJSON(ctx context.Context, c *client) {
	var probes []probe
	for _, make := range []func() []probe{deepJSON, numbers, duplicateKeys, strangeText, wrongShapes} {
		probes = append(probes, make()...)
	}
	c.tryAll(ctx, probes, jsonRate)
}

func judgeJSON(t *testing.T, o outcome) {
	// Above 2^53 a counter, which is a float64, no longer counts single bytes.
	if n := o.metrics.value("smithproxy_connection_bytes_total", "source="+jsonSource); n >= math.MaxInt64 {
		t.Errorf("%v bytes were counted", n)
	}
}

const (
	jsonSource = "rude-json"
	jsonLabel  = "tcp_10.9.0.2:4000+tcp_192.0.2.9:80"

	actionStart, actionStop, actionInfo, actionAccess = "connection-start", "connection-stop", "connection-info", "access-request"
)

var messages atomic.Int64

// message is a message of a connection of its own; more are further fields, each with a comma before it.
func message(action, details, more string) string {
	return fmt.Sprintf(`{"action":%q,"details":%s,"id":"Proxy-2B-OID-%X","source":%q,"type":"proxy"%s}`, action, details, messages.Add(1), jsonSource, more)
}

func stopWith(field, value string) string {
	fields := map[string]string{"bytes_up": "1", "bytes_down": "2", "policy": "0"}
	fields[field] = value
	return message(actionStop, fmt.Sprintf(`{"info":{"session":%q,"bytes_up":%s,"bytes_down":%s,"policy":%s}}`,
		jsonLabel, fields["bytes_up"], fields["bytes_down"], fields["policy"]), "")
}

func infoWith(entropy, sampled, skew string) string {
	return message(actionInfo, fmt.Sprintf(`{"statistics":{"info":{"session":%q},"entropy":{"left":{"entropy":%s,"bytes_accounted":%s}},"flow":{"skew":%s}}}`,
		jsonLabel, entropy, sampled, skew), "")
}

func accessWith(policy, more string) string {
	return message(actionAccess, fmt.Sprintf(`{"session":%q,"policy":%s}`, jsonLabel, policy), more)
}

func plainStart(more string) string {
	return message(actionStart, fmt.Sprintf(`{"info":{"session":%q}}`, jsonLabel), more)
}

// whole is all of a connection, with a text wherever the network can choose one. It ends in a span.
func whole(name, text string) []probe {
	id := fmt.Sprintf("Proxy-2B-SID-%X", messages.Add(1))
	send := func(action, details string) probe {
		return event(name+" in a "+action, action, fmt.Sprintf(`{"action":%q,"details":%s,"id":%q,"source":%q,"type":"proxy"}`, action, details, id, jsonSource), accepted)
	}
	return []probe{
		send(actionStart, fmt.Sprintf(`{"info":{"session":%q}}`, jsonLabel)),
		send(actionStop, fmt.Sprintf(`{"info":{"session":%q,"bytes_up":9007199254740992,"bytes_down":0,"ja4_ch":"%[2]s","ja4_sh":"%[2]s","tls":{"sni":"%[2]s"},`+
			`"l7":{"app":"%[2]s","details":["http://%[2]s/"],"signatures":["%[2]s"],"ja4h":["%[2]s"]}}}`, jsonLabel, text)),
		send(actionInfo, fmt.Sprintf(`{"statistics":{"info":{"session":%q,"protocol":"%[2]s"},"entropy":{"left":{"entropy":-0.0,"bytes_accounted":512},"right":{"entropy":8,"bytes_accounted":1}},`+
			`"flow":{"skew":-1}},"access-request":{"info":{"session":%[1]q,"access-response":{"access-response":"reject","rule":"%[2]s","decision":"%[2]s"}}}}`, jsonLabel, text)),
	}
}

func deepJSON() []probe {
	arrays := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	return []probe{
		event("an unknown key 5,000 deep", actionStart, plainStart(`,"x":`+arrays(5000)), accepted),
		event("an unknown key 1,000,000 deep", actionStart, plainStart(`,"x":`+arrays(1_000_000)), refused),
		event("objects 500,000 deep", actionStart, plainStart(`,"x":`+objects(500_000)), refused),
		event("2,000,000 arrays that do not end", actionStart, strings.Repeat("[", 2_000_000), refused),
		event("details 1,000,000 deep", actionStart, message(actionStart, arrays(1_000_000), ""), refused),
		event("an access-request 1,000,000 deep", actionAccess, accessWith("-1", `,"x":`+arrays(1_000_000)), verdict),
		event("an access-request with details 1,000,000 deep", actionAccess, message(actionAccess, arrays(1_000_000), ""), verdict),
		event("an echo 5,000 deep", actionInfo, message(actionInfo,
			fmt.Sprintf(`{"access-request":{"info":{"session":%q,"access-response":%s}}}`, jsonLabel, objects(5000)), ""), accepted),
		event("500,000 keys", actionStart, plainStart(strings.Repeat(`,"x":1`, 500_000)), accepted),
	}
}

func numbers() []probe {
	var probes []probe
	for _, n := range []struct {
		value       string
		integer     want // as a size in bytes
		float       want // as an entropy
		askedPolicy want
	}{
		{"18446744073709551615", refused, accepted, verdict}, // 2^64-1
		{"18446744073709551616", refused, accepted, verdict}, // 2^64
		{"9223372036854775808", refused, accepted, verdict},  // 2^63
		{"9007199254740992", accepted, accepted, verdict},    // 2^53
		{"1e400", refused, answered, verdict},
		{"-1e400", refused, answered, verdict},
		{"1e-400", refused, accepted, verdict},
		{"-0", answered, accepted, verdict},
		{"-0.0", refused, accepted, verdict},
		{"1.0", refused, accepted, verdict},
		{"NaN", refused, refused, verdict},
		{"-Infinity", refused, refused, verdict},
		{"0x10", refused, refused, verdict},
		{"01", refused, refused, verdict},
		{"+1", refused, refused, verdict},
		{"1" + strings.Repeat("0", 100_000), refused, answered, verdict},
		{"0." + strings.Repeat("3", 100_000), refused, accepted, verdict},
		{`"1"`, refused, refused, verdict},
		{"null", refused, accepted, verdict},
	} {
		name := fmt.Sprintf("%.20s", n.value)
		probes = append(probes,
			event(name+" as bytes_up", actionStop, stopWith("bytes_up", n.value), n.integer),
			event(name+" as an entropy", actionInfo, infoWith(n.value, "512", "0.5"), n.float),
			event(name+" as a skew", actionInfo, infoWith("7.5", "512", n.value), n.float),
			event(name+" as the policy of an access-request", actionAccess, accessWith(n.value, ""), n.askedPolicy),
		)
	}
	return probes
}

func duplicateKeys() []probe {
	return []probe{
		event("two sources", actionStart, plainStart(`,"source":"rude-json-2"`), accepted),
		event("two details", actionStart, plainStart(`,"details":{"info":{"session":"tcp_10.9.0.3:1+tcp_192.0.2.9:80"}}`), accepted),
		event("details, and then null", actionStart, plainStart(`,"details":null`), answered),
		event("two ids", actionStart, plainStart(`,"id":"Proxy-2B-OID-FFFFFF"`), accepted),
		event("a start that turns into an access-request", actionAccess,
			message(actionStart, fmt.Sprintf(`{"session":%q}`, jsonLabel), `,"action":"access-request"`), verdict),
		event("an access-request twice", actionAccess, accessWith("-1", `,"action":"access-request","source":"rude-json-2"`), verdict),
		event("a ping with two lists", "ping",
			`{"action":"ping","instance":"Proxy-2B","proxies":["a"],"proxies":["b"],"proxies":null,"source":"rude-json","type":"proxy"}`, accepted),
		event("keys that differ in case", actionStart, plainStart(`,"SOURCE":"rude-json-2","Action":"access-request"`), accepted),
	}
}

func strangeText() []probe {
	in := func(source, id, session string) string {
		return fmt.Sprintf(`{"action":"connection-start","details":{"info":{"session":"%s"}},"id":"%s","source":"%s","type":"proxy"}`, session, id, source)
	}
	ask := func(source, session string) string {
		return fmt.Sprintf(`{"action":"access-request","details":{"policy":-1,"session":"%s"},"id":"%[1]s","source":"%s","type":"proxy"}`, session, source)
	}
	var probes []probe
	for _, s := range []struct{ name, text string }{
		{"a lone high surrogate", `\ud800`},
		{"a lone low surrogate", `\udfff`},
		{"surrogates in the wrong order", `\udc00\ud800`},
		{"an escaped NUL", `a\u0000b`},
		{"bytes that are not UTF-8", "\xff\xfe\xc0\x80"},
		{"a right-to-left override", `\u202egpj.exe`},
		{"a line separator", `\u2028\u2029`},
		{"a line of an exposition", `x\"} 1\n# TYPE smithproxy_up counter\nsmithproxy_up{source=\"y`},
		{"a terminal's escape sequence", `\u001b[2J\u001b]0;x\u0007`},
		{"a line of a log", `x\nlevel=ERROR msg=forged`},
	} {
		probes = append(probes,
			event(s.name+" in the source", actionStart, in("rude-"+s.text, "Proxy-2B-OID-1", jsonLabel), accepted),
			event(s.name+" in the id", actionStart, in(jsonSource, "Proxy-2B-OID-"+s.text, jsonLabel), accepted),
			event(s.name+" in the session", actionStart, in(jsonSource, "Proxy-2B-OID-1", "tcp_"+s.text+":1+tcp_"+s.text+":2"), accepted),
			event(s.name+" in the source of an access-request", actionAccess, ask("rude-"+s.text, jsonLabel), verdict),
			event(s.name+" in the session of an access-request", actionAccess, ask(jsonSource, "tcp_"+s.text+":1+tcp_"+s.text+":2"), verdict),
		)
		probes = append(probes, whole(s.name, s.text)...)
	}
	return append(probes,
		event("a NUL byte in a string", actionStart, in("rude-\x00", "Proxy-2B-OID-1", jsonLabel), refused),
		event("a NUL byte after the message", actionStart, plainStart("")+"\x00", refused),
		event("a NUL byte in an access-request", actionAccess, ask(jsonSource, "tcp_\x00:1+tcp_10.0.0.1:2"), verdict),
		event("a byte order mark", actionStart, "\ufeff"+plainStart(""), refused),
		event("a source of 257 bytes", actionStart, in(strings.Repeat("s", 257), "Proxy-2B-OID-1", jsonLabel), refused),
		event("an access-request with a source of 1 MiB", actionAccess, ask(strings.Repeat("s", 1<<20), jsonLabel), verdict),
		event("an id of 1 MiB", actionStart, in(jsonSource, strings.Repeat("i", 1<<20), jsonLabel), refused),
		event("a session of 1 MiB", actionStart, in(jsonSource, "Proxy-2B-OID-3", strings.Repeat("x", 1<<20)), accepted),
		event("an access-request with a session of 1 MiB", actionAccess, ask(jsonSource, strings.Repeat("x", 1<<20)), verdict),
	)
}

func wrongShapes() []probe {
	return []probe{
		event("an empty body", "", "", refused),
		event("spaces up to the limit", "", strings.Repeat(" ", largeBodyBytes), refused),
		event("null", "", "null", refused),
		event("an array", "", "["+plainStart("")+"]", refused),
		event("two messages", "", plainStart("")+plainStart(""), refused),
		event("a message cut off", "", plainStart("")[:60], refused),
		event("a comment", "", "/* */"+plainStart(""), refused),
		event("a trailing comma", "", strings.TrimSuffix(plainStart(""), "}")+",}", refused),
		event("details that are a string", actionStart, message(actionStart, `"x"`, ""), refused),
		event("an action that is a number", "", `{"action":1,"source":"rude-json"}`, refused),
		event("an access-request with details that are a string", actionAccess, message(actionAccess, `"x"`, ""), verdict),
		event("an access-request without details", actionAccess, `{"action":"access-request","source":"rude-json","type":"proxy"}`, verdict),
		event("an access-request without a source", actionAccess, `{"action":"access-request","type":"proxy"}`, verdict),
		event("an access-request of another type", actionAccess, `{"action":"access-request","source":"rude-json","type":"other"}`, verdict),
		event("an access-request cut off", actionAccess, accessWith("-1", "")[:60], verdict),
		event("an unknown action", "unknown", `{"action":"x","source":"rude-json","type":"proxy"}`, accepted),
	}
}

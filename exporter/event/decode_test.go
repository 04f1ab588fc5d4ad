package event_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

const (
	proxyID = "Proxy-A65E609B-OID-FEE9B1098109"
	label   = "ssli_172.30.1.10:32954+ssli_1.2.3.4:443"
)

// message is the JSON of a message of the given action: fields are what it has beside the common ones.
func message(action event.Action, fields string) string {
	return `{"action":"` + string(action) + `",` + fields + `,"source":"oneofmany1","type":"proxy"}`
}

// connection is the same for the messages about a connection.
func connection(action event.Action, details string) string {
	return message(action, `"details":`+details+`,"id":"`+proxyID+`"`)
}

func ptr[T any](v T) *T { return &v }

type decodeTest struct {
	name, body string
	want       event.Event
}

func runDecode(t *testing.T, tests []decodeTest) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Decode([]byte(tt.body))
			if err != nil {
				t.Fatalf("Decode(%s): %v", tt.body, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decode(%s), -want +got:\n%s", tt.body, diff)
			}
		})
	}
}

func of(action event.Action, payload any) event.Event {
	ev := event.Event{Action: action, Source: "oneofmany1", Payload: payload}
	switch action {
	case event.ActionPing, event.ActionNeighbor, event.ActionUnknown:
	default:
		ev.ID = proxyID
	}
	return ev
}

func TestDecodePing(t *testing.T) {
	const ping = event.ActionPing
	runDecode(t, []decodeTest{
		{"howto", `{"action":"ping","source":"oneofmany1","type":"proxy"}`, of(ping, event.Ping{})},
		{"no type", `{"action":"ping","source":"oneofmany1"}`, of(ping, event.Ping{})},
		{"list is null", message(ping, `"instance":"Proxy-E4304D4F","proxies":null`),
			of(ping, event.Ping{Instance: "Proxy-E4304D4F", Listed: true})},
		{"list is absent", message(ping, `"instance":"Proxy-E4304D4F"`),
			of(ping, event.Ping{Instance: "Proxy-E4304D4F"})},
		{"list is empty", message(ping, `"instance":"Proxy-E4304D4F","proxies":[]`),
			of(ping, event.Ping{Instance: "Proxy-E4304D4F", Listed: true})},
		{"list", message(ping, `"instance":"Proxy-A65E609B","proxies":["`+proxyID+`"]`),
			of(ping, event.Ping{Instance: "Proxy-A65E609B", Listed: true, Open: []string{proxyID}})},
		{"escapes and bytes that are not UTF-8", message(ping, `"proxies":["a\u0041\n\ud83d\ude00","`+"b\xff"+`","",null,"c"]`),
			of(ping, event.Ping{Listed: true, Open: []string{"aA\n😀", "b\uFFFD", "", "", "c"}})},
		{"labels", message(ping, `"instance":"Proxy-A65E609B","proxies":["`+proxyID+`"],"proxies-plus":["`+proxyID+`=`+label+`"]`),
			of(ping, event.Ping{
				Instance: "Proxy-A65E609B", Listed: true, Open: []string{proxyID}, Full: true,
				Sessions: []event.OpenSession{{ID: proxyID, Session: label}},
			})},
		{"labels are null", message(ping, `"instance":"Proxy-A65E609B","proxies":null,"proxies-plus":null`),
			of(ping, event.Ping{Instance: "Proxy-A65E609B", Listed: true, Full: true})},
		{"labels of another form", message(ping, `"proxies-plus":["=x","y","`+proxyID+`=",""]`), of(ping, event.Ping{Full: true})},
	})
}

func TestDecodeNeighbor(t *testing.T) {
	const neighbor = event.ActionNeighbor
	runDecode(t, []decodeTest{
		{"howto", message(neighbor, `"address":"172.30.1.10","state":"new"`),
			of(neighbor, event.Neighbor{State: event.NeighborNew, Addresses: []string{"172.30.1.10"}})},
		{"current", message(neighbor, `"addresses":["10.77.1.2","fd77:1::2"],"state":"update"`),
			of(neighbor, event.Neighbor{State: "update", Addresses: []string{"10.77.1.2", "fd77:1::2"}})},
		{"both", message(neighbor, `"address":"10.77.1.3","addresses":["10.77.1.2"],"state":"ping"`),
			of(neighbor, event.Neighbor{State: "ping", Addresses: []string{"10.77.1.2", "10.77.1.3"}})},
		{"none alive", message(neighbor, `"addresses":[],"state":"ping"`),
			of(neighbor, event.Neighbor{State: "ping", Addresses: []string{}})},
	})
}

func TestDecodeStart(t *testing.T) {
	const body = `{"info":{"session":"` + label + `"}}`
	runDecode(t, []decodeTest{
		{"howto and current", connection(event.ActionStart, body), of(event.ActionStart, event.Start{Session: label})},
		{"socks", connection(event.ActionStart, `{"info":{"session":"tcp_10.77.1.2:40762+0:0"}}`),
			of(event.ActionStart, event.Start{Session: "tcp_10.77.1.2:40762+0:0"})},
		{"lists of another type", message(event.ActionStart, `"proxies":{"a":[1]},"proxies-plus":[[1]],"details":`+body+`,"id":"`+proxyID+`"`),
			of(event.ActionStart, event.Start{Session: label})},
		{"fields of a later version", connection(event.ActionStart, `{"info":{"session":"`+label+`","later":{"x":[1]}},"later":1}`),
			of(event.ActionStart, event.Start{Session: label})},
	})
}

func TestDecodeStop(t *testing.T) {
	const stop = event.ActionStop
	info := func(fields string) string { return connection(stop, `{"info":{`+fields+`,"session":"`+label+`"}}`) }
	runDecode(t, []decodeTest{
		{"howto", info(`"bytes_down":610,"bytes_up":1367,"l7":{"app":"http2","details":["https://example.com/a","https://example.com/b"]},` +
			`"policy":3,"tls":{"sni":"example.com"}`), of(stop, event.Stop{
			Session: label, Policy: ptr(3), BytesUp: 1367, BytesDown: 610, TLS: true, SNI: "example.com",
			App: "http2", Details: []string{"https://example.com/a", "https://example.com/b"},
		})},
		{"current", info(`"bytes_down":122,"bytes_up":91,"ja4_ch":"t13d","ja4_ch_ignore_sni":false,"ja4_sh":"t1302",` +
			`"l7":{"app":"http1","details":[],"ja4h":["ge11"],"signatures":["www/http/request"]},"policy":2,"tls":{"sni":""}`),
			of(stop, event.Stop{
				Session: label, Policy: ptr(2), BytesUp: 91, BytesDown: 122, JA4Client: "t13d", JA4Server: "t1302",
				JA4IgnoreSNI: ptr(false), JA4HTTP: []string{"ge11"}, TLS: true, App: "http1", Details: []string{}, Signatures: []string{"www/http/request"},
			})},
		{"fingerprint without SNI", info(`"bytes_down":0,"bytes_up":0,"ja4_ch":"t13i","ja4_ch_ignore_sni":true,"policy":65500`),
			of(stop, event.Stop{Session: label, Policy: ptr(event.PolicyImplicit), JA4Client: "t13i", JA4IgnoreSNI: ptr(true)})},
		{"engine with other keys", info(`"bytes_down":0,"bytes_up":0,"l7":{"app":"x","ja4h":null,"later":[1]}`),
			of(stop, event.Stop{Session: label, App: "x"})},
		{"refused", info(`"bytes_down":0,"bytes_up":0,"ja4_ch":"","ja4_sh":"","policy":-1`),
			of(stop, event.Stop{Session: label, Policy: ptr(-1)})},
		{"no policy", info(`"bytes_down":1,"bytes_up":2`), of(stop, event.Stop{Session: label, BytesUp: 2, BytesDown: 1})},
		{"nulls", info(`"bytes_down":1,"bytes_up":2,"policy":null,"tls":null,"l7":null,"ja4_ch":null,"ja4_ch_ignore_sni":null`),
			of(stop, event.Stop{Session: label, BytesUp: 2, BytesDown: 1})},
		{"most bytes there can be", info(`"bytes_down":9007199254740992,"bytes_up":9007199254740992`),
			of(stop, event.Stop{Session: label, BytesUp: event.MaxBytes, BytesDown: event.MaxBytes})},
		{"text of an attacker", info(`"bytes_down":0,"bytes_up":0,"l7":{"app":"http1","details":["http://h/\"\u0000\n\u202e"]}`),
			of(stop, event.Stop{Session: label, App: "http1", Details: []string{"http://h/\"\x00\n\u202e"}})},
	})
}

func TestDecodeAccess(t *testing.T) {
	const access = event.ActionAccess
	current := of(access, event.Access{Session: label, Policy: event.PolicyUnknown})
	current.ID = label
	runDecode(t, []decodeTest{
		{"howto", connection(access, `{"policy":3,"session":"`+label+`"}`),
			of(access, event.Access{Session: label, Policy: 3})},
		{"current", message(access, `"details":{"bytes_side":"L","bytes_size":0,"policy":-1,"require":"origin-info",`+
			`"session":"`+label+`","state":"init"},"id":"`+label+`"`), current},
		{"no policy", connection(access, `{"session":"`+label+`"}`),
			of(access, event.Access{Session: label, Policy: event.PolicyUnknown})},
		{"policy 0", connection(access, `{"policy":0,"session":"`+label+`"}`),
			of(access, event.Access{Session: label, Policy: 0})},
	})
}

func TestDecodeContent(t *testing.T) {
	tests := []struct {
		name, content string
		bytes         int
	}{
		{"empty", `""`, 0},
		{"absent payload", `null`, 0},
		{"no padding needed", `"QUJD"`, 3},
		{"two pads", `"QQ=="`, 1},
		{"one pad", `"QUI="`, 2},
		{"padding after a group", `"QUJDRA=="`, 4},
		{"padding left out, 1 over", `"QUJDRA"`, 4},
		{"padding left out, 2 over", `"QUJDREU"`, 5},
		{"escaped solidus", `"\/\/8="`, 2},
		{"solidus", `"//8="`, 2},
		{"large", strconv.Quote(strings.Repeat("QUJD", 1<<18) + "QQ=="), 3<<18 + 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := event.Decode([]byte(connection(event.ActionContent,
				`{"info":{"content":`+tt.content+`,"session":"`+label+`","side":"R"}}`)))
			if err != nil {
				t.Fatal(err)
			}
			want := of(event.ActionContent, event.Content{Side: "R", Bytes: tt.bytes})
			if diff := cmp.Diff(want, ev); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What is not known must neither cost the event nor become anything but ActionUnknown.
func TestDecodeUnknown(t *testing.T) {
	unknown := event.Event{Action: event.ActionUnknown, Source: "oneofmany1"}
	body := func(action, typ, fields string) string {
		return `{"action":"` + action + `","type":"` + typ + `",` + fields + `"source":"oneofmany1"}`
	}
	runDecode(t, []decodeTest{
		{"action", body("reload", "proxy", ""), unknown},
		{"action named unknown", body("unknown", "proxy", ""), unknown},
		{"type", body("ping", "switch", ""), unknown},
		{"both", body("reload", "switch", ""), unknown},
		{"id is dropped", body("reload", "proxy", `"id":"`+proxyID+`",`), unknown},
		{"id is a number", body("reload", "proxy", `"id":5,`), unknown},
		{"id is too long", body("reload", "proxy", `"id":"`+strings.Repeat("x", event.MaxNameBytes+1)+`",`), unknown},
		{"details are a list", body("reload", "proxy", `"details":[1,2],`), unknown},
		{"state is an object", body("neighbor", "switch", `"state":{"a":1},`), unknown},
		{"bytes are text", body("connection-stop", "switch", `"details":{"info":{"bytes_up":"many"}},`), unknown},
		{"case matters", body("Ping", "proxy", ""), unknown},
	})
}

func TestInstance(t *testing.T) {
	tests := []struct{ id, want string }{
		{proxyID, "Proxy-A65E609B"},
		{"Proxy-6A06984-OID-FEE9B109FF3D", "Proxy-6A06984"},
		{"Proxy-9F01-PTR-7F3A", "Proxy-9F01"},
		{"Proxy-1-SID-1", "Proxy-1"},
		{"Proxy-1-LATER-1", "Proxy-1"},
		{"Proxy-edge-1-SID-1A", "Proxy-edge-1"},
		{"A65E609B-OID-FEE9B109FF3D", "A65E609B"},
		{"Proxy--OID-FEE9B109FF3D", ""},
		{"Proxy-A65E609B--FEE9B109FF3D", ""},
		{"Proxy-A65E609B-OID-", ""},
		{"-A65E609B-OID-1", ""},
		{"Proxy-A65E609B", ""},
		{"Proxy", ""},
		{"-", ""},
		{"--", ""},
		{label, ""},
		{"tcp_10.77.1.2:40762+tcp_a-b-c.example.com:443", ""},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			if got := event.Instance(tt.id); got != tt.want {
				t.Errorf("Instance(%q) = %q, want %q", tt.id, got, tt.want)
			}
		})
	}
}

func TestPolicyText(t *testing.T) {
	for policy, want := range map[int]string{
		event.PolicyUnknown: "-1", 0: "0", 17: "17", event.PolicyImplicit: "implicit", 65501: "65501",
	} {
		if got := event.PolicyText(policy); got != want {
			t.Errorf("PolicyText(%d) = %q, want %q", policy, got, want)
		}
	}
}

// The ids of a long list share memory: 100,000 of them must not cost 100,000 allocations.
func TestDecodeLongList(t *testing.T) {
	var ids []string
	for i := range 100_000 {
		ids = append(ids, fmt.Sprintf("Proxy-A65E609B-SID-%X", i))
	}
	body := []byte(message(event.ActionPing, `"proxies":["`+strings.Join(ids, `","`)+`"]`))
	ev, err := event.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if got := ev.Payload.(event.Ping).Open; !slices.Equal(got, ids) {
		t.Errorf("%d ids, want %d", len(got), len(ids))
	}
	allocations := testing.AllocsPerRun(3, func() { _, err = event.Decode(body) })
	if err != nil || allocations > 200 {
		t.Errorf("%v allocations, error %v, want less than 200", allocations, err)
	}
}

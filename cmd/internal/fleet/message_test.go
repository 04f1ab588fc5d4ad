package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/capture"
)

// shape is the set of paths in a JSON value with the types found there.
func shape(t *testing.T, body []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	paths := make(map[string]bool)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		case []any:
			paths[path+"[]"] = true
			for _, e := range v {
				walk(path+"[]", e)
			}
		default:
			paths[fmt.Sprintf("%s %T", path, v)] = true
		}
	}
	walk("", v)
	return slices.Sorted(maps.Keys(paths))
}

// captured returns the first body of a capture that has all of the given texts.
func captured(t *testing.T, name string, texts ...string) []byte {
	t.Helper()
	requests, err := capture.Read(filepath.Join("..", "..", "..", "exporter", "testdata", "captures", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		if !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(string(r.Body), s) }) {
			return r.Body
		}
	}
	t.Fatalf("no body in capture %s has %v", name, texts)
	return nil
}

func TestMessagesHaveTheShapeOfTheCaptures(t *testing.T) {
	const source, id = "sx-lab-1", "Proxy-51327D2F-OID-FEE9B109FF66"
	const echo = `{"access-response":"accept"}`
	plain := plainScript()
	socks := with(func(s *script) { s.mode = SOCKS })
	tls := with(func(s *script) {
		s.tls, s.app, s.sni, s.ja4ch, s.ja4sh = true, "http2", "www.sxtest.local", "t13", "t13"
	})
	refused := with(func(s *script) {
		s.app, s.details, s.ja4h, s.signatures, s.up, s.down, s.asks = "", nil, nil, nil, 0, 0, true
	})
	both := with(func(s *script) { s.asks, s.statistics = true, true })
	oneSided := with(func(s *script) { s.statistics, s.down, s.entropyDown = true, 0, sample{undefined: true} })
	dns := with(func(s *script) { s.transport = "udp" })
	tests := []struct {
		name string
		got  []byte
		want []byte
	}{
		{"access", plain.accessMessage(FormCurrent, source, id), captured(t, "access-reject", ask)},
		{"access over SOCKS", socks.accessMessage(FormCurrent, source, id), captured(t, "access-reject", ask, `"policy":2`)},
		{"start", plain.startMessage(source, id), captured(t, "access-accept", start)},
		{"start over SOCKS", socks.startMessage(source, id), captured(t, "socks", start)},
		{"start of UDP", dns.startMessage(source, id), captured(t, "dns-udp", start)},
		{"stop", plain.stopMessage(FormCurrent, source, id), captured(t, "socks", stop, "http1")},
		{"stop with TLS", tls.stopMessage(FormCurrent, source, id), captured(t, "stats-https-h2", stop)},
		{"stop of a refused one", refused.stopMessage(FormCurrent, source, id), captured(t, "refused", stop)},
		{"info of a reject", both.infoMessage(FormCurrent, source, id, json.RawMessage(echo), true),
			captured(t, "access-reject", info)},
		{"info of both features", both.infoMessage(FormCurrent, source, id, json.RawMessage(echo), false),
			captured(t, "sigterm", info, "statistics")},
		{"info without data", refused.infoMessage(FormCurrent, source, id, json.RawMessage(echo), false),
			captured(t, "sigterm", info, "FF6C")},
		{"info of one side", oneSided.infoMessage(FormCurrent, source, id, nil, false),
			captured(t, "stats-tcp-zero", info, `"top_byte_ratio":null`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, want := shape(t, tt.got), shape(t, tt.want)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// The start has nothing that varies but what the script says, so the bytes are
// the same.
func TestStartIsTheCapture(t *testing.T) {
	s := with(func(s *script) { s.mode, s.client = SOCKS, addr("10.77.1.2:40762") })
	got := s.startMessage("sx-lab-1", "Proxy-1DAD4170-OID-FEE9B109FF97")
	if want := captured(t, "socks", start); string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHOWTOForm(t *testing.T) {
	s := with(func(s *script) {
		s.tls, s.sni, s.asks, s.statistics, s.signatures, s.ja4h = true, "example.com", true, true, nil, nil
	})
	const id = "Proxy-A65E609B-OID-FEE9B1098109"
	for _, tt := range []struct {
		name string
		body []byte
		want []string
	}{
		{"access", s.accessMessage(FormHOWTO, "oneofmany1", id), []string{
			".action string", ".details.policy float64", ".details.session string", ".id string", ".source string", ".type string"}},
		{"stop", s.stopMessage(FormHOWTO, "oneofmany1", id), []string{
			".action string", ".details.info.bytes_down float64", ".details.info.bytes_up float64",
			".details.info.l7.app string", ".details.info.l7.details[]", ".details.info.l7.details[] string",
			".details.info.policy float64", ".details.info.session string", ".details.info.tls.sni string",
			".id string", ".source string", ".type string"}},
	} {
		if got := shape(t, tt.body); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got\n%s", tt.name, strings.Join(got, "\n"))
		}
		if !strings.Contains(string(tt.body), id) {
			t.Errorf("%s lacks the object id", tt.name)
		}
	}
	if got := s.infoMessage(FormHOWTO, "oneofmany1", id, nil, false); strings.Contains(string(got), `"info":{`) {
		t.Errorf("info has an info: %s", got)
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[number]string{
		0: "0.0", -1: "-1.0", 0.2: "0.2", number(math.Inf(1)): "null", 1e-9: "1e-09",
	} {
		if got, err := json.Marshal(n); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	if got, _ := json.Marshal(number(math.NaN())); string(got) != "null" {
		t.Errorf("NaN is %s", got)
	}
}

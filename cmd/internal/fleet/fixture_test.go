package fleet

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/capture"
)

// fixture returns a body of testdata/newer-messages.jsonl by its name.
func fixture(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/newer-messages.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var f struct{ Name, Body string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		if f.Name == name {
			return f.Body
		}
	}
	t.Fatalf("no fixture %s", name)
	return ""
}

func TestMessagesAreTheFixtures(t *testing.T) {
	const source, boot = "sx-1", "Proxy-1234ABCD-SID-"
	http := func(change func(*script)) *script {
		s := &script{mode: Transparent, transport: "tcp", client: addr("10.0.0.2:50000"), server: addr("192.0.2.10:80")}
		if change != nil {
			change(s)
		}
		return s
	}
	ssh := http(func(s *script) {
		s.transport, s.client, s.server = "ssh", addr("10.0.0.2:50001"), addr("192.0.2.10:22")
	})
	connect := http(func(s *script) {
		s.mode, s.tls, s.policy = HTTPConnect, true, 2
		s.client, s.server = addr("10.0.0.2:50003"), addr("192.0.2.10:443")
		s.sni, s.ja4ch, s.ja4sh = "www.example.com", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6", "t130200_1301_a56c5b993250"
		s.app, s.details, s.signatures = "http2", []string{"https://www.example.com/"}, []string{"www/http2/start"}
		s.up, s.down = 206, 4096
	})
	quic := http(func(s *script) {
		s.transport, s.client, s.server = "mf", addr("10.0.0.2:50002"), addr("192.0.2.10:443")
	})
	implicit := http(func(s *script) {
		s.client, s.server = addr("[2001:db8::2]:50004"), addr("[2001:db8:1::1]:22")
		s.policy, s.up, s.down = policyImplicit, 120, 9000
	})
	oneWay := http(func(s *script) {
		s.statistics, s.up = true, 4096
		s.entropyUp = sample{bytes: 562, entropy: 7.5, topByte: 46, topCount: 9, topRatio: 0.016}
		s.entropyDown = sample{undefined: true}
	})
	asking := http(func(s *script) { s.asks = true })
	sinking := http(func(s *script) { s.sinkhole = Sinkhole{Left: true, SunkenLeft: 512} })
	reused := http(func(s *script) { s.up, s.down = 10, 20 })
	later := http(func(s *script) { s.client, s.server = addr("10.0.0.9:40404"), addr("192.0.2.11:443") })
	const ptr = "Proxy-9F01-PTR-7F3A4C0012A0"

	ping := func(g Generation, instance string, further bool, open ...*connection) []byte {
		cfg := generationConfig(g)
		cfg.NamePrefix = "sx-"
		p, _ := newRecordedProxy(t, cfg, nil)
		p.instance.Store(&instance)
		for _, c := range open {
			p.presence.add(c, time.Time{})
		}
		return p.pingEvent(further).body
	}
	conn := func(id string, s *script) *connection { return &connection{id: boot + id, script: s} }
	p, _ := newRecordedProxy(t, generationConfig(Generation2026), nil)
	p.source = source

	for name, got := range map[string][]byte{
		"F1":   ping(Generation2026, "Proxy-1234ABCD", false, conn("1", http(nil)), conn("1A", ssh)),
		"F2":   ping(Generation2026, "Proxy-1234ABCD", false),
		"F3":   ping(Generation2026, "Proxy-1234ABCD", true, conn("1A", ssh)),
		"F4":   ping(GenerationPTR, "Proxy-9F01", false),
		"F5":   http(nil).startMessage(source, boot+"1"),
		"F6":   ssh.startMessage(source, boot+"1A"),
		"F7":   quic.startMessage(source, boot+"2C"),
		"F8":   connect.startMessage(source, boot+"3"),
		"F9":   connect.stopMessage(FormCurrent, source, boot+"3"),
		"F10":  implicit.stopMessage(FormCurrent, source, boot+"4"),
		"F11":  oneWay.infoMessage(FormCurrent, source, boot+"1", nil, false),
		"F12":  asking.infoMessage(FormCurrent, source, boot+"5", json.RawMessage(`{"access-response":"reject","note":"echoed"}`), true),
		"F13":  asking.infoMessage(FormCurrent, source, boot+"6", nil, true),
		"F14":  sinking.infoMessage(FormCurrent, source, boot+"7", nil, false),
		"F15":  asking.accessMessage(FormCurrent, source, boot+"1"),
		"F16":  connect.accessMessage(FormCurrent, source, boot+"3"),
		"F17":  p.neighborEvent("new", []string{"10.0.0.2"}).body,
		"F19a": http(nil).startMessage(source, ptr),
		"F19b": reused.stopMessage(FormCurrent, source, ptr),
		"F19c": later.startMessage(source, ptr),
	} {
		t.Run(name, func(t *testing.T) {
			if want := fixture(t, name); string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	content := http(nil).contentMessage(source, boot+"1", content{"L", 5})
	if got, want := shape(t, content), shape(t, []byte(fixture(t, "F18"))); !slices.Equal(got, want) {
		t.Errorf("F18: got %v, want %v", got, want)
	}
}

// A stop with everything in it has the fingerprints in the captures' form.
func TestFingerprintsHaveTheFormOfTheCaptures(t *testing.T) {
	requests, err := capture.Read("../../../exporter/testdata/captures/https-h2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	stop := string(requests[len(requests)-1].Body)
	cfg := quick("http://127.0.0.1")
	traffic := newTraffic(cfg, 0)
	for _, tt := range []struct{ name, pattern string }{
		{"ja4_ch", `"(t13d\d{4}h2_[0-9a-f]{12}_[0-9a-f]{12})"`},
		{"ja4_sh", `"(t\d{6}_1301_[0-9a-f]{12})"`},
		{"ja4h", `"(ge(?:11|20)nn\d{6}_[0-9a-f]{12}_0{12}_0{12})"`},
	} {
		pattern := regexp.MustCompile(tt.pattern)
		if !pattern.MatchString(stop) {
			t.Fatalf("%s: the capture has none", tt.name)
		}
		found := false
		for range 50 {
			found = found || pattern.Match(traffic.next().stopMessage(FormCurrent, "s", "i"))
		}
		if !found {
			t.Errorf("%s: no stop has one like the capture's", tt.name)
		}
	}
	if !strings.Contains(stop, `"ja4_ch_ignore_sni":false`) {
		t.Error("the capture has no ja4_ch_ignore_sni")
	}
}

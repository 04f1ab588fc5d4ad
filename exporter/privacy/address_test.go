package privacy_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
)

var key = bytes.Repeat([]byte{7}, privacy.KeyBytes)

func addressPolicy(a privacy.Addresses) *privacy.Policy {
	return privacy.New(privacy.Config{URLs: privacy.URLsFull, ClientAddresses: a}, key)
}

// hashed is what docs/privacy.md says how to compute.
func hashed(text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return "client-" + hex.EncodeToString(h.Sum(nil))[:16]
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct{ address, truncated, hashed string }{
		{"", "", ""},
		{"10.1.2.3", "10.1.2.0", hashed("10.1.2.3")},
		{"10.1.2.0", "10.1.2.0", hashed("10.1.2.0")},
		{"::ffff:10.1.2.3", "10.1.2.0", hashed("10.1.2.3")},
		{"2001:db8:1:2::3", "2001:db8:1::", hashed("2001:db8:1:2::3")},
		{"2001:0DB8:0001:2::3", "2001:db8:1::", hashed("2001:db8:1:2::3")},
		{"fe80::1%eth0", "fe80::", hashed("fe80::1")},
		{"::1", "::", hashed("::1")},
		{"10.1.2", "REDACTED", hashed("10.1.2")},
		{"10.1.2.3/32", "REDACTED", hashed("10.1.2.3/32")},
		{"/run/a.sock", "REDACTED", hashed("/run/a.sock")},
		{"client-0123", "REDACTED", hashed("client-0123")},
		{"client-0123456789abcdef", "REDACTED", "client-0123456789abcdef"},
		{"\xff\x00", "REDACTED", hashed("\xff\x00")},
	} {
		for mode, want := range map[privacy.Addresses]string{
			privacy.AddressesFull: tt.address, privacy.AddressesTruncated: tt.truncated, privacy.AddressesHashed: tt.hashed,
		} {
			p := addressPolicy(mode)
			got := p.Address(tt.address)
			if got != want {
				t.Errorf("%s: %q becomes %q, want %q", mode, tt.address, got, want)
			}
			if again := p.Address(got); again != got {
				t.Errorf("%s: %q becomes %q, and then %q", mode, tt.address, got, again)
			}
		}
		if tt.hashed != "" && !privacy.IsHash(tt.hashed) {
			t.Errorf("%q is no hash", tt.hashed)
		}
	}
}

func TestSession(t *testing.T) {
	for _, tt := range []struct{ label, truncated, hashed string }{
		{"tcp_10.1.2.3:50000+ssli_192.0.2.1:443", "tcp_10.1.2.0:50000+ssli_192.0.2.1:443", "tcp_" + hashed("10.1.2.3") + ":50000+ssli_192.0.2.1:443"},
		{"tcp_fd77:1::2:45306+tcp_fd77:2::2:8080", "tcp_fd77:1:::45306+tcp_fd77:2::2:8080", "tcp_" + hashed("fd77:1::2") + ":45306+tcp_fd77:2::2:8080"},
		{"7::tcp_10.1.2.3:1+0:0", "7::tcp_10.1.2.0:1+0:0", "7::tcp_" + hashed("10.1.2.3") + ":1+0:0"},
		{"0:0+0:0", "0:0+0:0", "0:0+0:0"},
		{"0:0+tcp_192.0.2.1:443", "0:0+tcp_192.0.2.1:443", "0:0+tcp_192.0.2.1:443"},
		{"", "", ""},
		// What is not understood may hold an address.
		{"?:10.1.2.3+tcp_192.0.2.1:443", "REDACTED+tcp_192.0.2.1:443", hashed("?:10.1.2.3") + "+tcp_192.0.2.1:443"},
		{"tcp_10.1.2.3+tcp_192.0.2.1:443", "REDACTED+tcp_192.0.2.1:443", hashed("tcp_10.1.2.3") + "+tcp_192.0.2.1:443"},
		{"tcp_10.1.2.3:99999+?:10.1.2.3", "REDACTED+REDACTED", hashed("tcp_10.1.2.3:99999") + "+" + hashed("?:10.1.2.3")},
		{"10.1.2.3_x:1+0:0", "unknown_REDACTED:1+0:0", "unknown_" + hashed("x") + ":1+0:0"},
		{"10.1.2.3:1", "REDACTED", hashed("10.1.2.3:1")},
		{"0:0+10.1.2.3_x+tcp_192.0.2.1:443", "0:0+unknown_x+tcp_192.0.2.1:443", "0:0+unknown_x+tcp_192.0.2.1:443"},
	} {
		for mode, want := range map[privacy.Addresses]string{
			privacy.AddressesFull: tt.label, privacy.AddressesTruncated: tt.truncated, privacy.AddressesHashed: tt.hashed,
		} {
			p := addressPolicy(mode)
			got := p.Session(tt.label)
			if got != want {
				t.Errorf("%s: %q becomes %q, want %q", mode, tt.label, got, want)
			}
			if again := p.Session(got); again != got {
				t.Errorf("%s: %q becomes %q, and then %q", mode, tt.label, got, again)
			}
			before, after := event.ParseSession(tt.label), event.ParseSession(got)
			if before.Client.Port != after.Client.Port || before.Client.Known() != after.Client.Known() || before.Server != after.Server ||
				before.Client.Transport != after.Client.Transport {
				t.Errorf("%s: %q means %+v, want %+v with another client", mode, got, after, before)
			}
		}
	}
}

// FuzzSession checks what holds for any label: applying the policy again changes nothing, the server's side and the
// port stay, and the client's address is nowhere in the result.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{"", "tcp_", "7::tcp_", "?:", "tcp_a_", "++", "7::", "0:0+", "TCP_x:1+", "\x00:"} {
		f.Add(seed, ":50000+tcp_192.0.2.1:443")
	}
	f.Add("tcp_", "+tcp_1:2:3")
	f.Add("0:0+", "")
	policies := map[privacy.Addresses]*privacy.Policy{}
	for _, mode := range []privacy.Addresses{privacy.AddressesTruncated, privacy.AddressesHashed} {
		policies[mode] = addressPolicy(mode)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		const address = "10.123.45.67"
		label := before + address + after
		session := event.ParseSession(label)
		if strings.Contains(session.Server.Host, address) {
			t.Skip("the address is the server's")
		}
		for mode, p := range policies {
			got := p.Session(label)
			if again := p.Session(got); again != got {
				t.Errorf("%s: %q becomes %q, and then %q", mode, label, got, again)
			}
			if strings.Contains(got, address) {
				t.Errorf("%s: %q becomes %q", mode, label, got)
			}
			parsed := event.ParseSession(got)
			parsed.Client.Host = session.Client.Host
			if parsed != session {
				t.Errorf("%s: %q becomes %q, of which only the client's host may differ", mode, label, got)
			}
		}
	})
}

// TestKeys expects that a hash depends on the key, and nothing else.
func TestKeys(t *testing.T) {
	c := privacy.Config{URLs: privacy.URLsFull, ClientAddresses: privacy.AddressesHashed}
	one, again, other := privacy.New(c, key), privacy.New(c, bytes.Clone(key)), privacy.New(c, make([]byte, privacy.KeyBytes))
	if one.Address("10.1.2.3") != again.Address("10.1.2.3") || one.Form() != again.Form() {
		t.Error("the same key makes another hash or form")
	}
	if one.Address("10.1.2.3") == other.Address("10.1.2.3") || one.Form() == other.Form() {
		t.Error("another key makes the same hash or form")
	}
}

func TestRestored(t *testing.T) {
	const label = "tcp_10.1.2.3:50000+ssli_192.0.2.1:443"
	modes := []privacy.Addresses{privacy.AddressesFull, privacy.AddressesTruncated, privacy.AddressesHashed}
	for _, stored := range modes {
		for _, now := range modes {
			from, to := addressPolicy(stored), addressPolicy(now)
			want, wantConverted := "0:0+ssli_192.0.2.1:443", false
			if stored == privacy.AddressesFull || stored == now {
				want, wantConverted = to.Session(label), true
			}
			if got, converted := to.Restored(from.Session(label), from.Form()); got != want || converted != wantConverted {
				t.Errorf("from %s to %s: %q, %t, want %q, %t", stored, now, got, converted, want, wantConverted)
			}
		}
	}
}

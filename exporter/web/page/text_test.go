package page

import (
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/search"
)

func TestVisible(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"www.example.com", "www.example.com"},
		{"příklad 例え", "příklad 例え"},
		{"a\u202eb", `a\u202eb`},
		{"a\u00a0b", `a\u00a0b`},
		{"a\nb\x00", `a\u000ab\u0000`},
		{"a\xffb", `a\xffb`},
		{"\ufffd", "\ufffd"},
		{"e\u0301\u0302\u0303 e\u0301", "e\u0301\u0302\u0303 e\u0301"},
		{"e\u0301\u0301\u0301\u0301\u0301e\u0301", "e\u0301\u0301\u0301\\u0301\\u0301e\u0301"},
		{"\U000e0001", `\U000e0001`},
	}
	for _, tt := range tests {
		if got := visible(tt.text); got != tt.want {
			t.Errorf("visible(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestShort(t *testing.T) {
	for _, n := range []int{0, 63, 64, 65, 5000} {
		text, want := strings.Repeat("é", n), n
		if n > shortText {
			want = shortText + 1 // the ellipsis
		}
		if got := len([]rune(short(text))); got != want {
			t.Errorf("%d characters are shown as %d", n, got)
		}
	}
}

func TestPeer(t *testing.T) {
	tests := []struct{ got, want string }{
		{peer("192.0.2.1", 443), "192.0.2.1:443"}, {peer("2001:db8::1", 443), "[2001:db8::1]:443"}, {peer("2001:db8::1", 0), "2001:db8::1"},
		{peer("", 443), "unknown"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{iec(0), "0 B"}, {iec(999), "999 B"}, {iec(1023), "1023 B"}, {iec(1024), "1.00 KiB"}, {iec(10_000), "9.77 KiB"}, {iec(102_400), "100 KiB"},
		{iec(1_048_570), "1.00 MiB"}, {iec(1 << 40), "1.00 TiB"}, {iec(0.4), "0 B"},
		{perSecond(0), "0/s"}, {perSecond(0.001), "<0.01/s"}, {perSecond(0.25), "0.25/s"}, {perSecond(12.34), "12.3/s"}, {perSecond(12345.6), "12,346/s"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"},
		{lasting(0), "0ms"}, {lasting(0.0853), "85ms"}, {lasting(0.9999), "1.0s"}, {lasting(9.96), "10s"}, {lasting(59.7), "1m"}, {lasting(200), "3m 20s"},
		{lasting(7500), "2h 5m"}, {lasting(86400 * 3), "3d"}, {lasting(-5), "0ms"},
		{percent(0, 10), "0 %"}, {percent(1, 1000), "<1 %"}, {percent(1, 3), "33 %"}, {percent(1, 0), unknown},
		{age(time.Unix(100, 0), time.Time{}).Text, "never"}, {ago(time.Unix(100, 0), time.Unix(100, 0)), "just now"}, {ago(time.Unix(100, 0), time.Unix(98, 0)), "2s ago"}, {ago(time.Unix(100, 0), time.Unix(40, 0)), "1m ago"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// A value that is quoted matches itself, and the search is valid.
func TestQuote(t *testing.T) {
	for _, value := range []string{"www.example.com", "a b", `a"b`, "a,b", "-a", "", strings.Repeat("é", 3000), "a\nb", `"`} {
		if value == "" {
			continue // nothing has an empty value
		}
		q, err := search.Parse("sni:" + quote(value))
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if !q.Match(&search.Subject{SNI: value}, 0) {
			t.Errorf("%q does not match itself", value)
		}
	}
}

func TestReadings(t *testing.T) {
	few, many := uint64(16), uint64(1<<20)
	tests := []struct{ got, want string }{
		{entropyReading(0.2, &many), "same byte"}, {entropyReading(4.9, &many), "plain text"}, {entropyReading(7.97, &many), "compressed or encrypted"},
		{entropyReading(3.9, &few), "cannot exceed 4.0"}, {skewReading(-1), "upload"}, {skewReading(0), "as much"}, {skewReading(1), "download"},
	}
	for _, tt := range tests {
		if !strings.Contains(tt.got, tt.want) {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

func TestSparkline(t *testing.T) {
	word := func(f float64) string { return count(int64(f)) }
	tests := []struct {
		values      []float64
		line, label string
	}{
		{nil, "", "no data yet"},
		{[]float64{5}, "M0 1.5H90", "lowest 5, highest 5"},
		{[]float64{0, 0}, "M0 21L90 21", "lowest 0, highest 0"},
		{[]float64{0, 10}, "M0 21L90 1.5", "lowest 0, highest 10"},
	}
	for _, tt := range tests {
		s := newSparkline(tt.values, 90, 22, word)
		if s.Line != tt.line || !strings.Contains(s.Label, tt.label) {
			t.Errorf("%v: %q %q", tt.values, s.Line, s.Label)
		}
	}
	if s := newSparkline(make([]float64, 900), 90, 22, word); strings.Count(s.Line, "L") != maxPoints-1 {
		t.Errorf("900 values become %d points", strings.Count(s.Line, "L")+1)
	}
}

package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/promslog"

	"smithproxy_exporter/exporter/logging"
)

// hostile is what a client can put into a name.
var hostile = []string{
	"a\nlevel=ERROR msg=forged", "a\r\nb", "a\"b' c=d", `a\nb\u202e`, "\x1b[31mred\x1b[0m", "\u009b31mred", "a\u202eb", "a\u2066b\u2069", "a\u2028b\u2029c",
	"a\x00b\x7fc", "\xff\xfe", "a\u0085b", "a\u200bb", "\U000e0041tag", "\ufeff", `"}` + "\n" + `{"level":"ERROR"}`, "ünïcödé 東京",
}

// In both formats a hostile value makes one line of what can be printed, and can be read back.
func TestLinesCannotBeForged(t *testing.T) {
	for _, format := range promslog.FormatFlagOptions {
		for _, value := range hostile {
			t.Run(format+" "+fmt.Sprintf("%+q", value), func(t *testing.T) {
				var out bytes.Buffer
				c := promslog.Config{Format: promslog.NewFormat(), Writer: logging.Writer(&out)}
				if err := c.Format.Set(format); err != nil {
					t.Fatal(err)
				}
				promslog.New(&c).Warn("Refused", "proxy", value, "err", errors.New(value), "list", []string{value})
				line, rest, _ := strings.Cut(out.String(), "\n")
				if rest != "" || !utf8.ValidString(line) {
					t.Fatalf("written %q", out.String())
				}
				if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("the line has %+q: %q", line[i:i+1], line)
				}
				if format != "json" {
					return
				}
				var read map[string]any
				if err := json.Unmarshal([]byte(line), &read); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				if want := strings.ToValidUTF8(value, string(utf8.RuneError)); utf8.ValidString(value) && read["proxy"] != want {
					t.Errorf("read back as %q", read["proxy"])
				}
				if read["level"] != "WARN" || read["msg"] != "Refused" {
					t.Errorf("read back as %v", read)
				}
			})
		}
	}
}

func TestWriterPassesPrintableLines(t *testing.T) {
	var out bytes.Buffer
	const line = "level=INFO msg=\"東京 ünïcödé\"\n"
	if n, err := logging.Writer(&out).Write([]byte(line)); n != len(line) || err != nil || out.String() != line {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}

func TestLimiter(t *testing.T) {
	l := logging.Limiter{Every: 10 * time.Second}
	at := time.Unix(1_700_000_000, 0)
	want := func(kind string, omitted int, ok bool) {
		t.Helper()
		if gotOmitted, gotOK := l.Allow(kind, at); gotOmitted != omitted || gotOK != ok {
			t.Errorf("%s: %d, %v, want %d, %v", kind, gotOmitted, gotOK, omitted, ok)
		}
	}
	want("a", 0, true)
	want("a", 0, false)
	want("b", 0, true)
	at = at.Add(9 * time.Second)
	want("a", 0, false)
	at = at.Add(time.Second)
	want("a", 2, true)
	want("b", 0, true)
	at = at.Add(-time.Minute) // a request that came before
	want("a", 0, false)
}

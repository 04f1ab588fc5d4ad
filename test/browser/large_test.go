//go:build browser

package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The pages of an exporter that has many connections, two fifths as many open as finished ones: the first view takes less than 500 ms, a search less than a second.
func TestLarge(t *testing.T) {
	if *large == 0 {
		t.Skip("run by make browser-large")
	}
	e := startExporter(t)
	e.wait(t, "--max-speed", fmt.Sprintf("--connections=%d", *large), "--duration-max=1s", "--drain=30s", "--proxies=4", "--name-prefix=edge-", "--info-delay-max=1s")
	e.wait(t, "--max-speed", "--connections=1000", "--proxies=4", "--name-prefix=edge-", fmt.Sprintf("--leave-open=%d", *large/10), "--drain=30s")
	t.Logf("%s MiB resident", e.resident(t))
	tb := open(t, e, look{width: 1280})
	tb.goTo("/setup") // the browser itself is warm then
	for _, p := range []struct {
		path string
		most time.Duration
	}{
		{"/overview", 500 * time.Millisecond},
		{"/connections", 500 * time.Millisecond},
		{"/top", 500 * time.Millisecond},
		{"/access", 500 * time.Millisecond},
		{"/status", 500 * time.Millisecond},
		{"/connections?q=" + url.QueryEscape("state:finished"), time.Second},
		{"/connections?q=" + url.QueryEscape("reason:lost since:1h"), time.Second},
		{"/connections?q=" + url.QueryEscape("client:10.0.0.0/8 bytes>1MB"), time.Second},
		{"/connections?q=" + url.QueryEscape("sni:nowhere.example"), time.Second},
		{"/connections?q=example", time.Second},
	} {
		took := tb.goTo(p.path)
		t.Logf("%s: %v, %s", p.path, took.Round(time.Millisecond), tb.text("#shown"))
		if took > p.most {
			t.Errorf("%s took %v, want at most %v", p.path, took, p.most)
		}
	}
}

// resident returns the memory of the exporter.
func (e *exporter) resident(t testing.TB) string {
	t.Helper()
	response, err := http.Get("http://" + e.web + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, response.Body); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if value, ok := strings.CutPrefix(line, "process_resident_memory_bytes "); ok {
			bytes, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return strconv.FormatFloat(bytes/(1<<20), 'f', 0, 64)
		}
	}
	t.Fatal("no process_resident_memory_bytes")
	return ""
}

//go:build browser

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// send sends an event as a proxy does.
func (e *exporter) send(t testing.TB, event map[string]any) {
	t.Helper()
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post("http://"+e.webhook+"/webhook/"+secret, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		t.Fatalf("an event is answered %d", response.StatusCode)
	}
}

var stopped int

// stop sends the end of a connection with an SNI and a request.
func (e *exporter) stop(t testing.TB, sni, request string) {
	t.Helper()
	stopped++
	e.send(t, map[string]any{
		"action": "connection-stop", "type": "proxy", "source": "hand", "id": fmt.Sprintf("Proxy-AA-SID-%X", stopped),
		"details": map[string]any{"info": map[string]any{
			"bytes_up": 91, "bytes_down": 122, "policy": 1, "session": fmt.Sprintf("ssli_10.0.0.9:%d+ssli_192.0.2.10:443", 40000+stopped),
			"l7": map[string]any{"app": "http1", "details": []string{request}}, "tls": map[string]any{"sni": sni},
		}},
	})
}

// The first run waits for a ping and turns green with it. The secret is shown on a click.
func TestFirstRun(t *testing.T) {
	e := startExporter(t)
	tb := open(t, e, look{width: 1280})
	tb.goTo("/")
	tb.until(`location.pathname === "/setup"`)
	if text := tb.text("#ping"); !strings.Contains(text, "Waiting for the first ping") {
		t.Errorf("before the ping: %s", text)
	}
	if strings.Contains(eval[string](tb, "document.documentElement.outerHTML"), secret) {
		t.Error("the page has the secret before the click")
	}
	if *screenshots != "" {
		tb.picture("first-run-1280-light")
	}
	tb.click(`form[action="/setup/secret"] button`)
	tb.until(fmt.Sprintf(`document.querySelector("#config").innerText.includes("/webhook/%s")`, secret))
	e.simulate(t, "--rate=1", "--proxies=1", "--name-prefix=edge-")
	tb.until(`document.querySelector("#ping .banner.good")`)
	if *screenshots != "" {
		tb.picture("first-ping-1280-light")
	}
	tb.goTo("/")
	tb.until(`document.querySelector("table.proxies")`)
}

// The overview changes by itself, and what a viewer has opened stays open.
func testOverviewIsLive(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280})
	tb.goTo("/overview")
	before := tb.text("#tiles")
	tb.until(fmt.Sprintf("document.querySelector('#tiles').innerText !== %q", before))
}

// Times are shown in the viewer's time zone, with UTC on hover.
func testTimeZone(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280})
	tb.goTo("/status")
	tb.until(fmt.Sprintf(`document.querySelector(".zone-note").innerText.includes(%q)`, "UTC on hover"))
	shown, exact := tb.text("main time[data-form=full]"), eval[string](tb, `document.querySelector("main time[data-form=full]").dateTime`)
	at, err := time.Parse(time.RFC3339, exact)
	if err != nil {
		t.Fatal(err)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	if want := at.In(location).Format("15:04:05"); !strings.Contains(shown, want) {
		t.Errorf("%s is shown as %s, want %s", exact, shown, want)
	}
	if hover := eval[string](tb, `document.querySelector("main time[data-form=full]").title`); !strings.HasSuffix(hover, "UTC") {
		t.Errorf("on hover: %s", hover)
	}
}

// The button reloads the configuration, and the page says whether that worked.
func TestReload(t *testing.T) {
	e := startExporter(t)
	tb := open(t, e, look{width: 1280})
	tb.goTo("/status")
	good, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, e.config, string(good)+"nonsense: 1\n")
	tb.click(`form[action="/status/reload"] button`)
	tb.until(`document.querySelector("#ready")?.innerText.includes("nonsense")`)
	write(t, e.config, string(good)+"    - {name: added, verdict: reject}\n")
	tb.click(`form[action="/status/reload"] button`)
	tb.until(`document.querySelector("pre.config")?.innerText.includes("added")`)
	if text := strings.TrimSpace(tb.text("#ready")); text != "" {
		t.Errorf("after a reload that worked: %s", text)
	}
	tb.goTo("/access?source=edge-1&session=" + "tcp_10.1.1.1:40000%2Bssli_192.0.2.1:443")
	tb.until(`document.querySelector(".result")`)
	if text := tb.text(".result"); !strings.Contains(text, "reject by rule added") {
		t.Errorf("the rule that decides: %s", text)
	}
}

// The choice of light or dark stays.
func TestThemeToggle(t *testing.T) {
	e := startExporter(t)
	tb := open(t, e, look{width: 1280})
	tb.goTo("/status")
	tb.until(`document.documentElement.dataset.shown === "light"`)
	tb.click("#theme")
	tb.until(`document.documentElement.dataset.shown === "dark"`)
	tb.goTo("/access")
	tb.until(`document.documentElement.dataset.shown === "dark"`)
	eval[int](tb, "(localStorage.clear(), 1)")
}

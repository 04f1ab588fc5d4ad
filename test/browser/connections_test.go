//go:build browser

package browser

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func testSearchPagingAndBack(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280})
	tb.goTo("/connections")
	tb.keys("/")
	tb.until(`document.activeElement.id === "q"`)
	tb.keys("state:finished\r")
	tb.until(`new URLSearchParams(location.search).get("q") === "state:finished"`)
	tb.until(`document.querySelectorAll("#rows tr").length === 100`)
	if address := eval[string](tb, "location.search"); address != "?q=state%3Afinished" {
		t.Errorf("the address has more than the search: %s", address)
	}
	others := eval[int](tb, `[...document.querySelectorAll("#rows tr")].filter((r) => ["open", "closing"].includes(r.cells[1].innerText)).length`)
	if others > 0 {
		t.Errorf("%d rows do not match", others)
	}
	first := keys(tb)
	tb.click(`a[rel="next"]`)
	tb.until(`location.search.includes("cursor=")`)
	tb.until(`document.querySelectorAll("#rows tr").length > 0`)
	for key := range keys(tb) {
		if first[key] {
			t.Errorf("%q is on both pages", key)
		}
	}
	tb.do(chromedp.NavigateBack())
	tb.until(`location.search === "?q=state%3Afinished"`)
	tb.do(chromedp.NavigateBack())
	tb.until(`location.search === ""`)

	tb.goTo("/connections?q=" + url.QueryEscape("reason:lost bytes>abc"))
	tb.until(`document.querySelector("#search-error")`)
	tb.expect("the server responded with a status of 40") // Chromium reports it
	if got := tb.text("#search-error mark"); !strings.Contains(got, "abc") {
		t.Errorf("what is marked: %q", got)
	}
}

// keys returns the keys of the rows.
func keys(tb *tab) map[string]bool {
	tb.t.Helper()
	set := map[string]bool{}
	for _, key := range eval[[]string](tb, `[...document.querySelectorAll("#rows tr")].map((r) => r.dataset.key)`) {
		set[key] = true
	}
	return set
}

func testKeysAndColumns(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280})
	tb.goTo("/connections")
	tb.click("#pause")
	tb.keys("jjk")
	tb.until(`document.activeElement === document.querySelectorAll("#rows th a")[0]`)
	tb.keys("\r")
	tb.until(`location.pathname.startsWith("/connections/")`)
	tb.goTo("/connections")
	tb.click("#columns summary")
	tb.click(`input[value="ja4"]`)
	tb.click(`input[value="policy"]`)
	tb.click("#columns button")
	tb.until(`document.querySelector('th[data-col="ja4"]')`)
	if tb.count(`th[data-col="policy"]`) > 0 {
		t.Error("the column was not taken away")
	}
}

// New connections wait behind a button, and the rows stay where they are.
func testLiveUpdate(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280})
	tb.goTo("/connections")
	tb.until(`document.querySelector("#live-state").textContent === "Live"`)
	const order = `[...document.querySelectorAll("#rows tr")].map((r) => r.dataset.key).join("|")`
	before := eval[string](tb, order)
	tb.until(`/^\d+ new$/.test(document.querySelector("#fresh").innerText)`)
	if after := eval[string](tb, order); after != before {
		t.Error("the table has moved")
	}
	tb.click("#fresh")
	if after := eval[string](tb, order); after == before || !strings.HasPrefix(after[strings.Index(after, strings.Split(before, "|")[0]):], before[:len(before)/2]) {
		t.Error("the new rows are not above the others")
	}

	// A row that changes does so in its place.
	tb.until(`document.querySelector("#rows .changed")`)

	tb.click("#pause")
	tb.until(`document.querySelector("#live-state").textContent === "Paused"`)
	paused := eval[string](tb, order+` + document.querySelector("#fresh").innerText`)
	eval[int](tb, "new Promise((done) => setTimeout(() => done(1), 1500))")
	if after := eval[string](tb, order+` + document.querySelector("#fresh").innerText`); after != paused {
		t.Error("the table changes while it is paused")
	}
	tb.click("#pause")
	tb.until(`document.querySelector("#live-state").textContent === "Live"`)

	tb.click("#follow")
	if !eval[bool](tb, `location.search.includes("follow=1")`) {
		t.Error("the address does not tell that the table follows")
	}
	followed := eval[string](tb, order)
	tb.until(fmt.Sprintf("%s !== %q", order, followed))
	tb.until(`document.querySelector("#fresh").hidden`)
}

// A row of the stream looks like one of the server.
func TestRowsOfStreamAndServer(t *testing.T) {
	e := startExporter(t)
	tb := open(t, e, look{width: 1920})
	var columns strings.Builder
	for _, name := range strings.Fields("state proxy client server address port transport app policy up down verdict rule ja4 entropy id") {
		columns.WriteString("&col=" + name)
	}
	tb.goTo("/connections?follow=1" + columns.String())
	tb.until(`document.querySelector("#live-state").textContent === "Live"`)
	e.wait(t, "--connections=150", "--rate=200", "--drain=3s", "--proxies=1", "--duration-max=1s", "--access-share=0.3", "--fault.hostile=0.3", "--statistics-share=1", "--seed=3")
	tb.until(`document.querySelectorAll("#rows tr").length >= 100`)
	// Those that are finished change no more.
	const finished = `[...document.querySelectorAll("#rows tr")].filter((r) => !["open", "closing"].includes(r.cells[1].innerText))`
	tb.until(finished + ".length >= 80")
	const rows = `Object.fromEntries(` + finished + `.map((r) =>
		[r.dataset.key, [...r.cells].map((c) => c.outerHTML.replace(/ changed|class="changed"/, "")).join("")]))`
	streamed := eval[map[string]string](tb, rows)
	tb.do(chromedp.Reload())
	tb.until(ready)
	same := 0
	for key, row := range eval[map[string]string](tb, rows) {
		if other, ok := streamed[key]; ok && other != row {
			t.Errorf("%q\nserver %s\nstream %s", key, row, other)
		} else if ok {
			same++
		}
	}
	if same < 50 {
		t.Errorf("only %d rows can be compared", same)
	}
}

// What a peer of a proxy writes is shown as it is, and does nothing.
func TestHostileTexts(t *testing.T) {
	e := startExporter(t)
	e.wait(t, "--connections=600", "--rate=600", "--drain=2s", "--proxies=2", "--duration-max=1s", "--fault.hostile=1", "--first-ping=100ms", "--seed=5")
	e.simulate(t, "--rate=20", "--proxies=2", "--fault.hostile=1", "--duration-max=2s")
	e.stop(t, `<script>document.title="hit"</script>`, `https://a/"><img src=x onerror="document.title='hit'">`)
	e.stop(t, "a\u202eb\u2066c.example", "https://a/\u202e")
	e.stop(t, "e"+strings.Repeat("\u0301", 300)+".example", "https://a/e"+strings.Repeat("\u0301", 300))
	e.stop(t, strings.Repeat("x", 4096), "https://a/"+strings.Repeat("y", 4096))
	for _, l := range []look{{width: 400}, {width: 1280}} {
		tb := open(t, e, l)
		paths := []string{"/overview", "/connections", "/access", "/top?dimension=sni", "/top?dimension=app", "/connections?q=script", "/connections?q=" + url.QueryEscape(`"<script>"`)}
		for _, p := range paths {
			tb.goTo(p)
			checkInert(tb, p, l)
		}
		for _, sni := range []string{`"*script*"`, "a*c.example", "xxxx*"} {
			tb.goTo("/connections?q=" + url.QueryEscape("sni:"+sni))
			tb.until(`document.querySelector("#rows th a")`)
			tb.goTo(eval[string](tb, `document.querySelector("#rows th a").getAttribute("href")`))
			checkInert(tb, sni, l)
			if text := tb.text("main"); sni == "a*c.example" && !strings.Contains(text, `a\u202eb\u2066c.example`) {
				t.Errorf("no \\u202e in %s", text)
			}
		}
	}
}

func checkInert(tb *tab, name string, l look) {
	tb.t.Helper()
	if title := eval[string](tb, "document.title"); strings.HasPrefix(title, "hit") {
		tb.t.Errorf("%s: a script has run", name)
	}
	if n := tb.count("main script, main img, main iframe, main [onerror], main [style]"); n > 0 {
		tb.t.Errorf("%s: %d elements of a peer", name, n)
	}
	if wide := eval[int](tb, "document.documentElement.scrollWidth"); int64(wide) > l.width {
		tb.t.Errorf("%s is %d pixels wide", name, wide)
	}
	if eval[bool](tb, `/[\u200b-\u200f\u202a-\u202e\u2066-\u2069]|\p{M}{4}/u.test(document.body.innerText)`) {
		tb.t.Errorf("%s shows characters that change the direction, or are piled", name)
	}
}

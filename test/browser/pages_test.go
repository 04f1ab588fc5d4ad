//go:build browser

package browser

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// page is a page and a selector of what it has when there is data.
type page struct{ name, path, has string }

// pages returns all pages; that of a connection is of the first in the table whose end was reported.
func pages(tb *tab) []page {
	tb.t.Helper()
	tb.goTo("/connections?q=reason%3Astop+entropy%3E0")
	tb.until(`document.querySelector("#rows th a")`)
	one := eval[string](tb, `document.querySelector("#rows th a").getAttribute("href")`)
	session := "tcp_10.20.0.7:40000+tcp_203.0.113.9:25"
	return []page{
		{"overview", "/overview", "table.proxies tbody tr"},
		{"connections", "/connections", "#rows tr"},
		{"connection", one, ".timeline li"},
		{"access", "/access?" + url.Values{"source": {"edge-1"}, "session": {session}}.Encode(), ".result .verdict"},
		{"top", "/top", ".top-table tbody tr"},
		{"status", "/status", "pre.config"},
		{"setup", "/setup", "pre.config"},
	}
}

// TestBusy has the tests of an exporter with three proxies, of which events have arrived for a while and still arrive. They
// change nothing in it.
func TestBusy(t *testing.T) {
	if os.Getenv("AXE_SCRIPT") == "" {
		t.Log("!!! NOT CHECKED for accessibility: AXE_SCRIPT does not name the script of axe-core")
	}
	e := startExporter(t)
	e.wait(t, "--connections=3000", "--rate=3000", "--drain=3s", "--proxies=3", "--name-prefix=edge-", "--first-ping=100ms", "--ping-interval=1s",
		"--duration-max=4s", "--info-delay-max=1s", "--access-share=0.3", "--statistics-share=0.8", "--seed=7")
	e.simulate(t, "--rate=20", "--proxies=3", "--name-prefix=edge-", "--access-share=0.3", "--statistics-share=0.8")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *exporter)
	}{
		{"pages", testPages},
		{"other states", testOtherStates},
		{"search, paging and back", testSearchPagingAndBack},
		{"keys and columns", testKeysAndColumns},
		{"live update", testLiveUpdate},
		{"overview is live", testOverviewIsLive},
		{"time zone", testTimeZone},
		{"without JavaScript", testWithoutJavaScript},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, e) })
	}
}

var widths = []int64{400, 1280, 1920}

// Every page has its data, fits the width of the screen, passes axe, and says nothing on the console.
func testPages(t *testing.T, e *exporter) {
	for _, dark := range []bool{false, true} {
		for _, width := range widths {
			l := look{width: width, dark: dark}
			t.Run(l.String(), func(t *testing.T) {
				tb := open(t, e, l)
				for _, p := range pages(tb) {
					tb.goTo(p.path)
					if tb.count(p.has) == 0 {
						t.Errorf("%s: no %s in\n%s", p.name, p.has, tb.text("main"))
					}
					if wide := eval[int](tb, "document.documentElement.scrollWidth"); int64(wide) > width {
						t.Errorf("%s is %d pixels wide", p.name, wide)
					}
					if shown, want := eval[string](tb, "document.documentElement.dataset.shown"), map[bool]string{false: "light", true: "dark"}[dark]; shown != want {
						t.Errorf("%s is %s", p.name, shown)
					}
					if width != 1920 {
						checkAxe(tb, p.name) // has the same elements as 1280
					}
					if *screenshots != "" {
						tb.picture(p.name + "-" + l.String())
					}
				}
			})
		}
	}
}

// Menus and errors pass axe, too.
func testOtherStates(t *testing.T, e *exporter) {
	for _, dark := range []bool{false, true} {
		tb := open(t, e, look{width: 1280, dark: dark})
		for _, state := range []struct{ name, path, click, has string }{
			{"help", "/connections", "#help summary", "#help[open] table tbody tr"},
			{"columns", "/connections", "#columns summary", "#columns[open] input"},
			{"search-error", "/connections?q=" + url.QueryEscape("reason:lost bytes>abc"), "", "#search-error mark"},
			{"nothing-found", "/connections?q=sni%3Anowhere.example", "", "#empty h2"},
			{"try-error", "/access?source=edge-1&session=nonsense", "", "#try-error"},
			{"not-found", "/connections/edge-1/none", "", "#problem"},
			{"runbook", "/runbooks/SmithproxyDown", "", "article p"},
		} {
			tb.goTo(state.path)
			tb.expect("the server responded with a status of 40") // Chromium reports it
			if state.click != "" {
				tb.click(state.click)
			}
			if tb.count(state.has) == 0 {
				t.Errorf("%s: no %s", state.name, state.has)
			}
			checkAxe(tb, state.name)
			if *screenshots != "" {
				tb.picture(state.name + "-" + tb.look.String())
			}
		}
	}
}

// picture saves a screenshot of the whole page.
func (tb *tab) picture(name string) {
	tb.t.Helper()
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		tb.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), call(tb, chromedp.FullScreenshot(100)), 0o644); err != nil {
		tb.t.Fatal(err)
	}
}

// violation is what axe reports.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

// checkAxe reports serious and critical issues that axe-core finds.
func checkAxe(tb *tab, name string) {
	tb.t.Helper()
	path := os.Getenv("AXE_SCRIPT")
	if path == "" {
		return
	}
	script, err := os.ReadFile(path)
	if err != nil {
		tb.t.Fatal(err)
	}
	call(tb, chromedp.Evaluate[chromedp.Void](string(script)))
	found := eval[[]violation](tb, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => ({
		ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map((n) => ({HTML: n.html}))})))`)
	for _, v := range found {
		if v.Impact == "serious" || v.Impact == "critical" {
			tb.t.Errorf("%s: %s issue %s: %s\n%v", name, v.Impact, v.ID, v.Help, v.Nodes)
		}
	}
}

// Without JavaScript the pages have the same data; search, pages and columns work.
func testWithoutJavaScript(t *testing.T, e *exporter) {
	tb := open(t, e, look{width: 1280, noScript: true})
	// Evaluation works nevertheless: the tools of the browser are not the page.
	for _, p := range pages(tb) {
		tb.goTo(p.path)
		if tb.count(p.has) == 0 {
			t.Errorf("%s: no %s", p.name, p.has)
		}
	}
	tb.goTo("/connections?q=app%3Adns")
	if n := tb.count("#rows tr"); n == 0 {
		t.Error("the search finds nothing")
	}
	if !strings.HasSuffix(tb.text("footer .zone-note"), "UTC.") {
		t.Errorf("the times: %s", tb.text("footer"))
	}
	if !eval[bool](tb, `document.querySelector("#live").hidden`) {
		t.Error("buttons that need JavaScript are shown")
	}
	tb.goTo("/connections")
	tb.click(`a[rel="next"]`)
	tb.until(`location.search.includes("cursor=") && document.querySelector("#rows tr")`)
}

//go:build browser

package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browserContext is the context of the browser that all tests share.
var browserContext context.Context

// startBrowser starts Chromium.
func startBrowser() (end func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("hide-scrollbars", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endBrowser := chromedp.NewContext(allocator)
	browserContext = ctx
	return func() { endBrowser(); endAllocator() }, chromedp.Do(ctx)
}

// tab is a tab of the browser.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string
	look look

	mu sync.Mutex
	// complaints are errors and warnings of the console.
	complaints []string
}

// look is how a page is looked at.
type look struct {
	width int64
	dark  bool
	// noScript turns JavaScript off.
	noScript bool
}

func (l look) String() string {
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	return fmt.Sprintf("%d-%s", l.width, theme)
}

// ready is true when the scripts of a page have run.
const ready = `document.documentElement.dataset.ready !== undefined`

// zone is the time zone of the tests, which has another offset than UTC at all times.
const zone = "Asia/Kolkata"

// open opens a tab. When the test ends, its console must have been silent.
func open(t testing.TB, e *exporter, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browserContext)
	tb := &tab{t: t, ctx: ctx, base: "http://" + e.web, look: l}
	t.Cleanup(func() {
		cancel()
		tb.mu.Lock()
		defer tb.mu.Unlock()
		for _, c := range tb.complaints {
			t.Errorf("console: %s", c)
		}
	})
	if err := chromedp.Listen(ctx, tb.listen); err != nil {
		t.Fatal(err)
	}
	theme := "light"
	if l.dark {
		theme = "dark"
	}
	tb.do(chromedp.EmulateViewport(l.width, 900))
	call(tb, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		}); err != nil {
			return err
		}
		if _, err := chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone}); err != nil {
			return err
		}
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript})
		return err
	}))
	return tb
}

// expect removes a complaint from the console that is part of the test.
func (tb *tab) expect(part string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	kept := tb.complaints[:0]
	for _, c := range tb.complaints {
		if !strings.Contains(c, part) {
			kept = append(kept, c)
		}
	}
	tb.complaints = kept
}

func (tb *tab) listen(event any) {
	complaint := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = fmt.Sprintf("exception: %v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("%s: %v", e.Type, e.Args)
	case *log.EventEntryAdded:
		if level := string(e.Entry.Level); level == "error" || level == "warning" {
			complaint = fmt.Sprintf("%s: %s %s", level, e.Entry.Text, e.Entry.URL)
		}
	}
	if complaint != "" {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.complaints = append(tb.complaints, complaint)
	}
}

// call runs an action, for 30 s at most.
func call[T any](tb *tab, a chromedp.Action[T]) T {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(tb.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		tb.t.Fatal(err)
	}
	return v
}

func (tb *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	tb.t.Helper()
	call(tb, chromedp.Steps(actions...))
}

// goTo loads a page, waits until its scripts have run, and returns how long loading took.
func (tb *tab) goTo(path string) time.Duration {
	tb.t.Helper()
	begin := time.Now()
	tb.do(chromedp.Navigate(tb.base + path))
	took := time.Since(begin)
	if !tb.look.noScript {
		tb.until(ready)
	}
	return took
}

// eval returns the value of an expression in the page.
func eval[T any](tb *tab, expression string) T {
	tb.t.Helper()
	return call(tb, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// until waits until an expression in the page is true.
func (tb *tab) until(expression string) {
	tb.t.Helper()
	eventually(tb.t, expression, func() bool {
		ctx, cancel := context.WithTimeout(tb.ctx, 30*time.Second)
		defer cancel()
		// While a page is being replaced, an evaluation fails.
		so, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && so
	})
}

// text returns the text of the element that a selector selects, as it is shown.
func (tb *tab) text(selector string) string {
	tb.t.Helper()
	return eval[string](tb, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

func (tb *tab) count(selector string) int {
	tb.t.Helper()
	return eval[int](tb, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// click clicks on an element as scripts do, wherever it is.
func (tb *tab) click(selector string) {
	tb.t.Helper()
	if !eval[bool](tb, fmt.Sprintf("(() => { const e = document.querySelector(%q); e?.click(); return e !== null; })()", selector)) {
		tb.t.Fatalf("there is no %s", selector)
	}
}

// keys presses keys, of which each is a character. As with a real keyboard, a key types nothing if the page handles it.
func (tb *tab) keys(keys string) {
	tb.t.Helper()
	for _, r := range keys {
		pressed := kb.Encode(r)
		down, up := *pressed[0], *pressed[len(pressed)-1]
		down.Type, down.Text = input.DispatchKeyEventTypeKeyDown, pressed[1].Text
		for _, event := range []input.DispatchKeyEventParams{down, up} {
			tb.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
				_, err := chromedp.Call(ctx, input.DispatchKeyEvent, event)
				return err
			}))
		}
	}
}

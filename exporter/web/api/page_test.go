package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// listed is a page as a client reads it.
type listed struct {
	Connections []struct{ Source, ID, State string }
	NextCursor  string `json:"next_cursor"`
}

func (l listed) String() string {
	var names []string
	for _, c := range l.Connections {
		names = append(names, c.ID+":"+c.State)
	}
	return strings.Join(names, " ")
}

func (f *fixture) page(t *testing.T, query, cursor string) listed {
	t.Helper()
	var l listed
	w := f.get(t, "/api/v1/connections?"+query+"&cursor="+cursor)
	decode(t, w, http.StatusOK, &l)
	// Clients iterate over it: it is a list even when it is empty.
	if l.Connections == nil {
		t.Errorf("connections are not a list: %s", w.Body)
	}
	return l
}

// pages reads all pages, and calls between after each.
func (f *fixture) pages(t *testing.T, query string, between func(page int)) []listed {
	t.Helper()
	var all []listed
	for cursor := ""; ; cursor = all[len(all)-1].NextCursor {
		all = append(all, f.page(t, query, cursor))
		if len(all) > 10_000 {
			t.Fatal("there is no end")
		}
		if all[len(all)-1].NextCursor == "" {
			return all
		}
		between(len(all))
	}
}

func TestList(t *testing.T) {
	tests := []struct {
		query string
		want  string // ids and states, in order; pages by " | "
	}{
		{"", "a3:closing a2:open b1:open a1:open b2:finished a4:finished"},
		{"source=proxy-a", "a3:closing a2:open a1:open a4:finished"},
		{"source=proxy-b", "b1:open b2:finished"},
		{"source=proxy", ""},
		{"state=open", "a2:open b1:open a1:open"},
		{"state=closing", "a3:closing"},
		{"state=finished", "b2:finished a4:finished"},
		{"state=finished&source=proxy-a", "a4:finished"},
		{"state=open&source=proxy-b", "b1:open"},
		{"reason=stop", "a3:closing b2:finished a4:finished"},
		{"reason=stop&state=open", ""},
		{"client=10.77.1.2&transport=tcp", "b1:open"},
		{"server=www.example.com", "a4:finished"},
		{"app=http1", "a4:finished"},
		{"server=192.0.2.1", ""},
		{"q=state:open+source:proxy-b", "b1:open"},
		{"q=-state:open&source=proxy-a", "a3:closing a4:finished"},
		{"q=bytes>100", "a4:finished"},
		{"q=EXAMPLE", "a4:finished"},
		{"q=since:1d", "a3:closing a2:open b1:open a1:open b2:finished a4:finished"},
		{"q=entropy>5+sni:*.example.com+ja4:t13*", "a4:finished"},
		{"limit=1", "a3:closing | a2:open | b1:open | a1:open | b2:finished | a4:finished"},
		{"limit=4", "a3:closing a2:open b1:open a1:open | b2:finished a4:finished"},
		{"limit=5", "a3:closing a2:open b1:open a1:open b2:finished | a4:finished"},
		{"limit=6", "a3:closing a2:open b1:open a1:open b2:finished a4:finished"},
		{"limit=1000", "a3:closing a2:open b1:open a1:open b2:finished a4:finished"},
		{"limit=3&state=open", "a2:open b1:open a1:open"},
		{"limit=1&state=finished", "b2:finished | a4:finished"},
		{"limit=1&source=proxy-b", "b1:open | b2:finished"},
		{"limit=&state=&source=&client=", "a3:closing a2:open b1:open a1:open b2:finished a4:finished"},
	}
	f := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var got []string
			for _, l := range f.pages(t, tt.query, func(int) {}) {
				got = append(got, l.String())
			}
			if got := strings.Join(got, " | "); got != tt.want {
				t.Errorf("connections are %q, want %q", got, tt.want)
			}
		})
	}
}

func TestListRefuses(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"state", "limit", "reason", "client", "cursor", "transport", "colour"} {
		var problem struct{ Error string }
		decode(t, f.get(t, "/api/v1/connections?"+name+"=,"), http.StatusBadRequest, &problem)
		if !strings.HasPrefix(problem.Error, name+": ") {
			t.Errorf("error is %q, want it to name %s", problem.Error, name)
		}
	}
}

// crowd opens so many connections of each of some proxies.
func (f *fixture) crowd(proxies, each int) {
	for i := range each {
		for p := range proxies {
			f.apply(event.Event{
				Source: fmt.Sprintf("crowd-%d", p), ID: fmt.Sprint(i), Payload: event.Start{Session: session(fmt.Sprint(1000 + i))},
			}, at(time.Minute))
		}
	}
}

// A look is at 400 connections at most, whether they match or not, and a page ends a search.
func TestListLooksAtFewAtATime(t *testing.T) {
	tests := []struct {
		query         string
		looks, listed int
	}{
		// 6,004 connections, and one look that waits for the commit of those that have finished.
		{"server=192.0.2.1", 17, 0},
		{"limit=100", 1, 100},
		{"limit=1000", 3, 1000},
		{"source=crowd-1&limit=1000&server=www.example.com", 6, 0},
		{"state=finished", 0, 2},
	}
	f := newFixture(t)
	f.crowd(3, 2000)
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			looks := 0
			f.state.before = func() { looks++ }
			l := f.page(t, tt.query, "")
			if looks != tt.looks || len(l.Connections) != tt.listed {
				t.Errorf("%d looks, %d connections, want %d and %d", looks, len(l.Connections), tt.looks, tt.listed)
			}
		})
	}
}

// Pages of 1,000 requests with long URLs end early, and nothing is missing.
func TestListBoundsBytes(t *testing.T) {
	f := newFixture(t)
	const connections = 100
	details := slices.Repeat([]string{strings.Repeat("x", 1000)}, 64)
	for i := range connections {
		ev := event.Event{Source: "big", ID: fmt.Sprint(i), Payload: event.Stop{Session: session("1"), Details: details}}
		f.apply(ev, at(0))
	}
	var found int
	pages := f.pages(t, "source=big&limit=1000", func(int) {})
	for _, l := range pages {
		found += len(l.Connections)
	}
	if found != connections || len(pages) < 6 || len(pages) > 10 {
		t.Errorf("%d connections on %d pages", found, len(pages))
	}
	if w := f.get(t, "/api/v1/connections?source=big&limit=1000"); w.Body.Len() > 1<<20+1000 {
		t.Errorf("a page has %d bytes", w.Body.Len())
	}
}

// Whatever comes and goes between pages and between looks, what was there all the time is there once, and what
// finished is there as one or both.
func TestListWhileConnectionsChange(t *testing.T) {
	for _, limit := range []int{1, 7, 100, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			f := newFixture(t)
			f.crowd(5, 300)
			f.apply(event.Event{Source: "proxy-a", ID: "a1", Payload: event.Info{}}, at(time.Minute))
			n := 0
			apply := func(source, id string, payload any) {
				f.apply(event.Event{Source: source, ID: id, Payload: payload}, at(time.Minute))
			}
			change := func() {
				if n++; n > 1000 {
					return
				}
				for _, p := range []string{"aa", "crowd-2", "zz"} {
					apply(p, fmt.Sprint("new", n), event.Start{Session: session(fmt.Sprint(2000 + n))})
				}
				for p := range 5 { // some of each proxy finish, from both ends
					if i := n; i < 150 && i%2 == 1 {
						id := []string{fmt.Sprint(i), fmt.Sprint(299 - i)}[p%2]
						apply(fmt.Sprint("crowd-", p), id, event.Stop{})
						apply(fmt.Sprint("crowd-", p), id, event.Info{})
					}
				}
			}
			f.state.before = change
			seen := map[string][]string{}
			for _, l := range f.pages(t, fmt.Sprint("limit=", limit), func(int) { change() }) {
				for _, c := range l.Connections {
					key := c.Source + "/" + c.ID
					seen[key] = append(seen[key], c.State)
				}
			}
			f.state.before = nil
			for p := range 5 {
				for i := range 300 {
					source, id := fmt.Sprint("crowd-", p), fmt.Sprint(i)
					states := seen[source+"/"+id]
					if c, ok := f.state.tracker.Connection(source, id); ok {
						if !slices.Equal(states, []string{c.State.String()}) {
							t.Errorf("%s/%s was listed as %v", source, id, states)
						}
						continue
					}
					switch strings.Join(states, " ") {
					case "open", "finished", "open finished":
					default:
						t.Errorf("%s/%s, which finished, was listed as %v", source, id, states)
					}
				}
			}
		})
	}
}

func TestCursorOfConnectionThatIsGone(t *testing.T) {
	f := newFixture(t)
	first := f.page(t, "limit=2", "")
	f.apply(event.Event{Source: "proxy-a", ID: "a2", Payload: event.Stop{}}, at(time.Minute))
	f.apply(event.Event{Source: "proxy-a", ID: "a2", Payload: event.Info{}}, at(time.Minute))
	if c, ok := f.state.tracker.Connection("proxy-a", "a2"); ok && c.State != track.StateClosing {
		t.Fatalf("a2 is %v", c.State)
	}
	if got := f.page(t, "limit=1", first.NextCursor).String(); got != "b1:open" {
		t.Errorf("the second page is %q", got)
	}
}

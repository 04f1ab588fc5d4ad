package track

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
)

// scanWorld has connections of proxies that did not appear in the order of their names; d has none.
func scanWorld(t *testing.T) *world {
	w := newWorld(t)
	for i, name := range strings.Fields("c/1 a/1 c/2 b/1 a/2 a/3 e/1") {
		source, id, _ := strings.Cut(name, "/")
		session := fmt.Sprintf("tcp_10.0.0.1:%d+tcp_10.0.0.2:443", i+1)
		w.apply(event.Event{Action: event.ActionStart, Source: source, ID: id, Payload: event.Start{Session: session}})
	}
	w.apply(event.Event{Action: event.ActionPing, Source: "d", Payload: event.Ping{}})
	return w
}

// scan pages through all connections and returns their names and the number of pages.
func scan(t *testing.T, w *world, source string, limit int, between func()) (names string, pages int) {
	var found []string
	before, more := uint64(0), true
	for more {
		if pages++; pages > 100 {
			t.Fatalf("Scan() does not get on from %v", before)
		}
		work := 0
		before, more = w.tracker.Scan(before, source, limit, func(c *Connection) bool {
			work++
			found = append(found, c.Source+"/"+c.ID)
			return true
		})
		if work > limit {
			t.Errorf("Scan() visited %d connections, limit %d", work, limit)
		}
		between()
	}
	return strings.Join(found, " "), pages
}

func TestScan(t *testing.T) {
	tests := []struct{ source, want string }{
		{"", "e/1 a/3 a/2 b/1 c/2 a/1 c/1"},
		{"a", "a/3 a/2 a/1"},
		{"c", "c/2 c/1"},
		{"d", ""},
		{"bb", ""},
		{"z", ""},
	}
	for _, tt := range tests {
		for _, limit := range []int{1, 2, 3, 5, 100} {
			t.Run(fmt.Sprintf("%q by %d", tt.source, limit), func(t *testing.T) {
				w := scanWorld(t)
				if got, _ := scan(t, w, tt.source, limit, func() {}); got != tt.want {
					t.Errorf("Scan() visits %q, want %q", got, tt.want)
				}
				w.restart()
				if got, _ := scan(t, w, tt.source, limit, func() {}); got != tt.want {
					t.Errorf("after a restart Scan() visits %q, want %q", got, tt.want)
				}
			})
		}
	}
}

// What was there all the time is visited once, whatever comes and goes meanwhile.
func TestScanWhileConnectionsChange(t *testing.T) {
	w := scanWorld(t)
	n := 0
	got, _ := scan(t, w, "", 1, func() {
		n++
		source := []string{"0", "a", "b", "d", "z"}[n%5]
		if n > 20 {
			return
		}
		session := fmt.Sprintf("tcp_10.0.0.9:%d+tcp_10.0.0.2:443", n)
		w.apply(event.Event{Action: event.ActionStart, Source: source, ID: fmt.Sprint("n", n), Payload: event.Start{Session: session}})
		if n == 1 { // the connection at the position goes
			w.apply(event.Event{Action: event.ActionStop, Source: "e", ID: "1", Payload: event.Stop{}})
			w.pass(w.config.Connections.GracePeriod)
		}
	})
	var old []string
	for _, name := range strings.Fields(got) {
		if !strings.Contains(name, "/n") {
			old = append(old, name)
		}
	}
	if want := strings.Fields("e/1 a/3 a/2 b/1 c/2 a/1 c/1"); !slices.Equal(old, want) {
		t.Errorf("Scan() visits %v, want %v", old, want)
	}
}

func TestCopyStaysAsItIs(t *testing.T) {
	w := newWorld(t)
	w.ask(event.Accept, event.PolicyUnknown)
	w.start(idA)
	c, ok := w.tracker.Connection(source, idA)
	if !ok || c.Decision == nil {
		t.Fatal("the connection has no decision")
	}
	copied := c.Copy()
	w.ask(event.Accept, event.PolicyUnknown)
	w.stop(idA)
	if copied.State != StateOpen || copied.Stop != nil || copied.Decision.Requests != 1 || c.Decision.Requests != 2 {
		t.Errorf("copy is %v with %v and %d requests, original has %d requests", copied.State, copied.Stop,
			copied.Decision.Requests, c.Decision.Requests)
	}
	if copied.Serial() != c.Serial() {
		t.Errorf("copy is at %v, want %v", copied.Serial(), c.Serial())
	}
}

package page_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// A mistake in a search is shown where it is, beside the search box that still has the search.
func TestSearchError(t *testing.T) {
	w := get(handler(busy()), "/connections?q=reason:lost+bytes%3Eabc")
	body := w.Body.String()
	if w.Code != http.StatusBadRequest {
		t.Errorf("answered %d", w.Code)
	}
	for _, want := range []string{`<pre>reason:lost bytes&gt;<mark>abc</mark></pre>`, "is not a size", `value="reason:lost bytes&gt;abc"`, `aria-invalid="true"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestEmptyTables(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/connections", "No connection yet"},
		{"/connections?q=reason:lost", "No connection matches"},
		{"/connections?cursor=ZgU", "No more connections"},
	}
	for _, tt := range tests {
		if body := get(handler(empty()), tt.path).Body.String(); !strings.Contains(body, tt.want) {
			t.Errorf("%s: no %q", tt.path, tt.want)
		}
	}
}

// The address of a page keeps what was chosen.
func TestColumnsAndLinks(t *testing.T) {
	body := get(handler(busy()), "/connections?q=app:dns&col=id&col=rule").Body.String()
	for _, want := range []string{
		`data-col="time"`, `data-col="id"`, `data-col="rule"`,
		`href="/connections?col=id&amp;col=rule&amp;cursor=ZgU&amp;q=app%3Adns"`,
		`href="/api/v1/connections?format=csv&amp;limit=100&amp;q=app%3Adns"`, `href="/api/v1/connections?limit=100&amp;q=app%3Adns"`,
		`data-stream="/api/v1/stream?q=app%3Adns"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, `data-col="client"`) {
		t.Error("a column that was not chosen is shown")
	}
}

// The API answers a long search in pieces; a page is whole nevertheless.
func TestSearchInPieces(t *testing.T) {
	d := busy()
	for i := range 5 {
		d.pieces = append(d.pieces, api.ConnectionPage{Connections: []api.Connection{numbered(i, "dns")}, Cursor: "ZgU", SearchedTo: before(time.Hour)})
	}
	d.pieces[4].Cursor = ""
	body := get(handler(d), "/connections?q=app:dns").Body.String()
	if rows := strings.Count(body, "<tr data-key="); rows != 5 {
		t.Errorf("%d rows", rows)
	}
	if strings.Contains(body, "rel=\"next\"") {
		t.Error("there is a next page")
	}
}

func TestTryError(t *testing.T) {
	d := busy()
	d.tryErr = &api.InputError{Field: "session", Position: -1, Err: errors.New("is no session label")}
	w := get(handler(d), "/access?source=edge-1&session=nonsense")
	if body := w.Body.String(); w.Code != http.StatusBadRequest || !strings.Contains(body, "session: is no session label") || !strings.Contains(body, `value="nonsense"`) {
		t.Errorf("answered %d", w.Code)
	}
}

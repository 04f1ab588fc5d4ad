package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/web/api"
)

const (
	// pageRows is the number of connections of a page.
	pageRows = 100
	// searchTime is for how long a page is searched for before what was found is shown. A call to the API takes 200 ms at most.
	searchTime = 500 * time.Millisecond
)

// connectionsView is the table of connections.
type connectionsView struct {
	Query string
	Error *queryError
	Terms []search.Term
	// Columns are those that are shown, Choice all.
	Columns []column
	Choice  []choice
	Rows    []row
	// First tells that the page begins with the latest connections; Newer is its address.
	First bool
	Newer string
	// Older is the address of the next page, "" for none.
	Older string
	// SearchedTo is how far back the search has come, if it has not come to the end.
	SearchedTo *when
	// Live is the address of the stream, CSV and JSON those of what is shown.
	Live, CSV, JSON string
	// Made is when the page was made, for machines.
	Made   string
	Follow bool
}

// choice is a column that can be chosen.
type choice struct {
	column
	Shown, Fixed bool
}

type row struct {
	// Key is unique; the script row.js makes the same.
	Key  string
	Path string
	// Start is the first cell, Cells are the others.
	Start when
	Cells []rowCell
}

type rowCell struct {
	cell
	// Column is the class of the column's cells.
	Column string
}

// queryError is an error in a search, with the query as far as it is valid and from there on.
type queryError struct{ Text, Good, Bad string }

func newQueryError(query string, err error) *queryError {
	e := &queryError{Text: visible(err.Error())}
	var input *api.InputError
	if errors.As(err, &input) && input.Field == "q" {
		e.Text = visible(input.Err.Error())
		if at := input.Position; at >= 0 && at <= len(query) {
			e.Good, e.Bad = visible(query[:at]), visible(query[at:])
		}
	}
	return e
}

// connections serves /connections. Its parameters are q, cursor, follow, and col for each column that is shown.
func (p *Pages) connections(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	v := connectionsView{
		Query: values.Get("q"), Terms: search.Terms, Columns: chosen(values["col"]), Follow: values.Get("follow") == "1",
		First: values.Get("cursor") == "",
	}
	for i, c := range columns {
		v.Choice = append(v.Choice, choice{column: c, Shown: isChosen(v.Columns, c.Name), Fixed: i == 0})
	}
	now, status := p.Now(), http.StatusOK
	found, err := p.search(r.Context(), v.Query, values.Get("cursor"))
	var input *api.InputError
	switch {
	case errors.As(err, &input) && input.Field == "q":
		v.Error, status = newQueryError(v.Query, err), http.StatusBadRequest
	case err != nil:
		p.fail(w, "connections", err)
		return
	}
	for i := range found.Connections {
		v.Rows = append(v.Rows, newRow(now, v.Columns, &found.Connections[i]))
	}
	link := func(cursor string) string {
		next := url.Values{}
		copyValue(next, values, "q", "col")
		if cursor != "" {
			next.Set("cursor", cursor)
		}
		return address("/connections", next)
	}
	v.Newer = link("")
	if found.Cursor != "" {
		v.Older = link(found.Cursor)
		if !found.SearchedTo.IsZero() && len(found.Connections) < pageRows {
			to := full(found.SearchedTo)
			v.SearchedTo = &to
		}
	}
	shown := url.Values{"limit": {strconv.Itoa(pageRows)}}
	copyValue(shown, values, "q", "cursor")
	v.JSON = address("/api/v1/connections", shown)
	shown.Set("format", "csv")
	v.CSV = address("/api/v1/connections", shown)
	stream := url.Values{}
	copyValue(stream, values, "q")
	v.Live, v.Made = address("/api/v1/stream", stream), newWhen(now, "").ISO
	title := "Connections"
	if v.Query != "" {
		title = short(v.Query) + " – connections"
	}
	p.render(w, status, "connections", view{Title: title, Nav: "connections", Now: now, Page: v})
}

// search reads a page of connections: the API answers in pieces, so it asks for more until there is a whole page, the end,
// or searchTime is over.
func (p *Pages) search(ctx context.Context, query, cursor string) (api.ConnectionPage, error) {
	var found api.ConnectionPage
	for begin := time.Now(); ; {
		values := url.Values{"limit": {strconv.Itoa(pageRows - len(found.Connections))}}
		if query != "" {
			values.Set("q", query)
		}
		if cursor != "" {
			values.Set("cursor", cursor)
		}
		q, err := api.ParseConnectionQuery(values)
		if err != nil {
			return found, err
		}
		piece, err := p.Data.Connections(ctx, q)
		if err != nil {
			return found, err
		}
		piece.Connections = append(found.Connections, piece.Connections...)
		found, cursor = piece, piece.Cursor
		if cursor == "" || len(found.Connections) >= pageRows || time.Since(begin) > searchTime {
			return found, nil
		}
	}
}

func newRow(now time.Time, columns []column, c *api.Connection) row {
	r := row{Key: c.Source + "\n" + c.Name, Path: connectionPath(c.Source, c.Name), Start: clock(now, c.Start), Cells: make([]rowCell, 0, len(columns))}
	for _, col := range columns[1:] {
		r.Cells = append(r.Cells, rowCell{col.cell(now, c), col.Class()})
	}
	return r
}

func isChosen(columns []column, name string) bool {
	for _, c := range columns {
		if c.Name == name {
			return true
		}
	}
	return false
}

// copyValue copies values that are not empty.
func copyValue(to, from url.Values, names ...string) {
	for _, name := range names {
		for _, value := range from[name] {
			if value != "" {
				to.Add(name, value)
			}
		}
	}
}

func address(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// searchPath is the address of a search for one term, whose value is quoted if necessary.
func searchPath(name, value string) string {
	return address("/connections", url.Values{"q": {name + ":" + quote(value)}})
}

// maxTermLength is the length in bytes up to which a value is in a search; a longer one is searched by its beginning.
const maxTermLength = 500

// quote returns a value as it is written in a search. Quotation marks cannot be written; they match as any text.
func quote(value string) string {
	more := ""
	if len(value) > maxTermLength {
		value, more = strings.ToValidUTF8(value[:maxTermLength], ""), "*"
	}
	if value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r == '"' || r == ',' || unicode.IsSpace(r) }) {
		return value + more
	}
	return `"` + strings.ReplaceAll(value, `"`, "*") + `"` + more
}

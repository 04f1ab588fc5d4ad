package api

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// csvColumns are the columns of the CSV form of a page.
var csvColumns = []struct {
	name  string
	value func(*Connection) string
}{
	{"start", func(c *Connection) string { return csvTime(c.Start) }},
	{"end", func(c *Connection) string { return csvTime(c.End) }},
	{"duration_seconds", func(c *Connection) string { return csvNumber(c.Seconds) }},
	{"state", func(c *Connection) string { return c.State }},
	{"close_reason", func(c *Connection) string { return c.Reason }},
	{"source", func(c *Connection) string { return c.Source }},
	{"name", func(c *Connection) string { return c.Name }},
	{"client_address", func(c *Connection) string { return c.Client }},
	{"client_port", func(c *Connection) string { return csvPort(c.ClientPort) }},
	{"server_address", func(c *Connection) string { return c.Server }},
	{"server_port", func(c *Connection) string { return csvPort(c.Port) }},
	{"transport", func(c *Connection) string { return c.Transport }},
	{"sni", func(c *Connection) string { return c.SNI }},
	{"app", func(c *Connection) string { return c.App }},
	{"policy", func(c *Connection) string { return c.Policy }},
	{"bytes_up", func(c *Connection) string { return csvBytes(c.BytesUp) }},
	{"bytes_down", func(c *Connection) string { return csvBytes(c.BytesDown) }},
	{"verdict", func(c *Connection) string { return c.verdict().Verdict }},
	{"rule", func(c *Connection) string { return c.verdict().Rule }},
	{"dry_run_rule", func(c *Connection) string { return c.verdict().DryRunRule }},
	{"entropy_up", func(c *Connection) string { return csvNumber(c.entropy().Up) }},
	{"entropy_down", func(c *Connection) string { return csvNumber(c.entropy().Down) }},
	{"ja4", func(c *Connection) string { return c.JA4 }},
	{"requests", func(c *Connection) string { return strings.Join(c.Requests, " ") }},
	{"trace_id", func(c *Connection) string { return c.TraceID }},
}

func (c *Connection) verdict() Verdict {
	if c.Verdict == nil {
		return Verdict{}
	}
	return *c.Verdict
}

func (c *Connection) entropy() Directions {
	if c.Entropy == nil {
		return Directions{}
	}
	return *c.Entropy
}

func csvTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339Nano)
}

func csvNumber(f *float64) string {
	if f == nil {
		return ""
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

func csvBytes(n *uint64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatUint(*n, 10)
}

func csvPort(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

// csvCell keeps a spreadsheet from taking what the network chose for a formula.
func csvCell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}

// writeCSV responds with a page as CSV. The header Link has the address of the next page.
func writeCSV(w http.ResponseWriter, r *http.Request, page ConnectionPage) {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	row := make([]string, len(csvColumns))
	for i, column := range csvColumns {
		row[i] = column.name
	}
	_ = out.Write(row) // to memory
	for i := range page.Connections {
		for j, column := range csvColumns {
			row[j] = csvCell(column.value(&page.Connections[i]))
		}
		_ = out.Write(row)
	}
	out.Flush()
	if page.Cursor != "" {
		next := url.URL{Path: r.URL.Path}
		values := r.URL.Query()
		values.Set("cursor", page.Cursor)
		next.RawQuery = values.Encode()
		w.Header().Set("Link", "<"+next.String()+`>; rel="next"`)
	}
	w.Header().Set("Content-Disposition", `attachment; filename="connections.csv"`)
	write(w, http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
}

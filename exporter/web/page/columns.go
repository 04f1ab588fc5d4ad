package page

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// cell is a cell of the table of connections.
type cell struct {
	Text string
	// Class says how the text is shown, "" for the usual way.
	Class string
	// Title is shown on hover, "" for nothing.
	Title string
	// Since is the start of a duration that still grows.
	Since string
}

// column is a column of the table. The script row.js has the same columns by name.
type column struct {
	Name, Label string
	// Title says what the column has, if the label does not.
	Title   string
	Numeric bool
	// Default tells that it is shown unless others are chosen. Rank is 1 for what is shown on every screen, 2 and 3 for what
	// narrow ones leave out.
	Default bool
	Rank    int
	cell    func(now time.Time, c *api.Connection) cell
}

// Class is the class of its cells.
func (c column) Class() string {
	class := "r" + strconv.Itoa(c.Rank)
	if c.Numeric {
		class += " n"
	}
	return class
}

func text(s string) cell {
	if s == "" {
		return cell{Text: unknown, Class: "unknown"}
	}
	shown := visible(s)
	if begin, more := cut(shown, shortText); more {
		return cell{Text: begin + "…", Title: shortened(shown, longText)}
	}
	return cell{Text: shown}
}

func bytesCell(n *uint64) cell {
	if n == nil {
		return cell{Text: unknown, Class: "unknown"}
	}
	return cell{Text: iec(float64(*n))}
}

// columns are all columns, in the order in which they are shown.
var columns = []column{
	{Name: "time", Label: "Start", Default: true, Rank: 1}, // row.Start
	{Name: "state", Label: "State", Title: "open, or why it ended", Default: true, Rank: 1, cell: func(_ time.Time, c *api.Connection) cell {
		state := stateOf(c)
		return cell{Text: short(state), Class: "state " + state}
	}},
	{Name: "duration", Label: "Duration", Numeric: true, Default: true, Rank: 2, cell: durationCell},
	{Name: "proxy", Label: "Proxy", Default: true, Rank: 3, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Source) }},
	{Name: "client", Label: "Client", Default: true, Rank: 1, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Client) }},
	{Name: "server", Label: "Server", Title: "SNI, or the address", Default: true, Rank: 1, cell: serverCell},
	{Name: "address", Label: "Address", Title: "address of the server", Rank: 2, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Server) }},
	{Name: "port", Label: "Port", Title: "port of the server", Numeric: true, Rank: 2, cell: func(_ time.Time, c *api.Connection) cell {
		if c.Port == 0 {
			return text("")
		}
		return cell{Text: strconv.Itoa(int(c.Port))}
	}},
	{Name: "transport", Label: "Transport", Rank: 2, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Transport) }},
	{Name: "app", Label: "App", Title: "application, as the proxy names it", Default: true, Rank: 3, cell: func(_ time.Time, c *api.Connection) cell { return text(c.App) }},
	{Name: "policy", Label: "Policy", Numeric: true, Default: true, Rank: 3, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Policy) }},
	{Name: "up", Label: "Up", Title: "bytes from the client", Numeric: true, Default: true, Rank: 2, cell: func(_ time.Time, c *api.Connection) cell { return bytesCell(c.BytesUp) }},
	{Name: "down", Label: "Down", Title: "bytes to the client", Numeric: true, Default: true, Rank: 2, cell: func(_ time.Time, c *api.Connection) cell { return bytesCell(c.BytesDown) }},
	{Name: "verdict", Label: "Verdict", Title: "answer to the access-request", Default: true, Rank: 3, cell: func(_ time.Time, c *api.Connection) cell {
		if c.Verdict == nil {
			return text("")
		}
		return cell{Text: short(c.Verdict.Verdict), Class: "verdict " + c.Verdict.Verdict}
	}},
	{Name: "rule", Label: "Rule", Title: "access rule that decided", Rank: 3, cell: func(_ time.Time, c *api.Connection) cell {
		if c.Verdict == nil {
			return text("")
		}
		return text(c.Verdict.Rule)
	}},
	{Name: "ja4", Label: "JA4", Title: "fingerprint of the client's TLS hello", Rank: 3, cell: func(_ time.Time, c *api.Connection) cell { return text(c.JA4) }},
	{Name: "entropy", Label: "Entropy", Title: "bits per byte from the client / to the client", Numeric: true, Rank: 3, cell: entropyCell},
	{Name: "id", Label: "Id", Title: "name of the connection within its proxy", Rank: 3, cell: func(_ time.Time, c *api.Connection) cell { return text(c.Name) }},
}

// stateOf is the state of a connection in one word: open, closing, or why it ended.
func stateOf(c *api.Connection) string {
	if c.State == "open" || c.State == "closing" || c.Reason == "" {
		return c.State
	}
	return c.Reason
}

func durationCell(now time.Time, c *api.Connection) cell {
	switch {
	case c.Seconds != nil:
		return cell{Text: lasting(*c.Seconds)}
	case c.Start.IsZero():
		return text("")
	case c.State == "open":
		return cell{Text: lasting(now.Sub(c.Start).Seconds()), Class: "growing", Since: newWhen(c.Start, "").ISO}
	case c.End.IsZero():
		return text("")
	default:
		return cell{Text: "~" + lasting(c.End.Sub(c.Start).Seconds()), Title: "estimated"}
	}
}

func serverCell(_ time.Time, c *api.Connection) cell {
	if c.SNI == "" {
		return text(c.Server)
	}
	shown := text(c.SNI)
	if shown.Title == "" && c.Server != "" {
		shown.Title, _ = cut(visible(c.Server), longText)
	}
	return shown
}

func entropyCell(_ time.Time, c *api.Connection) cell {
	if c.Entropy == nil {
		return text("")
	}
	bits := func(b *float64) string {
		if b == nil {
			return unknown
		}
		return strconv.FormatFloat(*b, 'f', 2, 64)
	}
	return cell{Text: bits(c.Entropy.Up) + " / " + bits(c.Entropy.Down)}
}

// chosen returns the columns that the parameters "col" name, the default ones without any. The first column has the link
// to the connection and is always shown.
func chosen(names []string) []column {
	var picked []column
	for i, c := range columns {
		if i == 0 || slices.Contains(names, c.Name) || len(names) == 0 && c.Default {
			picked = append(picked, c)
		}
	}
	return picked
}

// connectionPath is the address of the page of a connection.
func connectionPath(source, name string) string {
	return "/connections/" + url.PathEscape(source) + "/" + url.PathEscape(name)
}

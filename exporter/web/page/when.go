package page

import "time"

// The forms of a time. The server writes all in UTC; the script time.js replaces them by the viewer's time zone.
const (
	clockTime = "clock" // in tables: 15:04:05, or Jan 2 15:04 on another day
	fullTime  = "full"  // Jan 2, 2026, 15:04:05
)

// when is an instant as a <time> element.
type when struct {
	// ISO is for machines, UTC is shown on hover, and Text in the page. ISO is "" if there was no such instant.
	ISO, UTC, Text string
	// Form is "" if the text stays as it is.
	Form string
}

func clock(now, t time.Time) when {
	w := newWhen(t, clockTime)
	if y, m, d := t.UTC().Date(); sameDay(now, y, m, d) {
		w.Text = t.UTC().Format("15:04:05")
	} else {
		w.Text = t.UTC().Format("Jan 2 15:04")
	}
	return w
}

func sameDay(t time.Time, year int, month time.Month, day int) bool {
	y, m, d := t.UTC().Date()
	return y == year && m == month && d == day
}

func full(t time.Time) when {
	w := newWhen(t, fullTime)
	w.Text = t.UTC().Format("Jan 2, 2006, 15:04:05 UTC")
	return w
}

// age is an instant whose text is how long ago it was.
func age(now, t time.Time) when {
	if t.IsZero() {
		return when{Text: "never"}
	}
	w := newWhen(t, "")
	w.Text = ago(now, t)
	return w
}

func newWhen(t time.Time, form string) when {
	t = t.UTC()
	return when{ISO: t.Format("2006-01-02T15:04:05.000Z"), UTC: t.Format("2006-01-02 15:04:05.000 UTC"), Form: form}
}

package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unknown is shown for a value that is not known.
const unknown = "–"

var iecUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// iec returns a number of bytes with three digits, as in 1.21 MiB. The script row.js does the same.
func iec(n float64) string {
	unit := 0
	for n >= 1023.5 && unit < len(iecUnits)-1 {
		n /= 1024
		unit++
	}
	decimals := 0
	switch {
	case unit == 0:
	case n < 9.995:
		decimals = 2
	case n < 99.95:
		decimals = 1
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) + " " + iecUnits[unit]
}

// perSecond returns a rate, as in 12.3/s.
func perSecond(n float64) string {
	if n > 0 && n < 0.005 {
		return "<0.01/s"
	}
	return rateNumber(n) + "/s"
}

func rateNumber(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return strconv.FormatFloat(n, 'f', 2, 64)
	case n < 100:
		return strconv.FormatFloat(n, 'f', 1, 64)
	default:
		return count(int64(math.Round(n)))
	}
}

// count returns a number with commas, as in 12,345.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, c := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// lasting returns a short duration of two units at most, as in 85ms, 1.2s, 3m 20s. The script row.js does the same.
func lasting(seconds float64) string {
	s := int64(math.Round(seconds))
	switch {
	case seconds < 0.9995:
		return fmt.Sprintf("%.0fms", max(0, seconds)*1000)
	case seconds < 9.95:
		return fmt.Sprintf("%.1fs", seconds)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return twoUnits(s/60, "m", s%60, "s")
	case s < 86400:
		return twoUnits(s/3600, "h", s%3600/60, "m")
	default:
		return twoUnits(s/86400, "d", s%86400/3600, "h")
	}
}

func twoUnits(n int64, unit string, rest int64, restUnit string) string {
	if rest == 0 {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s %d%s", n, unit, rest, restUnit)
}

// ago returns how long before now a time was, as in 12s ago.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d < time.Second:
		return "just now"
	case d < 10*time.Second:
		return fmt.Sprintf("%ds ago", d/time.Second)
	default:
		return lasting(math.Floor(d.Seconds())) + " ago"
	}
}

// percent returns a share, as in 12 %.
func percent(part, whole float64) string {
	if whole <= 0 {
		return unknown
	}
	share := part / whole * 100
	switch {
	case share > 0 && share < 0.5:
		return "<1 %"
	default:
		return strconv.FormatFloat(share, 'f', 0, 64) + " %"
	}
}

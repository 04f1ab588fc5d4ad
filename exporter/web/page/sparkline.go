package page

import (
	"math"
	"strconv"
	"strings"
)

// sparkline is a small line chart without axes, as the coordinates of an SVG.
type sparkline struct {
	Width, Height int
	// Line and Area are the d attributes of paths.
	Line, Area string
	// Label is the chart in words, for those who do not see it.
	Label string
}

// maxPoints bounds the size of a sparkline: averages of neighbors take the place of more values.
const maxPoints = 45

// newSparkline draws values from 0 to the greatest one. format returns a value in words.
func newSparkline(values []float64, width, height int, format func(float64) string) sparkline {
	s := sparkline{Width: width, Height: height}
	if len(values) == 0 {
		s.Label = "no data yet"
		return s
	}
	least, most := values[0], values[0]
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	s.Label = "last 15 minutes: lowest " + format(least) + ", highest " + format(most)
	points := thin(values, maxPoints)
	top := 1.5
	scale := 0.0
	if most > 0 {
		scale = (float64(height) - top - 1) / most
	}
	var b strings.Builder
	for i, v := range points {
		x := float64(width)
		if len(points) > 1 {
			x = float64(width) * float64(i) / float64(len(points)-1)
		}
		b.WriteByte("ML"[min(i, 1)])
		b.WriteString(coordinate(x))
		b.WriteByte(' ')
		b.WriteString(coordinate(float64(height) - 1 - v*scale))
	}
	s.Line = b.String()
	if len(points) == 1 {
		s.Line = "M0 " + coordinate(float64(height)-1-points[0]*scale) + "H" + strconv.Itoa(width)
	}
	s.Area = s.Line + "V" + strconv.Itoa(height) + "H0Z"
	return s
}

func coordinate(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// thin returns at most n values: the averages of neighbors.
func thin(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	thinned := make([]float64, n)
	for i := range thinned {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		for _, v := range values[from:to] {
			thinned[i] += v / float64(to-from)
		}
	}
	return thinned
}

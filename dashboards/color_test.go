package dashboards

import (
	"math"
	"strconv"
	"testing"
)

// vision are the linear RGB transformations of Machado, Oliveira and Fernandes (2009) at full severity.
var vision = map[string][3][3]float64{
	"all cones": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"no red":    {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"no green":  {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"no blue":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// TestColors checks that colors with a meaning can be told apart with any kind of color vision. A difference of 10 in
// CIELAB is plain to see.
func TestColors(t *testing.T) {
	for name, matrix := range vision {
		for _, together := range [][]string{{good, warn, bad, restart}, {upload, download}, {good, bad, restart, warn, gone}} {
			for i, a := range together {
				for _, b := range together[:i] {
					if d := difference(seen(matrix, a), seen(matrix, b)); d < 10 {
						t.Errorf("%s: %s and %s differ by %.1f", name, a, b, d)
					}
				}
			}
		}
	}
}

func difference(a, b [3]float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

// seen returns a color as it is seen, in CIELAB.
func seen(matrix [3][3]float64, color string) [3]float64 {
	var linear, rgb [3]float64
	for i := range linear {
		v, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		if err != nil {
			panic(err)
		}
		linear[i] = math.Pow((float64(v)/255+0.055)/1.055, 2.4)
	}
	for i, row := range matrix {
		rgb[i] = min(1, max(0, row[0]*linear[0]+row[1]*linear[1]+row[2]*linear[2]))
	}
	white := [3]float64{0.95047, 1, 1.08883}
	var f [3]float64
	for i, row := range [3][3]float64{{0.4124564, 0.3575761, 0.1804375}, {0.2126729, 0.7151522, 0.0721750}, {0.0193339, 0.1191920, 0.9503041}} {
		v := (row[0]*rgb[0] + row[1]*rgb[1] + row[2]*rgb[2]) / white[i]
		if f[i] = v/0.128419 + 4.0/29; v > 0.008856 {
			f[i] = math.Cbrt(v)
		}
	}
	return [3]float64{116*f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])}
}

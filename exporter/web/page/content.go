package page

import (
	"math"
	"strconv"

	"smithproxy_exporter/exporter/web/api"
)

// directions describes the content of each direction of which the entropy is known.
func directions(c *api.Connection) []direction {
	if c.Entropy == nil {
		return nil
	}
	var l []direction
	add := func(name string, bits *float64, bytes *uint64) {
		if bits == nil {
			return
		}
		d := direction{
			Name: name, Bits: strconv.FormatFloat(*bits, 'f', 2, 64), Reading: entropyReading(*bits, bytes),
			Width: int(math.Round(min(max(*bits/8, 0), 1) * 100)),
		}
		if bytes != nil {
			d.Bytes = iec(float64(*bytes))
		}
		l = append(l, d)
	}
	add("From the client", c.Entropy.Up, c.BytesUp)
	add("To the client", c.Entropy.Down, c.BytesDown)
	return l
}

// fewBytes is below how many bytes the entropy says little: n bytes have log2 n bits at most.
const fewBytes = 1024

// entropyReading says what content has such an entropy, in bits per byte.
func entropyReading(bits float64, bytes *uint64) string {
	if bytes != nil && *bytes == 0 {
		return "No content."
	}
	reading := ""
	switch {
	case bits < 1:
		reading = "Almost always the same byte, such as padding or zeros."
	case bits < 3.5:
		reading = "Very regular: few different bytes, such as numbers or repeated records."
	case bits < 5.5:
		reading = "Like plain text, markup or source code."
	case bits < 7:
		reading = "A mixture, such as text with binary data, or programs."
	case bits < 7.8:
		reading = "Mostly compressed, such as images, or with some plain parts."
	default:
		reading = "Like random bytes: compressed or encrypted."
	}
	if bytes != nil && *bytes < fewBytes {
		most := strconv.FormatFloat(math.Log2(float64(*bytes)), 'f', 1, 64)
		return reading + " Of so few bytes the entropy says little: it cannot exceed " + most + "."
	}
	return reading
}

// skewReading says what a flow skew means, from -1 to 1.
func skewReading(skew float64) string {
	switch {
	case skew <= -0.9:
		return "almost everything came from the client, as in an upload."
	case skew < -0.3:
		return "the client sent more than it got."
	case skew <= 0.3:
		return "both sides sent about as much."
	case skew < 0.9:
		return "the client got more than it sent."
	default:
		return "almost everything came from the server, as in a download."
	}
}

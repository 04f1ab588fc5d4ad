package fleet

import (
	"math"
	"math/rand/v2"
)

// sample has the results of the statistics feature for one side.
type sample struct {
	bytes     uint64  // sampled, the first ones of each read
	entropy   float64 // bits per byte
	topByte   int
	topCount  uint64
	topRatio  float64
	undefined bool // no data, or a number the proxy could not compute: ratio null
}

// newSample draws the sample of a side with n bytes of payload, of which at most perRead of each read are sampled.
// Payload is encrypted, text or a repeated byte.
func newSample(r *rand.Rand, n, perRead uint64, encrypted bool) sample {
	kind, reads, jitter, top := r.Float64(), 1+r.Uint64N(16), r.Float64(), r.IntN(256)
	if n == 0 {
		return sample{undefined: true}
	}
	s := sample{bytes: min(n, perRead*reads), topByte: top}
	switch {
	case kind < 0.05:
		s.topCount, s.topRatio = s.bytes, 1
		return s
	case encrypted:
		// Few bytes cannot look random: 512 of them have 7.6 bits, 3,584 have 7.95.
		s.entropy = min(7.99, 8-183/float64(s.bytes)-0.02*jitter)
	default:
		s.entropy = 4.6 + 0.8*jitter
	}
	s.entropy = max(0.1, min(s.entropy, math.Log2(float64(s.bytes))))
	if s.bytes == 1 {
		s.entropy = 0
	}
	s.topRatio = max(1/float64(s.bytes), min(1, 0.5/math.Exp2(s.entropy-2)))
	s.topCount = max(1, uint64(s.topRatio*float64(s.bytes)))
	s.topRatio = float64(s.topCount) / float64(s.bytes)
	return s
}

// size draws a number of bytes between 10^low and 10^high; all orders of magnitude are equally likely.
func size(r *rand.Rand, low, high float64) uint64 {
	return uint64(math.Pow(10, low+(high-low)*r.Float64()))
}

package collector

import (
	"hash/maphash"

	"github.com/axiomhq/hyperloglog"
)

// distinctPrecision makes 2^11 registers of a byte: 2 KiB for each label of each proxy, and a standard
// error of 1.04/√2048 = 2.3 %.
const distinctPrecision = 11

// hashSeed is nobody's guess, so that nobody can choose values that spoil an estimate.
var hashSeed = maphash.MakeSeed()

// distinct estimates how many different values it was told.
type distinct[K comparable] struct {
	sketch *hyperloglog.Sketch
	last   K
	any    bool
	fresh  bool // whether something was told since the last estimate
}

func newDistinct[K comparable]() distinct[K] {
	sketch, err := hyperloglog.NewSketch(distinctPrecision, false)
	if err != nil {
		panic(err) // only for a precision that there is none of
	}
	return distinct[K]{sketch: sketch}
}

func (d *distinct[K]) add(value K) {
	if d.any && value == d.last {
		return
	}
	d.last, d.any, d.fresh = value, true, true
	d.sketch.InsertHash(maphash.Comparable(hashSeed, value))
}

// estimate returns the number; changed is false when nothing was told since it was asked for last.
func (d *distinct[K]) estimate() (n float64, changed bool) {
	if !d.fresh {
		return 0, false
	}
	d.fresh = false
	return float64(d.sketch.Estimate()), true
}

package collector

import (
	"hash/maphash"

	"github.com/axiomhq/hyperloglog"
)

// cardinalityPrecision gives 2^11 registers of a byte: 2 KiB for each label of each proxy, and a standard
// error of 1.04/√2048 = 2.3 %.
const cardinalityPrecision = 11

// hashSeed is random, so that clients cannot choose values that spoil an estimate.
var hashSeed = maphash.MakeSeed()

// cardinality estimates the number of distinct values that were added.
type cardinality[K comparable] struct {
	sketch *hyperloglog.Sketch
	last   K
	any    bool
	fresh  bool // whether a value was added since the last estimate
}

func newCardinality[K comparable]() cardinality[K] {
	sketch, err := hyperloglog.NewSketch(cardinalityPrecision, false)
	if err != nil {
		panic(err) // only for an invalid precision
	}
	return cardinality[K]{sketch: sketch}
}

func (c *cardinality[K]) add(value K) {
	if c.any && value == c.last {
		return
	}
	c.last, c.any, c.fresh = value, true, true
	c.sketch.InsertHash(maphash.Comparable(hashSeed, value))
}

// estimate returns the number of values; changed is false if no value was added since the last call.
func (c *cardinality[K]) estimate() (n float64, changed bool) {
	if !c.fresh {
		return 0, false
	}
	c.fresh = false
	return float64(c.sketch.Estimate()), true
}

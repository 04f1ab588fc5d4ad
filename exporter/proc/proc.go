// Package proc sets up the process of the exporter.
package proc

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is by how much memory may grow between two garbage collections. Live memory is small as a
	// rule, and would be collected many times a second with Go's default.
	gcPercent = 200
	// memoryLimit, in bytes, is where the garbage collector begins to run more often, so that a flood of events
	// does not triple the memory (make flood). It is a soft limit: the limits of the configuration bound live memory.
	memoryLimit = 440 << 20
)

// TuneGC sets the garbage collector up, as far as GOGC and GOMEMLIMIT do not.
func TuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

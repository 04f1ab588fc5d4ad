package main

import (
	"os"
	"runtime/debug"
)

const (
	// gcPercent is by how much memory may grow between two garbage collections. What is alive is small as a
	// rule, and would be collected many times a second with Go's default.
	gcPercent = 200
	// memoryAim, in bytes, is from where on the garbage collector runs more often, so that a flood of events
	// does not make it three times what is alive (make flood). It is not a bound: what is alive is bounded
	// by the limits of the configuration.
	memoryAim = 440 << 20
)

// tuneRuntime sets the garbage collector up, unless the environment does.
func tuneRuntime() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim)
	}
}

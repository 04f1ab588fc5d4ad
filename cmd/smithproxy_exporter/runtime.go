package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// minProcs is at least how many goroutines may run at a time, however few processors there are: which of
	// them gets one is then the kernel's choice, which lets a short request in at once. Go itself has it wait
	// behind the garbage collector, for 10 ms and more: make latency.
	minProcs = 4
	// gcPercent is by how much memory may grow between two garbage collections: each of them is felt.
	gcPercent = 200
	// memoryAim, in bytes, is what the garbage collector works towards when that would be more, as in a flood.
	// It is a wish, not a bound; what is alive is bounded by track.Options.
	memoryAim = 440 << 20
	// listMemory is by how much a byte of a list of the access rules raises the aim. A list in memory takes
	// about three times its file, and while it is loaded anew there are two of it, and what the reading leaves.
	listMemory = 16
)

// tuneRuntime sets the Go runtime up for answering at once. Variables of the environment that say otherwise
// count.
func tuneRuntime() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < minProcs {
		runtime.GOMAXPROCS(minProcs)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	aimMemory(0)
}

// aimMemory makes room for lists of so many bytes.
func aimMemory(lists int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim + listMemory*lists)
	}
}

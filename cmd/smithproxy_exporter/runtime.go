package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// gcPercent is by how much memory may grow between two garbage collections: each of them is felt.
	gcPercent = 200
	// memoryAim, in bytes, is what the garbage collector works towards when that would be more, as in a flood.
	// It is a wish, not a bound; what is alive is bounded by track.Options.
	memoryAim = 440 << 20
	// listMemory is by how much a byte of a list of the access rules raises the aim. A list in memory takes
	// about three times its file, and while it is loaded anew there are two of it, and what the reading leaves.
	listMemory = 16
	// longLists, in bytes, are lists that keep the garbage collector busy for long: some 50,000 entries.
	longLists = 1 << 20
	// longListProcs is at least how many goroutines may run at a time then, however few processors there are:
	// which of them gets one is the kernel's choice, and that lets a short request in at once. Go itself has it
	// wait behind the garbage collector, for 10 ms and more (make latency). Without long lists that takes too
	// short a time to be worth the tenth that every event costs more.
	longListProcs = 4
)

// tuneRuntime sets the Go runtime up for answering at once while there are access lists of so many bytes.
// Variables of the environment that say otherwise count. It is called by one goroutine.
func tuneRuntime(lists int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim + listMemory*lists)
	}
	if os.Getenv("GOMAXPROCS") == "" && lists >= longLists && runtime.GOMAXPROCS(0) < longListProcs {
		runtime.GOMAXPROCS(longListProcs)
	}
}

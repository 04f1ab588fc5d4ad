package main

import (
	"io"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"syscall"
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

// maxOpenFiles returns how many files the process may open.
func maxOpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// harden keeps secrets in memory out of core dumps, and warns of what the exporter does not need.
func harden(coreDumps bool, logger *slog.Logger) {
	if !coreDumps {
		if err := disableCoreDumps(); err != nil {
			logger.Warn("Failed to disable core dumps, they would contain the webhook secrets", "err", err)
		}
	}
	if os.Geteuid() == 0 {
		logger.Warn("Running as root, which the exporter does not need; run it as a user of its own")
	}
}

// isTerminal reports whether somebody reads what is written to a file.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

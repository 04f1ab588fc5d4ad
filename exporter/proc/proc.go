// Package proc sets up the process of the exporter.
package proc

import (
	"io"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"syscall"
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

// MaxOpenFiles returns how many files the process may open.
func MaxOpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// Harden keeps secrets in memory out of core dumps, and warns of what the exporter does not need.
func Harden(coreDumps bool, logger *slog.Logger) {
	if !coreDumps {
		if err := disableCoreDumps(); err != nil {
			logger.Warn("Failed to disable core dumps, they would contain the webhook secrets", "err", err)
		}
	}
	if os.Geteuid() == 0 {
		logger.Warn("Running as root, which the exporter does not need; run it as a user of its own")
	}
}

// IsTerminal reports whether somebody reads what is written to a file.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

package proc

import (
	"io"
	"log/slog"
	"math"
	"os"
	"syscall"
)

// MaxOpenFiles returns how many files the process may open.
func MaxOpenFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// Harden keeps secrets in memory out of core dumps, unless coreDumps allows them, and warns of a process that runs as root.
func Harden(coreDumps bool, logger *slog.Logger) {
	if !coreDumps {
		if err := disableCoreDumps(); err != nil {
			logger.Warn("Failed to disable core dumps, they would contain the webhook secrets", "err", err)
		}
	}
	if os.Geteuid() == 0 {
		logger.Warn("Running as root, which the exporter does not need")
	}
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

package proc

import (
	"log/slog"
	"syscall"
	"testing"
)

// TestCoreDumpsAreDisabled: the process is not dumpable after the start.
func TestCoreDumpsAreDisabled(t *testing.T) {
	const getDumpable, setDumpable = 3, 4
	prctl := func(option, value uintptr) uintptr {
		t.Helper()
		got, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, option, value, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return got
	}
	defer prctl(setDumpable, prctl(getDumpable, 0))
	prctl(setDumpable, 1)
	Harden(true, slog.New(slog.DiscardHandler))
	if got := prctl(getDumpable, 0); got != 1 {
		t.Errorf("dumpable is %d though core dumps are allowed", got)
	}
	Harden(false, slog.New(slog.DiscardHandler))
	if got := prctl(getDumpable, 0); got != 0 {
		t.Errorf("dumpable is %d", got)
	}
}

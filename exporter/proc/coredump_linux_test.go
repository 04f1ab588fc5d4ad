package proc

import (
	"syscall"
	"testing"
)

// The process is not dumpable after the start.
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
	if err := disableCoreDumps(); err != nil {
		t.Fatal(err)
	}
	if got := prctl(getDumpable, 0); got != 0 {
		t.Errorf("dumpable is %d", got)
	}
}

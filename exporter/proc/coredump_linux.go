package proc

import "syscall"

// disableCoreDumps makes the process not dumpable (prctl(2)): the kernel writes no core file of it, and only root can
// read its memory.
func disableCoreDumps() error {
	const dumpable = 0
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, dumpable, 0); errno != 0 {
		return errno
	}
	return nil
}

//go:build !linux

package proc

import "syscall"

// disableCoreDumps allows core files of no byte.
func disableCoreDumps() error {
	return syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}

package proc

import (
	"fmt"
	"syscall"
)

// FreeBytes returns how many bytes of the file system that has a directory an ordinary user may still write.
func FreeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

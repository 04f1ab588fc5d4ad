//go:build !linux

package proc

import "errors"

// ClockSynchronized returns an error: only Linux says whether its clock is synchronized.
func ClockSynchronized() (bool, error) { return false, errors.ErrUnsupported }

package proc

import (
	"fmt"
	"syscall"
)

// timeError is the state of the clock if it is not synchronized (TIME_ERROR of adjtimex(2)).
const timeError = 5

// ClockSynchronized reports whether the kernel regards the clock as synchronized, by NTP for example.
func ClockSynchronized() (bool, error) {
	// A virtual machine that takes the time of its host is not synchronized in this sense.
	state, err := syscall.Adjtimex(new(syscall.Timex))
	if err != nil {
		return false, fmt.Errorf("adjtimex: %w", err)
	}
	return state != timeError, nil
}

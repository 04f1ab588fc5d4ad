package logging

import (
	"sync"
	"time"
)

// Limiter limits how often each kind of message is logged. It is safe for concurrent use. Kinds are few and fixed.
type Limiter struct {
	// Every is the time between two messages of a kind.
	Every time.Duration

	mu    sync.Mutex
	kinds map[string]*kind
}

type kind struct {
	logged  time.Time
	omitted int
}

// Allow reports whether a message of a kind may be logged, and how many were left out since the last one.
func (l *Limiter) Allow(name string, at time.Time) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, known := l.kinds[name]
	if !known {
		if l.kinds == nil {
			l.kinds = map[string]*kind{}
		}
		l.kinds[name] = &kind{logged: at}
		return 0, true
	}
	// Requests that came earlier can be refused later.
	if at.Sub(k.logged) < l.Every {
		k.omitted++
		return 0, false
	}
	omitted, k.omitted, k.logged = k.omitted, 0, at
	return omitted, true
}

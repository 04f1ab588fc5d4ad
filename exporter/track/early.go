package track

import (
	"strings"
	"time"
)

// early are the ids that a list had before any other event of their connections was received: a list overtakes events
// that wait or that the proxy sends again. When such an event arrives, its connection counts as listed.
type early map[string]earlyID

type earlyID struct {
	at     Instant // of the list
	number uint32  // of the list
}

// maxEarly bounds the ids of one proxy. A current proxy has at most as many events that are not sent.
const maxEarly = 256

// add remembers an id until it is claimed or expires.
func (e *early) add(id string, list earlyID) {
	if len(*e) >= maxEarly {
		return
	}
	if *e == nil {
		*e = early{}
	}
	(*e)[strings.Clone(id)] = list // the list is not kept for it
}

// expire forgets the ids of lists that were received before the given time.
func (e early) expire(before time.Duration) {
	for id, list := range e {
		if list.at.Mono < before {
			delete(e, id)
		}
	}
}

// claim makes a new connection listed if a list had it in the given time before.
func (e early) claim(c *Connection, at Instant, keep time.Duration) {
	list, ok := e[c.ID]
	if !ok {
		return
	}
	delete(e, c.ID)
	if at.Mono-list.at.Mono <= keep {
		c.listed, c.list, c.alive = true, list.number, list.at
	}
}

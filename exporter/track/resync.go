package track

import "time"

// resync asks a proxy for its open connections, by the response 202 to a start, stop or info: the proxy then sends a
// ping with the ids and labels of all open connections. That costs it two events, so it is done only when needed: after
// a start of the exporter or of the proxy, or when no events could be received for a while.
type resync struct {
	state resyncState
	at    time.Duration // when the proxy was last asked, 0 before
	tries int           // since want was called
}

type resyncState uint8

const (
	resyncDone  resyncState = iota // not needed
	resyncDue                      // the next event is answered with 202
	resyncAsked                    // the proxy was asked, and its list was not received
)

const (
	// resyncPause is the least time between two resynchronisations of a proxy.
	resyncPause = time.Minute
	// resyncRetry is how long to wait for the list before asking again. A proxy refreshes at most once a second, and
	// ignores a 202 in between.
	resyncRetry = 3 * time.Second
	// resyncTries bounds the tries: there may be versions that do not support it.
	resyncTries = 10
)

// want requests a resynchronisation.
func (r *resync) want() { r.state, r.tries = resyncDue, 0 }

// answered records that a full list was received.
func (r *resync) answered() { r.state = resyncDone }

// ask reports whether to ask the proxy now; if so, it counts as asked.
func (r *resync) ask(at time.Duration) bool {
	switch {
	case r.state == resyncDue && (r.at == 0 || at-r.at >= resyncPause):
	case r.state == resyncAsked && at-r.at >= resyncRetry && r.tries < resyncTries:
	default:
		return false
	}
	r.state, r.at = resyncAsked, at
	r.tries++
	return true
}

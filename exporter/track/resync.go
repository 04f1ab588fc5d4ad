package track

import "time"

// resync asks a proxy for all that is open, by the answer 202 to a start, stop or info: the proxy then sends a
// ping with the ids and labels of what is open. That costs it two events, so there must be a reason: the exporter
// was started, the proxy was, or nothing could be received for a while.
type resync struct {
	state resyncState
	at    time.Duration // when it was asked last, 0 before
	tries int           // since the reason came up
}

type resyncState uint8

const (
	resyncDone  resyncState = iota // there is no reason to ask
	resyncDue                      // the next event is answered so that the proxy is asked
	resyncAsked                    // it was asked, and has not answered
)

const (
	// resyncPause is how long a proxy is left alone after it answered.
	resyncPause = time.Minute
	// resyncRetry is how long to wait for its answer. A proxy refreshes once a second at most, and takes
	// no notice of what asks in between.
	resyncRetry = 3 * time.Second
	// resyncTries bounds how often a proxy is asked that never answers: versions may exist that cannot.
	resyncTries = 10
)

// want gives a reason to ask.
func (r *resync) want() { r.state, r.tries = resyncDue, 0 }

// answered notes that a full list came.
func (r *resync) answered() { r.state = resyncDone }

// ask reports whether the proxy shall be asked now, and notes that it was.
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

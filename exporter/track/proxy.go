package track

import (
	"slices"
	"time"
)

// proxy is the state of one source.
type proxy struct {
	source string

	// instance is the boot id in force; retired are the ones before it, newest last, whose stragglers
	// must not look like another restart.
	instance string
	retired  []string

	appearedAt time.Time // when the first event was received
	heardAt    time.Time // when the last one was
	pingedAt   time.Time
	silent     bool

	question question

	conns     records
	active    int // of conns, those that count as open
	finished  tombstones
	pending   pendingDecisions
	neighbors neighbors

	// Whether the proxy sends connection-info at all decides whether a stopped connection has to wait
	// for one. Unknown until an info came, or until infoEvidence connections that carried data waited
	// in vain.
	sendsInfo bool
	inVain    int
}

// infoEvidence is how many connections with data must have had no info before a proxy counts as one
// that sends none. More than one, because the feature belongs to a policy, not to the proxy.
const infoEvidence = 20

// maxRetired boot ids are remembered; their stragglers come within the linger.
const maxRetired = 8

func newProxy(source string, at time.Time) *proxy {
	return &proxy{
		source: source, appearedAt: at, heardAt: at, conns: newRecords(), finished: newTombstones(), pending: newPendingDecisions(),
		neighbors: newNeighbors(), question: question{due: true},
	}
}

// expectsInfo reports whether an info may still come for a connection that has none.
func (p *proxy) expectsInfo() bool { return p.sendsInfo || p.inVain < infoEvidence }

// isRetired reports whether the boot id belongs to an earlier run of the daemon.
func (p *proxy) isRetired(instance string) bool { return slices.Contains(p.retired, instance) }

func (p *proxy) retire(instance string) {
	p.retired = append(p.retired, instance)
	if len(p.retired) > maxRetired {
		p.retired = slices.Delete(p.retired, 0, 1)
	}
}

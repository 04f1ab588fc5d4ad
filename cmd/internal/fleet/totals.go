package fleet

import "sync"

// ledger counts what one proxy does. It is safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	totals  Totals
	garbage map[string]*Garbage
}

func newLedger() *ledger {
	return &ledger{totals: newTotals(), garbage: make(map[string]*Garbage)}
}

func newTotals() Totals {
	return Totals{
		Actions:  make(map[Action]*ActionTotals),
		Verdicts: make(map[string]int),
		Expected: make(map[string]int),

		Transports: make(map[string]int),
		Policies:   make(map[int]int),
	}
}

func (t *Totals) action(a Action) *ActionTotals {
	n := t.Actions[a]
	if n == nil {
		n = &ActionTotals{Status: make(map[int]int)}
		t.Actions[a] = n
	}
	return n
}

// outcome is the outcome of one event over all its tries.
type outcome struct {
	tries    int
	aborted  int
	failures int
	answers  []int // status of each delivery
	acked    int   // deliveries
	last     answer
	// acknowledged is the last 2xx, even if the proxy did not get it.
	acknowledged answer
	dropped      bool // by the limit of the queue
	discarded    bool // by a planned stop
}

// event counts a finished event.
func (l *ledger) event(a Action, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.totals.action(a)
	n.Events++
	n.Deliveries += len(o.answers)
	n.AcknowledgedDeliveries += o.acked
	if o.acked > 0 {
		n.AcknowledgedEvents++
	} else {
		n.FailedEvents++
	}
	if o.dropped {
		n.Dropped++
		l.totals.Dropped++
	}
	if o.discarded {
		n.Discarded++
		l.totals.Discarded++
	}
	n.Retries += max(0, o.tries-1)
	n.Aborted += o.aborted
	n.Failures += o.failures
	for _, status := range o.answers {
		n.Status[status]++
	}
}

// with changes the totals under the lock.
func (l *ledger) with(f func(*Totals)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.totals)
}

// garbageSent counts an invalid request; status 0 is no answer.
func (l *ledger) garbageSent(kind garbage, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.garbage[kind.String()]
	if g == nil {
		g = &Garbage{Status: make(map[int]int)}
		l.garbage[kind.String()] = g
	}
	g.Sent++
	if status == 0 {
		g.Failed++
		return
	}
	g.Status[status]++
}

// add adds the numbers of o to t.
func (t *Totals) add(o *Totals) {
	for a, n := range o.Actions {
		sum := t.action(a)
		sum.Events += n.Events
		sum.Deliveries += n.Deliveries
		sum.AcknowledgedEvents += n.AcknowledgedEvents
		sum.AcknowledgedDeliveries += n.AcknowledgedDeliveries
		sum.FailedEvents += n.FailedEvents
		sum.Dropped += n.Dropped
		sum.Discarded += n.Discarded
		sum.Retries += n.Retries
		sum.Aborted += n.Aborted
		sum.Failures += n.Failures
		addAll(sum.Status, n.Status)
	}
	addAll(t.Verdicts, o.Verdicts)
	addAll(t.Expected, o.Expected)
	addAll(t.Transports, o.Transports)
	addAll(t.Policies, o.Policies)
	t.Restarts += o.Restarts
	t.PlannedStops += o.PlannedStops
	t.Dropped += o.Dropped
	t.Discarded += o.Discarded
	t.Blocked += o.Blocked
	t.ReusedIDs += o.ReusedIDs
	t.Sinkholed += o.Sinkholed
	t.Connections += o.Connections
	t.NeighborsNew += o.NeighborsNew
	t.NeighborsAcknowledged += o.NeighborsAcknowledged
	t.BytesUp += o.BytesUp
	t.BytesDown += o.BytesDown
}

func addAll[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

package fleet

import (
	"slices"
	"sync"
)

// archive closes the records of one proxy's connections.
type archive struct {
	mu       sync.Mutex
	records  []*Connection
	silent   []*connection // ended without an event that the receiver acknowledged
	leftOpen []*connection
}

// keep keeps a connection that stays open until the end of the run.
func (a *archive) keep(c *connection) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leftOpen = append(a.leftOpen, c)
}

// conclude closes the record of a connection that has sent everything, or keeps it until lists or a restart determine its
// close reason.
func (a *archive) conclude(p *proxy, c *connection) {
	expected := c.expected(p)
	if expected == "" {
		a.mu.Lock()
		a.silent = append(a.silent, c)
		a.mu.Unlock()
		return
	}
	a.close(p, c, expected)
	if expected != ExpectedOpen {
		p.free(c, expected != ExpectedNone)
	}
}

// expected returns the close reason that a receiver must find, "" if later events determine it. In the HOWTO form an
// access-request has the id, too.
func (c *connection) expected(p *proxy) string {
	known := c.start.Known() || p.form == FormHOWTO && c.access.Known()
	switch {
	case c.stop.Known():
		return ExpectedStop
	case c.info.Known() && c.rejected:
		return ExpectedRejected
	case c.info.Known() && c.blocked:
		return ExpectedBlocked
	case c.info.Known() && c.planned && !p.cfg.LegacyExpectations:
		return ExpectedRestart
	case c.info.Known():
		return ExpectedLost
	case !known:
		return ExpectedNone
	case c.killed:
		return ExpectedRestart
	case c.leftOpen:
		return ExpectedOpen
	}
	return ""
}

// sweep closes connections that were missing from two lists, which bounds the memory of a long run.
func (a *archive) sweep(p *proxy) {
	var gone []*connection
	a.mu.Lock()
	a.silent = slices.DeleteFunc(a.silent, func(c *connection) bool {
		isGone := p.absences(c) >= 2
		if isGone {
			gone = append(gone, c)
		}
		return isGone
	})
	a.mu.Unlock()
	for _, c := range gone {
		a.close(p, c, ExpectedLost)
	}
}

// restarted closes the connections that ended without an event before a restart: as lost if they were missing from two
// lists, else as closed by the restart.
func (a *archive) restarted(p *proxy, planned bool) {
	for _, c := range a.takeSilent() {
		if p.absences(c) >= 2 {
			a.close(p, c, ExpectedLost)
		} else {
			c.killed, c.planned = true, planned
			a.close(p, c, ExpectedRestart)
		}
	}
}

// closeAll closes the remaining connections at the end of the run: as lost if they were missing from two lists.
func (a *archive) closeAll(p *proxy) {
	a.mu.Lock()
	leftOpen := a.leftOpen
	a.leftOpen = nil
	a.mu.Unlock()
	for _, c := range leftOpen {
		p.release(c)
	}
	for _, c := range a.takeSilent() {
		if p.absences(c) >= 2 {
			a.close(p, c, ExpectedLost)
		} else {
			a.close(p, c, ExpectedOpen)
		}
	}
}

// absences returns the number of acknowledged lists that lack a connection after the receiver had a list with it, up to
// 2.
func (p *proxy) absences(c *connection) int {
	if !p.cfg.LegacyExpectations && !p.presence.wasListed(c) {
		return 0
	}
	return p.presence.since(c)
}

func (a *archive) takeSilent() []*connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	silent := a.silent
	a.silent = nil
	return silent
}

// close counts a connection and, if wanted, keeps its record.
func (a *archive) close(p *proxy, c *connection, expected string) {
	p.ledger.with(func(t *Totals) {
		t.Expected[expected]++
		if c.ordinal > 1 && expected != ExpectedNone {
			t.ReusedIDs++
		}
		if c.start.Known() {
			t.Transports[c.script.startTransport()]++
		}
		if c.info.Known() && c.script.sinks() && !c.denied() {
			t.Sinkholed++
		}
		if c.stop.Known() {
			t.Policies[c.script.policy]++
			t.BytesUp += c.script.up
			t.BytesDown += c.script.down
		}
	})
	if !p.cfg.ReportConnections {
		return
	}
	r := c.record(p.source)
	r.Expected = expected
	r.PingsAfter, r.Listed = p.presence.since(c), p.presence.wasListed(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, r)
}

// record returns the record of a connection in the report.
func (c *connection) record(source string) *Connection {
	s := c.script
	r := &Connection{
		Source: source, ID: c.id, Ordinal: c.ordinal, Instance: c.instance, Mode: s.mode,
		StartLabel: s.startLabel(), StopLabel: s.stopLabel(), Transport: s.startTransport(),
		Client: s.client.String(), Server: s.server.String(),
		TLS: s.tls, SNI: s.sni, App: s.app, Policy: s.policy,
		JA4CH: s.ja4ch, JA4SH: s.ja4sh, JA4H: s.ja4h, JA4CHIgnoreSNI: s.ja4IgnoreSNI,
		Signatures: s.signatures, L7Details: s.details, BytesUp: s.up, BytesDown: s.down,
		FailedConnect: s.failed, DurationSeconds: s.duration.Seconds(),
		Asked: c.asked, Verdict: c.verdict, Decision: c.decision, Echo: c.echo, Blocked: c.blocked,
		Access: c.access, Start: c.start, Stop: c.stop, Info: c.info,
		RestartedOpen: c.killed, PlannedStop: c.planned, Listable: s.listable(),
	}
	if s.sinks() && !c.denied() {
		r.Sinkhole = &s.sinkhole
	}
	if s.hasStatistics() && !c.denied() {
		r.EntropyUp, r.EntropyDown = s.entropyUp.report(), s.entropyDown.report()
		if skew := s.skew(); !s.skewNull {
			r.Skew = &skew
		}
	}
	for _, f := range []struct {
		name string
		is   bool
	}{
		{"late-start", s.lateStart}, {"lost-stop", s.lostStop},
		{"lost-start", s.start.never}, {"lost-info", s.info.never},
		{"stop-before-start", s.order == stopBeforeStart && s.startDelayed()},
		{"info-before-stop", s.order == infoBeforeStop && s.sendsInfo()},
		{"info-before-start", s.order == infoBeforeStart && s.startDelayed()},
		{"silent-end", s.silentEnd}, {"left-open", c.leftOpen},
	} {
		if f.is {
			r.Faults = append(r.Faults, f.name)
		}
	}
	return r
}

func (e sample) report() *Entropy {
	return &Entropy{Bits: e.entropy, Bytes: e.bytes, Data: e.bytes > 0}
}

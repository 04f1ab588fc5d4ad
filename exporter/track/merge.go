package track

import "smithproxy_exporter/exporter/event"

// What a label's source is worth: the later in a connection's life, the more it knows. A retried start
// can arrive 20 s after the stop, so the order of arrival says nothing.
const (
	rankList = iota + 1
	rankStart
	rankAccess
	rankEcho
	rankStatistics
	rankStop
	// rankComplete is added for a label with both sides.
	rankComplete = 10
)

func (c *Connection) setLabel(label string, rank uint8, limits Limits) {
	if label == "" {
		return
	}
	label = event.Cut(label, limits.TextBytes)
	if event.ParseSession(label).Complete() {
		rank += rankComplete
	}
	if rank > c.rank {
		c.Label, c.rank = label, rank
	}
}

// merge joins one event into the record and returns what it added, 0 for a repeat.
func (c *Connection) merge(payload any, at Instant, limits Limits) parts {
	c.first = earlier(c.first, at)
	before := c.got
	switch m := payload.(type) {
	case event.Start:
		c.mergeStart(m, at, limits)
	case event.Stop:
		c.mergeStop(m, at, limits)
	case event.Info:
		c.mergeInfo(m, at, limits)
	}
	return c.got &^ before
}

func (c *Connection) mergeStart(m event.Start, at Instant, limits Limits) {
	c.started = earlier(c.started, at)
	if c.got&gotStart != 0 {
		return
	}
	c.got |= gotStart
	c.Transport = event.ParseSession(m.Session).Transport()
	c.setLabel(m.Session, rankStart, limits)
}

func (c *Connection) mergeStop(m event.Stop, at Instant, limits Limits) {
	c.stopped = earlier(c.stopped, at)
	if c.got&gotStop != 0 {
		return
	}
	c.got |= gotStop
	c.setLabel(m.Session, rankStop, limits)
	c.DetailsListed = len(m.Details) + m.DetailsOmitted
	m.Session, m.DetailsOmitted = "", 0
	m.SNI = event.Cut(m.SNI, limits.TextBytes)
	m.App = event.Cut(m.App, limits.TextBytes)
	m.JA4Client = event.Cut(m.JA4Client, limits.TextBytes)
	m.JA4Server = event.Cut(m.JA4Server, limits.TextBytes)
	m.JA4HTTP = limits.cut(m.JA4HTTP)
	m.Details = limits.cut(m.Details)
	m.Signatures = limits.cut(m.Signatures)
	c.Stop = &m
}

func (c *Connection) mergeInfo(m event.Info, at Instant, limits Limits) {
	c.informed = earlier(c.informed, at)
	c.got |= gotInfo
	if m.Statistics != nil && c.got&gotStatistics == 0 {
		c.got |= gotStatistics
		c.setLabel(m.Statistics.Session, rankStatistics, limits)
		s := *m.Statistics
		s.Session = ""
		c.Statistics = &s
	}
	if m.Sinkhole != nil && c.got&gotSinkhole == 0 {
		c.got |= gotSinkhole
		s := *m.Sinkhole
		c.Sinkhole = &s
	}
	if m.Echo != nil && c.got&gotEcho == 0 {
		c.got |= gotEcho
		c.setLabel(m.Echo.Session, rankEcho, limits)
		e := *m.Echo
		e.Session = ""
		c.Echo = &e
	}
}

// sessionOf is the session label that an event of a connection carries, "" for none.
func sessionOf(payload any) string {
	switch m := payload.(type) {
	case event.Start:
		return m.Session
	case event.Stop:
		return m.Session
	case event.Info:
		if m.Statistics != nil && m.Statistics.Session != "" {
			return m.Statistics.Session
		}
		if m.Echo != nil {
			return m.Echo.Session
		}
	}
	return ""
}

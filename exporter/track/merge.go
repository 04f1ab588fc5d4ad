package track

import "smithproxy_exporter/exporter/event"

// The ranks of labels by their source: the later in the life of a connection, the more complete. The order of arrival
// does not tell, because a retried start can arrive 20 s after the stop.
const (
	rankList = iota + 1
	rankStart
	rankAccess
	rankEcho
	rankStatistics
	rankStop
	// rankComplete is added for a label with client and server.
	rankComplete = 10
)

func (c *Connection) setLabel(label string, rank uint8, l limits) {
	if label == "" {
		return
	}
	label = event.Cut(label, l.textBytes)
	if event.ParseSession(label).Complete() {
		rank += rankComplete
	}
	if rank > c.rank {
		c.Label, c.rank = label, rank
	}
}

// merge adds an event to the record, and returns the parts that are new: 0 for a repeat.
func (c *Connection) merge(payload any, at Instant, l limits) parts {
	c.first = earlier(c.first, at)
	before := c.got
	switch m := payload.(type) {
	case event.Start:
		c.mergeStart(m, at, l)
	case event.Stop:
		c.mergeStop(m, at, l)
	case event.Info:
		c.mergeInfo(m, at, l)
	}
	return c.got &^ before
}

func (c *Connection) mergeStart(m event.Start, at Instant, l limits) {
	c.started = earlier(c.started, at)
	if c.got&gotStart != 0 {
		return
	}
	c.got |= gotStart
	c.Transport = event.ParseSession(m.Session).Transport()
	c.setLabel(m.Session, rankStart, l)
}

func (c *Connection) mergeStop(m event.Stop, at Instant, l limits) {
	c.stopped = earlier(c.stopped, at)
	if c.got&gotStop != 0 {
		return
	}
	c.got |= gotStop
	c.setLabel(m.Session, rankStop, l)
	c.DetailsListed = len(m.Details) + m.DetailsOmitted
	m.Session, m.DetailsOmitted = "", 0
	m.SNI = event.Cut(m.SNI, l.textBytes)
	m.App = event.Cut(m.App, l.textBytes)
	m.JA4Client = event.Cut(m.JA4Client, l.textBytes)
	m.JA4Server = event.Cut(m.JA4Server, l.textBytes)
	m.JA4HTTP = l.cut(m.JA4HTTP)
	m.Details = l.cut(m.Details)
	m.Signatures = l.cut(m.Signatures)
	c.Stop = &m
}

func (c *Connection) mergeInfo(m event.Info, at Instant, l limits) {
	c.informed = earlier(c.informed, at)
	c.got |= gotInfo
	if m.Statistics != nil && c.got&gotStatistics == 0 {
		c.got |= gotStatistics
		c.setLabel(m.Statistics.Session, rankStatistics, l)
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
		c.setLabel(m.Echo.Session, rankEcho, l)
		e := *m.Echo
		e.Session = ""
		c.Echo = &e
	}
}

// sessionOf returns the session label of an event, "" for none.
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

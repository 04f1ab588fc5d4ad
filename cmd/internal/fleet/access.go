package fleet

import (
	"bytes"
	"encoding/json"
)

// Verdicts of access-request.
const (
	verdictAccept = "accept"
	verdictReject = "reject"
	// verdictFailed means that there is no valid answer. Depending on the generation, the connection passes or is
	// blocked.
	verdictFailed = "failed"
)

// requestAccess sends one access-request, and blocks the whole proxy until it is answered.
func (p *proxy) requestAccess(c *connection) {
	c.asked = true
	if c.access == nil {
		c.access = &Delivery{}
	}
	c.access.Events++
	o := p.deliver(p.sendContext, event{
		action: ActionAccess, body: c.script.accessMessage(p.form, p.source, c.id),
		tries: c.script.access, timeout: p.cfg.Timeout, delivery: c.access, conn: c,
	})
	verdict, echo := p.behavior.verdict(o.last)
	if verdict == verdictReject {
		p.live.rejects.Add(1)
	}
	p.ledger.with(func(t *Totals) { t.Verdicts[verdict]++ })
	if decision := decisionOf(o.acknowledged.body); decision != "" {
		c.decision = decision
	}
	if c.rejected {
		return // over SOCKS the first reject is final
	}
	c.verdict, c.echo = verdict, echo
	c.rejected = verdict == verdictReject
	c.blocked = verdict == verdictFailed && p.behavior.failClosed
	if c.blocked {
		p.ledger.with(func(t *Totals) { t.Blocked++ })
	}
}

// requestAccessAll sends the access-requests of a connection over SOCKS or HTTP CONNECT, until one is denied.
func (p *proxy) requestAccessAll(c *connection) {
	times := 1
	if c.script.mode == SOCKS {
		times = p.behavior.socksAsks
	}
	for range times {
		p.requestAccess(c)
		if c.blocked {
			return
		}
	}
}

// verdict returns the verdict in an answer to an access-request, and the JSON that the proxy echoes, nil without one.
//
// A proxy that fails open rejects if a 2xx has the string "reject", and accepts any other 2xx with JSON. A proxy that
// fails closed accepts only the string "accept".
func (b *behavior) verdict(a answer) (verdict string, echo json.RawMessage) {
	var compact bytes.Buffer
	isJSON := json.Compact(&compact, a.body) == nil && compact.Len() > 0
	if isJSON && (a.ok() || b.failClosed) {
		echo = compact.Bytes()
	}
	if !isJSON || !a.ok() {
		return verdictFailed, echo
	}
	switch decision := decisionOf(a.body); {
	case decision != "":
		return decision, echo
	case b.failClosed:
		return verdictFailed, echo
	}
	return verdictAccept, echo
}

// decisionOf returns the explicit verdict in an answer, "" without one.
func decisionOf(body []byte) string {
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	switch string(said["access-response"]) {
	case `"accept"`:
		return verdictAccept
	case `"reject"`:
		return verdictReject
	}
	return ""
}

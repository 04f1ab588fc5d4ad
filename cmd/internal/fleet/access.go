package fleet

import (
	"bytes"
	"encoding/json"
)

// Verdicts of access-request.
const (
	verdictAccept = "accept"
	verdictReject = "reject"
	// verdictFailed is no usable answer: the connection passes or is blocked,
	// depending on the generation.
	verdictFailed = "failed"
)

// ask sends one access-request and waits for the answer, and with it the whole
// proxy does.
func (p *proxy) ask(c *connection) {
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

// askAll sends access-requests of a connection over SOCKS or HTTP CONNECT, until
// one denies it.
func (p *proxy) askAll(c *connection) {
	times := 1
	if c.script.mode == SOCKS {
		times = p.behavior.socksAsks
	}
	for range times {
		p.ask(c)
		if c.blocked {
			return
		}
	}
}

// verdict reads an answer to access-request. The echo is the answer's JSON, nil
// without one.
//
// A proxy that fails open rejects at a 2xx with the string "reject" and accepts
// any other 2xx with JSON. One that fails closed accepts nothing but the string
// "accept".
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

// decisionOf is the explicit verdict in an answer, "" without one.
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

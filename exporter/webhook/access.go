package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// access answers an access-request, and then lets the rest of the exporter know of the decision.
func (x *exchange) access(ev event.Event, a event.Access) {
	d, failed := x.decide(access.Request{
		Source: ev.Source, Session: event.ParseSession(a.Session), Policy: a.Policy, At: x.at,
	})
	x.verdict(d, failed)
	answered := x.Now()
	if answered.Before(x.at) {
		answered = x.at // the clock was set back
	}
	// Every access-request is answered. Beyond the rate nothing else comes of it.
	if !x.decisions.allow(ev.Source, answered) {
		x.Metrics.Refused(refusedRate)
		return
	}
	queued, err := x.Intake.Decision(track.Decision{
		Source: ev.Source, ID: d.ID, ConnectionID: ev.ID, Label: a.Session, Policy: a.Policy,
		Verdict: d.Verdict, Rule: d.Rule, DryRunRule: d.DryRunRule, Received: x.at, Answered: answered,
	})
	switch {
	case err != nil:
		x.Metrics.Refused(refusedStopping)
	case !queued:
		x.Metrics.Refused(refusedOverload)
	}
}

// decide asks the rules. If they panic, the default verdict is used, and failed says why.
func (x *exchange) decide(q access.Request) (d access.Decision, failed string) {
	defer func() {
		if cause := recover(); cause != nil {
			// The privacy settings may not want the session to be logged.
			x.Logger.Error("Access rules panicked, using the default verdict",
				"source", q.Source, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			d, failed = x.Decider.Default(q.Source), refusedPanic
		}
	}()
	return x.Decider.Decide(q), ""
}

// fallback answers an access-request that the rules cannot be asked about with the default verdict.
func (x *exchange) fallback(source, reason string) {
	x.verdict(x.Decider.Default(source), reason)
}

// verdict answers an access-request, and sends the answer off. failed says why the rules could not be
// asked; it is "" when they were.
func (x *exchange) verdict(d access.Decision, failed string) {
	x.answer(http.StatusOK, encodeDecision(d, failed))
	// The decision counts even if the answer cannot be sent.
	_ = http.NewResponseController(x.w).Flush()
	if failed != "" {
		x.Metrics.AccessFallback(failed)
	}
}

// encodeDecision returns what the proxy gets, and echoes in the connection-info of the connection.
func encodeDecision(d access.Decision, failed string) []byte {
	encoded, err := json.Marshal(struct {
		Response event.Verdict `json:"access-response"`
		Rule     string        `json:"rule"`
		Decision string        `json:"decision"`
		Error    string        `json:"error,omitempty"`
	}{d.Verdict, d.Rule, d.ID, failed})
	if err != nil {
		panic(err) // Strings can be encoded.
	}
	return append(encoded, '\n')
}

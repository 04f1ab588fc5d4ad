package api

import (
	"strings"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/traceid"
)

func (a *API) show(r *history.Record) Connection { return show(r, a.TraceURL) }

func show(r *history.Record, traceURL string) Connection {
	name, session := r.Name(), event.ParseSession(r.Label)
	id := traceid.Of(r.Source, name)
	v := Connection{
		Source: r.Source, ID: r.ID, Name: name, TraceID: id.TraceString(), SpanID: id.SpanString(),
		State: search.StateOf(r.State, r.Unknown).String(), Reason: string(r.Reason), Session: r.Label,
		Client: session.Client.Host, ClientPort: session.Client.Port, Server: session.Server.Host, Port: session.Server.Port,
		Start: r.Start, StartEstimated: r.StartEstimated, End: r.End, EndEstimated: r.EndEstimated,
	}
	if traceURL != "" {
		v.TraceURL = strings.ReplaceAll(traceURL, traceID, v.TraceID)
	}
	if r.N > 1 {
		v.N = r.N
	}
	if r.DurationKnown {
		seconds := r.End.Sub(r.Start).Seconds()
		v.Seconds = &seconds
	}
	if t := session.TransportOr(r.Transport); t != event.TransportUnknown {
		v.Transport = string(t)
	}
	if r.Policy != event.PolicyUnknown {
		v.Policy = event.PolicyText(r.Policy)
	}
	if r.Stopped {
		up, down := r.Up, r.Down
		v.SNI, v.App, v.Requests, v.Signatures, v.RequestsDropped = r.SNI, r.App, r.Requests, r.Signatures, r.RequestsDropped
		v.JA4, v.JA4S, v.JA4H, v.BytesUp, v.BytesDown = r.JA4, r.JA4S, r.JA4H, &up, &down
	}
	if r.EntropyUp != nil || r.EntropyDown != nil || r.Skew != nil {
		v.Entropy, v.Skew = &Directions{bits(r.EntropyUp), bits(r.EntropyDown)}, r.Skew
	}
	if s := r.Sinkhole; s != nil {
		v.Sinkhole = &Sinkhole{s.Left, s.Right, s.SunkenLeft, s.SunkenRight, s.ReplacementSize}
	}
	if r.Verdict != "" {
		v.Verdict = &Verdict{Verdict: string(r.Verdict), Rule: r.Rule, Decision: r.Decision, DryRunRule: r.DryRunRule}
	}
	return v
}

func bits(e *event.Entropy) *float64 {
	if e == nil {
		return nil
	}
	return &e.Bits
}

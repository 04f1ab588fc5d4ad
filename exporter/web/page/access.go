package page

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// accessView is the state of the access rules, and the form that tries a request.
type accessView struct {
	DryRun    bool
	Rules     []ruleRow
	Lists     []listRow
	Decisions []decisionRow
	Try       tryForm
}

type ruleRow struct {
	api.Rule
	Hits, DryRunHits string
	LastHit          when
	Path             string
}

type listRow struct {
	Path, Entries string
	Changed       when
}

type decisionRow struct {
	api.Decision
	When           when
	Client, Server string
	TryPath        string
}

// tryForm is the request that is tried, and the answer.
type tryForm struct {
	api.TryRequest
	// ErrorField is the field that Error is about.
	ErrorField, Error string
	Result            *tryResult
}

type tryResult struct {
	api.TryResult
	When    when
	Request []fact
}

// maxDecisions bounds the decisions on the page. The API has more.
const maxDecisions = 50

// tryPath is the address of a page that tries a request.
func tryPath(source, session, policy string) string {
	values := url.Values{"source": {source}, "session": {session}}
	if policy != "" {
		values.Set("policy", policy)
	}
	return address("/access", values) + "#try"
}

// access serves /access. The parameters source, session, policy and at are a request that is tried. That changes nothing,
// so that the address of an answer can be passed on.
func (p *Pages) access(w http.ResponseWriter, r *http.Request) {
	a, err := p.Data.Access(r.Context())
	if err != nil {
		p.fail(w, "access", err)
		return
	}
	now := p.Now()
	v := accessView{DryRun: a.DryRun, Lists: newLists(now, a.Lists)}
	for _, rule := range a.Rules {
		v.Rules = append(v.Rules, ruleRow{
			Rule: rule, Hits: count(int64(rule.Hits)), DryRunHits: count(int64(rule.DryRunHits)), LastHit: age(now, rule.LastHit),
			Path: searchPath("rule", rule.Name),
		})
	}
	for _, d := range a.Recent[:min(len(a.Recent), maxDecisions)] {
		v.Decisions = append(v.Decisions, decisionRow{
			Decision: d, When: clock(now, d.At), Client: firstOf(short(d.Client), unknown), Server: peer(d.Server, d.Port),
			TryPath: tryPath(d.Source, d.Session, d.Policy),
		})
	}
	values := r.URL.Query()
	v.Try.TryRequest = api.TryRequest{
		Source: values.Get("source"), Session: values.Get("session"), Policy: values.Get("policy"), At: values.Get("at"),
	}
	status, refresh := http.StatusOK, 10
	if v.Try.TryRequest != (api.TryRequest{}) {
		refresh = 0 // the answer stays as it is
		err := p.try(r, &v.Try)
		var input *api.InputError
		switch {
		case errors.As(err, &input):
			status, v.Try.ErrorField, v.Try.Error = http.StatusBadRequest, input.Field, visible(input.Err.Error())
		case err != nil:
			p.fail(w, "access", err)
			return
		}
	}
	p.render(w, status, "access", view{Title: "Access", Nav: "access", Now: now, Refresh: refresh, Page: v})
}

func (p *Pages) try(r *http.Request, form *tryForm) error {
	result, err := p.Data.Try(r.Context(), form.TryRequest)
	if err != nil {
		return err
	}
	var l list
	l.add("Client", joinPort(result.Client, result.ClientPort), "")
	l.add("Server", joinPort(result.Server, result.Port), "")
	l.add("Transport", result.Transport, "")
	l.add("Policy", result.Policy, "")
	l.at("Time", result.At, false)
	form.Result = &tryResult{TryResult: result, When: full(result.At), Request: l}
	return nil
}

func newLists(now time.Time, lists []api.AccessList) []listRow {
	var rows []listRow
	for _, l := range lists {
		rows = append(rows, listRow{visible(l.Path), count(int64(l.Entries)), age(now, l.Modified)})
	}
	return rows
}

package event

import (
	"fmt"
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func (m *message) info() (any, error) {
	var i Info
	if st := m.Details.Statistics; st != nil {
		i.Statistics = &Statistics{
			Session: st.Info.Session, Up: st.Entropy.Left.entropy(), Down: st.Entropy.Right.entropy(),
		}
		if i.Statistics.Up != nil || i.Statistics.Down != nil {
			i.Statistics.Skew = within(st.Flow.Skew, -1, 1)
		}
	}
	if a := m.Details.Access; a != nil {
		echoed := a.echo
		if a.Info != nil {
			echoed = *a.Info
		}
		i.Echo = &Echo{Session: echoed.Session}
		i.Echo.read(echoed.Response)
	}
	if s := m.Details.Sinkhole; s != nil {
		if max(s.SunkenLeft, s.SunkenRight, s.ReplacementSize) > MaxBytes {
			return nil, fmt.Errorf("%w: sinkhole: over %d bytes", ErrType, uint64(MaxBytes))
		}
		i.Sinkhole = &Sinkhole{
			Left: s.Left, Right: s.Right,
			SunkenLeft: s.SunkenLeft, SunkenRight: s.SunkenRight, ReplacementSize: s.ReplacementSize,
		}
	}
	return i, nil
}

// entropy returns nil if there was no data, for which the proxy sends 0.0 with a ratio of null, and if the value is null
// (NaN on the proxy) or out of range.
func (s *sample) entropy() *Entropy {
	if s == nil || s.Sampled == nil || *s.Sampled == 0 {
		return nil
	}
	bits := within(s.Entropy, 0, 8)
	if bits == nil {
		return nil
	}
	return &Entropy{Bits: *bits, Sampled: *s.Sampled}
}

func within(v *float64, low, high float64) *float64 {
	if v == nil || math.IsNaN(*v) || *v < low || *v > high {
		return nil
	}
	return v
}

// read reads an echoed answer. Other receivers can have answered anything, so invalid answers are ignored.
func (e *Echo) read(response jsontext.Value) {
	if response.Kind() != '{' {
		return
	}
	var fields map[string]jsontext.Value
	if json.Unmarshal(response, &fields, lenient) != nil {
		return
	}
	text := func(name string) string {
		var s string
		if json.Unmarshal(fields[name], &s, lenient) != nil || len(s) > MaxNameBytes {
			return ""
		}
		return s
	}
	if v := Verdict(text("access-response")); v == Accept || v == Reject {
		e.Verdict = v
	}
	e.Rule, e.Decision = text("rule"), text("decision")
}

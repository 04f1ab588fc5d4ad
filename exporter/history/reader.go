package history

import (
	"unsafe"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/search"
)

// Reader reads entries, in the form that the privacy settings in force allow. It is safe for concurrent use.
type Reader struct {
	policy *privacy.Policy
	forms  Forms
}

// NewReader returns a Reader for a policy; nil keeps everything.
func NewReader(policy *privacy.Policy) *Reader { return &Reader{policy, formsOf(policy)} }

func formsOf(p *privacy.Policy) Forms { return Forms{Addresses: p.Form(), Requests: p.RequestForm()} }

// Record decodes an entry.
func (r *Reader) Record(entry []byte) (Record, error) {
	found, forms, err := decode(entry)
	if err != nil {
		return Record{}, err
	}
	found.Label = r.label(found.Label, forms)
	if forms.Requests != r.forms.Requests {
		kept, omitted := r.policy.Requests(found.Requests)
		found.Requests, found.RequestsDropped = kept, found.RequestsDropped+omitted
	}
	return found, nil
}

func (r *Reader) label(label string, forms Forms) string {
	if forms.Addresses == r.forms.Addresses {
		return label
	}
	label, _ = r.policy.Restored(label, forms.Addresses)
	return label
}

// IsLate reports whether an entry is an addition to an earlier one.
func IsLate(entry []byte) bool {
	return len(entry) > 1 && entry[0] == version && entry[1]&flagLate != 0
}

// Subject fills in what a query needs of an entry. It reports false for one that is damaged. The texts of s share the memory
// of entry: they are valid as long as entry is. A copy would be 150 MB of garbage for a search in 500,000 entries.
func (r *Reader) Subject(entry []byte, needs search.Fields, s *search.Subject) bool {
	d := decoder{rest: unsafe.String(unsafe.SliceData(entry), len(entry))}
	h := d.head()
	*s = search.Subject{
		Source: h.source, ID: h.id, N: h.n, State: search.Finished, Reason: h.reason, Transport: h.transport, SNI: h.sni, App: h.app,
		JA4: h.ja4, Policy: h.policy, Verdict: h.verdict, Rule: h.rule, DryRunRule: h.dryRunRule, Stopped: h.flags&flagStopped != 0,
		Up: h.up, Down: h.down, Start: h.start, End: h.end,
		Measured: h.flags&(flagEntropyUp|flagEntropyDown) != 0, Entropy: max(h.entropy[0].Bits, h.entropy[1].Bits),
	}
	if needs&search.NeedSession != 0 {
		session := event.ParseSession(r.label(h.label, h.forms))
		s.Client, s.Server = session.Client, session.Server
	}
	if needs&search.NeedRequests != 0 && s.Stopped {
		s.Requests = d.texts()
		if h.forms.Requests != r.forms.Requests {
			s.Requests, _ = r.policy.Requests(s.Requests)
		}
	}
	return !d.failed
}

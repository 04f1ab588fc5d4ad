package history

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// version is the first byte of an entry. Entries of another version are ignored.
const version = 1

// The flags of an entry.
const (
	flagLate = 1 << iota
	flagStartEstimated
	flagEndEstimated
	flagDurationKnown
	flagStopped
	flagTLS
	flagEntropyUp
	flagEntropyDown
	flagSkew
	flagSinkhole
	flagSinkLeft
	flagSinkRight
	flagDecisionHex
)

// Forms are the forms of what privacy settings change: of client addresses and of requests.
type Forms struct{ Addresses, Requests string }

// verdicts and reasons are stored as their index.
var (
	verdicts = []event.Verdict{"", event.Accept, event.Reject}
	reasons  = append([]track.Reason{track.ReasonNone}, track.Reasons...)
	lateOf   = []event.Action{"", event.ActionStart, event.ActionStop, event.ActionInfo}
)

func indexOf[T comparable](list []T, value T) uint64 {
	for i, v := range list {
		if v == value {
			return uint64(i)
		}
	}
	return 0
}

// flagIf returns the flag if it is set.
func flagIf(set bool, flag uint64) uint64 {
	if set {
		return flag
	}
	return 0
}

func (r *Record) flags() uint64 {
	f := flagIf(r.Late, flagLate) | flagIf(r.StartEstimated, flagStartEstimated) | flagIf(r.EndEstimated, flagEndEstimated) |
		flagIf(r.DurationKnown, flagDurationKnown) | flagIf(r.Stopped, flagStopped) | flagIf(r.TLS, flagTLS) |
		flagIf(r.EntropyUp != nil, flagEntropyUp) | flagIf(r.EntropyDown != nil, flagEntropyDown) | flagIf(r.Skew != nil, flagSkew) |
		flagIf(isHex(r.Decision), flagDecisionHex)
	if s := r.Sinkhole; s != nil {
		f |= flagSinkhole | flagIf(s.Left, flagSinkLeft) | flagIf(s.Right, flagSinkRight)
	}
	return f
}

// decisionBytes is the length of the exporter's own decision ids, which are in hex.
const decisionBytes = 16

func isHex(id string) bool {
	if len(id) != 2*decisionBytes {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Append appends the entry of a record to b.
func (r *Record) Append(b []byte, forms Forms) []byte {
	flags := r.flags()
	b = append(b, version)
	b = binary.AppendUvarint(b, flags)
	b = appendText(b, r.Source)
	b = appendText(b, r.ID)
	b = binary.AppendUvarint(b, uint64(r.N))
	b = append(b, byte(indexOf(reasons, r.Reason)), byte(indexOf(verdicts, r.Verdict)))
	start := r.Start.UnixNano()
	b = binary.AppendVarint(b, start)
	b = appendTime(b, r.End, start)
	b = binary.AppendVarint(b, int64(r.Policy))
	b = appendText(b, string(r.Transport))
	b = appendText(b, r.Label)
	b = appendText(b, r.Rule)
	b = appendText(b, r.DryRunRule)
	if flags&flagStopped != 0 {
		b = appendText(b, r.SNI)
		b = appendText(b, r.App)
		b = appendText(b, r.JA4)
		b = binary.AppendUvarint(b, r.Up)
		b = binary.AppendUvarint(b, r.Down)
	}
	for _, e := range []*event.Entropy{r.EntropyUp, r.EntropyDown} {
		if e != nil {
			b = appendFloat(b, e.Bits)
			b = binary.AppendUvarint(b, e.Sampled)
		}
	}
	b = appendText(b, forms.Addresses)
	b = appendText(b, forms.Requests)
	if flags&flagStopped != 0 {
		b = appendTexts(b, r.Requests)
		b = r.appendStop(b)
	}
	if r.Skew != nil {
		b = appendFloat(b, *r.Skew)
	}
	if s := r.Sinkhole; s != nil {
		b = binary.AppendUvarint(b, s.SunkenLeft)
		b = binary.AppendUvarint(b, s.SunkenRight)
		b = binary.AppendUvarint(b, s.ReplacementSize)
	}
	if flags&flagDecisionHex != 0 {
		b, _ = hex.AppendDecode(b, []byte(r.Decision)) // isHex
	} else {
		b = appendText(b, r.Decision)
	}
	b = appendTimeline(b, &r.Timeline, start)
	if r.Late {
		b = append(b, byte(indexOf(lateOf, r.LateAction)))
		b = appendTime(b, r.LateAt, start)
	}
	return b
}

func (r *Record) appendStop(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(r.RequestsDropped))
	b = appendTexts(b, r.Signatures)
	b = appendText(b, r.JA4S)
	return appendTexts(b, r.JA4H)
}

func appendTimeline(b []byte, t *track.Timeline, start int64) []byte {
	for _, at := range []time.Time{t.First, t.Requested, t.Answered, t.Started, t.Listed, t.Stopped, t.Informed, t.RepeatedAt} {
		b = appendTime(b, at, start)
	}
	b = binary.AppendUvarint(b, uint64(t.Requests))
	return append(b, byte(t.StartRepeats), byte(t.StopRepeats), byte(t.InfoRepeats))
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, text := range list {
		b = appendText(b, text)
	}
	return b
}

// appendTime appends a time as ns after the start, plus 1; 0 is the zero time.
func appendTime(b []byte, at time.Time, start int64) []byte {
	if at.IsZero() {
		return append(b, 0)
	}
	after := at.UnixNano() - start
	if after >= 0 {
		after++
	}
	return binary.AppendVarint(b, after)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

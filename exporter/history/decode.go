package history

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// errDamaged is returned for an entry that cannot be decoded.
var errDamaged = errors.New("entry is damaged, or of another version")

// maxItems bounds lists, so that a damaged entry does not allocate much.
const maxItems = 1 << 16

// decoder reads the fields of an entry. Texts share the memory of the entry. After a failure all fields are zero.
type decoder struct {
	rest   string
	failed bool
}

func (d *decoder) fail() {
	d.failed, d.rest = true, ""
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uvarint() uint64 {
	var value uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		b := d.rest[i]
		value |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			d.rest = d.rest[i+1:]
			return value
		}
	}
	d.fail()
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) bytes(n uint64) string {
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) text() string { return d.bytes(d.uvarint()) }

func (d *decoder) texts() []string {
	n := d.uvarint()
	if n == 0 || n > maxItems || n > uint64(len(d.rest)) {
		if n != 0 {
			d.fail()
		}
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}

func (d *decoder) float() float64 {
	text := d.bytes(8)
	if text == "" {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64([]byte(text)))
}

// nanos returns a time in Unix ns; ok is false for the zero time.
func (d *decoder) nanos(start int64) (at int64, ok bool) {
	after := d.varint()
	if after > 0 {
		after--
	} else if after == 0 {
		return 0, false
	}
	return start + after, true
}

func (d *decoder) time(start int64) time.Time {
	at, ok := d.nanos(start)
	if !ok {
		return time.Time{}
	}
	return time.Unix(0, at).UTC()
}

func pick[T any](list []T, i byte) (value T) {
	if int(i) < len(list) {
		value = list[i]
	}
	return value
}

// head is what searches look at: the first fields of an entry.
type head struct {
	flags      uint64
	source, id string
	n          uint32
	reason     track.Reason
	verdict    event.Verdict
	start, end int64
	ended      bool
	policy     int
	transport  event.Transport
	label      string
	rule       string
	dryRunRule string
	sni, app   string
	ja4        string
	up, down   uint64
	entropy    [2]event.Entropy
	forms      Forms
}

func (d *decoder) head() (h head) {
	if d.byte() != version {
		d.fail()
	}
	h.flags = d.uvarint()
	h.source, h.id, h.n = d.text(), d.text(), uint32(d.uvarint())
	h.reason, h.verdict = pick(reasons, d.byte()), pick(verdicts, d.byte())
	h.start = d.varint()
	h.end, h.ended = d.nanos(h.start)
	h.policy = int(d.varint())
	h.transport, h.label = event.Transport(d.text()), d.text()
	h.rule, h.dryRunRule = d.text(), d.text()
	if h.flags&flagStopped != 0 {
		h.sni, h.app, h.ja4 = d.text(), d.text(), d.text()
		h.up, h.down = d.uvarint(), d.uvarint()
	}
	for i, flag := range []uint64{flagEntropyUp, flagEntropyDown} {
		if h.flags&flag != 0 {
			h.entropy[i] = event.Entropy{Bits: d.float(), Sampled: d.uvarint()}
		}
	}
	h.forms.Addresses, h.forms.Requests = d.text(), d.text()
	return h
}

// decode decodes an entry as it was stored.
func decode(entry []byte) (r Record, forms Forms, err error) {
	d := decoder{rest: string(entry)}
	h := d.head()
	has := func(flag uint64) bool { return h.flags&flag != 0 }
	r = Record{
		Source: h.source, ID: h.id, N: h.n, State: track.StateClosed, Reason: h.reason, Label: h.label, Transport: h.transport,
		Start: time.Unix(0, h.start).UTC(), StartEstimated: has(flagStartEstimated), EndEstimated: has(flagEndEstimated),
		DurationKnown: has(flagDurationKnown), Policy: h.policy, Verdict: h.verdict, Rule: h.rule, DryRunRule: h.dryRunRule,
		Stopped: has(flagStopped), TLS: has(flagTLS), SNI: h.sni, App: h.app, JA4: h.ja4, Up: h.up, Down: h.down, Late: has(flagLate),
	}
	if h.ended {
		r.End = time.Unix(0, h.end).UTC()
	}
	if has(flagEntropyUp) {
		r.EntropyUp = &h.entropy[0]
	}
	if has(flagEntropyDown) {
		r.EntropyDown = &h.entropy[1]
	}
	if r.Stopped {
		r.Requests, r.RequestsDropped, r.Signatures, r.JA4S, r.JA4H = d.texts(), int(d.uvarint()), d.texts(), d.text(), d.texts()
	}
	if has(flagSkew) {
		skew := d.float()
		r.Skew = &skew
	}
	if has(flagSinkhole) {
		r.Sinkhole = &event.Sinkhole{
			Left: has(flagSinkLeft), Right: has(flagSinkRight),
			SunkenLeft: d.uvarint(), SunkenRight: d.uvarint(), ReplacementSize: d.uvarint(),
		}
	}
	if has(flagDecisionHex) {
		r.Decision = hex.EncodeToString([]byte(d.bytes(decisionBytes)))
	} else {
		r.Decision = d.text()
	}
	r.Timeline = d.timeline(h.start)
	if r.Late {
		r.LateAction, r.LateAt = pick(lateOf, d.byte()), d.time(h.start)
	}
	if d.failed {
		return Record{}, Forms{}, errDamaged
	}
	return r, h.forms, nil
}

func (d *decoder) timeline(start int64) (t track.Timeline) {
	for _, at := range []*time.Time{&t.First, &t.Requested, &t.Answered, &t.Started, &t.Listed, &t.Stopped, &t.Informed, &t.RepeatedAt} {
		*at = d.time(start)
	}
	t.Requests = int(d.uvarint())
	t.StartRepeats, t.StopRepeats, t.InfoRepeats = int(d.byte()), int(d.byte()), int(d.byte())
	return t
}

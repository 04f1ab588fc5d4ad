package search

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/track"
)

// compilers are the functions that turn the values of a word into what matches them, by the name of the term.
var compilers map[string]func(w *word, t *term) error

func init() { // because Terms and compilers refer to each other through find
	compilers = map[string]func(w *word, t *term) error{
		"source":    compileSource,
		"client":    compileClient,
		"server":    compileServer,
		"port":      compilePort,
		"sni":       texts(foldCase, 0, func(s *Subject) string { return s.SNI }),
		"app":       texts(foldCase, 0, func(s *Subject) string { return s.App }),
		"transport": compileTransport,
		"policy":    compilePolicy,
		"verdict":   compileVerdict,
		"rule":      compileRule,
		"state":     compileState,
		"reason":    compileReason,
		"bytes":     sizes(func(s *Subject) uint64 { return s.Up + s.Down }),
		"up":        sizes(func(s *Subject) uint64 { return s.Up }),
		"down":      sizes(func(s *Subject) uint64 { return s.Down }),
		"duration":  compileDuration,
		"entropy":   compileEntropy,
		"since":     compileSince,
		"until":     compileUntil,
		"ja4":       texts(sameCase, 0, func(s *Subject) string { return s.JA4 }),
		"id":        compileID,
		"":          compileText,
	}
}

// texts returns a compiler for a field that is compared as text, which may have wildcards.
func texts(fold caseRule, needs Fields, field func(*Subject) string) func(w *word, t *term) error {
	return func(w *word, t *term) error {
		patterns := w.patterns(fold)
		t.needs = needs
		t.matches = func(s *Subject, _ int64) bool { return patterns.match(field(s)) }
		return nil
	}
}

func (w *word) patterns(fold caseRule) patterns {
	var all patterns
	for _, v := range w.values {
		all = append(all, newPattern(v, w.literal, fold))
	}
	return all
}

func compileSource(w *word, t *term) error {
	patterns := w.patterns(sameCase)
	if len(patterns) == 1 {
		t.source = patterns[0].exact()
	}
	t.matches = func(s *Subject, _ int64) bool { return patterns.match(s.Source) }
	return nil
}

var errClient = errors.New("must be an IP address, a CIDR, or a hashed address as in client-0123456789abcdef")

func compileClient(w *word, t *term) error {
	var hosts []host
	for _, v := range w.values {
		h, isAddress := parseHost(v)
		switch {
		case isAddress:
		case privacy.IsHash(v):
			h.text = newPattern(v, true, sameCase)
		default:
			return errClient
		}
		hosts = append(hosts, h)
	}
	t.needs = NeedSession
	t.matches = func(s *Subject, _ int64) bool { return anyHost(hosts, s.Client.Host) }
	return nil
}

var errCIDR = errors.New("is not a CIDR")

func compileServer(w *word, t *term) error {
	var hosts []host
	for _, v := range w.values {
		h, isAddress := parseHost(v)
		if !isAddress {
			// The path of a Unix socket is a host as well.
			if strings.Contains(v, "/") && v[0] != '/' {
				return fmt.Errorf("%q %w", v, errCIDR)
			}
			h.text = newPattern(v, w.literal, foldCase)
		}
		hosts = append(hosts, h)
	}
	t.needs = NeedSession
	t.matches = func(s *Subject, _ int64) bool { return anyHost(hosts, s.Server.Host) || anyHost(hosts, s.SNI) }
	return nil
}

func anyHost(hosts []host, name string) bool {
	if name == "" {
		return false
	}
	for i := range hosts {
		if hosts[i].matches(name) {
			return true
		}
	}
	return false
}

func compilePort(w *word, t *term) error {
	var ports []uint16
	for _, v := range w.values {
		port, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a port", v)
		}
		ports = append(ports, uint16(port))
	}
	t.needs = NeedSession
	t.matches = func(s *Subject, _ int64) bool { return s.Server.Known() && slices.Contains(ports, s.Server.Port) }
	return nil
}

var errTransport = errors.New("must consist of a-z and 0-9, as in tcp, tls, udp, unix, ssh, quic")

func compileTransport(w *word, t *term) error {
	for _, v := range w.values {
		if strings.Trim(v, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return errTransport
		}
	}
	t.needs = NeedSession
	t.matches = func(s *Subject, _ int64) bool { return slices.Contains(w.values, string(s.transport())) }
	return nil
}

func compilePolicy(w *word, t *term) error {
	var policies []int
	for _, v := range w.values {
		switch v {
		case "implicit":
			policies = append(policies, event.PolicyImplicit)
		case "unknown":
			policies = append(policies, event.PolicyUnknown)
		default:
			n, err := strconv.Atoi(v)
			if err != nil || n < event.PolicyUnknown {
				return fmt.Errorf("%q is not a policy: a number from 0, implicit or unknown", v)
			}
			policies = append(policies, n)
		}
	}
	t.matches = func(s *Subject, _ int64) bool { return slices.Contains(policies, s.Policy) }
	return nil
}

func compileVerdict(w *word, t *term) error {
	var verdicts []event.Verdict
	for _, v := range w.values {
		switch v {
		case string(event.Accept), string(event.Reject):
			verdicts = append(verdicts, event.Verdict(v))
		case "none":
			verdicts = append(verdicts, "")
		default:
			return fmt.Errorf("%q is none of accept, reject, none", v)
		}
	}
	t.matches = func(s *Subject, _ int64) bool { return slices.Contains(verdicts, s.Verdict) }
	return nil
}

func compileRule(w *word, t *term) error {
	patterns := w.patterns(sameCase)
	t.matches = func(s *Subject, _ int64) bool { return patterns.match(s.Rule) || patterns.match(s.DryRunRule) }
	return nil
}

func compileState(w *word, t *term) error {
	for _, v := range w.values {
		state, ok := parseState(v)
		if !ok {
			return errors.New("must be open, closing or finished")
		}
		t.states |= 1 << state
	}
	states := t.states
	t.matches = func(s *Subject, _ int64) bool { return states.has(s.State) }
	return nil
}

func compileReason(w *word, t *term) error {
	for _, v := range w.values {
		if !slices.Contains(track.Reasons, track.Reason(v)) {
			return fmt.Errorf("must be one of %v", track.Reasons)
		}
	}
	t.matches = func(s *Subject, _ int64) bool { return slices.Contains(w.values, string(s.Reason)) }
	return nil
}

// sizes returns a compiler for a number of bytes.
func sizes(field func(*Subject) uint64) func(w *word, t *term) error {
	return func(w *word, t *term) error {
		bound, err := one(w, parseSize)
		if err != nil {
			return err
		}
		t.matches = func(s *Subject, _ int64) bool { return s.Stopped && compare(field(s), w.operator, bound) }
		return nil
	}
}

func compileDuration(w *word, t *term) error {
	bound, err := one(w, parseDuration)
	if err != nil {
		return err
	}
	t.matches = func(s *Subject, now int64) bool {
		end := s.End
		if !s.State.isOver() {
			end = now
		}
		return compare(end-s.Start, w.operator, int64(bound))
	}
	return nil
}

func compileEntropy(w *word, t *term) error {
	bound, err := one(w, func(v string) (float64, error) {
		bits, err := strconv.ParseFloat(v, 64)
		if err != nil || !(bits >= 0 && bits <= 8) {
			return 0, fmt.Errorf("%q is not a number from 0 to 8", v)
		}
		return bits, nil
	})
	if err != nil {
		return err
	}
	t.matches = func(s *Subject, _ int64) bool { return s.Measured && compare(s.Entropy, w.operator, bound) }
	return nil
}

func compileSince(w *word, t *term) error {
	at, err := one(w, instant)
	if err != nil {
		return err
	}
	t.since = at
	t.matches = func(s *Subject, now int64) bool { return !s.State.isOver() || s.End >= at(now) }
	return nil
}

func compileUntil(w *word, t *term) error {
	at, err := one(w, instant)
	if err != nil {
		return err
	}
	t.matches = func(s *Subject, now int64) bool { return s.Start <= at(now) }
	return nil
}

func compileID(w *word, t *term) error {
	patterns := w.patterns(sameCase)
	t.matches = func(s *Subject, _ int64) bool {
		if patterns.match(s.ID) {
			return true
		}
		return s.N > 1 && slices.ContainsFunc(w.values, func(v string) bool { return isNumbered(v, s.ID, s.N) })
	}
	return nil
}

// isNumbered reports whether a name is that of the n-th connection of an id.
func isNumbered(name, id string, n uint32) bool {
	if len(name) <= len(id)+1 || name[:len(id)] != id || name[len(id)] != '#' {
		return false
	}
	number, err := strconv.ParseUint(name[len(id)+1:], 10, 32)
	return err == nil && uint32(number) == n
}

func compileText(w *word, t *term) error {
	text := w.values[0]
	t.needs = NeedSession
	if h, isAddress := parseHost(text); isAddress {
		t.matches = func(s *Subject, _ int64) bool {
			return h.matches(s.Client.Host) || h.matches(s.Server.Host) || h.matches(s.SNI)
		}
		return nil
	}
	text = lower(text)
	t.needs |= NeedRequests
	t.matches = func(s *Subject, _ int64) bool {
		return contains(s.SNI, text) || contains(s.Client.Host, text) || contains(s.Server.Host, text) ||
			slices.ContainsFunc(s.Requests, func(r string) bool { return contains(r, text) })
	}
	return nil
}

// one parses the only value of a word.
func one[T any](w *word, parse func(string) (T, error)) (value T, err error) {
	if len(w.values) > 1 {
		return value, errors.New("takes one value")
	}
	return parse(w.values[0])
}

func compare[T int64 | uint64 | float64](value T, operator string, bound T) bool {
	switch operator {
	case ">":
		return value > bound
	case ">=":
		return value >= bound
	case "<":
		return value < bound
	case "<=":
		return value <= bound
	default:
		return value == bound
	}
}

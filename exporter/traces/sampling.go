package traces

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// Sampling is why a trace is kept, or that it is left out.
type Sampling string

// The values of Sampling. All but the last three are the rules of KeepConfig.
const (
	sampledReason     Sampling = "reason"
	sampledLongerThan Sampling = "longer_than"
	sampledBytes      Sampling = "bytes_over"
	sampledEntropy    Sampling = "entropy_up_over"
	sampledDryRun     Sampling = "dry_run"
	sampledRule       Sampling = "rule"
	sampledSource     Sampling = "source"
	sampledOpen       Sampling = "open"  // a span of it was sent before its end
	sampledRatio      Sampling = "ratio" // by its trace id
	unsampled         Sampling = "none"
)

// Samplings are all values with which SinkMetrics.TraceSampled is called.
var Samplings = []string{
	string(sampledReason), string(sampledLongerThan), string(sampledBytes), string(sampledEntropy), string(sampledDryRun),
	string(sampledRule), string(sampledSource), string(sampledOpen), string(sampledRatio), string(unsampled),
}

// sampler decides which traces are kept. It is immutable, and its decisions depend only on the configuration and the
// connection, so that those of replicas agree.
type sampler struct {
	keep    KeepConfig
	sources access.Names
	// off is set if no trace is kept.
	off bool
	// threshold is the least randomness of the traces that the ratio keeps. state is their tracestate.
	threshold uint64
	state     string
}

// randomBits is the number of bits of a trace id that decide, as in W3C Trace Context Level 2: its last 7 bytes. Trace ids
// are hashes, so these are random.
const randomBits = 56

// keptState is the tracestate of spans that are kept with a probability of 1.
const keptState = "ot=th:0"

func newSampler(c SamplingConfig) (*sampler, error) {
	ratio, off, err := ratioFromEnv()
	if err != nil {
		return nil, err
	}
	s := &sampler{keep: c.Keep, sources: access.NewNames(c.Keep.Sources), off: off}
	s.threshold = thresholdOf(min(ratio, c.Ratio))
	s.state = stateOf(s.threshold)
	return s, nil
}

// keepsAll reports whether no trace is left out.
func (s *sampler) keepsAll() bool { return s.threshold == 0 && !s.off }

// thresholdOf returns the rejection threshold of a ratio: 0 keeps all, 1<<randomBits nothing.
func thresholdOf(ratio float64) uint64 {
	return 1<<randomBits - uint64(math.Round(math.Ldexp(ratio, randomBits)))
}

// stateOf returns the tracestate for a threshold: as hexadecimal digits without the zeros at the end.
func stateOf(threshold uint64) string {
	if threshold == 0 {
		return keptState
	}
	return "ot=th:" + strings.TrimRight(fmt.Sprintf("%0*x", randomBits/4, threshold), "0")
}

// randomness returns the random part of a trace id.
func randomness(id traceid.ID) uint64 {
	return binary.BigEndian.Uint64(id.Trace[8:]) & (1<<randomBits - 1)
}

// byRatio reports whether the ratio keeps a trace. Without a ratio the id is not computed.
func (s *sampler) byRatio(id func() traceid.ID) bool {
	switch s.threshold {
	case 0:
		return true
	case 1 << randomBits:
		return false
	default:
		return randomness(id()) >= s.threshold
	}
}

// connection decides about the trace of a connection, as far as that is known at the given time.
func (s *sampler) connection(c *track.Connection, at time.Time) Sampling {
	switch why := s.kept(c, at); {
	case s.off:
		return unsampled
	case why != unsampled:
		return why
	case s.byRatio(func() traceid.ID { return traceid.Of(c.Source, c.Name()) }):
		return sampledRatio
	default:
		return unsampled
	}
}

// kept returns the first rule that keeps the trace of a connection, or else unsampled.
func (s *sampler) kept(c *track.Connection, at time.Time) Sampling {
	k := &s.keep
	verdict, rule, _ := c.Verdict()
	switch {
	case slices.Contains(k.Reasons, c.Reason()), verdict == event.Reject && slices.Contains(k.Reasons, track.ReasonRejected):
		return sampledReason
	case k.LongerThan > 0 && s.isLong(c, at):
		return sampledLongerThan
	case k.BytesOver > 0 && c.Stop != nil && over(c.Stop.BytesUp, c.Stop.BytesDown, uint64(k.BytesOver)):
		return sampledBytes
	case k.EntropyUpOver > 0 && c.Statistics != nil && c.Statistics.Up != nil && c.Statistics.Up.Bits > k.EntropyUpOver:
		return sampledEntropy
	case c.Decision != nil && s.isDryRun(c.Decision):
		return sampledDryRun
	case s.isRule(rule) || c.Decision != nil && s.isRule(c.Decision.DryRunRule):
		return sampledRule
	case s.sources.Match(c.Source):
		return sampledSource
	default:
		return unsampled
	}
}

// isLong reports whether a connection is longer than LongerThan. One that is open for exactly as long will be.
func (s *sampler) isLong(c *track.Connection, at time.Time) bool {
	start, _ := c.Start()
	if end, _ := c.End(); !end.IsZero() {
		return end.Sub(start) > s.keep.LongerThan
	}
	return at.Sub(start) >= s.keep.LongerThan
}

// over reports whether a + b exceeds limit.
func over(a, b, limit uint64) bool { return a > limit || b > limit-a }

func (s *sampler) isDryRun(d *track.Decision) bool { return s.keep.DryRun && d.DryRunRule != "" }

func (s *sampler) isRule(name string) bool { return name != "" && slices.Contains(s.keep.Rules, name) }

// decision decides about the trace of an access decision that matched no connection.
func (s *sampler) decision(d *track.Decision, id traceid.ID) Sampling {
	switch {
	case s.off:
		return unsampled
	case d.Verdict == event.Reject && slices.Contains(s.keep.Reasons, track.ReasonRejected):
		return sampledReason
	case s.isDryRun(d):
		return sampledDryRun
	case s.isRule(d.Rule), s.isRule(d.DryRunRule):
		return sampledRule
	case s.sources.Match(d.Source):
		return sampledSource
	case s.byRatio(func() traceid.ID { return id }):
		return sampledRatio
	default:
		return unsampled
	}
}

// stateFor returns the tracestate of spans that are kept for a reason.
func (s *sampler) stateFor(why Sampling) string {
	if why == sampledRatio {
		return s.state
	}
	return keptState
}

// ratioFromEnv returns the ratio of OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG; off is set for always_off. Traces
// have no remote parents here, so a parent-based sampler is its root sampler.
func ratioFromEnv() (ratio float64, off bool, err error) {
	name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER"))), "parentbased_")
	switch name {
	case "", "always_on":
		return 1, false, nil
	case "always_off":
		return 0, true, nil
	case "traceidratio":
		text := os.Getenv("OTEL_TRACES_SAMPLER_ARG")
		if text == "" {
			return 1, false, nil
		}
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || !isRatio(ratio) {
			return 0, false, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not a number from 0 to 1", text)
		}
		return ratio, false, nil
	}
	return 0, false, fmt.Errorf("OTEL_TRACES_SAMPLER: %q is unknown", name)
}

func isRatio(x float64) bool { return x >= 0 && x <= 1 }

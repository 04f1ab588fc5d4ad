package traces

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/setting"
	"smithproxy_exporter/exporter/track"
)

// SpanConfig is the section traces of the configuration file: which traces are made, and of which spans. Start from
// DefaultSpanConfig.
type SpanConfig struct {
	Sampling   SamplingConfig   `yaml:"sampling"`
	ClientSpan ClientSpanConfig `yaml:"client_span"`
}

// SamplingConfig says which traces are kept. Traces that no rule of Keep names are kept with the probability Ratio.
type SamplingConfig struct {
	Ratio float64    `yaml:"ratio"`
	Keep  KeepConfig `yaml:"keep"`
}

// KeepConfig are the rules by which traces are kept whatever the ratio is. A limit of 0 keeps nothing.
type KeepConfig struct {
	// Reasons are reasons why a connection closed. track.ReasonRejected stands for each rejected access-request.
	Reasons    []track.Reason `yaml:"reasons"`
	LongerThan time.Duration  `yaml:"longer_than"`
	// BytesOver is a limit of the payload in both directions together.
	BytesOver units.Base2Bytes `yaml:"bytes_over"`
	// EntropyUpOver is a limit in bits per byte.
	EntropyUpOver float64 `yaml:"entropy_up_over"`
	// DryRun keeps connections that a dry-run rule would have rejected.
	DryRun bool `yaml:"dry_run"`
	// Rules are names of access rules, dry-run rules included.
	Rules   []string      `yaml:"rules"`
	Sources []access.Glob `yaml:"sources"`
}

// ClientSpanConfig says whether each connection has a span of kind CLIENT, by which service graphs show where it went.
type ClientSpanConfig struct {
	Enabled bool `yaml:"enabled"`
	// Services name destinations, in order. They bound the nodes of a service graph.
	Services []ServiceConfig `yaml:"services"`
}

// ServiceConfig names destinations by domain, subdomains included, or by address.
type ServiceConfig struct {
	Name    string           `yaml:"name"`
	Domains []string         `yaml:"domains"`
	Servers []access.Network `yaml:"servers"`
}

// maxServices bounds ClientSpanConfig.Services, because each connection is compared with all of them.
const maxServices = 100

// DefaultSpanConfig returns the configuration of an empty file: all traces are kept. With a lower ratio, it keeps
// those that somebody may look for. Evicted connections are left out, because a flood of invented ones causes them.
func DefaultSpanConfig() SpanConfig {
	return SpanConfig{Sampling: SamplingConfig{Ratio: 1, Keep: KeepConfig{
		Reasons:    []track.Reason{track.ReasonRejected, track.ReasonLost, track.ReasonRestart},
		LongerThan: 10 * time.Minute, BytesOver: units.GiB, EntropyUpOver: 7.8, DryRun: true,
	}}}
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c SpanConfig) Validate() error {
	return cmp.Or(
		setting.Within("sampling", c.Sampling.Validate()),
		setting.Within("client_span", c.ClientSpan.Validate()),
	)
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c ClientSpanConfig) Validate() error {
	if len(c.Services) > maxServices {
		return setting.Invalid("services", fmt.Errorf("are %d, but can be at most %d", len(c.Services), maxServices))
	}
	for i, s := range c.Services {
		field := fmt.Sprintf("services[%d]", i)
		switch {
		case s.Name == "":
			return setting.Invalid(field+".name", errors.New("is missing"))
		case len(s.Domains)+len(s.Servers) == 0:
			return setting.Invalid(field, errors.New("needs domains or servers"))
		case slices.Contains(s.Domains, ""):
			return setting.Invalid(field+".domains", errors.New("has an empty name"))
		}
	}
	return nil
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c SamplingConfig) Validate() error {
	if !isRatio(c.Ratio) {
		return setting.Invalid("ratio", fmt.Errorf("%v is not a number from 0 to 1", c.Ratio))
	}
	return setting.Within("keep", c.Keep.Validate())
}

const maxEntropy = 8 // bits per byte

// Validate returns a *setting.Error for the first setting that is invalid.
func (c KeepConfig) Validate() error {
	for i, reason := range c.Reasons {
		if !slices.Contains(track.Reasons, reason) {
			return setting.Invalid(fmt.Sprintf("reasons[%d]", i), fmt.Errorf("%q is not one of %v", reason, track.Reasons))
		}
	}
	var entropy, bytes error
	if !(c.EntropyUpOver >= 0 && c.EntropyUpOver <= maxEntropy) {
		entropy = setting.Invalid("entropy_up_over", fmt.Errorf("%v is not a number from 0 to %d", c.EntropyUpOver, maxEntropy))
	}
	if c.BytesOver < 0 {
		bytes = setting.Invalid("bytes_over", errors.New("must not be negative"))
	}
	for i, rule := range c.Rules {
		if rule == "" {
			return setting.Invalid(fmt.Sprintf("rules[%d]", i), errors.New("is empty"))
		}
	}
	return cmp.Or(entropy, bytes)
}

package collector

import (
	"cmp"
	"fmt"
	"time"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section metrics of the configuration file: the bounds of the exposition. Start from DefaultConfig.
type Config struct {
	// MaxValues is how many values of one label have series of their own, for each proxy. As many more can
	// exist during the grace period.
	MaxValues int `yaml:"max_values"`
	// MaxApps is the same for L7 applications, each of which has a histogram.
	MaxApps int `yaml:"max_apps"`
	// Grace is how long the series of a displaced value stay unchanged. It must be longer than any scrape
	// interval.
	Grace time.Duration `yaml:"grace"`
	// Expiry is how long series stay without any fact for them.
	Expiry time.Duration `yaml:"expiry"`
	// SNIGrouping is by what TLS server names are counted.
	SNIGrouping SNIGrouping `yaml:"sni_grouping"`
	// Networks name the networks of clients. Of several networks with an address, the smallest counts.
	Networks []NetworkConfig `yaml:"networks"`
}

// SNIGrouping is by what TLS server names are counted.
type SNIGrouping string

const (
	// SNIExact counts each name.
	SNIExact SNIGrouping = "exact"
	// SNIRegisteredDomain counts a name by its registered domain: example.co.uk for www.example.co.uk.
	SNIRegisteredDomain SNIGrouping = "registered_domain"
)

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		MaxValues: 100, MaxApps: 20, Grace: 5 * time.Minute, Expiry: 15 * time.Minute, SNIGrouping: SNIExact,
	}
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	if g := c.SNIGrouping; g != SNIExact && g != SNIRegisteredDomain {
		return setting.Invalid("sni_grouping", fmt.Errorf("%q is neither %s nor %s", g, SNIExact, SNIRegisteredDomain))
	}
	return cmp.Or(
		setting.Positive("max_values", c.MaxValues),
		setting.Positive("max_apps", c.MaxApps),
		setting.Positive("grace", c.Grace),
		setting.Positive("expiry", c.Expiry),
		validateNetworks(c.Networks),
	)
}

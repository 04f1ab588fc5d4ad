// Package config reads the configuration file: YAML without unknown fields. The file is optional, and so is
// everything in it. Sections belong to the packages that they configure, with their defaults and their checks.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/geo/mmdb"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/setting"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

// Config is the whole configuration file.
type Config struct {
	Webhook     webhook.Config         `yaml:"webhook"`
	Access      access.Config          `yaml:"access"`
	OTLP        traces.Config          `yaml:"otlp"`
	Traces      traces.SpanConfig      `yaml:"traces"`
	Storage     store.Config           `yaml:"storage"`
	Connections track.ConnectionConfig `yaml:"connections"`
	Proxies     track.ProxyConfig      `yaml:"proxies"`
	Metrics     collector.Config       `yaml:"metrics"`
	GeoIP       mmdb.Config            `yaml:"geoip"`
	API         web.Config             `yaml:"api"`
	Privacy     privacy.Config         `yaml:"privacy"`
	// Positions locate errors that are found after Load.
	Positions Positions `yaml:"-"`
}

// Default returns the configuration of an empty file.
func Default() Config {
	tracker := track.DefaultConfig()
	return Config{
		Webhook:     webhook.DefaultConfig(),
		Access:      access.DefaultConfig(),
		OTLP:        traces.DefaultConfig(),
		Traces:      traces.DefaultSpanConfig(),
		Storage:     store.DefaultConfig(),
		Connections: tracker.Connections,
		Proxies:     tracker.Proxies,
		Metrics:     collector.DefaultConfig(),
		GeoIP:       mmdb.DefaultConfig(),
		API:         web.DefaultConfig(),
		Privacy:     privacy.DefaultConfig(),
	}
}

// Load reads and validates the configuration file at path; "" stands for an empty file. Relative paths in the file
// are relative to its directory. Errors name the file, the line and the field. Load does not read the files that the
// configuration names.
func Load(path string) (Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	c.Positions.Path = path
	lines, err := decode(raw, &c)
	if err != nil {
		var wrong *lineError
		if errors.As(err, &wrong) {
			return Config{}, c.Positions.at(wrong.line, wrong.err)
		}
		return Config{}, c.Positions.at(0, err)
	}
	c.Positions.Lines = lines
	if err := c.validate(); err != nil {
		return Config{}, c.Positions.locate(err)
	}
	dir := filepath.Dir(path)
	c.Webhook.SetDirectory(dir)
	c.Access.SetDirectory(dir)
	c.GeoIP.SetDirectory(dir)
	return c, nil
}

// validate returns a *setting.Error for the first section that is invalid.
func (c *Config) validate() error {
	return cmp.Or(
		setting.Within("webhook", c.Webhook.Validate()),
		setting.Within("access", c.Access.Validate()),
		setting.Within("otlp", c.OTLP.Validate()),
		setting.Within("traces", c.Traces.Validate()),
		setting.Within("storage", c.Storage.Validate()),
		setting.Within("connections", c.Connections.Validate()),
		setting.Within("proxies", c.Proxies.Validate()),
		setting.Within("metrics", c.Metrics.Validate()),
		setting.Within("geoip", c.GeoIP.Validate()),
		setting.Within("api", c.API.Validate()),
		setting.Within("privacy", c.Privacy.Validate()),
	)
}

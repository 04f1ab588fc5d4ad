package web

import "smithproxy_exporter/exporter/setting"

// Config is the section api of the configuration file: bounds of the JSON API. Start from DefaultConfig.
type Config struct {
	// Finished is how many finished connections the API remembers.
	Finished int `yaml:"finished_connections"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{Finished: 1000} }

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error { return setting.Positive("finished_connections", c.Finished) }

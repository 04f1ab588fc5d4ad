package api

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section api of the configuration file. Start from DefaultConfig.
type Config struct {
	// Enabled serves the pages and the JSON API. Without it the web listener serves metrics and health only.
	Enabled bool `yaml:"enabled"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{Enabled: true} }

// PageConfig is the section page of the configuration file.
type PageConfig struct {
	// TraceURL is the address of a trace in a tracing backend, with the placeholder {trace_id}; "" is none.
	TraceURL string `yaml:"trace_url"`
}

// traceID is the placeholder in PageConfig.TraceURL.
const traceID = "{trace_id}"

// Validate returns a *setting.Error for the first setting that is invalid.
func (c PageConfig) Validate() error { return setting.Invalid("trace_url", c.validate()) }

func (c PageConfig) validate() error {
	if c.TraceURL == "" {
		return nil
	}
	u, err := url.Parse(strings.ReplaceAll(c.TraceURL, traceID, "0123456789abcdef0123456789abcdef"))
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is neither an http nor an https URL", c.TraceURL)
	case u.Host == "":
		return errors.New("has no host")
	case !strings.Contains(c.TraceURL, traceID):
		return fmt.Errorf("does not contain %s", traceID)
	}
	return nil
}

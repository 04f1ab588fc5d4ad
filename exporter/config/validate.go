package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/units"
)

// minStorage is the least that the store can be bounded to: store.MinMaxSize.
const minStorage = 64 << 20

func (c *Config) validate() error {
	for i, s := range c.Webhook.Secrets {
		if err := s.validate(); err != nil {
			return &fieldError{field: fmt.Sprintf("webhook.secrets[%d]", i), err: err}
		}
	}
	if t := c.Webhook.TLS; t != nil && (t.CertFile == "" || t.KeyFile == "") {
		return &fieldError{field: "webhook.tls", err: errors.New("needs both cert_file and key_file")}
	}
	if err := c.Access.Validate(); err != nil {
		return accessError(err)
	}
	if err := c.Privacy.Validate(); err != nil {
		return &fieldError{field: "privacy", err: err}
	}
	if g := c.Metrics.SNIGrouping; g != SNIExact && g != SNIRegisteredDomain {
		return &fieldError{field: "metrics.sni_grouping", err: fmt.Errorf("%q is neither %s nor %s", g, SNIExact, SNIRegisteredDomain)}
	}
	if p := c.OTLP.Protocol; p != "" && p != ProtocolGRPC && p != ProtocolHTTP {
		return &fieldError{field: "otlp.protocol", err: fmt.Errorf("%q is neither %s nor %s", p, ProtocolGRPC, ProtocolHTTP)}
	}
	if c.Storage.MaxSize < minStorage {
		return &fieldError{field: "storage.max_size", err: fmt.Errorf("must be %v at least", units.Base2Bytes(minStorage))}
	}
	for _, positive := range []struct {
		field string
		value int64
	}{
		{"webhook.max_body_size", int64(c.Webhook.MaxBodySize)},
		{"otlp.flush_timeout", int64(c.OTLP.FlushTimeout)},
		{"connections.grace_period", int64(c.Connections.GracePeriod)},
		{"connections.max_open", int64(c.Connections.MaxOpen)},
		{"connections.max_open_total", int64(c.Connections.MaxOpenTotal)},
		{"connections.max_l7_requests", int64(c.Connections.MaxRequests)},
		{"connections.max_text_size", int64(c.Connections.MaxTextSize)},
		{"proxies.ping_timeout", int64(c.Proxies.PingTimeout)},
		{"proxies.neighbor_window", int64(c.Proxies.NeighborWindow)},
		{"proxies.forget_after", int64(c.Proxies.ForgetAfter)},
		{"proxies.max", int64(c.Proxies.Max)},
		{"metrics.max_values", int64(c.Metrics.MaxValues)},
		{"metrics.max_apps", int64(c.Metrics.MaxApps)},
		{"metrics.grace", int64(c.Metrics.Grace)},
		{"metrics.expiry", int64(c.Metrics.Expiry)},
		{"api.finished_connections", int64(c.API.Finished)},
	} {
		if positive.value <= 0 {
			return &fieldError{field: positive.field, err: errors.New("must be more than 0")}
		}
	}
	return nil
}

func (s Secret) validate() error {
	if (s.Secret == "") == (s.SecretFile == "") {
		return errors.New("needs either secret or secret_file")
	}
	if s.Secret == "" {
		return nil
	}
	return CheckSecret(s.Secret)
}

// secretPunctuation is what may be in a secret besides letters and digits.
const secretPunctuation = "-._~"

// CheckSecret says why a secret would not do as a segment of a URL's path, just as it is.
func CheckSecret(secret string) error {
	if secret == "." || secret == ".." {
		return errors.New("secret: dots alone are removed from URLs")
	}
	for _, r := range secret {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune(secretPunctuation, r) {
			return errors.New("secret: only letters, digits and " + secretPunctuation + " go into a URL as they are")
		}
	}
	return nil
}

package config

import (
	"errors"
	"fmt"

	"github.com/alecthomas/units"
)

// minStorage is the least that the store can be bounded to: store.MinMaxSize.
const minStorage = 64 << 20

func (c *Config) validate() error {
	if err := c.Webhook.Validate(); err != nil {
		return webhookError(err)
	}
	if err := c.Access.Validate(); err != nil {
		return accessError(err)
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

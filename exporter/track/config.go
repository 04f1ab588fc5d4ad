package track

import (
	"cmp"
	"time"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/setting"
)

// Config has the times and bounds of a Tracker. Start from DefaultConfig.
type Config struct {
	Connections ConnectionConfig
	Proxies     ProxyConfig
}

// ConnectionConfig is the section connections of the configuration file.
type ConnectionConfig struct {
	// GracePeriod is how long a connection that is over waits for late events. It must be longer than the proxy
	// takes to give up on an event (25 s: five tries of 5 s) and than the lag of connection-info (13 s measured).
	GracePeriod time.Duration `yaml:"grace_period"`
	// IdleTimeout is the age without any sign of life at which an open connection is closed as lost; 0 is never. It
	// is for connections that no ping lists: HTTP CONNECT, SOCKS UDP, QUIC, and proxies that send no lists.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// MaxOpen bounds the connections of one proxy; beyond it the oldest one is evicted.
	MaxOpen int `yaml:"max_open"`
	// MaxOpenTotal bounds the connections of all proxies; beyond it the proxy with the most loses its oldest one.
	MaxOpenTotal int `yaml:"max_open_total"`
	// OpenSpanAge is the age at which an open connection is reported, and then at each doubling of it; 0 is never.
	OpenSpanAge time.Duration `yaml:"open_span_age"`
	// MaxRequests bounds the L7 requests that a record keeps, and each of its other lists.
	MaxRequests int `yaml:"max_l7_requests"`
	// MaxTextSize bounds each string that a record keeps, in bytes.
	MaxTextSize units.Base2Bytes `yaml:"max_text_size"`
}

// ProxyConfig is the section proxies of the configuration file.
type ProxyConfig struct {
	// PingTimeout is how long after its last ping a proxy counts as down.
	PingTimeout time.Duration `yaml:"ping_timeout"`
	// DownTimeout is how long a proxy must be down for its open connections to be closed as lost; 0 is never.
	DownTimeout time.Duration `yaml:"down_timeout"`
	// NeighborWindow is how long after its last sign of life a client address counts as alive.
	NeighborWindow time.Duration `yaml:"neighbor_window"`
	// ForgetAfter is the silence after which a proxy is forgotten.
	ForgetAfter time.Duration `yaml:"forget_after"`
	// Max bounds the proxies; see admission.go for which one is replaced.
	Max int `yaml:"max"`
	// MaxNeighbors bounds the client addresses of one proxy; beyond it the least recently seen one is removed.
	MaxNeighbors int `yaml:"-"`
	// MaxNeighborsTotal bounds the client addresses of all proxies; beyond it the proxy with the most loses one.
	MaxNeighborsTotal int `yaml:"-"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config {
	return Config{
		Connections: ConnectionConfig{
			GracePeriod:  35 * time.Second,
			IdleTimeout:  2 * time.Hour,
			MaxOpen:      100_000,
			MaxOpenTotal: 200_000, // about 600 bytes each
			OpenSpanAge:  5 * time.Minute,
			MaxRequests:  64,
			MaxTextSize:  units.KiB,
		},
		Proxies: ProxyConfig{
			PingTimeout:       5 * time.Minute,
			DownTimeout:       10 * time.Minute,
			NeighborWindow:    10 * time.Minute,
			ForgetAfter:       7 * 24 * time.Hour,
			Max:               1000,
			MaxNeighbors:      10_000,
			MaxNeighborsTotal: 200_000,
		},
	}
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c ConnectionConfig) Validate() error {
	return cmp.Or(
		setting.Positive("grace_period", c.GracePeriod),
		setting.Positive("max_open", c.MaxOpen),
		setting.Positive("max_open_total", c.MaxOpenTotal),
		setting.Positive("max_l7_requests", c.MaxRequests),
		setting.Positive("max_text_size", c.MaxTextSize),
	)
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c ProxyConfig) Validate() error {
	return cmp.Or(
		setting.Positive("ping_timeout", c.PingTimeout),
		setting.Positive("neighbor_window", c.NeighborWindow),
		setting.Positive("forget_after", c.ForgetAfter),
		setting.Positive("max", c.Max),
	)
}

// limits bound what a record keeps of what the network chose.
type limits struct {
	// textBytes is the length of any one string, in bytes.
	textBytes int
	// listItems is the length of the lists of details and signatures.
	listItems int
}

func (c ConnectionConfig) limits() limits {
	return limits{textBytes: int(c.MaxTextSize), listItems: c.MaxRequests}
}

func (l limits) cut(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	kept := make([]string, min(len(list), l.listItems))
	for i := range kept {
		kept[i] = event.Cut(list[i], l.textBytes)
	}
	return kept
}

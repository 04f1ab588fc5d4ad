package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// Form is the format of the messages that a proxy sends.
type Form string

// The known forms.
const (
	// FormCurrent is the form of smithproxy 0.9.32 and later.
	FormCurrent Form = "current"
	// FormHOWTO is the older form that smithproxy's HOWTO documents: pings
	// without instance and list, one address a neighbor message, no JA4.
	FormHOWTO Form = "howto"
	// FormMixed gives every second proxy the HOWTO form.
	FormMixed Form = "mixed"
)

// Config is the configuration of a fleet. Start from DefaultConfig.
type Config struct {
	// URL is the webhook's, with the secret as its last path segment. http uses HTTP/1.1, https HTTP/2.
	URL string
	// InsecureSkipVerify accepts any certificate of the webhook.
	InsecureSkipVerify bool
	// Seed is the seed of all random choices; the same seed gives the same scripts.
	Seed uint64

	// Proxies is the size of the fleet.
	Proxies int
	// PlainProxies is how many of them, the last ones, have no policy feature: they send no access-request and no
	// connection-info.
	PlainProxies int
	// NamePrefix is the beginning of each source name; a number from 1 follows.
	NamePrefix string
	// Threads is the number of sending threads of one proxy.
	Threads int
	// Generation is the behavior of the proxies.
	Generation Generation
	// Form is the format of the messages.
	Form Form

	// Rate is the number of new connections a second over all proxies.
	Rate float64
	// MaxSpeed starts connections as fast as the threads send events, regardless of Rate. It does not change the
	// durations of connections.
	MaxSpeed bool
	// Connections ends the run after that many over all proxies; 0 is no limit.
	Connections int
	// Duration ends the run after that time; 0 is until the context ends.
	Duration time.Duration
	// Drain bounds how long connections may stay open after the end.
	Drain time.Duration
	// LeaveOpen is the number of further connections each proxy opens at the
	// end of the run and never closes.
	LeaveOpen int
	// LastPings is the number of pings that each proxy sends at the end. A receiver may need two lists without a
	// connection to close it as lost.
	LastPings int
	// LastPingGap is the time before each of them.
	LastPingGap time.Duration

	// AccessShare is the share of connections that send access-request.
	AccessShare float64
	// SOCKSShare is the share of TCP connections that come over SOCKS.
	SOCKSShare float64
	// SOCKSUDPShare is the share of UDP connections other than DNS that come over
	// SOCKS. The lists of pings never hold them.
	SOCKSUDPShare float64
	// ConnectShare is the share of TLS connections that come over HTTP CONNECT, in
	// a generation that handles it. The lists of pings never hold them.
	ConnectShare float64
	// SSHShare and QUICShare are the shares of connections that are inspected SSH,
	// and of draws that become the streams of a QUIC connection, in a generation
	// that handles them. A draw makes one to four streams; the lists of pings never
	// hold them.
	SSHShare, QUICShare float64
	// SilentEndShare is the share of SSH connections and QUIC streams whose end
	// sends no stop.
	SilentEndShare float64
	// ImplicitShare is the share of connections that pass without a rule: policy
	// 65500 and no policy feature.
	ImplicitShare float64
	// SinkholeShare is the share of connections with a sink feature.
	SinkholeShare float64
	// AddressReuseShare is the share of connections that get the id of one that is
	// gone, if there is one, in a generation whose ids are addresses.
	AddressReuseShare float64
	// StatisticsShare is the share of connections with the statistics feature.
	StatisticsShare float64
	// ContentShare is the share of connections that send connection-content.
	ContentShare float64
	// DurationMax bounds how long a connection lasts.
	DurationMax time.Duration
	// InfoDelayMax bounds how long after the stop a connection-info comes. Most
	// come at once; without other traffic smithproxy needs about 10 s.
	InfoDelayMax time.Duration
	// Reorder multiplies the measured rates at which events of one connection
	// arrive out of order; 0 leaves it to chance in the pool of threads.
	Reorder float64
	// DistinctSNIs, DistinctClients and DistinctSignatures are the numbers of
	// different values there are to choose from.
	DistinctSNIs, DistinctClients, DistinctSignatures int

	// PingInterval is the time between pings, FirstPing the time of the first.
	PingInterval, FirstPing time.Duration
	// NeighborInterval is the time between updates of all known addresses; 0
	// sends none.
	NeighborInterval time.Duration

	// RestartEvery is the mean time between restarts of a proxy; 0 is never.
	RestartEvery time.Duration
	// RestartShare is the share of connections before which the proxy restarts.
	RestartShare float64
	// RestartKillShare is the share of restarts that are a SIGKILL; the others
	// are a SIGTERM.
	RestartKillShare float64

	// Timeout is that of one try, NeighborTimeout that of one try of a neighbor
	// message. In generation 2026 each bounds all tries of an event together.
	Timeout, NeighborTimeout time.Duration

	// Faults are the injected faults.
	Faults Faults
	// ReportConnections keeps a record of every connection for the report. Off,
	// memory stays bounded by what is open.
	ReportConnections bool
	// LegacyExpectations makes Connection.Expected what a receiver must find that
	// takes absence from two lists as proof even if no list ever held the
	// connection, and an info after a planned stop as a loss.
	LegacyExpectations bool
	// Logger receives restarts and failed transfers at debug level; nil discards
	// them.
	Logger *slog.Logger
}

// DefaultConfig returns a small fleet without faults, with the intervals of real proxies. It lacks only the URL.
func DefaultConfig() Config {
	return Config{
		Seed:               1,
		Proxies:            3,
		NamePrefix:         "sim-",
		Threads:            4,
		Generation:         Generation2026,
		Form:               FormCurrent,
		Rate:               20,
		Drain:              10 * time.Second,
		LastPings:          2,
		LastPingGap:        time.Second,
		AccessShare:        0.3,
		SOCKSShare:         0.1,
		SOCKSUDPShare:      0.05,
		ConnectShare:       0.05,
		SSHShare:           0.03,
		SilentEndShare:     0.1,
		ImplicitShare:      0.02,
		SinkholeShare:      0.02,
		AddressReuseShare:  0.5,
		StatisticsShare:    0.8,
		DurationMax:        30 * time.Second,
		InfoDelayMax:       10 * time.Second,
		Reorder:            1,
		DistinctSNIs:       1000,
		DistinctClients:    200,
		DistinctSignatures: 50,
		PingInterval:       120 * time.Second,
		FirstPing:          10 * time.Second,
		NeighborInterval:   5 * time.Second,
		RestartKillShare:   0.5,
		Timeout:            5 * time.Second,
		NeighborTimeout:    60 * time.Second,
		Faults:             Faults{LateStartDelay: 20 * time.Second, GarbageSize: 32 << 20},
		ReportConnections:  true,
	}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if u, err := url.Parse(c.URL); err != nil {
		errs = append(errs, fmt.Errorf("url: %w", err))
	} else if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		errs = append(errs, fmt.Errorf("url: %q is not an http or https URL", c.URL))
	}
	if _, ok := behaviors[c.Generation]; !ok {
		errs = append(errs, fmt.Errorf("generation: %q is not one of %v", c.Generation, Generations))
	}
	switch c.Form {
	case FormCurrent, FormHOWTO, FormMixed:
	default:
		errs = append(errs, fmt.Errorf("form: %q is not one of current, howto, mixed", c.Form))
	}
	atLeast := func(name string, value, least int) {
		if value < least {
			errs = append(errs, fmt.Errorf("%s: %d is less than %d", name, value, least))
		}
	}
	atLeast("proxies", c.Proxies, 1)
	atLeast("plain proxies", c.PlainProxies, 0)
	atLeast("threads", c.Threads, 1)
	atLeast("connections", c.Connections, 0)
	atLeast("leave open", c.LeaveOpen, 0)
	atLeast("last pings", c.LastPings, 0)
	atLeast("distinct SNIs", c.DistinctSNIs, 1)
	atLeast("distinct clients", c.DistinctClients, 1)
	atLeast("distinct signatures", c.DistinctSignatures, 1)
	atLeast("garbage size", c.Faults.GarbageSize, 1)
	if c.Rate <= 0 && !c.MaxSpeed {
		errs = append(errs, fmt.Errorf("rate: %v is not positive", c.Rate))
	}
	if c.Reorder < 0 {
		errs = append(errs, fmt.Errorf("reorder: %v is negative", c.Reorder))
	}
	for _, s := range append([]share{
		{"access share", c.AccessShare}, {"SOCKS share", c.SOCKSShare},
		{"SOCKS UDP share", c.SOCKSUDPShare}, {"connect share", c.ConnectShare},
		{"SSH share", c.SSHShare}, {"QUIC share", c.QUICShare}, {"silent end share", c.SilentEndShare},
		{"implicit share", c.ImplicitShare}, {"sinkhole share", c.SinkholeShare},
		{"address reuse share", c.AddressReuseShare},
		{"statistics share", c.StatisticsShare}, {"content share", c.ContentShare},
		{"restart share", c.RestartShare}, {"restart kill share", c.RestartKillShare},
	}, c.Faults.shares()...) {
		if !(s.value >= 0 && s.value <= 1) {
			errs = append(errs, fmt.Errorf("%s: %v is not between 0 and 1", s.name, s.value))
		}
	}
	for _, d := range []struct {
		name      string
		value     time.Duration
		mayBeZero bool
	}{
		{"duration", c.Duration, true}, {"drain", c.Drain, true}, {"last ping gap", c.LastPingGap, true},
		{"duration max", c.DurationMax, false}, {"info delay max", c.InfoDelayMax, true},
		{"ping interval", c.PingInterval, false}, {"first ping", c.FirstPing, true},
		{"neighbor interval", c.NeighborInterval, true}, {"restart every", c.RestartEvery, true},
		{"timeout", c.Timeout, false}, {"neighbor timeout", c.NeighborTimeout, false},
		{"late start delay", c.Faults.LateStartDelay, true},
	} {
		if d.value < 0 || (d.value == 0 && !d.mayBeZero) {
			errs = append(errs, fmt.Errorf("%s: %v is too short", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// share is a share from 0 to 1, with its name.
type share struct {
	name  string
	value float64
}

// form returns the form of the proxy with the given index.
func (c Config) form(index int) Form {
	if c.Form == FormMixed {
		if index%2 == 1 {
			return FormHOWTO
		}
		return FormCurrent
	}
	return c.Form
}

package main

import (
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"smithproxy_exporter/cmd/internal/fleet"
)

// options are the parsed flags.
type options struct {
	fleet      fleet.Config
	allFaults  bool
	secretFile string
	wait       time.Duration
	reportFile string
	quiet      bool
}

// config returns the configuration of the fleet.
func (o *options) config() fleet.Config {
	cfg := o.fleet
	if o.allFaults {
		cfg.Faults = cfg.Faults.WithMix()
	}
	return cfg
}

func addFlags(app *kingpin.Application) *options {
	o := &options{fleet: fleet.DefaultConfig()}
	c := &o.fleet
	app.Flag("url", "Webhook URL, the secret as its last path segment. https speaks HTTP/2.").Required().StringVar(&c.URL)
	app.Flag("secret-file", "File with the secret, which is appended to the URL.").StringVar(&o.secretFile)
	app.Flag("wait", "Time to wait for the webhook to listen.").Default("0s").DurationVar(&o.wait)
	flag(app, "tls.insecure-skip-verify", "Accept any certificate of the webhook.", &c.InsecureSkipVerify)
	app.Flag("seed", "Seed of all random choices.").Default(strconv.FormatUint(c.Seed, 10)).Uint64Var(&c.Seed)

	flag(app, "proxies", "Number of proxies.", &c.Proxies)
	flag(app, "plain-proxies", "Number of proxies without policy features; the last ones.", &c.PlainProxies)
	flag(app, "name-prefix", "Beginning of the source names.", &c.NamePrefix)
	flag(app, "threads", "Sending threads of one proxy.", &c.Threads)
	app.Flag("generation", "Version of smithproxy to simulate: 2025, ptr (summer 2026) or 2026 (October 2026).").
		Default(string(c.Generation)).EnumVar((*string)(&c.Generation), generations()...)
	app.Flag("form", "Form of the messages: current, howto, or mixed (every second proxy howto).").
		Default(string(c.Form)).EnumVar((*string)(&c.Form), string(fleet.FormCurrent), string(fleet.FormHOWTO), string(fleet.FormMixed))

	flag(app, "rate", "New connections a second over all proxies.", &c.Rate)
	flag(app, "max-speed", "Start connections as fast as the threads send events.", &c.MaxSpeed)
	flag(app, "connections", "Number of connections over all proxies after which the run ends; 0 is no limit.", &c.Connections)
	flag(app, "duration", "Duration of the run; 0 is until interrupted.", &c.Duration)
	flag(app, "drain", "Time within which open connections finish at the end.", &c.Drain)
	flag(app, "leave-open", "Connections that each proxy opens at the end and does not close.", &c.LeaveOpen)
	flag(app, "last-pings", "Pings of each proxy at the end of the run.", &c.LastPings)
	flag(app, "last-ping-gap", "Time before each of them.", &c.LastPingGap)

	flag(app, "access-share", "Share of connections that send access-request.", &c.AccessShare)
	flag(app, "socks-share", "Share of TCP connections that come over SOCKS.", &c.SOCKSShare)
	flag(app, "socks-udp-share", "Share of UDP connections other than DNS that come over SOCKS.", &c.SOCKSUDPShare)
	flag(app, "connect-share", "Share of TLS connections that come over HTTP CONNECT (not 2025).", &c.ConnectShare)
	flag(app, "ssh-share", "Share of connections that are inspected SSH (2026).", &c.SSHShare)
	flag(app, "quic-share", "Share of connections that are streams of a QUIC connection (not 2025).", &c.QUICShare)
	flag(app, "silent-end-share", "Share of SSH connections and QUIC streams that end without a connection-stop.", &c.SilentEndShare)
	flag(app, "implicit-share", "Share of connections that pass without a rule (policy 65500).", &c.ImplicitShare)
	flag(app, "sinkhole-share", "Share of connections with a sink feature.", &c.SinkholeShare)
	flag(app, "address-reuse-share", "Share of connections that reuse the id of a closed one (ptr).", &c.AddressReuseShare)
	flag(app, "statistics-share", "Share of connections with the statistics feature.", &c.StatisticsShare)
	flag(app, "content-share", "Share of connections that send connection-content.", &c.ContentShare)
	flag(app, "duration-max", "Longest duration of a connection.", &c.DurationMax)
	flag(app, "info-delay-max", "Longest delay of a connection-info; most have none.", &c.InfoDelayMax)
	flag(app, "reorder", "Multiplier of the measured rates of events out of order.", &c.Reorder)
	flag(app, "distinct-snis", "Number of different SNIs.", &c.DistinctSNIs)
	flag(app, "distinct-clients", "Number of different client addresses.", &c.DistinctClients)
	flag(app, "distinct-signatures", "Number of different signatures.", &c.DistinctSignatures)

	flag(app, "ping-interval", "Time between pings.", &c.PingInterval)
	flag(app, "first-ping", "Time from the start of a proxy to its first ping.", &c.FirstPing)
	flag(app, "neighbor-interval", "Time between updates of all known addresses; 0 sends none.", &c.NeighborInterval)
	flag(app, "restart-every", "Mean time between restarts of a proxy; 0 is never.", &c.RestartEvery)
	flag(app, "restart-share", "Share of connections before which the proxy restarts.", &c.RestartShare)
	flag(app, "restart-kill-share", "Share of restarts by SIGKILL instead of SIGTERM.", &c.RestartKillShare)
	flag(app, "timeout", "Timeout of one try; of all tries together in 2026.", &c.Timeout)
	flag(app, "neighbor-timeout", "The same for a neighbor message.", &c.NeighborTimeout)

	f := &c.Faults
	app.Flag("faults", "Give every fault without a share its default share.").BoolVar(&o.allFaults)
	flag(app, "fault.duplicate", "Share of events whose answer is lost: delivered one to four times more, or failed in 2026.", &f.Duplicate)
	flag(app, "fault.abort", "Share of events whose first try is aborted in the body; lost in 2026.", &f.Abort)
	flag(app, "fault.late-start", "Share of connections whose start is sent long after the stop.", &f.LateStart)
	flag(app, "fault.late-start-delay", "Delay of such a start.", &f.LateStartDelay)
	flag(app, "fault.lost-stop", "Share of HTTP connections without a stop (a URL is not UTF-8).", &f.LostStop)
	flag(app, "fault.lost-start", "Share of connections whose start is never delivered.", &f.LostStart)
	flag(app, "fault.lost-info", "Share of connections whose info is never delivered.", &f.LostInfo)
	flag(app, "fault.garbage", "Share of connections that are accompanied by an invalid request.", &f.Garbage)
	flag(app, "fault.garbage-size", "Size of a too large request in bytes.", &f.GarbageSize)
	flag(app, "fault.hostile", "Share of connections with strings that an attacker might choose.", &f.Hostile)

	app.Flag("report.json", "File for the whole report.").StringVar(&o.reportFile)
	app.Flag("report.connections", "Include every connection in the report (true or false).").
		PlaceHolder(strconv.FormatBool(c.ReportConnections)).SetValue((*boolText)(&c.ReportConnections))
	app.Flag("quiet", "Print no status and no summary.").BoolVar(&o.quiet)
	return o
}

// generations returns the values of --generation.
func generations() []string {
	var names []string
	for _, g := range fleet.Generations {
		names = append(names, string(g))
	}
	return names
}

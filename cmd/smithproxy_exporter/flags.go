package main

import (
	"io"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	toolkitflag "github.com/prometheus/exporter-toolkit/web/kingpinflag"
)

// The commands; serve is the default.
const (
	commandServe   = "serve"
	commandTraceID = "trace-id"
	commandAccess  = "access-check"
	commandHealth  = "healthcheck"
	commandSetup   = "setup"
	commandDoctor  = "doctor"
)

type flags struct {
	configFile     string
	configCheck    bool
	webhookAddress string
	web            *toolkit.FlagConfig
	telemetryPath  string
	storagePath    string
	otlpEndpoint   string
	lifecycle      bool
	profiling      bool
	coreDumps      bool
	// terminal is where somebody reads what is written, nil if nobody does.
	terminal io.Writer
	log      promslog.Config

	traceSource, traceConnection string
	check                        accessCheck
	installation                 installation
}

// parse reads the command line. --help and --version print and exit.
func parse(args []string) (flags, string, error) {
	var f flags
	command, err := f.define().Parse(args)
	return f, command, err
}

// define returns a command line whose flags and arguments are stored in f.
func (f *flags) define() *kingpin.Application {
	app := kingpin.New("smithproxy_exporter",
		"Receives webhooks of smithproxy, exposes Prometheus metrics and sends OpenTelemetry traces.")
	app.Version(version.Print("smithproxy_exporter"))
	app.HelpFlag.Short('h')
	app.Flag("config.file", "Path of the configuration file, optional.").IsSetByUser(&f.installation.hasConfigFile).StringVar(&f.configFile)
	app.Flag("config.check", "Check the configuration file and the lists that it names, then exit.").BoolVar(&f.configCheck)
	app.Flag("webhook.listen-address", "Address on which webhooks are received.").
		Default(":5000").StringVar(&f.webhookAddress)
	f.web = toolkitflag.AddFlags(app, ":10932")
	app.Flag("web.telemetry-path", "Path under which to expose metrics.").
		Default("/metrics").StringVar(&f.telemetryPath)
	app.Flag("web.enable-lifecycle", "Reload the configuration on POST /-/reload, as on SIGHUP.").BoolVar(&f.lifecycle)
	app.Flag("web.enable-pprof", "Serve profiles under /debug/pprof/ on the web listener.").BoolVar(&f.profiling)
	app.Flag("process.core-dumps", "Allow core dumps and debuggers, which can read the webhook secrets in memory.").BoolVar(&f.coreDumps)
	app.Flag("storage.path", "Directory for persistent state.").
		Default("data").IsSetByUser(&f.installation.hasStoragePath).StringVar(&f.storagePath)
	app.Flag("otlp.endpoint", "URL to which traces are sent by OTLP: http[s]://host:port. "+
		"Overrides otlp.endpoint in the configuration file, which overrides OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT. "+
		"Without any of them no traces are sent.").StringVar(&f.otlpEndpoint)
	promslogflag.AddFlags(app, &f.log)

	app.Command(commandServe, "Run the exporter (default).").Default()
	traceID := app.Command(commandTraceID, "Print the trace id of a connection.")
	traceID.Arg("source", "Name of the proxy.").Required().StringVar(&f.traceSource)
	traceID.Arg("id", "Id of the connection, or <id>#<n> for the n-th connection with the same id.").Required().StringVar(&f.traceConnection)
	f.check.flags(app.Command(commandAccess, "Print how an access-request would be answered, and why."))
	f.installation.flags(app)
	return app
}

// Command smithproxy_exporter receives webhooks of smithproxy, exposes Prometheus metrics and sends OpenTelemetry traces.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/logging"
	"smithproxy_exporter/exporter/proc"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/traceid"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs a command line, and returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	flags, command, err := parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "smithproxy_exporter: error: %v, try --help\n", err)
		return 2
	}
	if command == commandTraceID {
		fmt.Fprintln(stdout, traceid.Of(flags.traceSource, flags.traceConnection).TraceString())
		return 0
	}
	if installed, ok := flags.installed(command); ok {
		return installed(stdout, stderr)
	}
	flags.log.Writer = logging.Writer(stderr)
	logger := promslog.New(&flags.log)
	cfg, err := config.Load(flags.configFile)
	if err != nil {
		logger.Error("Invalid configuration", "err", err)
		return 1
	}
	if flags.configCheck || command == commandAccess {
		return verify(flags, command, cfg, stdout, stderr)
	}
	if proc.IsTerminal(stderr) {
		flags.terminal = stderr
	}
	proc.TuneGC()
	proc.Harden(flags.coreDumps, logger)
	logger.Info("Starting smithproxy_exporter", "version", version.Info())
	// A file at its size limit is an error of the write, and must not end the process.
	signal.Ignore(syscall.SIGXFSZ)
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	app, err := open(ctx, flags, cfg, logger)
	if err != nil {
		logger.Error("Failed to start", "err", err)
		return 1
	}
	if err := app.serve(ctx); err != nil {
		logger.Error("Stopped", "err", err)
		return 1
	}
	return 0
}

// verify compiles the rules, and then runs access-check or reports that the configuration is valid.
func verify(f flags, command string, cfg config.Config, stdout, stderr io.Writer) int {
	set, err := reload.Compile(cfg, new(access.Loader))
	switch {
	case err != nil:
	case command == commandAccess:
		err = f.check.run(set, stdout)
	default:
		if err = cfg.Webhook.Check(); err != nil {
			err = cfg.Positions.Locate("webhook", err)
			break
		}
		fmt.Fprintln(stdout, "configuration is valid")
	}
	if err != nil {
		fmt.Fprintf(stderr, "smithproxy_exporter: error: %v\n", err)
		return 1
	}
	return 0
}

// stopSignals returns the signals that shut the exporter down. An interrupt that the parent process ignores, as for a
// background job of a script, stays ignored.
func stopSignals() []os.Signal {
	if signal.Ignored(os.Interrupt) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM}
}

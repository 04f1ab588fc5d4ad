// Command smithproxy_exporter receives the webhooks of smithproxies, and makes traces and metrics of
// them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/logging"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/traceid"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in; it returns the exit status.
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
	if isTerminal(stderr) {
		flags.terminal = stderr
	}
	tuneRuntime()
	harden(flags.coreDumps, logger)
	logger.Info("Starting smithproxy_exporter", "version", version.Info())
	// A file that reaches a limit is an error of the write, and no reason to die.
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

// verify does what a reload would, and puts nothing in force.
func verify(f flags, command string, cfg config.Config, stdout, stderr io.Writer) int {
	set, err := reload.Compile(cfg, new(access.Loader))
	switch {
	case err != nil:
	case command == commandAccess:
		err = f.check.run(set, time.Now(), stdout)
	default:
		if err = cfg.Webhook.Check(); err != nil {
			err = cfg.Origin.Webhook(err)
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

// stopSignals end the exporter in order. An interrupt that the parent chose to ignore stays ignored, as
// for a job in the background of a script.
func stopSignals() []os.Signal {
	if signal.Ignored(os.Interrupt) {
		return []os.Signal{syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM}
}

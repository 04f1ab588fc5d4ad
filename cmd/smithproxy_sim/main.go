// Command smithproxy_sim simulates a fleet of smithproxies that send events to a webhook receiver. It reports exactly
// what it sent and what was acknowledged.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"

	"smithproxy_exporter/cmd/internal/fleet"
)

func main() {
	app := kingpin.New("smithproxy_sim", "Simulates a fleet of smithproxies that send events to a webhook receiver.")
	app.HelpFlag.Short('h')
	app.Version(version.Print("smithproxy_sim"))
	logConfig := &promslog.Config{}
	promslogflag.AddFlags(app, logConfig)
	o := addFlags(app)
	kingpin.MustParse(app.Parse(os.Args[1:]))
	logger := promslog.New(logConfig)
	if err := run(o, logger); err != nil {
		logger.Error("Run failed", "err", err)
		os.Exit(1)
	}
}

// run runs the fleet until it is done or interrupted, and writes the reports.
func run(o *options, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal lets open connections finish, a second one ends the process.
	context.AfterFunc(ctx, stop)

	cfg := o.config()
	cfg.Logger = logger
	var err error
	if cfg.URL, err = fleet.WebhookURL(ctx, cfg.URL, o.secretFile, o.wait); err != nil {
		return err
	}
	f, err := fleet.New(cfg)
	if err != nil {
		return err
	}
	if !o.quiet {
		stop := f.ShowStatus(os.Stderr, logger)
		defer stop()
	}
	report := f.Run(ctx)
	if !o.quiet {
		if err := report.WriteSummary(os.Stdout); err != nil {
			return fmt.Errorf("printing the summary: %w", err)
		}
	}
	if o.reportFile != "" {
		if err := report.WriteFile(o.reportFile); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

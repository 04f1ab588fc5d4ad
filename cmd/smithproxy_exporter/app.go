package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	"go.opentelemetry.io/otel"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

// drainTimeout bounds how long a stop waits for requests that are being answered.
const drainTimeout = 5 * time.Second

// clock is what the exporter runs by; tests bring their own.
type clock struct {
	now  func() time.Time
	mono func(time.Time) time.Duration // nil if times of now hold it
	tick time.Duration
}

var realClock = clock{now: time.Now, tick: pipeline.DefaultTick}

// storeFaults is called before each operation of the store on files, if a test sets it.
var storeFaults func(op, path string) error

// app is the exporter, wired. It is what main runs and what tests run.
type app struct {
	flags    flags
	config   config.Config
	logger   *slog.Logger
	own      *collector.Exporter
	pipeline *pipeline.Pipeline
	reloader *reload.Reloader
	spans    *traces.Sink // nil when there is nowhere to send them
	client   traces.Client
	webhook  *webhook.Server
	web      *http.Server

	webhookListener net.Listener
	webListeners    []net.Listener // those that systemd has handed over
	store           atomic.Pointer[store.Store]
	ready           atomic.Bool
}

// open wires the exporter, and begins to listen for webhooks.
func open(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger) (*app, error) {
	return openAt(ctx, f, cfg, logger, realClock)
}

func openAt(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger, c clock) (*app, error) {
	a := &app{flags: f, config: cfg, logger: logger}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("smithproxy_exporter"))
	door := webhook.NewDoor(f.storagePath, logger)
	var handler *webhook.Handler
	a.own = collector.NewExporter(registry, collector.ExporterOptions{
		Refusals: webhook.Refusals, Fallbacks: webhook.Fallbacks, DropReasons: traces.DropReasons,
		ConnectionRefusals: webhook.ConnectionRefusals, HandshakeReasons: webhook.HandshakeReasons,
		Connections: func() int { return a.webhook.Connections.Open() }, BodyBytes: func() int64 { return handler.BodyBytes() },
		Store: collector.StoreState{
			Bytes: func() int64 { return fromStore(a, (*store.Store).Size) },
			Pending: func() (int, int64) {
				s := a.store.Load()
				if s == nil {
					return 0, 0
				}
				return s.Pending()
			},
			Oldest: func() time.Time { return fromStore(a, (*store.Store).OldestSpan) },
		},
	})
	options := cfg.CollectorOptions()
	options.Now = c.now
	families, lists := collector.New(options), collector.NewAccessLists(registry)
	letIn, err := door.Prepare(cfg.Webhook)
	if err != nil {
		return nil, cfg.Origin.Webhook(err)
	}
	letIn()
	a.reloader = reload.New(reload.Options{
		Path: f.configFile, Config: cfg, Now: c.now, Meter: a.own, Door: door, Logger: logger,
		InForce: func(set *access.Set) {
			families.UseAccessRules(accessRules(set))
			lists.Use(accessLists(set))
		},
	})
	recent := web.NewRecent(cfg.API.Finished)
	if err := a.openTraces(ctx); err != nil {
		return nil, err
	}
	pipelined := pipeline.Config{
		Track: cfg.TrackOptions(), Now: c.now, Mono: c.mono, Tick: c.tick,
		Sinks: []track.Sink{families, recent}, Metrics: a.own, Logger: logger,
	}
	if a.spans != nil {
		pipelined.Spans = a.spans
	}
	a.pipeline = pipeline.New(pipelined)

	handler = webhook.NewHandler(webhook.Options{
		Door: door, Decider: a.reloader.Rules(), Intake: a.pipeline, Metrics: a.own, Now: c.now,
		MaxBody: int64(cfg.Webhook.MaxBodySize), Limits: a.limits(cfg.Webhook.Limits), Logger: logger,
	})
	a.webhook = webhook.NewServer(handler)
	page := web.Options{
		MetricsPath: f.telemetryPath, Version: version.Info(), Gatherer: collector.Gatherers{registry, families}, Registerer: registry,
		API: web.NewAPI(a.pipeline, recent), Ready: a.ready.Load, Profiling: f.profiling,
	}
	if f.lifecycle {
		page.Reload = a.reloader.Reload
	}
	if a.web, err = web.NewServer(page, logger); err != nil {
		return nil, err
	}
	if err := a.listen(ctx); err != nil {
		return nil, err
	}
	if secret, created := door.Generated(); created {
		a.announce(secret)
	}
	return a, nil
}

// limits fits the bounds of connections to the files that the process may open.
func (a *app) limits(l webhook.Limits) webhook.Limits {
	fitted := l.Within(maxOpenFiles())
	if fitted != l {
		a.logger.Warn("The limit of open files (ulimit -n) is too low for webhook.limits.connections",
			"connections", l.Connections, "in_force", fitted.Connections)
	}
	return fitted
}

// announce says where the generated secret is. The secret itself goes to a terminal only, where somebody reads it, and
// never to a log.
func (a *app) announce(secret string) {
	a.logger.Info("Generated a webhook secret; append it to this URL in smithproxy's settings.webhook.url",
		"url", a.webhookURL(""), "secret_file", webhook.SecretPath(a.flags.storagePath))
	if a.flags.terminal != nil {
		fmt.Fprintf(a.flags.terminal, "\nURL for smithproxy's settings.webhook.url: %s\n\n", a.webhookURL(secret))
	}
}

// openTraces leaves a.spans nil when nobody said where to send traces.
func (a *app) openTraces(ctx context.Context) error {
	endpoint := a.flags.otlpEndpoint
	if endpoint == "" {
		endpoint = a.config.OTLP.Endpoint
	}
	if !traces.Configured(endpoint) {
		a.logger.Info("No OTLP endpoint is configured, traces are not sent")
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { a.logger.Warn("OpenTelemetry", "err", err) }))
	var err error
	if a.client, err = traces.NewClient(a.config.OTLP.Protocol, endpoint, a.config.OTLP.Headers); err != nil {
		return fmt.Errorf("otlp: %w", err)
	}
	if a.spans, err = traces.NewSink(ctx, a.config.Connections.MaxRequests); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// webhookURL is as a proxy on another host would reach this one, as far as that can be known here.
func (a *app) webhookURL(secret string) string {
	scheme := "http"
	if a.webhook.Secure() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.webhookListener.Addr().String())
	if err != nil {
		host = a.webhookListener.Addr().String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			host = "localhost"
		}
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/webhook/" + secret
}

// fromStore asks the store, once it is open.
func fromStore[T any](a *app, ask func(*store.Store) T) (answer T) {
	if s := a.store.Load(); s != nil {
		answer = ask(s)
	}
	return answer
}

// storeMetrics has the spans that the store drops counted with all others.
type storeMetrics struct{ *collector.Exporter }

func (m storeMetrics) SpansDropped(n int) { m.Exporter.SpansDropped(traces.DroppedFull, n) }

// serve runs until ctx is done, a listener fails, or the exporter cannot start; then it stops in order. The webhook
// is served first: access-requests are answered once the rules are loaded, events once the state is.
func (a *app) serve(ctx context.Context) error {
	// Before anything that takes time: without it SIGHUP ends the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	failed, served := make(chan error, 3), make(chan struct{})
	go func() { failed <- a.webhook.Serve(a.webhookListener); close(served) }()
	go func() { failed <- a.serveWeb() }()
	a.logger.Info("Receiving webhooks", "address", a.webhookListener.Addr(), "tls", a.webhook.Secure())
	loaded := make(chan struct{})
	go func() {
		if err := a.reloader.Load(); err != nil {
			failed <- err
			return
		}
		close(loaded)
		a.reloader.Run(ctx, hangups)
	}()
	s, err := store.Open(a.flags.storagePath, store.Options{
		Sync: a.config.Storage.Sync, MaxSize: int64(a.config.Storage.MaxSize), Logger: a.logger, Metrics: storeMetrics{a.own}, Faults: storeFaults,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("storage.path: %w", err), a.webhook.HTTP.Close(), a.web.Close())
	}
	a.store.Store(s)
	var sender *traces.Sender
	if a.spans != nil {
		sender = traces.NewSender(a.client, s, a.own, a.logger)
		if err := sender.Start(); err != nil {
			return errors.Join(fmt.Errorf("otlp: %w", err), a.webhook.HTTP.Close(), a.web.Close(), s.Close())
		}
	}
	piped := make(chan struct{})
	go func() {
		defer close(piped)
		a.pipeline.Run(s, func() {
			go func() { <-loaded; a.ready.Store(true) }()
		})
	}()
	select {
	case <-ctx.Done():
		a.logger.Info("Stopping")
	case err = <-failed:
	}
	a.ready.Store(false)
	return errors.Join(err, a.shutdown(served, piped, sender))
}

// shutdown stops first what receives, then what is behind it, and last what sends. It fails only if something is
// lost.
func (a *app) shutdown(served, piped <-chan struct{}, sender *traces.Sender) error {
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := a.webhook.HTTP.Shutdown(drain)
	if err == nil {
		// A connection that was accepted at that moment is only known to the server once Serve has returned.
		<-served
		err = a.webhook.HTTP.Shutdown(drain)
	}
	if err != nil {
		// What has not arrived whole by now is not acknowledged, so it is not lost here.
		_ = a.webhook.HTTP.Close()
	}
	a.pipeline.Stop()
	<-piped
	var errs []error
	if sender != nil {
		flush, cancel := context.WithTimeout(context.Background(), time.Duration(a.config.OTLP.FlushTimeout))
		defer cancel()
		errs = append(errs, sender.Close(flush))
	}
	errs = append(errs, a.store.Load().Close())
	if err := a.web.Shutdown(drain); err != nil {
		_ = a.web.Close() // a reader that is slow
	}
	return errors.Join(errs...)
}

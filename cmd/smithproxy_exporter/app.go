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

	"github.com/prometheus/common/version"
	"go.opentelemetry.io/otel"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/geo/mmdb"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/privacy/keyfile"
	"smithproxy_exporter/exporter/proc"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

// drainTimeout bounds how long shutdown waits for current requests.
const drainTimeout = 5 * time.Second

// clock is the clock of the exporter. Tests use their own.
type clock struct {
	now  func() time.Time
	mono func(time.Time) time.Duration // nil if times of now have a monotonic clock reading
	tick time.Duration
}

var realClock = clock{now: time.Now, tick: pipeline.DefaultTick}

// storeFaults is store.Options.Faults, for tests.
var storeFaults func(op, path string) error

// app is the wired exporter, which main and tests run.
type app struct {
	flags    flags
	config   config.Config
	logger   *slog.Logger
	own      *collector.Exporter
	pipeline *pipeline.Pipeline
	reloader *reload.Reloader
	spans    *traces.Sink    // nil without an OTLP endpoint
	places   *mmdb.Databases // nil without any
	client   traces.Client
	webhook  *webhook.Server
	web      *http.Server

	webhookListener net.Listener
	webListeners    []net.Listener // those that systemd has handed over
	store           atomic.Pointer[store.Store]
	ready           atomic.Bool
}

// open wires the exporter, and opens its listeners.
func open(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger) (*app, error) {
	return openAt(ctx, f, cfg, logger, realClock)
}

func openAt(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger, c clock) (*app, error) {
	a := &app{flags: f, config: cfg, logger: logger}
	registry := collector.NewRegistry()
	door := webhook.NewDoor(f.storagePath, logger)
	var handler *webhook.Handler
	a.own = collector.NewExporter(registry, collector.ExporterOptions{
		Refusals: webhook.Refusals, Fallbacks: webhook.Fallbacks, DropReasons: traces.DropReasons, Samplings: traces.Samplings,
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
	families := collector.New(cfg.Metrics, c.now)
	letIn, err := door.Prepare(cfg.Webhook)
	if err != nil {
		return nil, cfg.Positions.Locate("webhook", err)
	}
	letIn()
	a.reloader = reload.New(reload.Options{
		Path: f.configFile, Config: cfg, Now: c.now, Metrics: a.own, Door: door, Logger: logger,
		InForce: func(set *access.Set) {
			families.UseAccessRules(set)
			a.own.UseAccessLists(set)
		},
	})
	if len(cfg.GeoIP.Files) > 0 {
		if a.places, err = mmdb.Open(cfg.GeoIP, logger); err != nil {
			return nil, cfg.Positions.Locate("geoip", err)
		}
		families.UseLocator(a.places)
	}
	recent := web.NewRecent(cfg.API.Finished)
	if err := a.openTraces(ctx); err != nil {
		return nil, err
	}
	policy, err := keyfile.Policy(cfg.Privacy, f.storagePath)
	if errors.Is(err, keyfile.ErrNotKept) {
		logger.Error("Failed to keep the key for client addresses, the next start will generate another", "err", err)
	} else if err != nil {
		return nil, err
	}
	pipelined := pipeline.Options{
		Track: track.Config{Connections: cfg.Connections, Proxies: cfg.Proxies}, Privacy: policy, Now: c.now, Mono: c.mono, Tick: c.tick,
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
		page.Reload, page.Forget = a.reloader.Reload, a.pipeline.Forget
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

// limits fits the bounds of connections to the number of files that the process may open.
func (a *app) limits(l webhook.Limits) webhook.Limits {
	fitted := l.Within(proc.MaxOpenFiles())
	if fitted != l {
		a.logger.Warn("The limit of open files (ulimit -n) is too low for webhook.limits.connections",
			"connections", l.Connections, "in_force", fitted.Connections)
	}
	return fitted
}

// announce tells where the generated secret is. The secret itself is only printed to a terminal, never to a log.
func (a *app) announce(secret string) {
	a.logger.Info("Generated a webhook secret; append it to this URL in smithproxy's settings.webhook.url",
		"url", a.webhookURL(""), "secret_file", webhook.SecretPath(a.flags.storagePath))
	if a.flags.terminal != nil {
		fmt.Fprintf(a.flags.terminal, "\nURL for smithproxy's settings.webhook.url: %s\n\n", a.webhookURL(secret))
	}
}

// openTraces sets a.client and a.spans, unless there is no OTLP endpoint.
func (a *app) openTraces(ctx context.Context) error {
	cfg := a.config.OTLP
	if a.flags.otlpEndpoint != "" {
		cfg.Endpoint = a.flags.otlpEndpoint
	}
	if !cfg.HasEndpoint() {
		a.logger.Info("No OTLP endpoint is configured, traces are not sent")
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { a.logger.Warn("OpenTelemetry", "err", err) }))
	var err error
	if a.client, err = traces.NewClient(cfg); err != nil {
		return fmt.Errorf("otlp: %w", err)
	}
	if a.spans, err = traces.NewSink(ctx, traces.SinkOptions{
		Config: a.config.Traces, Requests: a.config.Connections.MaxRequests, Metrics: a.own,
		Network: collector.NewNetworks(a.config.Metrics.Networks).NameOf, Places: a.locator(),
	}); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// locator returns nil without a GeoIP database.
func (a *app) locator() geo.Locator {
	if a.places == nil {
		return nil
	}
	return a.places
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

// fromStore returns a value of the store, and the zero value until the store is open.
func fromStore[T any](a *app, ask func(*store.Store) T) (answer T) {
	if s := a.store.Load(); s != nil {
		answer = ask(s)
	}
	return answer
}

// storeMetrics counts spans that the store drops together with others.
type storeMetrics struct{ *collector.Exporter }

func (m storeMetrics) SpansDropped(n int) { m.Exporter.SpansDropped(traces.DroppedFull, n) }

// serve runs until ctx is done, a listener fails, or the exporter cannot start; then it shuts down. The webhook is served
// first: access-requests are answered when the rules are loaded, events when the state is.
func (a *app) serve(ctx context.Context) error {
	// First, because without it SIGHUP ends the process.
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
		Config: a.config.Storage, Logger: a.logger, Metrics: storeMetrics{a.own}, Faults: storeFaults,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("storage.path: %w", err), a.webhook.HTTP.Close(), a.web.Close())
	}
	a.store.Store(s)
	if a.places != nil {
		go a.places.Run(ctx)
	}
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

// shutdown stops the webhook first, then the pipeline, and the sender and the store last. It fails only if data is lost.
func (a *app) shutdown(served, piped <-chan struct{}, sender *traces.Sender) error {
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	_ = a.webhookListener.Close()
	// The server knows a connection that was accepted at that moment only after Serve has returned.
	<-served
	err := a.webhook.Shutdown(drain)
	if err != nil {
		// Incomplete requests are not acknowledged, so that the proxies send them again.
		_ = a.webhook.HTTP.Close()
	}
	a.pipeline.Stop()
	<-piped
	var errs []error
	if sender != nil {
		flush, cancel := context.WithTimeout(context.Background(), a.config.OTLP.FlushTimeout)
		defer cancel()
		errs = append(errs, sender.Close(flush))
	}
	errs = append(errs, a.store.Load().Close())
	if err := a.web.Shutdown(drain); err != nil {
		_ = a.web.Close() // a client is slow
	}
	return errors.Join(errs...)
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
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
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

const (
	// tick is how often the time that passes is looked at: the grain of lingers and time-outs.
	tick = 250 * time.Millisecond
	// drainTimeout bounds how long it waits for requests that are being answered.
	drainTimeout = 5 * time.Second
)

// clock is what the exporter runs by; tests bring their own.
type clock struct {
	now  func() time.Time
	tick time.Duration
}

// app is the exporter, wired. It is what main runs and what tests run.
type app struct {
	logger   *slog.Logger
	storage  *storage
	pipeline *pipeline.Pipeline
	reloader *reload.Reloader
	traces   *traces.Sink // nil when there is nowhere to send them
	outbox   *traces.Outbox
	// flush bounds how long the end of the process waits for the tracing backend.
	flush   time.Duration
	webhook *http.Server
	web     *http.Server
	flags   flags

	webhookListener net.Listener
	// webListeners are those that systemd has handed over.
	webListeners []net.Listener
	// webhookTLS is nil for plain HTTP.
	webhookTLS *tls.Config
	ready      atomic.Bool
}

// open wires the exporter, and begins to listen for webhooks.
func open(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger) (*app, error) {
	return openAt(ctx, f, cfg, logger, clock{wallClock, tick})
}

// wallClock leaves the monotonic reading out: times end up in spans as what the wall clock said, and
// must compare as that, also when the clock was set in between.
func wallClock() time.Time { return time.Now().Round(0) }

func openAt(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger, c clock) (_ *app, err error) {
	a := &app{logger: logger, flags: f, flush: time.Duration(cfg.OTLP.FlushTimeout)}
	if a.storage, err = openStorage(f.storagePath, cfg.Storage, logger); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.storage.close())
		}
	}()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("smithproxy_exporter"))
	meter := collector.NewExporter(registry, webhook.Refusals, traces.DropReasons)
	a.storage.meter = collector.NewStorage(registry, a.storage.state(a.pending))
	lists := collector.NewAccessLists(registry)
	var families *collector.Sink
	a.reloader, err = reload.New(reload.Options{
		Path: f.configFile, Config: cfg, Now: c.now, Meter: meter, Logger: logger,
		InForce: func(set *access.Set) {
			families.UseAccessRules(accessRules(set))
			lists.Use(accessLists(set))
		},
	})
	if err != nil {
		return nil, err
	}
	set := a.reloader.Rules().Set()
	lists.Use(accessLists(set))
	recent := web.NewRecent(cfg.API.Finished)
	options := cfg.CollectorOptions()
	options.AccessRules, options.Now = accessRules(set), c.now
	families = collector.New(options)
	if err := a.openTraces(ctx, cfg, meter); err != nil {
		return nil, err
	}
	a.pipeline = pipeline.New(pipeline.Config{
		Track: cfg.TrackOptions(), Now: c.now, Tick: c.tick,
		Journal: events{a.storage}, RewriteBytes: a.storage.rewriteBytes(), Keeper: a.keeper(),
		Sinks: []track.Sink{families, recent, &crowd{logger: logger}},
		Meter: a.storage.meter, Logger: logger,
	})

	secrets, announce, err := a.secrets(cfg.Webhook)
	if err != nil {
		return nil, err
	}
	receiver := &webhook.Handler{
		Secrets: secrets, Decider: a.reloader.Rules(), Intake: a.pipeline, Now: c.now,
		Refused: meter.Refused, Fallback: collector.NewAccessDefaults(registry, webhook.Fallbacks).Inc,
		MaxBody: int64(cfg.Webhook.MaxBodySize), Logger: logger,
	}
	a.webhook = webhook.NewServer(receiver, logger)
	page := web.Options{
		MetricsPath: f.telemetryPath, Version: version.Info(), Gatherer: collector.Gatherers{registry, families}, Registerer: registry,
		API: &web.API{State: a.pipeline, Recent: recent}, Ready: a.ready.Load,
	}
	if f.lifecycle {
		page.Reload = a.reloader.Reload
	}
	handler, err := web.NewHandler(page)
	if err != nil {
		return nil, err
	}
	a.web = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if err := a.listen(ctx, cfg.Webhook.TLS); err != nil {
		return nil, err
	}
	announce()
	meter.Loaded(c.now())
	return a, nil
}

func (a *app) pending() int { return a.outbox.Pending() }

// keeper is nil, and not a nil *traces.Sink, when there is nowhere to send traces.
func (a *app) keeper() pipeline.Keeper {
	if a.traces == nil {
		return nil
	}
	return a.traces
}

// openTraces leaves a.traces nil when nobody said where to send traces.
func (a *app) openTraces(ctx context.Context, cfg config.Config, meter traces.Meter) error {
	endpoint := a.flags.otlpEndpoint
	if endpoint == "" {
		endpoint = cfg.OTLP.Endpoint
	}
	if !traces.Configured(endpoint) {
		a.logger.Info("No OTLP endpoint is configured: traces are not sent. See /api/v1/connections")
		return nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { a.logger.Warn("OpenTelemetry", "err", err) }))
	client := traces.NewClient(endpoint, cfg.OTLP.Headers, meter, a.logger)
	var full sync.Once
	a.storage.openQueue(func(spans int) {
		meter.SpansDropped(traces.DroppedFull, spans)
		full.Do(func() {
			a.logger.Error("The storage is full: the oldest spans go", "storage.max_size", cfg.Storage.MaxSize)
		})
	})
	a.outbox = traces.NewOutbox(client, spans{a.storage}, meter, a.logger)
	// The client must outlive ctx: at the end it sends what is left.
	sink, err := traces.NewSink(context.WithoutCancel(ctx), a.outbox, cfg.Connections.MaxRequests, a.logger)
	if err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	a.traces = sink
	return nil
}

// secrets returns the webhook's secrets, and what is to be logged of them once it is served.
func (a *app) secrets(cfg config.Webhook) (webhook.Secrets, func(), error) {
	if len(cfg.Secrets) == 0 {
		kept, created, err := webhook.KeptSecret(a.flags.storagePath)
		if errors.Is(err, webhook.ErrNotKept) {
			a.logger.Error("The webhook secret will be another one after the next start: name one in the configuration", "err", err)
		} else if err != nil {
			return nil, nil, err
		}
		return webhook.NewSecrets(kept), func() {
			if created {
				a.logger.Info("Generated a webhook secret; paste this URL into smithproxy's settings.webhook.url",
					"url", a.webhookURL(cfg.TLS != nil, kept))
			}
		}, nil
	}
	var plain []string
	for i, s := range cfg.Secrets {
		if s.SecretFile == "" {
			plain = append(plain, s.Secret)
			continue
		}
		read, err := webhook.ReadSecret(s.SecretFile)
		if err == nil {
			err = config.CheckSecret(read)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("webhook.secrets[%d]: %w", i, err)
		}
		plain = append(plain, read)
	}
	return webhook.NewSecrets(plain...), func() {}, nil
}

// webhookURL is as a proxy on another host would reach this one, as far as that can be known here.
func (a *app) webhookURL(secure bool, secret string) string {
	scheme := "http"
	if secure {
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

// serve runs until ctx is done or a listener fails, and then stops in order: first what receives,
// then what is behind it, and last what sends.
func (a *app) serve(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	failed := make(chan error, 2)
	go func() { failed <- a.serveWebhook() }()
	go func() { failed <- a.serveWeb() }()
	done := make(chan struct{})
	go func() { defer close(done); a.pipeline.Run(func() { a.ready.Store(true) }) }()
	// Nobody waits for it in the end: it may be reading a file that does not answer.
	go a.reloader.Run(ctx, hangups)
	a.logger.Info("Receiving webhooks", "address", a.webhookListener.Addr(), "tls", a.webhookTLS != nil)

	var cause error
	select {
	case <-ctx.Done():
		a.logger.Info("Stopping")
	case cause = <-failed:
	}
	a.ready.Store(false)
	return errors.Join(cause, a.shutdown(done))
}

func (a *app) shutdown(piped <-chan struct{}) error {
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	var errs []error
	if err := a.webhook.Shutdown(drain); err != nil {
		errs = append(errs, fmt.Errorf("webhook listener: %w", err), a.webhook.Close())
	}
	a.pipeline.Stop()
	<-piped
	if a.traces != nil {
		flush, cancel := context.WithTimeout(context.Background(), a.flush)
		defer cancel()
		if err := a.traces.Close(flush); err != nil {
			errs = append(errs, fmt.Errorf("send the last spans: %w", err))
		}
	}
	errs = append(errs, a.storage.close())
	if err := a.web.Shutdown(drain); err != nil {
		errs = append(errs, fmt.Errorf("web listener: %w", err))
	}
	return errors.Join(errs...)
}

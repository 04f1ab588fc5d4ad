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
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.opentelemetry.io/otel"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/verdict"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

const (
	// tick is how often the time that passes is looked at: the grain of lingers and time-outs.
	tick = 250 * time.Millisecond
	// flushTimeout bounds how long the end of the process waits for the tracing backend.
	flushTimeout = 5 * time.Second
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
	pipeline *pipeline.Pipeline
	reloader *reloader
	traces   *traces.Sink // nil when there is nowhere to send them
	webhook  *http.Server
	web      *http.Server
	flags    flags

	webhookListener net.Listener
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

func openAt(ctx context.Context, f flags, cfg config.Config, logger *slog.Logger, c clock) (*app, error) {
	a := &app{logger: logger, flags: f}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("smithproxy_exporter"))
	meter := collector.NewExporter(registry, webhook.Refusals, traces.DropReasons)
	reloader, set, err := newReloader(f.configFile, cfg, logger, c.now)
	if err != nil {
		return nil, err
	}
	recent := web.NewRecent(cfg.API.Finished)
	limits := collector.NewLimits(registry, cfg.Metrics.MaxValues)
	metrics, lists := collector.New(registry, limits, accessRules(set)), collector.NewAccessLists(registry)
	reloader.meter, reloader.inForce = meter, func(set *verdict.Set) {
		metrics.UseAccessRules(accessRules(set))
		lists.Use(accessLists(set))
	}
	lists.Use(accessLists(set))
	a.reloader = reloader
	sinks := []track.Sink{metrics, recent}
	if err := a.openTraces(ctx, cfg, meter); err != nil {
		return nil, err
	}
	if a.traces != nil {
		sinks = append(sinks, a.traces)
	}
	a.pipeline = pipeline.New(cfg.TrackOptions(), c.now, c.tick, sinks...)

	secrets, announce, err := a.secrets(cfg.Webhook)
	if err != nil {
		return nil, err
	}
	receiver := &webhook.Handler{
		Secrets: secrets, Decider: reloader.rules, Intake: a.pipeline, Refused: meter.Refused, Now: c.now,
		MaxBody: int64(cfg.Webhook.MaxBodySize), Logger: logger,
	}
	a.webhook = webhook.NewServer(receiver, logger)
	options := web.Options{
		MetricsPath: f.telemetryPath, Version: version.Info(), Gatherer: registry, Registerer: registry,
		API: &web.API{State: a.pipeline, Recent: recent}, Ready: a.ready.Load,
	}
	if f.lifecycle {
		options.Reload = reloader.Reload
	}
	handler, err := web.NewHandler(options)
	if err != nil {
		return nil, err
	}
	a.web = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if err := a.listen(cfg.Webhook.TLS); err != nil {
		return nil, err
	}
	announce()
	meter.Loaded(c.now())
	return a, nil
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
	// The client must outlive ctx: at the end it sends what is left.
	sink, err := traces.NewSink(context.WithoutCancel(ctx), traces.NewOutbox(client, meter, a.logger), cfg.Connections.MaxRequests)
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
		if err != nil {
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

func (a *app) listen(cfg *config.TLS) error {
	var secure *tls.Config
	if cfg != nil {
		certificate, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("webhook.tls: %w", err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	}
	listener, err := net.Listen("tcp", a.flags.webhookAddress)
	if err != nil {
		return fmt.Errorf("webhook listener: %w", err)
	}
	a.webhookListener, a.webhookTLS = listener, secure
	return nil
}

// serve runs until ctx is done or a listener fails, and then stops in order: first what receives,
// then what is behind it, and last what sends.
func (a *app) serve(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- a.serveWebhook() }()
	go func() {
		if err := toolkit.ListenAndServe(a.web, a.flags.web, a.logger); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("web listener: %w", err)
		}
	}()
	done := make(chan struct{})
	go func() { defer close(done); a.pipeline.Run() }()
	// Nobody waits for it in the end: it may be reading a file that does not answer.
	go a.reloader.run(ctx)
	a.ready.Store(true)
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

func (a *app) serveWebhook() error {
	var err error
	if a.webhookTLS != nil {
		a.webhook.TLSConfig = a.webhookTLS
		err = a.webhook.ServeTLS(a.webhookListener, "", "")
	} else {
		err = a.webhook.Serve(a.webhookListener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("webhook listener: %w", err)
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
		flush, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := a.traces.Close(flush); err != nil {
			errs = append(errs, fmt.Errorf("send the last spans: %w", err))
		}
	}
	if err := a.web.Shutdown(drain); err != nil {
		errs = append(errs, fmt.Errorf("web listener: %w", err))
	}
	return errors.Join(errs...)
}

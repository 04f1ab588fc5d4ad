package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/systemd"
	"smithproxy_exporter/exporter/webhook"
)

// listen opens the webhook's socket, unless systemd hands one over.
func (a *app) listen(ctx context.Context, cfg *config.TLS) error {
	if cfg != nil {
		certificate, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("webhook.tls: %w", err)
		}
		a.webhookTLS = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	}
	var err error
	if a.webhookListener, a.webListeners, err = systemd.Listeners(*a.flags.web.WebSystemdSocket); err != nil {
		return err
	}
	if a.webhookListener == nil {
		a.webhookListener, err = webhook.Listen(ctx, a.flags.webhookAddress)
	}
	return err
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

func (a *app) serveWeb() error {
	var err error
	if *a.flags.web.WebSystemdSocket {
		if len(a.webListeners) == 0 {
			return errors.New("web listener: systemd has handed no socket over")
		}
		err = toolkit.ServeMultiple(a.webListeners, a.web, a.flags.web, a.logger)
	} else {
		err = toolkit.ListenAndServe(a.web, a.flags.web, a.logger)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("web listener: %w", err)
}

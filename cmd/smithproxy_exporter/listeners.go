package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	toolkit "github.com/prometheus/exporter-toolkit/web"

	"smithproxy_exporter/exporter/systemd"
	"smithproxy_exporter/exporter/webhook"
)

// listen opens the webhook's socket, unless systemd hands one over.
func (a *app) listen(ctx context.Context) error {
	var err error
	if a.webhookListener, a.webListeners, err = systemd.Listeners(*a.flags.web.WebSystemdSocket); err != nil {
		return err
	}
	if a.webhookListener == nil {
		a.webhookListener, err = webhook.Listen(ctx, a.flags.webhookAddress)
	}
	return err
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

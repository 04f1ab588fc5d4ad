package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/coreos/go-systemd/v22/activation"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"smithproxy_exporter/exporter/webhook"
)

// webhookSocket is the name (FileDescriptorName= of a systemd socket) of the one that webhooks come by.
const webhookSocket = "webhook"

// listen opens the webhook's socket, unless it was handed over by systemd's protocol (sd_listen_fds(3)):
// then the proxies connect to it also while no exporter runs, and the next one answers them. With
// --web.systemd-socket the sockets of other names are the web listener's; else all are the webhook's.
func (a *app) listen(ctx context.Context) error {
	handed, err := activation.ListenersWithNames()
	if err != nil {
		return fmt.Errorf("sockets of systemd: %w", err)
	}
	var webhooks []net.Listener
	for name, listeners := range handed {
		if name == webhookSocket || !*a.flags.web.WebSystemdSocket {
			webhooks = append(webhooks, listeners...)
		} else {
			a.webListeners = append(a.webListeners, listeners...)
		}
	}
	switch len(webhooks) {
	case 0:
		if a.webhookListener, err = webhook.Listen(ctx, a.flags.webhookAddress); err != nil {
			return err
		}
	case 1:
		a.webhookListener = webhooks[0]
	default:
		return fmt.Errorf("webhook listener: %d sockets of systemd, want one", len(webhooks))
	}
	return nil
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

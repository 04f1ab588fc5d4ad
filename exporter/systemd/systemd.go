// Package systemd takes over the listening sockets that systemd opened (sd_listen_fds(3)). Proxies connect to such a
// socket also while no exporter runs, and the next one answers them.
package systemd

import (
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
)

// webhookSocket is the name of the webhook's socket: FileDescriptorName= of its unit.
const webhookSocket = "webhook"

// Listeners returns the webhook's listener, nil if systemd handed none over, and those of the web listener: if
// webSockets is set, these are the sockets of any other name; else all sockets are the webhook's. It fails if the
// webhook would have more than one.
func Listeners(webSockets bool) (webhook net.Listener, web []net.Listener, err error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, nil, fmt.Errorf("sockets of systemd: %w", err)
	}
	var webhooks []net.Listener
	for name, listeners := range named {
		if name == webhookSocket || !webSockets {
			webhooks = append(webhooks, listeners...)
		} else {
			web = append(web, listeners...)
		}
	}
	switch len(webhooks) {
	case 0:
		return nil, web, nil
	case 1:
		return webhooks[0], web, nil
	}
	return nil, nil, fmt.Errorf("webhook listener: %d sockets of systemd, want one", len(webhooks))
}

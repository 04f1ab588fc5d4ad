package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"smithproxy_exporter/exporter/probe"
)

// web asks the web listener for its health and its metrics.
func (e *examination) web(ctx context.Context) {
	const check = "web listener"
	health, err := probe.Get(ctx, e.Web+"/-/healthy")
	switch {
	case errors.Is(err, probe.ErrNoListener):
		e.find(Wrong, check, "nobody listens on %s. Is the exporter running (systemctl status smithproxy_exporter)? If it has another "+
			"address: --web.url", e.Web)
		return
	case err != nil:
		e.find(Wrong, check, "%s does not answer: %v", e.Web, err)
		return
	case health.Status == http.StatusUnauthorized:
		e.find(Warning, check, "%s asks for a password. The metrics are not checked; with --web.url=http://USER:PASSWORD@HOST they are", e.Web)
		return
	case health.Status != http.StatusOK:
		e.find(Wrong, check, "%s answers with status %d, so it is not an exporter, or not a healthy one", e.Web, health.Status)
		return
	}
	e.date, e.asked = health.Date, e.Now()
	ready, err := probe.Get(ctx, e.Web+"/-/ready")
	switch {
	case err != nil:
		e.find(Wrong, check, "%s/-/ready does not answer: %v", e.Web, err)
	case ready.Status != http.StatusOK:
		e.find(Warning, check, "the exporter is not ready: it loads its rules and state, or it is stopping. Access-requests are answered "+
			"once the rules are loaded, events wait. The log says more (journalctl -u smithproxy_exporter)")
	default:
		e.find(OK, check, "%s is ready", e.Web)
	}
	e.readMetrics(ctx)
}

func (e *examination) readMetrics(ctx context.Context) {
	const check = "metrics"
	response, err := probe.Get(ctx, e.Web+e.MetricsPath)
	if err == nil && response.Status == http.StatusOK {
		e.metrics, err = parseMetrics(response.Body)
	}
	switch {
	case err != nil:
		e.find(Wrong, check, "%s%s: %v", e.Web, e.MetricsPath, err)
		return
	case response.Status != http.StatusOK:
		e.find(Wrong, check, "%s%s answers with status %d. Is --web.telemetry-path the same for the doctor?", e.Web, e.MetricsPath, response.Status)
		return
	}
	if running := e.metrics.label("smithproxy_exporter_build_info", "version"); running != e.Version {
		e.find(Warning, "version", "version %q is running, and %q is installed: restart it (systemctl restart smithproxy_exporter)", running, e.Version)
	} else {
		e.find(OK, "version", "%s is running", running)
	}
	if reloaded, ok := e.metrics.value("smithproxy_exporter_config_last_reload_successful"); ok && reloaded == 0 {
		e.find(Wrong, "configuration", "the exporter could not load it, and uses the one before. The log says why")
	}
}

// soon is when a certificate is about to expire.
const soon = 14 * 24 * time.Hour

// webhook asks the webhook listener whether it accepts the secrets of the configuration.
func (e *examination) webhook(ctx context.Context) {
	const check = "webhook"
	if e.ClientCertificates {
		e.find(Warning, check, "is not checked, because it asks for client certificates (webhook.tls.client_ca_file)")
		return
	}
	var certificate *x509.Certificate
	for _, secret := range e.Secrets {
		if secret.Err != nil {
			e.find(Wrong, check, "%s cannot be read: %v. Run the doctor as root or as the user of the exporter", secret.Setting, secret.Err)
			continue
		}
		seen, err := probe.Webhook(ctx, e.Webhook+"/webhook/"+secret.Value)
		if seen != nil {
			certificate = seen
		}
		switch {
		case err == nil:
			e.find(OK, check, "%s accepts the secret of %s", e.Webhook, secret.Setting)
		case errors.Is(err, probe.ErrNoListener):
			e.find(Wrong, check, "nobody listens on %s. Proxies block connections that need an access decision. If it has another "+
				"address: --webhook.listen-address", e.Webhook)
			return
		case errors.Is(err, probe.ErrSecret):
			e.find(Wrong, check, "%s does not accept the secret of %s. The exporter runs with another configuration: restart it", e.Webhook, secret.Setting)
		case errors.Is(err, probe.ErrAddress):
			e.find(Warning, check, "is not checked, because webhook.allow does not contain this host")
			return
		default:
			e.find(Wrong, check, "%s: %v. Does it speak HTTPS (webhook.tls) as configured?", e.Webhook, err)
			return
		}
	}
	if certificate != nil {
		e.expiry(certificate.NotAfter)
	}
}

func (e *examination) expiry(end time.Time) {
	const check = "certificate"
	day := end.UTC().Format(time.DateOnly)
	switch left := end.Sub(e.Now()); {
	case left <= 0:
		e.find(Wrong, check, "that of the webhook has expired on %s: proxies lose their events, and say nothing", day)
	case left < soon:
		e.find(Warning, check, "that of the webhook expires on %s", day)
	default:
		e.find(OK, check, "that of the webhook is valid until %s", day)
	}
}

package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/common/version"
	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/activity"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web/api"
	"smithproxy_exporter/exporter/webhook"
)

// openAPI sets a.activity and a.api.
func (a *app) openAPI(c clock, door *webhook.Door, policy *privacy.Policy) {
	a.activity = activity.New(c.now)
	a.api = api.New(api.Options{
		State: pipelineOf{a}, History: storedHistory{a}, Reader: history.NewReader(policy), Activity: a.activity, Rules: a.reloader.Rules(),
		System: a.system(door), TraceURL: a.config.Page.TraceURL, Now: c.now,
	})
}

// pipelineOf is the pipeline, which is made after the API.
type pipelineOf struct{ *app }

// Query implements api.Querier.
func (p pipelineOf) Query(ctx context.Context, look func(*track.Tracker)) error {
	return p.pipeline.Query(ctx, look)
}

// storedHistory is the history in the store, which is opened after the API.
type storedHistory struct{ *app }

// History implements api.History.
func (h storedHistory) History(before uint64, visit func(number uint64, stored time.Time, entry []byte) (more bool)) error {
	s := h.store.Load()
	if s == nil {
		return nil
	}
	return s.History(before, func(e store.HistoryEntry) bool { return visit(e.Number, e.Stored, e.Data) })
}

// HistoryOf implements api.History.
func (h storedHistory) HistoryOf(source, name string, visit func(entry []byte)) error {
	s := h.store.Load()
	if s == nil {
		return nil
	}
	return s.HistoryOf(source, name, func(e store.HistoryEntry) { visit(e.Data) })
}

// webhookMetrics shows refusals on the page, too.
type webhookMetrics struct {
	*collector.Exporter
	activity *activity.Activity
}

// Refused counts a webhook request that was not accepted.
func (m webhookMetrics) Refused(reason string) {
	m.Exporter.Refused(reason)
	m.activity.Refused(reason)
}

func (a *app) webhookMetrics() webhook.Metrics {
	if a.activity == nil {
		return a.own
	}
	return webhookMetrics{a.own, a.activity}
}

// system connects the API with the parts of the exporter that it shows.
func (a *app) system(door *webhook.Door) api.System {
	return api.System{
		Ready: a.ready.Load,
		Version: func() api.Version {
			return api.Version{Version: version.Version, Revision: version.GetRevision(), Go: runtime.Version()}
		},
		Config: func() (text, file string) {
			text, err := a.reloader.Status().Config.Masked()
			if err != nil {
				text = "# " + err.Error()
			}
			return text, a.flags.configFile
		},
		Reload: func() api.Reload {
			s := a.reloader.Status()
			r := api.Reload{Enabled: a.flags.lifecycle, Last: s.Loaded.UTC(), Failed: s.Err != nil}
			if s.Err != nil {
				r.Error = s.Err.Error()
			}
			return r
		},
		Storage: func() api.Storage {
			s := api.Storage{Path: a.flags.storagePath, MaxBytes: int64(a.config.Storage.MaxSize)}
			if opened := a.store.Load(); opened != nil {
				s.Bytes, s.Behind = opened.Size(), !opened.Writable()
			}
			return s
		},
		History: func() api.HistoryStatus {
			h := api.HistoryStatus{Enabled: a.config.History.Enabled(), MaxAge: a.config.History.MaxAge.Seconds()}
			if s := a.store.Load(); s != nil {
				t := s.HistoryTotals()
				h.Connections, h.Bytes, h.MaxBytes, h.Oldest = t.Entries, t.Bytes, t.MaxBytes, t.Oldest.UTC()
			}
			return h
		},
		Queue: func() api.Queue {
			q := api.Queue{Enabled: a.spans != nil}
			if s := a.store.Load(); s != nil {
				q.Spans, q.Bytes = s.Pending()
				q.Oldest = s.OldestSpan().UTC()
			}
			return q
		},
		Listeners:     a.listeners,
		Handshakes:    a.handshakes,
		WebhookURL:    func() string { return a.webhookURL("") },
		Secret:        func() (string, error) { return a.reloader.Status().Config.Webhook.AnySecret(door) },
		Authenticated: func() bool { return readWebSecurity(*a.flags.web.WebConfigFile).authenticates() },
	}
}

func (a *app) listeners() []api.Listener {
	open := a.webhook.Connections.Open()
	all := []api.Listener{{Name: "webhook", Address: a.webhookListener.Addr().String(), TLS: a.webhook.Secure(), Connections: &open}}
	secure := readWebSecurity(*a.flags.web.WebConfigFile).TLS.CertFile != ""
	if *a.flags.web.WebSystemdSocket {
		for _, l := range a.webListeners {
			all = append(all, api.Listener{Name: "web", Address: l.Addr().String(), TLS: secure})
		}
		return all
	}
	for _, address := range *a.flags.web.WebListenAddresses {
		all = append(all, api.Listener{Name: "web", Address: address, TLS: secure})
	}
	return all
}

func (a *app) handshakes() []api.Handshake {
	var all []api.Handshake
	for _, h := range a.webhook.Handshakes.Failed() {
		all = append(all, api.Handshake{Client: h.Client.String(), Reason: h.Reason, Hint: h.Hint(), At: h.At, Failed: h.Failed})
	}
	return all
}

// webSecurity is the part of --web.config.file that says who may use the web listener.
type webSecurity struct {
	Users map[string]string `yaml:"basic_auth_users"`
	TLS   struct {
		CertFile   string `yaml:"cert_file"`
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
}

// readWebSecurity returns the zero value if there is no file, or it cannot be read.
func readWebSecurity(path string) (s webSecurity) {
	if path == "" {
		return s
	}
	raw, err := os.ReadFile(path)
	if err != nil || yaml.Unmarshal(raw, &s) != nil {
		return webSecurity{}
	}
	return s
}

// authenticates reports whether every request has been authenticated.
func (s webSecurity) authenticates() bool {
	return len(s.Users) > 0 || s.TLS.ClientAuth == "RequireAndVerifyClientCert"
}

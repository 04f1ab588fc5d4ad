package page

import (
	"net/http"
	"strings"

	"smithproxy_exporter/exporter/web/api"
)

// setupView is what a new proxy needs to know.
type setupView struct {
	api.Setup
	// Secret is the secret in the URL, "" while it is not shown.
	Secret string
	// Secure tells that the webhook is served over HTTPS.
	Secure bool
	// MayShow tells that the viewer may see the secret.
	MayShow bool
	// Up are the proxies that ping.
	Up []string
	// Waiting are proxies of which events have arrived, but no ping.
	Waiting   []string
	Attention []attention
}

// setup serves /setup.
func (p *Pages) setup(w http.ResponseWriter, r *http.Request) {
	p.showSetup(w, r, "")
}

// secret serves /setup with the secret. It is a POST, so that no other site and no history of a browser has it.
func (p *Pages) secret(w http.ResponseWriter, r *http.Request) {
	s, err := p.Data.Secret(r)
	if err != nil {
		p.fail(w, "setup", err)
		return
	}
	p.showSetup(w, r, s.Secret)
}

func (p *Pages) showSetup(w http.ResponseWriter, r *http.Request, secret string) {
	s, err := p.Data.Setup(r.Context())
	if err != nil {
		p.fail(w, "setup", err)
		return
	}
	v := setupView{Setup: s, Secret: secret, Secure: strings.HasPrefix(s.URL, "https:"), MayShow: p.Data.MaySeeSecret(r)}
	// The configuration is right also while the state is being loaded.
	if o, err := p.Data.Overview(r.Context()); err == nil {
		for _, proxy := range o.Proxies {
			if proxy.State == api.ProxyUp {
				v.Up = append(v.Up, proxy.Source)
			} else if proxy.LastPing.IsZero() {
				v.Waiting = append(v.Waiting, proxy.Source)
			}
		}
		for _, a := range o.Attention {
			if a.Source == "" {
				v.Attention = append(v.Attention, newAttention(p.Now(), a))
			}
		}
	}
	p.render(w, http.StatusOK, "setup", view{Title: "Connect a proxy", Nav: "setup", Refresh: 2, RefreshPath: "/setup", Page: v})
}

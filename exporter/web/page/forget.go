package page

import (
	"net/http"
	"net/url"
)

// forgetView asks whether a proxy should be removed.
type forgetView struct{ Source, Path string }

func forgetPath(source string) string { return "/proxies/" + url.PathEscape(source) + "/forget" }

// askForget serves the question, forget is its answer.
func (p *Pages) askForget(w http.ResponseWriter, r *http.Request) {
	source := r.PathValue("source")
	p.render(w, http.StatusOK, "forget", view{Title: "Forget " + source, Nav: "overview", Page: forgetView{source, forgetPath(source)}})
}

// forget removes a proxy and returns to the overview.
func (p *Pages) forget(w http.ResponseWriter, r *http.Request) {
	if err := p.Forget(r.Context(), r.PathValue("source")); err != nil {
		// The proxy is unknown, or has sent an event meanwhile.
		p.render(w, http.StatusConflict, "problem", view{Title: "Not forgotten", Nav: "overview", Page: problem{
			Heading: "The proxy was not forgotten", Text: err.Error(),
		}})
		return
	}
	http.Redirect(w, r, "/overview", http.StatusSeeOther)
}

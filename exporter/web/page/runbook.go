package page

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"smithproxy_exporter/exporter/web/api"
)

// runbookView is a runbook: a section of docs/alerts.md.
type runbookView struct {
	Name  string
	Parts []runbookPart
}

// runbookPart is a paragraph, or the lines of a block of code.
type runbookPart struct {
	Code string
	Text []span
}

// span is a piece of text.
type span struct {
	Text string
	// Kind is "", code, strong, or link.
	Kind string
	// Path is where a link leads.
	Path string
}

func runbookPath(name string) string { return "/runbooks/" + url.PathEscape(name) }

// runbook serves /runbooks/{name}.
func (p *Pages) runbook(w http.ResponseWriter, r *http.Request) {
	text, ok := api.Runbook(r.PathValue("name"))
	if !ok {
		p.render(w, http.StatusNotFound, "problem", view{Title: "Not found", Nav: "overview", Page: problem{
			Heading: "Not found", Text: "There is no runbook of this name.",
		}})
		return
	}
	name, body, _ := strings.Cut(strings.TrimPrefix(text, "## "), "\n")
	p.render(w, http.StatusOK, "runbook", view{Title: name, Nav: "overview", Page: runbookView{name, runbookParts(body)}})
}

// runbookParts understands as much of Markdown as the runbooks use: paragraphs, blocks of code, **strong**, `code` and links.
func runbookParts(text string) []runbookPart {
	var parts []runbookPart
	for part := range strings.SplitSeq(text, "\n\n") {
		trimmed := strings.Trim(part, "\n")
		switch {
		case strings.TrimSpace(part) == "":
		case strings.HasPrefix(trimmed, "    "):
			parts = append(parts, runbookPart{Code: strings.TrimPrefix(strings.ReplaceAll(trimmed, "\n    ", "\n"), "    ")})
		case strings.HasPrefix(trimmed, "```"):
			_, code, _ := strings.Cut(strings.TrimSuffix(trimmed, "```"), "\n")
			parts = append(parts, runbookPart{Code: code})
		default:
			parts = append(parts, runbookPart{Text: spans(trimmed)})
		}
	}
	return parts
}

var inline = regexp.MustCompile("`([^`]+)`" + `|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)]+)\)`)

func spans(text string) []span {
	var all []span
	at := 0
	for _, m := range inline.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, span{Text: text[at:m[0]]})
		at = m[1]
		switch group := func(i int) string { return text[m[2*i]:m[2*i+1]] }; {
		case m[2] >= 0:
			all = append(all, span{Text: group(1), Kind: "code"})
		case m[4] >= 0:
			all = append(all, span{Text: group(2), Kind: "strong"})
		default:
			all = append(all, linkOf(group(3), group(4)))
		}
	}
	return append(all, span{Text: text[at:]})
}

// linkOf is a link of a runbook. Those to other runbooks lead to their pages; other documents are not served.
func linkOf(text, target string) span {
	if strings.HasPrefix(target, "#") {
		if _, ok := api.Runbook(text); ok {
			return span{Text: text, Kind: "link", Path: runbookPath(text)}
		}
	}
	if strings.HasPrefix(target, "https://") {
		return span{Text: text, Kind: "link", Path: target}
	}
	return span{Text: text}
}

package page

import (
	"fmt"
	"html/template"
	"path"
)

// pageNames are the pages, each of which has a template file of its name that defines "content".
var pageNames = []string{"overview", "connections", "connection", "access", "top", "status", "setup", "forget", "runbook", "problem"}

// functions are the functions of the templates.
var functions = template.FuncMap{
	"asset":   func(name string) string { return assetsPath + name },
	"visible": visible,
	"short":   short,
	"medium":  func(s string) string { return shortened(visible(s), longText) },
	"lines":   lines,
	"nav":     func() []navEntry { return navigation },
	"count":   func(n int) string { return count(int64(n)) },
}

type navEntry struct{ Name, Text, Path string }

var navigation = []navEntry{
	{"overview", "Overview", "/overview"},
	{"connections", "Connections", "/connections"},
	{"top", "Top", "/top"},
	{"access", "Access", "/access"},
	{"status", "Status", "/status"},
	{"setup", "Connect a proxy", "/setup"},
}

// parseTemplates panics if a template is invalid, because they are embedded.
func parseTemplates() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	parsed := map[string]*template.Template{}
	for _, name := range pageNames {
		page, err := template.Must(shared.Clone()).ParseFS(templateFiles, path.Join("templates", name+".html"))
		if err != nil {
			panic(fmt.Sprintf("template of page %s: %v", name, err))
		}
		parsed[name] = page
	}
	return parsed
}

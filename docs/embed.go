// Package docs embeds the documents that the exporter serves.
package docs

import _ "embed"

// Alerts is alerts.md, the runbooks.
//
//go:embed alerts.md
var Alerts []byte

// OpenAPI is openapi.yaml, the description of the JSON API.
//
//go:embed openapi.yaml
var OpenAPI []byte

package webhook

import (
	"log/slog"
	"time"

	"smithproxy_exporter/exporter/logging"
)

// warnEvery is the time between two warnings of a kind.
const warnEvery = 10 * time.Second

// warnings are logged for bad requests, connections and handshakes. Anybody can cause them, so they are limited for
// each kind. They never have a URL, a header or a body in them.
type warnings struct {
	logger  *slog.Logger
	limiter logging.Limiter
}

func newWarnings(logger *slog.Logger) *warnings {
	return &warnings{logger: logger, limiter: logging.Limiter{Every: warnEvery}}
}

func (w *warnings) warn(at time.Time, kind, message string, attributes ...any) {
	omitted, ok := w.limiter.Allow(kind, at)
	if !ok {
		return
	}
	if omitted > 0 {
		attributes = append(attributes, "omitted", omitted)
	}
	w.logger.Warn(message, attributes...)
}

package doctor

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// proxies looks at the last pings.
func (e *examination) proxies() {
	const check = "proxies"
	if e.metrics == nil {
		return
	}
	pings := e.metrics.each("smithproxy_last_ping_timestamp_seconds", "source")
	up := e.metrics.each("smithproxy_up", "source")
	if len(up) == 0 && len(pings) == 0 {
		e.find(Wrong, check, "none has pinged yet. Is settings.webhook enabled on the proxy, with the URL of this exporter? After a reload "+
			"the first ping takes up to ping_interval (two minutes). From its host: curl -i -d '{}' URL; 400 is right, 404 is a wrong "+
			"secret, no connection is a wrong name or a firewall")
		return
	}
	for _, source := range slices.Sorted(maps.Keys(up)) {
		at, pinged := pings[source]
		ago := e.Now().Sub(time.Unix(int64(at), 0)).Round(time.Second)
		switch {
		case up[source] == 1:
			e.find(OK, check, "%s pinged %v ago", source, ago)
		case !pinged:
			e.find(Wrong, check, "%s has sent events and never pinged. Is its ping_interval 0?", source)
		default:
			e.find(Wrong, check, "%s last pinged %v ago: it is down, or does not reach the exporter", source, ago)
		}
	}
	if failed, _ := e.metrics.value("smithproxy_exporter_tls_handshake_errors_total"); failed > 0 {
		e.find(Warning, check, "%.0f TLS handshakes with the webhook failed since the start; the log says of whom, and why", failed)
	}
	if unanswered, _ := e.metrics.value("smithproxy_access_unanswered_total"); unanswered > 0 {
		e.find(Warning, check, "%.0f access-requests got no valid answer since the start, as the proxies say", unanswered)
	}
}

// storage looks at the store, and at its disk.
func (e *examination) storage() {
	const check = "storage"
	free, err := e.Free(e.Storage)
	size, _ := e.metrics.value("smithproxy_exporter_store_bytes")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.find(Wrong, check, "%s does not exist. Is --storage.path the same for the doctor?", e.Storage)
	case err != nil:
		e.find(Warning, check, "the disk of %s is not checked: %v", e.Storage, err)
	case float64(free) < float64(e.MaxSize)-size:
		e.find(Warning, check, "%s has %d MiB free, and the store may grow by %.0f MiB (storage.max_size)", e.Storage, free>>20, (float64(e.MaxSize)-size)/(1<<20))
	default:
		e.find(OK, check, "%s has %d MiB free", e.Storage, free>>20)
	}
	if e.metrics == nil {
		return
	}
	if behind, _ := e.metrics.value("smithproxy_exporter_store_behind"); behind != 0 {
		e.find(Wrong, check, "the disk fails: events are acknowledged from memory, and are lost if the exporter ends. The log says why; is "+
			"the disk full or read-only?")
	} else if unsaved, _ := e.metrics.value("smithproxy_exporter_events_unsaved_total"); unsaved > 0 {
		e.find(Warning, check, "%.0f events since the start were acknowledged from memory, because the disk failed for a while", unsaved)
	}
	if damaged, _ := e.metrics.value("smithproxy_exporter_store_damaged_total"); damaged > 0 {
		e.find(Warning, check, "%.0f stored items could not be read since the start", damaged)
	}
}

// stale is the age of a waiting span above which the backend does not keep up.
const stale = 5 * time.Minute

// traces asks the backend, and looks at the spans that wait for it.
func (e *examination) traces(ctx context.Context) {
	const check = "traces"
	if e.Endpoint == "" {
		e.find(Warning, check, "are not sent: otlp.endpoint is not set. A flag or variable of the service is not known here: --otlp.endpoint")
		return
	}
	if err := e.SendNothing(ctx); err != nil {
		e.find(Wrong, check, "%s does not accept a request without spans: %v", e.Endpoint, err)
	} else {
		e.find(OK, check, "%s answers", e.Endpoint)
	}
	oldest, _ := e.metrics.value("smithproxy_exporter_spans_oldest_pending_age_seconds")
	if age := time.Duration(oldest) * time.Second; age > stale {
		waiting, _ := e.metrics.value("smithproxy_exporter_spans_pending")
		e.find(Wrong, check, "%.0f spans wait, the oldest for %v: the backend refuses them, or is too slow. The log says why", waiting, age)
	}
	var dropped []string
	for reason, n := range e.metrics.each("smithproxy_exporter_spans_dropped_total", "reason") {
		if n > 0 {
			dropped = append(dropped, reason)
		}
	}
	if slices.Sort(dropped); len(dropped) > 0 {
		e.find(Warning, check, "spans were dropped since the start: %s", strings.Join(dropped, ", "))
	}
}

// maxDifference between two clocks of one host is the resolution of the header Date, and the time of a response.
const maxDifference = 3 * time.Second

// clock looks at this host's clock, and compares it with that of the exporter.
func (e *examination) clock() {
	const check = "clock"
	if !e.date.IsZero() {
		if difference := e.date.Sub(e.asked); difference.Abs() > maxDifference {
			e.find(Wrong, check, "that of the exporter differs by %v from this one: repair NTP on one of the hosts (timedatectl)", difference.Round(time.Second))
			return
		}
	}
	synchronized, err := e.Synchronized()
	switch {
	case err != nil:
		e.find(Warning, check, "whether it is synchronized is not known: %v", err)
	case !synchronized:
		e.find(Warning, check, "it is not synchronized (timedatectl). Traces and smithproxy_up need the right time")
	default:
		e.find(OK, check, "is synchronized")
	}
	for source, at := range e.metrics.each("smithproxy_last_ping_timestamp_seconds", "source") {
		if ahead := time.Unix(int64(at), 0).Sub(e.Now()); ahead > maxDifference {
			e.find(Wrong, check, "the last ping of %s is %v in the future: the clock has been set back", source, ahead.Round(time.Second))
		}
	}
}

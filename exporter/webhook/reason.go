package webhook

import (
	"errors"

	"smithproxy_exporter/exporter/event"
)

// The reasons for which a request is refused, or an access-request gets the default verdict.
const (
	refusedSecret      = "secret"
	refusedSecretRate  = "secret_rate" // webhook.limits.unauthenticated_per_second
	refusedSource      = "source"      // of which the secret or the client certificate does not speak
	refusedCertificate = "certificate" // webhook.tls.clients
	refusedAddress     = "address"     // webhook.allow
	refusedRate        = "rate"        // webhook.limits.events_per_second
	refusedMemory      = "memory"      // webhook.limits.body_memory
	refusedConnections = "connections" // webhook.limits.connections, connections_per_address
	refusedMethod      = "method"
	refusedSize        = "size"
	refusedBody        = "body" // it ended early, or took too long
	refusedSyntax      = "syntax"
	refusedType        = "type"
	refusedMissing     = "missing"
	refusedTooLong     = "too_long"
	refusedStopping    = "stopping" // the exporter is stopping
	refusedOverload    = "overload" // an access-request was answered, but too many wait to be recorded
	refusedPanic       = "panic"    // a defect of this program
)

// Refusals are all reasons that Metrics.Refused is called with.
var Refusals = []string{
	refusedSecret, refusedSecretRate, refusedSource, refusedCertificate, refusedAddress, refusedRate, refusedMemory, refusedConnections,
	refusedMethod, refusedSize, refusedBody, refusedSyntax, refusedType, refusedMissing,
	refusedTooLong, refusedStopping, refusedOverload, refusedPanic,
}

// Fallbacks are all reasons that Metrics.AccessFallback is called with.
var Fallbacks = []string{
	refusedMemory, refusedSize, refusedBody, refusedSyntax, refusedType, refusedMissing, refusedTooLong, refusedPanic,
}

// decodeReasons are the reasons for the errors of event.Decode.
var decodeReasons = []struct {
	err    error
	reason string
}{
	{event.ErrSyntax, refusedSyntax},
	{event.ErrType, refusedType},
	{event.ErrMissing, refusedMissing},
	{event.ErrTooLong, refusedTooLong},
}

func reason(err error) string {
	for _, r := range decodeReasons {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return refusedSyntax
}

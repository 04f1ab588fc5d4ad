package webhook

import (
	"errors"

	"smithproxy_exporter/exporter/event"
)

// The reasons for which a request is refused, or an access-request gets the default verdict.
const (
	refusedSecret   = "secret"
	refusedMethod   = "method"
	refusedSize     = "size"
	refusedBody     = "body" // it ended early, or took too long
	refusedSyntax   = "syntax"
	refusedType     = "type"
	refusedMissing  = "missing"
	refusedTooLong  = "too_long"
	refusedStopping = "stopping" // the exporter is stopping
	refusedPanic    = "panic"    // a defect of this program
)

// Refusals are all reasons that Handler.Refused is called with.
var Refusals = []string{
	refusedSecret, refusedMethod, refusedSize, refusedBody, refusedSyntax, refusedType, refusedMissing,
	refusedTooLong, refusedStopping, refusedPanic,
}

// Fallbacks are all reasons that Handler.Fallback is called with.
var Fallbacks = []string{
	refusedSize, refusedBody, refusedSyntax, refusedType, refusedMissing, refusedTooLong, refusedPanic,
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

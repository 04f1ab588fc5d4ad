package access

import (
	"fmt"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/setting"
)

// Request is what the exporter knows of a connection when a proxy asks about it. There is no SNI, often no policy
// (event.PolicyUnknown), and over SOCKS and CONNECT not always a server.
type Request struct {
	Source  string
	Session event.Session
	Policy  int
	// At is the time of receipt. Schedules use it.
	At time.Time
}

// ParseRequest parses the fields of a Request: a session label, the number of a policy, and a time in RFC 3339, which
// is now if it is "". Errors are of type *setting.Error.
func ParseRequest(source, session, policy, at string, now time.Time) (Request, error) {
	var number Policy
	if err := number.UnmarshalText([]byte(policy)); err != nil {
		return Request{}, setting.Invalid("policy", err)
	}
	q := Request{Source: source, Session: event.ParseSession(session), Policy: int(number), At: now}
	if at != "" {
		var err error
		if q.At, err = time.Parse(time.RFC3339, at); err != nil {
			return Request{}, setting.Invalid("at", fmt.Errorf("%q is not a time such as 2026-11-01T23:00:00+01:00", at))
		}
	}
	return q, nil
}

package access

import (
	"fmt"
	"strconv"

	"smithproxy_exporter/exporter/event"
)

// Policy is the number of a policy of smithproxy, from 0; event.PolicyUnknown, which is -1; or event.PolicyImplicit,
// which is written `implicit`.
type Policy int

// UnmarshalText parses a number, or `implicit`.
func (p *Policy) UnmarshalText(text []byte) error {
	if string(text) == event.PolicyText(event.PolicyImplicit) {
		*p = event.PolicyImplicit
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a policy: neither a number nor %s", text, event.PolicyText(event.PolicyImplicit))
	}
	*p = Policy(n)
	return nil
}

func (p Policy) String() string { return event.PolicyText(int(p)) }

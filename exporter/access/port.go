package access

import (
	"fmt"
	"strconv"
	"strings"
)

// Ports is a range of server ports, both ends included: `25`, `8000-8100`. Port 0 is an unknown port, and never in a
// range.
type Ports struct{ From, To uint16 }

// UnmarshalText parses a port or a range.
func (p *Ports) UnmarshalText(text []byte) error {
	from, to, isRange := strings.Cut(string(text), "-")
	var err error
	if p.From, err = parsePort(from); err == nil {
		p.To = p.From
		if isRange {
			p.To, err = parsePort(to)
		}
	}
	if err != nil {
		return fmt.Errorf("%q is not a port or a range of ports", text)
	}
	if p.From > p.To {
		return fmt.Errorf("%q: the end is lower than the start", text)
	}
	return nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return uint16(n), err
}

func (p Ports) contains(port uint16) bool { return p.From <= port && port <= p.To }

func (p Ports) String() string {
	if p.From == p.To {
		return strconv.Itoa(int(p.From))
	}
	return strconv.Itoa(int(p.From)) + "-" + strconv.Itoa(int(p.To))
}

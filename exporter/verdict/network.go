package verdict

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"smithproxy_exporter/exporter/event"
)

// Network is a network in CIDR notation, or an address, which is a network of one. Bits of the host are
// taken away.
type Network netip.Prefix

// UnmarshalText reads a CIDR or an address.
func (n *Network) UnmarshalText(text []byte) error {
	p, err := parseNetwork(string(text))
	if err != nil {
		return err
	}
	*n = Network(p)
	return nil
}

// String is the network in CIDR notation.
func (n Network) String() string { return netip.Prefix(n).String() }

var errZone = errors.New("a zone means something on one machine only")

// mappedBits is the length of the prefix ::ffff:0:0, below which the IPv4 addresses are.
const mappedBits = 96

// parseNetwork allocates nothing unless it fails: a million of them are read while requests are answered.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.IndexByte(text, '/') < 0 {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR", text)
		case addr.Zone() != "":
			return netip.Prefix{}, fmt.Errorf("%q: %w", text, errZone)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), nil
}

// address returns the IP address of a side of the session: invalid when the side is not known, or when its
// host is no address. An IPv4 address within IPv6 is that IPv4 address.
func address(e event.Endpoint) netip.Addr {
	addr, ok := e.Addr()
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

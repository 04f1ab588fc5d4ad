package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"smithproxy_exporter/exporter/event"
)

// Network is a network in CIDR notation, or an address, which is a network of one. Host bits are zeroed.
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

// String returns the network in CIDR notation.
func (n Network) String() string { return netip.Prefix(n).String() }

// Networks are a compiled list of networks, safe for concurrent use.
type Networks struct {
	few  []netip.Prefix
	many *bart.Lite // nil when they are few
}

// fewNetworks is up to how many networks are tried one by one, which takes no longer than the trie then.
const fewNetworks = 8

// NewNetworks compiles a list.
func NewNetworks(list []Network) Networks {
	var n Networks
	if len(list) > fewNetworks {
		n.many = new(bart.Lite)
		for _, p := range list {
			n.many.Insert(netip.Prefix(p))
		}
		return n
	}
	for _, p := range list {
		n.few = append(n.few, netip.Prefix(p))
	}
	return n
}

// Contains reports whether an address is in one of the networks. An invalid one is in none.
func (n *Networks) Contains(addr netip.Addr) bool {
	if n.many != nil {
		return n.many.Contains(addr)
	}
	for _, p := range n.few {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

var errZone = errors.New("a zone means something on one machine only")

// mappedBits is the length of the prefix ::ffff:0:0, below which the IPv4 addresses are.
const mappedBits = 96

// parseNetwork allocates nothing unless it fails: lists have a million networks, and are read while requests
// are answered.
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

// address returns the IP address of a side of the session. It is invalid when the side is not known or its
// host is not an address. An IPv4 address within IPv6 becomes that IPv4 address.
func address(e event.Endpoint) netip.Addr {
	addr, ok := e.Addr()
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

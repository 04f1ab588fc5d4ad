package collector

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/setting"
)

// NetworkConfig names a network of clients.
type NetworkConfig struct {
	Name  string           `yaml:"name"`
	CIDRs []access.Network `yaml:"cidrs"`
}

// maxNetworks bounds the configured networks, and so the values of the label network.
const maxNetworks = 100

func validateNetworks(list []NetworkConfig) error {
	if len(list) > maxNetworks {
		return setting.Invalid("networks", fmt.Errorf("are %d, but can be at most %d", len(list), maxNetworks))
	}
	first := map[string]int{}
	for i, n := range list {
		field := fmt.Sprintf("networks[%d].", i)
		before, twice := first[n.Name]
		switch {
		case n.Name == "":
			return setting.Invalid(field+"name", errors.New("is missing"))
		case label(n.Name) != n.Name:
			return setting.Invalid(field+"name", fmt.Errorf("%q is over %d bytes or cannot be printed", n.Name, maxLabelBytes))
		case twice:
			return setting.Invalid(field+"name", fmt.Errorf("%q is the name of networks[%d]", n.Name, before))
		case len(n.CIDRs) == 0:
			return setting.Invalid(field+"cidrs", errors.New("is empty"))
		}
		first[n.Name] = i
	}
	return nil
}

// Networks finds the names of clients' networks. The zero value knows none. It is safe for concurrent use.
type Networks struct {
	names *bart.Table[string]
}

// NewNetworks compiles a valid configuration.
func NewNetworks(list []NetworkConfig) Networks {
	if len(list) == 0 {
		return Networks{}
	}
	n := Networks{new(bart.Table[string])}
	for _, network := range list {
		for _, cidr := range network.CIDRs {
			n.names.Insert(netip.Prefix(cidr), network.Name)
		}
	}
	return n
}

// NameOf returns the name of the smallest network with the address, "" if there is none.
func (n Networks) NameOf(host string) string {
	if n.names == nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	name, _ := n.names.Lookup(addr.Unmap())
	return name
}

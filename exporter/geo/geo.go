// Package geo describes where addresses are. It is pure; package mmdb finds places in files.
package geo

import "net/netip"

// Place is where an address is, and who announces it. Unknown values are zero. Strings are valid UTF-8.
type Place struct {
	// Continent is a code of two letters, Country that of ISO 3166-1, Region that of ISO 3166-2, such as CA-QC. City is an
	// English name.
	Continent, Country, Region, City string
	// ASN is the number of the autonomous system.
	ASN uint32
	// Organization is the name of the autonomous system.
	Organization string
}

// Locator finds places. It is safe for concurrent use, takes some microseconds at most, and does no I/O.
type Locator interface{ Place(netip.Addr) Place }

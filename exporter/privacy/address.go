package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/netip"
	"strings"
	"sync"

	"smithproxy_exporter/exporter/event"
)

// The networks that are kept of truncated addresses, in bits.
const (
	bitsIPv4 = 24
	bitsIPv6 = 48
)

// A hashed address is hashPrefix and hashDigits hexadecimal digits: no address, and no host name that a proxy sends.
const (
	hashPrefix = "client-"
	hashDigits = 16
)

// KeyBytes is the length of the key for hashed addresses.
const KeyBytes = sha256.Size

func (p *Policy) hidesAddresses() bool { return p != nil && p.hides }

// Session returns a session label with the client's address as it is to be kept.
func (p *Policy) Session(label string) string {
	if !p.hidesAddresses() {
		return label
	}
	return event.RewriteClient(label, p.Address)
}

// Address returns a client's address as it is to be kept: the network with all other bits 0 if it is truncated,
// IsHash of it if it is hashed. An IPv4 address within IPv6 is that IPv4 address, and a zone is ignored. A text that
// is no address cannot be truncated, and is replaced.
func (p *Policy) Address(text string) string {
	if text == "" || !p.hidesAddresses() {
		return text
	}
	addr, err := netip.ParseAddr(text)
	addr = addr.Unmap().WithZone("")
	if p.addresses == AddressesTruncated {
		if err != nil {
			return redacted
		}
		return truncated(addr).String()
	}
	switch {
	case err == nil:
		return p.hash(addr.String())
	case IsHash(text):
		return text
	default:
		return p.hash(text)
	}
}

func truncated(addr netip.Addr) netip.Addr {
	bits := bitsIPv6
	if addr.Is4() {
		bits = bitsIPv4
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		panic(err) // Addresses without a zone have more bits.
	}
	return network.Addr()
}

// IsHash reports whether a text has the form of a hashed address.
func IsHash(text string) bool {
	digits, ok := strings.CutPrefix(text, hashPrefix)
	return ok && len(digits) == hashDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

// newHashes returns a pool, because a keyed hash costs more to make than to use.
func newHashes(key []byte) *sync.Pool {
	return &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
}

func (p *Policy) hash(text string) string {
	h := p.hashes.Get().(hash.Hash)
	defer p.hashes.Put(h)
	h.Reset()
	h.Write([]byte(text))
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	var out [len(hashPrefix) + hashDigits]byte
	copy(out[:], hashPrefix)
	hex.Encode(out[len(hashPrefix):], sum[:hashDigits/2])
	return string(out[:])
}

package fleet

import (
	"fmt"
	"net/netip"
)

// sni returns the name with the given rank.
func sni(rank uint64) string {
	return fmt.Sprintf("%s%d.example.%s", [...]string{"www", "api", "cdn", "mail"}[rank%4], rank, [...]string{"com", "org", "net"}[rank%3])
}

// signature returns the signature with the given rank.
func signature(rank uint64) string {
	return fmt.Sprintf("%s/sig-%d", [...]string{"www", "file", "mail", "remote"}[rank%4], rank)
}

// client returns the client address with the given rank; every fourth is IPv6.
func client(rank uint64) netip.Addr {
	if rank%4 == 3 {
		return v6(0xfd77, 1, rank+1)
	}
	n := rank + 2
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// server returns the address of the name with the given rank, IPv6 if six is set.
func server(rank uint64, six bool) netip.Addr {
	if six {
		return v6(0xfd77, 2, rank+1)
	}
	n := (rank + 1) % (1 << 17) // 198.18.0.0/15 is reserved for benchmarks
	return netip.AddrFrom4([4]byte{198, byte(18 + n>>16), byte(n >> 8), byte(n)})
}

func v6(a, b uint16, n uint64) netip.Addr {
	return netip.AddrFrom16([16]byte{byte(a >> 8), byte(a), byte(b >> 8), byte(b), 11: byte(n >> 32), 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)})
}

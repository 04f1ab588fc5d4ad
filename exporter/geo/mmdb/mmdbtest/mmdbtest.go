// Package mmdbtest makes small databases in the MMDB format for tests. See "MaxMind DB File Format Specification", version
// 2.0, for the format.
package mmdbtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Record is the data of a network: strings, uint32, []any and Records.
type Record map[string]any

// recordBytes is the size of one of the two records of a node.
const recordBytes = 4

// separator is between the tree and the data.
const separator = 16

// ipv4Bits is where the addresses of IPv4 are in the tree of IPv6.
const ipv4Bits = 96

// Build returns a database with the networks, which must not overlap.
func Build(networks map[netip.Prefix]Record) []byte {
	const none = -1
	nodes := [][2]int{{none, none}}
	var data []byte
	offsets := map[[2]int]int{} // of the data, by node and side
	for network, record := range networks {
		bits, from := network.Bits(), network.Addr().As16()
		if network.Addr().Is4() {
			bits += ipv4Bits
			clear(from[:12])
		}
		node := 0
		for i := range bits {
			side := int(from[i/8] >> (7 - i%8) & 1)
			if i == bits-1 {
				offsets[[2]int{node, side}] = len(data)
				data = appendValue(data, record)
				break
			}
			if nodes[node][side] == none {
				nodes[node][side] = len(nodes)
				nodes = append(nodes, [2]int{none, none})
			}
			node = nodes[node][side]
		}
	}
	var out []byte
	for i, node := range nodes {
		for side, next := range node {
			value := len(nodes) // nothing
			if offset, ok := offsets[[2]int{i, side}]; ok {
				value = len(nodes) + separator + offset
			} else if next != none {
				value = next
			}
			out = binary.BigEndian.AppendUint32(out, uint32(value))
		}
	}
	out = append(append(out, make([]byte, separator)...), data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(out, Record{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1),
		"database_type": "Test", "description": Record{"en": "Test"}, "ip_version": uint16(6), "languages": []any{"en"},
		"node_count": uint32(len(nodes)), "record_size": uint16(recordBytes * 8),
	})
}

// The types of values.
const (
	typeString = 2
	typeUint16 = 5
	typeUint32 = 6
	typeMap    = 7
	typeUint64 = 9
	typeArray  = 11
)

// The size of a value is in its control byte, or else in the byte behind it.
const (
	longSize = 29
	extended = 7 // types above have a byte of their own
)

func appendControl(out []byte, kind, size int) []byte {
	first := kind << 5
	if kind > extended {
		first = 0
	}
	out = append(out, byte(first|min(size, longSize)))
	if kind > extended {
		out = append(out, byte(kind-extended))
	}
	if size >= longSize {
		out = append(out, byte(size-longSize))
	}
	return out
}

func appendValue(out []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(appendControl(out, typeString, len(v)), v...)
	case uint16:
		return binary.BigEndian.AppendUint16(appendControl(out, typeUint16, 2), v)
	case uint32:
		return binary.BigEndian.AppendUint32(appendControl(out, typeUint32, 4), v)
	case uint64:
		return binary.BigEndian.AppendUint64(appendControl(out, typeUint64, 8), v)
	case []any:
		out = appendControl(out, typeArray, len(v))
		for _, each := range v {
			out = appendValue(out, each)
		}
		return out
	case Record:
		out = appendControl(out, typeMap, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = appendValue(appendValue(out, key), v[key])
		}
		return out
	default:
		panic(fmt.Sprintf("type %T", value))
	}
}

package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
)

// The first byte of a key says what it is.
const (
	prefixChunk   = 'c' // + index: a chunk
	prefixHistory = 'h' // + inverted number, so that the newest comes first: time, entry
	prefixIndex   = 'i' // + id: a spanMeta
	prefixMeta    = 'm' // + name
	prefixName    = 'n' // + index of the chunk, hash of the name, number: empty
	prefixRecord  = 'r' // + epoch, kind, source, key: a record
	prefixSpan    = 's' // + id: encoded spans
	prefixTomb    = 't' // + hash: at, tombstone
	prefixExpiry  = 'x' // + at, hash: empty
)

const (
	hashSize  = 16
	epochSize = 4
)

var epochsKey = []byte{prefixMeta, 'e'}

// hash identifies a tombstone: SHA-256 of the length-prefixed source and the id, truncated.
type hash [hashSize]byte

func hashOf(source, id string) hash {
	var buf [128]byte
	b := binary.AppendUvarint(buf[:0], uint64(len(source)))
	b = append(append(b, source...), id...)
	sum := sha256.Sum256(b)
	return hash(sum[:hashSize])
}

func tombKey(h hash) []byte { return append([]byte{prefixTomb}, h[:]...) }

// expiryKey orders tombstones by their time; negative times sort first.
func expiryKey(at time.Duration, h hash) []byte {
	return append(appendAt([]byte{prefixExpiry}, at), h[:]...)
}

func appendAt(b []byte, at time.Duration) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
}

func readAt(b []byte) time.Duration { return time.Duration(binary.BigEndian.Uint64(b) ^ 1<<63) }

func idKey(prefix byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, id)
}

func epochPrefix(epoch uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixRecord}, epoch)
}

// appendSource appends a kind and a source so that keys sort by kind, then by source: NUL is escaped as
// 00 ff, and 00 01 ends the source.
func appendSource(b []byte, k Kind, source string) []byte {
	b = append(b, byte(k))
	if strings.IndexByte(source, 0) < 0 {
		b = append(b, source...)
	} else {
		for i := range len(source) {
			if b = append(b, source[i]); source[i] == 0 {
				b = append(b, 0xff)
			}
		}
	}
	return append(b, 0, 1)
}

// parseRecord is the reverse: what follows the epoch in the key of a record.
func parseRecord(b []byte) (k Kind, source, key string, ok bool) {
	if len(b) == 0 {
		return 0, "", "", false
	}
	k, b = Kind(b[0]), b[1:]
	var src []byte
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return 0, "", "", false
		}
		src = append(src, b[:i]...)
		if b[i+1] == 1 {
			return k, string(src), string(b[i+2:]), true
		}
		src = append(src, 0)
		b = b[i+2:]
	}
}

// spanMeta is what the index says of a payload.
type spanMeta struct {
	spans  uint32
	bytes  uint32
	stored int64 // Unix milliseconds
}

const metaSize = 16

func (m spanMeta) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, m.spans)
	b = binary.BigEndian.AppendUint32(b, m.bytes)
	return binary.BigEndian.AppendUint64(b, uint64(m.stored))
}

func readMeta(b []byte) (spanMeta, bool) {
	if len(b) != metaSize {
		return spanMeta{}, false
	}
	return spanMeta{
		binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), int64(binary.BigEndian.Uint64(b[8:])),
	}, true
}

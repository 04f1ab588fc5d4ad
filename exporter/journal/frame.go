package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment is a file header and then frames. All numbers are little endian, all sums CRC-32C.
//
//	file header   magic [8]byte, version uint32, sum of the 12 bytes before uint32
//	frame header  kind (4 bits) and length (28 bits) of the payload uint32,
//	              sum of the payload uint32,
//	              sum of the 8 bytes before, XOR a hash of the frame's position, uint32
//	payload
//
// The frame header has a sum of its own, so that damage to a payload costs that entry only, and damage
// to a header as many as it takes to find the next. That sum depends on where the frame is: what looks
// like a frame within a payload, or in a stale block of another file, is none.
const (
	fileHeaderSize  = 16
	frameHeaderSize = 12
	version         = 1
)

var (
	magic      = [8]byte{'s', 'p', 'j', 'o', 'u', 'r', 'n', 'l'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// kind is what a frame is, in the upper bits of its length. None is 0, so that zeros, which a crash of
// the machine leaves, are never a frame.
type kind uint32

const (
	// kindEntry is an entry of the caller.
	kindEntry kind = (iota + 1) << 28
	// kindWhole ends a snapshot that is all there is: older segments do not matter.
	kindWhole
	// kindPart ends a snapshot before which older segments must be replayed.
	kindPart

	lengthMask = 1<<28 - 1
)

// position is a place in a log or queue: a byte of a segment.
type position struct {
	segment uint64
	offset  int64
}

// start is where the first frame of a segment is.
func start(segment uint64) position { return position{segment, fileHeaderSize} }

// batch is what goes to a segment with one write: frames, behind the room for a file header, which is
// only written to a segment that has none.
type batch struct {
	at  position
	buf []byte
}

// reset makes the batch empty, with its first frame at a position.
func (b *batch) reset(at position) {
	b.at = at
	if b.buf == nil {
		b.buf = make([]byte, 0, 4<<10)
	}
	b.buf = append(b.buf[:0], magic[:]...)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, version)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, crc32.Checksum(b.buf, castagnoli))
}

// add adds a frame whose payload is prefix and payload.
func (b *batch) add(k kind, prefix, payload []byte) {
	at := len(b.buf)
	length := len(prefix) + len(payload)
	b.buf = append(b.buf, make([]byte, frameHeaderSize)...)
	b.buf = append(append(b.buf, prefix...), payload...)
	binary.LittleEndian.PutUint32(b.buf[at:], uint32(k)|uint32(length))
	binary.LittleEndian.PutUint32(b.buf[at+4:], crc32.Checksum(b.buf[at+frameHeaderSize:], castagnoli))
	binary.LittleEndian.PutUint32(b.buf[at+8:], headerSum(b.buf[at:], b.position(at)))
}

// position is that of a byte of buf.
func (b *batch) position(at int) position {
	return position{b.at.segment, b.at.offset + int64(at) - fileHeaderSize}
}

// move makes the batch one for another place.
func (b *batch) move(to position) {
	b.at = to
	for at := fileHeaderSize; at < len(b.buf); {
		frame := b.buf[at:]
		binary.LittleEndian.PutUint32(frame[8:], headerSum(frame, b.position(at)))
		at += frameHeaderSize + int(binary.LittleEndian.Uint32(frame)&lengthMask)
	}
}

// frames are the bytes without the file header.
func (b *batch) frames() []byte { return b.buf[fileHeaderSize:] }

// end is where the next batch goes.
func (b *batch) end() position { return b.position(len(b.buf)) }

// write writes the batch to where it belongs: the start of a segment with the file header.
func (b *batch) write(f file) error {
	var err error
	if b.at.offset == fileHeaderSize {
		_, err = f.WriteAt(b.buf, 0)
	} else {
		_, err = f.WriteAt(b.frames(), b.at.offset)
	}
	return err
}

// headerSum is the sum of a frame header at a position.
func headerSum(header []byte, at position) uint32 {
	// Two odd constants with no pattern in their bits (of xxHash64) spread the numbers over the hash.
	hash := at.segment*0x9E3779B185EBCA87 + uint64(at.offset)*0xC2B2AE3D27D4EB4F
	return crc32.Checksum(header[:8], castagnoli) ^ uint32(hash>>32)
}

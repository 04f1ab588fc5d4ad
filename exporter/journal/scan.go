package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

const (
	// windowSize is how much a scanner reads at once, and holds if no entry is larger.
	windowSize = 256 << 10
	// pageSize is the piece that a read error costs.
	pageSize = 4 << 10
)

// errVersion means that a segment is of a version that this one does not know.
var errVersion = errors.New("unknown version")

// scanner reads the frames of one segment, passing over what is damaged.
type scanner struct {
	src    io.ReaderAt
	number uint64
	// pos is where the next frame is, and end behind the last byte. end may move on.
	pos, end int64

	// window holds the bytes from base on.
	window []byte
	base   int64

	// damage is what was passed over.
	damage Damage
	// err is the first read error. Pages that cannot be read are zeros here, and so damage.
	err error
}

// begin reads the file header, and stands before the first frame. A header that is damaged costs nothing
// but itself; one of another version is errVersion.
func (s *scanner) begin() error {
	s.pos = min(fileHeaderSize, s.end)
	if s.end < fileHeaderSize {
		s.damage.Torn = s.end
		return nil
	}
	h := s.bytes(0, fileHeaderSize)
	sum := crc32.Checksum(h[:12], castagnoli)
	switch {
	case [8]byte(h) != magic || binary.LittleEndian.Uint32(h[12:]) != sum:
		s.damage.Bytes += fileHeaderSize
	case binary.LittleEndian.Uint32(h[8:]) != version:
		return errVersion
	}
	return nil
}

// next returns the next frame, whose payload is valid until the call after. ok is false when there is
// none before the end; pos then stands behind the last, and damage.Torn is what follows it.
func (s *scanner) next() (k kind, payload []byte, ok bool) {
	for s.pos < s.end {
		at := s.pos
		k, length, ok := s.header(at)
		if !ok {
			found := s.resync(at + 1)
			if found < 0 {
				s.damage.Torn = s.end - at
				return 0, nil, false
			}
			s.damage.Entries++
			s.damage.Bytes += found - at
			s.pos = found
			continue
		}
		s.pos = at + frameHeaderSize + length
		if payload, ok := s.payload(at, length); ok {
			return k, payload, true
		}
		s.damage.Entries++
		s.damage.Bytes += s.pos - at
	}
	return 0, nil, false
}

// header reads a frame header. ok is false if it is damaged, or the frame not all there.
func (s *scanner) header(at int64) (k kind, length int64, ok bool) {
	if s.end-at < frameHeaderSize {
		return 0, 0, false
	}
	h := s.bytes(at, frameHeaderSize)
	word := binary.LittleEndian.Uint32(h)
	k, length = kind(word&^lengthMask), int64(word&lengthMask)
	if k < kindEntry || k > kindPart || length > maxPayload || length > s.end-at-frameHeaderSize {
		return 0, 0, false
	}
	return k, length, binary.LittleEndian.Uint32(h[8:]) == headerSum(h, position{s.number, at})
}

// payload reads the payload of a frame whose header is intact. ok is false if it is damaged.
func (s *scanner) payload(at, length int64) (payload []byte, ok bool) {
	frame := s.bytes(at, frameHeaderSize+length)
	payload = frame[frameHeaderSize:]
	return payload, binary.LittleEndian.Uint32(frame[4:]) == crc32.Checksum(payload, castagnoli)
}

// resync finds the next frame that is intact, from a position on; -1 if there is none.
func (s *scanner) resync(from int64) int64 {
	for at := from; at < s.end; at++ {
		if _, length, ok := s.header(at); ok {
			if _, ok := s.payload(at, length); ok {
				return at
			}
		}
	}
	return -1
}

// bytes returns n bytes, all before the end, through the window.
func (s *scanner) bytes(at, n int64) []byte {
	if at < s.base || at+n > s.base+int64(len(s.window)) {
		s.fill(at, n)
	}
	return s.window[at-s.base:][:n]
}

// fill moves the window to n bytes and more.
func (s *scanner) fill(at, n int64) {
	size := min(max(n, windowSize), s.end-at)
	if int64(cap(s.window)) < size || cap(s.window) > windowSize && size <= windowSize {
		s.window = make([]byte, size, max(size, windowSize))
	}
	s.window, s.base = s.window[:size], at
	if err := readFull(s.src, s.window, at); err == nil {
		return
	}
	for page := range (size + pageSize - 1) / pageSize {
		piece := s.window[page*pageSize : min((page+1)*pageSize, size)]
		if err := readFull(s.src, piece, at+page*pageSize); err != nil {
			clear(piece)
			if s.err == nil {
				s.err = err
			}
		}
	}
}

// readFull reads all of b. io.EOF is an error only if it comes too early.
func readFull(src io.ReaderAt, b []byte, at int64) error {
	n, err := src.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return err
}

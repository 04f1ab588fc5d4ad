package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

const testSegment = 7

// stream is a segment with the entries, and where each frame begins.
func stream(texts []string) (content []byte, frames []int) {
	var b batch
	b.reset(start(testSegment))
	for _, s := range texts {
		frames = append(frames, len(b.buf))
		b.add(kindEntry, nil, []byte(s))
	}
	return b.buf, frames
}

func scanAll(content []byte) (*scanner, []string) {
	s := &scanner{src: bytes.NewReader(content), number: testSegment, end: int64(len(content))}
	if s.begin() != nil {
		return s, nil
	}
	var got []string
	for {
		_, payload, ok := s.next()
		if !ok {
			return s, got
		}
		got = append(got, string(payload))
	}
}

func TestScanReturnsWhatWasWritten(t *testing.T) {
	texts := append(numbered(1, 100), "", strings.Repeat("large ", windowSize), "", "after")
	content, _ := stream(texts)
	s, got := scanAll(content)
	equal(t, "entries", got, texts)
	if s.damage.Any() || s.pos != s.end {
		t.Errorf("damage %+v, at %d of %d", s.damage, s.pos, s.end)
	}
}

// Each bit of a stream is flipped: it costs one entry, and no other.
func TestScanAfterOneFlippedBit(t *testing.T) {
	texts := numbered(1, 5)
	content, frames := stream(texts)
	for bit := range len(content) * 8 {
		damaged := slices.Clone(content)
		damaged[bit/8] ^= 1 << (bit % 8)
		at := bit / 8
		s, got := scanAll(damaged)
		if at < frames[0] {
			// A file header costs nothing, and its version is under its sum.
			equal(t, "entries", got, texts)
			if s.damage != (Damage{Bytes: fileHeaderSize}) {
				t.Fatalf("bit %d: damage %+v", bit, s.damage)
			}
			continue
		}
		hit := len(frames) - 1
		for frames[hit] > at {
			hit--
		}
		equal(t, "entries", got, slices.Delete(slices.Clone(texts), hit, hit+1))
		lost := int64(frameHeaderSize + len(texts[hit]))
		want := Damage{Entries: 1, Bytes: lost}
		if hit == len(texts)-1 && at < frames[hit]+frameHeaderSize {
			want = Damage{Torn: lost}
		}
		if s.damage != want {
			t.Fatalf("bit %d: damage %+v, want %+v", bit, s.damage, want)
		}
	}
}

func TestScanAfterTruncation(t *testing.T) {
	texts := numbered(1, 5)
	content, frames := stream(texts)
	for size := range content {
		s, got := scanAll(content[:size])
		whole := 0
		for whole < len(frames)-1 && frames[whole+1] <= size {
			whole++
		}
		equal(t, "entries", got, texts[:whole])
		end := min(frames[whole], size)
		if s.damage != (Damage{Torn: int64(size - end)}) && size >= fileHeaderSize {
			t.Fatalf("%d bytes: damage %+v", size, s.damage)
		}
		if s.pos > int64(size) {
			t.Fatalf("%d bytes: at %d", size, s.pos)
		}
	}
}

// A machine that crashed leaves zeros at the end of a file, and drives lose whole sectors.
func TestScanPassesOverZeros(t *testing.T) {
	texts := numbered(1, 200)
	content, frames := stream(texts)
	damaged := slices.Clone(content)
	clear(damaged[:512])
	s, got := scanAll(damaged)
	first, _ := slices.BinarySearch(frames, 512)
	equal(t, "after the first sector", got, texts[first:])
	if s.damage.Entries != 1 || s.damage.Bytes != int64(frames[first]) {
		t.Errorf("damage %+v", s.damage)
	}
	s, got = scanAll(append(slices.Clone(content), make([]byte, 1<<20)...))
	equal(t, "before zeros", got, texts)
	if s.damage != (Damage{Torn: 1 << 20}) {
		t.Errorf("damage %+v", s.damage)
	}
}

// What looks like a frame is none where it does not belong: in a payload, in another segment.
func TestScanKnowsWhereFramesBelong(t *testing.T) {
	inner, _ := stream(numbered(1, 3))
	content, frames := stream([]string{string(inner), "after"})
	damaged := slices.Clone(content)
	damaged[frames[0]] ^= 1
	_, got := scanAll(damaged)
	equal(t, "entries", got, []string{"after"})

	s := &scanner{src: bytes.NewReader(inner), number: testSegment + 1, end: int64(len(inner))}
	check(t, s.begin())
	if _, _, ok := s.next(); ok {
		t.Error("found a frame of another segment")
	}
}

func TestScanRefusesAnotherVersion(t *testing.T) {
	content, _ := stream(numbered(1, 1))
	binary.LittleEndian.PutUint32(content[8:], version+1)
	binary.LittleEndian.PutUint32(content[12:], crc32.Checksum(content[:12], castagnoli))
	s := &scanner{src: bytes.NewReader(content), number: testSegment, end: int64(len(content))}
	if err := s.begin(); !errors.Is(err, errVersion) {
		t.Errorf("got %v", err)
	}
}

// A header can be right by its sum and still be none: zeros, which a crash leaves, must never be.
func TestScanRefusesKindsThatAreNone(t *testing.T) {
	for k, want := range map[kind]bool{0: false, kindEntry: true, kindPart: true, kindPart + 1<<28: false} {
		var b batch
		b.reset(start(testSegment))
		b.add(k, nil, nil)
		s := &scanner{src: bytes.NewReader(b.buf), number: testSegment, end: int64(len(b.buf))}
		check(t, s.begin())
		if _, _, ok := s.next(); ok != want {
			t.Errorf("kind %#x: %v", k, ok)
		}
	}
}

// Behind a damaged header only an entry that is whole is a place to go on from: another header could be
// right by chance.
func TestScanGoesOnAtAWholeEntry(t *testing.T) {
	texts := numbered(1, 4)
	content, frames := stream(texts)
	content[frames[1]] ^= 1
	content[frames[2]+frameHeaderSize] ^= 1
	s, got := scanAll(content)
	equal(t, "entries", got, []string{texts[0], texts[3]})
	if want := (Damage{Entries: 1, Bytes: int64(frames[3] - frames[1])}); s.damage != want {
		t.Errorf("damage %+v, want %+v", s.damage, want)
	}
}

// badPages fails to read some pages.
type badPages struct {
	*bytes.Reader
	bad map[int64]bool
}

func (r badPages) ReadAt(b []byte, at int64) (int, error) {
	for page := at / pageSize; page*pageSize < at+int64(len(b)); page++ {
		if r.bad[page] {
			return 0, errors.New("input/output error")
		}
	}
	return r.Reader.ReadAt(b, at)
}

func TestScanPassesOverPagesThatCannotBeRead(t *testing.T) {
	texts := numbered(1, 1000)
	content, frames := stream(texts)
	s := &scanner{
		src:    badPages{bytes.NewReader(content), map[int64]bool{2: true}},
		number: testSegment, end: int64(len(content)),
	}
	check(t, s.begin())
	var got []string
	for {
		_, payload, ok := s.next()
		if !ok {
			break
		}
		got = append(got, string(payload))
	}
	from, _ := slices.BinarySearch(frames, 2*pageSize)
	to, _ := slices.BinarySearch(frames, 3*pageSize)
	equal(t, "entries", got, append(slices.Clone(texts[:from-1]), texts[to:]...))
	if s.err == nil {
		t.Error("no error is kept")
	}
}

func TestMovedBatchIsOneForTheOtherPlace(t *testing.T) {
	texts := numbered(1, 20)
	var b batch
	b.reset(position{3, 12345})
	for _, s := range texts {
		b.add(kindEntry, []byte("12"), []byte(s[2:]))
	}
	b.move(start(testSegment))
	_, got := scanAll(b.buf)
	for i := range texts {
		texts[i] = "12" + texts[i][2:]
	}
	equal(t, "entries", got, texts)
}

// FuzzScan reads what nobody wrote, and what was written with damage: the input says what is damaged.
func FuzzScan(f *testing.F) {
	texts := numbered(1, 12)
	content, _ := stream(texts)
	f.Add(content, []byte{0, 20, 1, 0, 200, 2, 1, 0, 0})
	f.Add([]byte{}, []byte{0, 16, 255})
	f.Add(content[:40], []byte{1, 20, 3})
	f.Fuzz(func(t *testing.T, arbitrary, changes []byte) {
		s, got := scanAll(arbitrary)
		if s.pos > s.end || s.pos < 0 {
			t.Fatalf("at %d of %d", s.pos, s.end)
		}
		for _, e := range got {
			if !bytes.Contains(arbitrary, []byte(e)) {
				t.Fatalf("%q was not there", e)
			}
		}
		damaged := slices.Clone(content)
		for ; len(changes) >= 3; changes = changes[3:] {
			at := (int(changes[0])<<8 | int(changes[1])) % len(content)
			switch {
			case at >= len(damaged):
			case changes[2] == 0:
				damaged = damaged[:at]
			default:
				damaged[at] ^= changes[2]
			}
		}
		s, got = scanAll(damaged)
		if !subsequence(got, texts) {
			t.Fatalf("got %q", got)
		}
		if len(got) < len(texts) && len(damaged) == len(content) && !s.damage.Any() {
			t.Fatal("lost without a word")
		}
	})
}

package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
)

const (
	cursorName = "cursor"
	// A cursor is count uint64, segment uint64, offset uint64, sum of the 24 bytes before uint32. It
	// is written to two places in turn, a disk sector apart, so that a torn write leaves the one
	// before. Writing in place needs no space, so that a full disk can be emptied.
	cursorSlot   = 28
	cursorStride = 512
	cursorSize   = cursorStride + cursorSlot
)

// cursor is the file that keeps the position before which everything in a queue is done with.
type cursor struct {
	folder folder
	file   file
	// count is the number of writes; it says which place is newer.
	count uint64
	// want is the position to be kept, have the one that is.
	want, have position
}

// load reads the cursor. It is the start of the first segment if there is none, or none that is intact,
// which damage says.
func (c *cursor) load() (damage Damage) {
	c.have = start(1)
	c.want = c.have
	f, err := c.folder.dir.disk.Open(c.folder.join(cursorName), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return Damage{}
	}
	if err != nil {
		return Damage{Bytes: cursorSize}
	}
	defer f.Close()
	for place := range int64(2) {
		var b [cursorSlot]byte
		if readFull(f, b[:], place*cursorStride) != nil {
			continue
		}
		count := binary.LittleEndian.Uint64(b[:])
		if binary.LittleEndian.Uint32(b[24:]) != crc32.Checksum(b[:24], castagnoli) || count <= c.count {
			continue
		}
		c.count = count
		c.have = position{binary.LittleEndian.Uint64(b[8:]), int64(binary.LittleEndian.Uint64(b[16:]))}
	}
	c.want = c.have
	if c.count > 0 {
		return Damage{}
	}
	if size, err := f.Size(); err == nil && size < cursorSize {
		// The first write, which goes to the second place, was torn: nothing was done with before.
		return Damage{}
	}
	// So that it is written anew, and found once.
	c.have = position{}
	return Damage{Bytes: cursorSize}
}

// size is that of the file.
func (c *cursor) size() int64 {
	if c.count == 0 {
		return 0
	}
	return cursorSize
}

// save writes the wanted position, if it is not kept yet. sync says that it must survive a crash of the
// machine.
func (c *cursor) save(sync bool) error {
	if c.want == c.have {
		return nil
	}
	if c.file == nil {
		f, err := c.folder.create(cursorName, 0)
		if err != nil {
			return err
		}
		c.file = f
	}
	var b [cursorSlot]byte
	binary.LittleEndian.PutUint64(b[:], c.count+1)
	binary.LittleEndian.PutUint64(b[8:], c.want.segment)
	binary.LittleEndian.PutUint64(b[16:], uint64(c.want.offset))
	binary.LittleEndian.PutUint32(b[24:], crc32.Checksum(b[:24], castagnoli))
	if _, err := c.file.WriteAt(b[:], int64((c.count+1)%2)*cursorStride); err != nil {
		return err
	}
	c.count++
	if sync {
		if err := c.file.Datasync(); err != nil {
			return err
		}
	}
	c.have = c.want
	return nil
}

// close closes the file.
func (c *cursor) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

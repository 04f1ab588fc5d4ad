package journal

import "fmt"

// Damage is what could not be read of what was written.
type Damage struct {
	// Entries is the number of places where entries are missing. Each is one entry at least; where the
	// header of an entry is damaged there is no telling how many.
	Entries int
	// Bytes is what was passed over in those places, in file headers and in cursors.
	Bytes int64
	// Segments is the number of files that are missing, or of which nothing could be read.
	Segments int
	// Torn is the number of bytes after the last entry of all that are no whole entry. It is the
	// normal trace of a crash in the middle of a write; what was torn had not been acknowledged, but
	// if the machine crashed, and Sync was off.
	Torn int64
}

// Error says it as an error.
func (d Damage) Error() string {
	return fmt.Sprintf("could not be read: %d segments, %d bytes in %d places, and a torn tail of %d bytes",
		d.Segments, d.Bytes, d.Entries, d.Torn)
}

// Any reports whether anything could not be read.
func (d Damage) Any() bool { return d != Damage{} }

// add counts more.
func (d *Damage) add(more Damage) {
	d.Entries += more.Entries
	d.Bytes += more.Bytes
	d.Segments += more.Segments
	d.Torn += more.Torn
}

// mended is the damage where a torn tail is not the end, so that whole entries were there once.
func (d Damage) mended() Damage {
	if d.Torn > 0 {
		d.Entries++
		d.Bytes += d.Torn
		d.Torn = 0
	}
	return d
}

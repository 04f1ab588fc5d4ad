package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
)

// logFile is what can be read of a file of the write-ahead log.
type logFile struct {
	path    string
	number  uint64
	batches [][]byte
	bad     int // pieces that cannot be read, with something readable behind
	clean   bool
}

// logBlock is the size of the blocks of which a log consists. A record that follows damage begins in a later
// block.
const logBlock = 32 << 10

// readLogs reads what can be read, oldest log first.
func readLogs(fs *diskFS, dir string) ([]logFile, error) {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var logs []logFile
	for _, name := range names {
		n, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
		if err != nil || !isLog(name) {
			continue
		}
		l := logFile{path: filepath.Join(dir, name), number: n}
		f, err := fs.Open(l.path)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return nil, err
		}
		l.read(data)
		logs = append(logs, l)
	}
	slices.SortFunc(logs, func(a, b logFile) int { return int(int64(a.number - b.number)) })
	return logs, nil
}

// newLogReader calls record.NewReader, whose second parameter has a type that cannot be named here.
func newLogReader[N ~uint64](f func(io.Reader, N) *record.Reader, r io.Reader, n uint64) *record.Reader {
	return f(r, N(n))
}

func (l *logFile) read(data []byte) {
	skipped := false // a damaged piece, unless nothing follows: that is a torn tail
	for start := 0; start < len(data); {
		r := newLogReader(record.NewReader, bytes.NewReader(data[start:]), l.number)
		position := start
		for {
			rest, err := r.Next()
			var batch []byte
			if err == nil {
				batch, err = io.ReadAll(rest)
			}
			if errors.Is(err, io.EOF) {
				l.clean = true
				return
			}
			if err != nil {
				break
			}
			position = start + int(max(0, r.Offset()))
			if len(batch) < batchrepr.HeaderLen {
				continue
			}
			if skipped {
				l.bad++
				skipped = false
			}
			l.batches = append(l.batches, batch)
		}
		skipped = true
		start = max(position/logBlock+1, start/logBlock+1) * logBlock
	}
}

// checkManifests finds damage that pebble takes for the end of a manifest; it would forget, and remove, the tables
// of what follows. A manifest that ends in the middle of a record is not damaged: the process died.
func checkManifests(fs *diskFS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "MANIFEST-") {
			continue
		}
		f, err := fs.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return err
		}
		r := newLogReader(record.NewReader, bytes.NewReader(data), 0)
		position := 0
		for {
			rest, err := r.Next()
			if err == nil {
				_, err = io.Copy(io.Discard, rest)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				// A chunk: checksum, length, kind, payload.
				const header, length = 7, 4
				if at := data[position:]; len(at) >= header &&
					header+int(binary.LittleEndian.Uint16(at[length:])) <= len(at) {
					return fmt.Errorf("%s: damaged at offset %d", name, position)
				}
				break
			}
			position = int(max(0, r.Offset()))
		}
	}
	return nil
}

// repairLogs writes damaged logs again with what can be read of them. A power cut damages them if they are not
// synced. The damaged ones are kept in damagedDir.
func (s *Store) repairLogs() (bad int, err error) {
	fs := s.newFS()
	logs, err := readLogs(fs, filepath.Join(s.dir, logDir))
	if err != nil {
		return 0, err
	}
	aside := filepath.Join(s.path, damagedDir)
	for i, l := range logs {
		if l.bad == 0 && (l.clean || i == len(logs)-1) {
			continue
		}
		if bad == 0 {
			if err := errors.Join(fs.RemoveAll(aside), fs.MkdirAll(aside, dirMode)); err != nil {
				return 0, err
			}
		}
		bad += max(1, l.bad)
		repaired := l.path + ".repair"
		if err := l.write(fs, repaired); err != nil {
			return 0, fmt.Errorf("repair %s: %w", l.path, err)
		}
		if err := fs.Link(l.path, filepath.Join(aside, filepath.Base(l.path))); err != nil {
			return 0, err
		}
		if err := fs.Rename(repaired, l.path); err != nil {
			return 0, err
		}
	}
	return bad, nil
}

func (l *logFile) write(fs *diskFS, path string) error {
	f, err := fs.Create(path, "store")
	if err != nil {
		return err
	}
	w := newLogWriter(record.NewLogWriter, f, l.number)
	for _, b := range l.batches {
		if _, err := w.WriteRecord(b); err != nil {
			w.Close()
			return err
		}
	}
	return w.Close() // syncs and closes f
}

func newLogWriter[N ~uint64](
	f func(io.Writer, N, record.LogWriterConfig) *record.LogWriter, w io.Writer, number uint64,
) *record.LogWriter {
	return f(w, N(number), record.LogWriterConfig{WriteWALSyncOffsets: func() bool { return true }})
}

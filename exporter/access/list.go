package access

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/gaissmai/bart"
)

// List is the content of a list file. It never changes.
type List struct {
	// Path is the path in the configuration, after relative paths were resolved.
	Path string
	// Modified is when the file was last written.
	Modified time.Time
	networks *bart.Lite
	// index is its index among the lists of its Set.
	index int
	// sum is the checksum of the file.
	sum checksum
}

type checksum [sha256.Size]byte

// Len returns the number of distinct networks and addresses.
func (l *List) Len() int { return l.networks.Size() }

func (l *List) String() string { return fmt.Sprintf("%s (%d entries)", l.Path, l.Len()) }

func (l *List) contains(addr netip.Addr) bool { return l.networks.Contains(addr) }

// readList reads a list file. kept is the list that was read from it before, or nil: if the content is unchanged, it is
// not parsed again.
func readList(path string, kept *List, p *pacer) (*List, error) {
	// The modification time is read before the content, so that a write in between is noticed by its time.
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() { // opening a pipe would block
		return nil, fmt.Errorf("%s: is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list := &List{Path: path, Modified: stat.ModTime()}
	if kept != nil {
		if list.sum, err = sumOf(file, p); err != nil {
			return nil, err
		}
		if list.sum == kept.sum {
			list.networks = kept.networks
			return list, nil
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	hash := sha256.New()
	list.networks, err = parseList(path, io.TeeReader(file, hash), p)
	hash.Sum(list.sum[:0])
	return list, err
}

// blockBytes is the size of the parts in which a list is read, unless a line is longer.
const blockBytes = 64 << 10

// maxLineBytes bounds a line of a list.
const maxLineBytes = 1 << 20

func sumOf(r io.Reader, p *pacer) (sum checksum, err error) {
	hash := sha256.New()
	for {
		_, err := io.CopyN(hash, r, blockBytes)
		if err == io.EOF {
			hash.Sum(sum[:0])
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
		p.pause()
	}
}

// parseList parses a list with one CIDR or address a line. Comments begin with # and end with the line. Errors name the
// line.
func parseList(path string, r io.Reader, p *pacer) (*bart.Lite, error) {
	networks := new(bart.Lite)
	blocks := bufio.NewScanner(r)
	blocks.Buffer(make([]byte, blockBytes), maxLineBytes)
	blocks.Split(wholeLines)
	line := 0
	for blocks.Scan() {
		// One string for a block, of which the entries are substrings, avoids an allocation for each entry.
		rest := blocks.Text()
		if line == 0 {
			rest = strings.TrimPrefix(rest, "\ufeff")
		}
		for rest != "" {
			var text string
			text, rest, _ = strings.Cut(rest, "\n")
			if line++; line%stride == 0 {
				p.pause()
			}
			if i := strings.IndexByte(text, '#'); i >= 0 {
				text = text[:i]
			}
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			network, err := parseNetwork(text)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, line, err)
			}
			networks.Insert(network)
		}
	}
	if err := blocks.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, line+1, err)
	}
	return networks, nil
}

// wholeLines is a bufio.SplitFunc that returns all complete lines in the buffer, with their ends.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

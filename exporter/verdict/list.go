package verdict

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gaissmai/bart"
)

// List is the content of a list file. It never changes.
type List struct {
	// Path is how the configuration names it, once relative paths are resolved.
	Path string
	// Modified is when the file was last written.
	Modified time.Time
	networks *bart.Lite
	// sum is of the file's content.
	sum [sha256.Size]byte
}

// Len is the number of different networks and addresses.
func (l *List) Len() int { return l.networks.Size() }

func (l *List) contains(addr netip.Addr) bool { return l.networks.Contains(addr) }

// stride is after how many entries whoever reads a list lets others run: some 200 µs.
const stride = 256

// parseList reads a CIDR or an address a line, and comments from # to the end of a line. pause is called
// now and then. An error names the line.
func parseList(path string, content []byte, pause func()) (*bart.Lite, error) {
	networks := new(bart.Lite)
	// One string, of which the entries are parts: no allocation for each.
	rest := strings.TrimPrefix(string(content), "\ufeff")
	for line := 1; rest != ""; line++ {
		var text string
		text, rest, _ = strings.Cut(rest, "\n")
		if line%stride == 0 {
			pause()
		}
		if i := strings.IndexByte(text, '#'); i >= 0 {
			text = text[:i]
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		networks.Insert(p)
	}
	return networks, nil
}

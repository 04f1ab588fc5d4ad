package reload

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"smithproxy_exporter/exporter/access"
)

// signatures tell by path whether a file has changed, without reading it.
type signatures map[string]signature

type signature struct {
	modified time.Time
	size     int64
	inode    uint64
	missing  bool
}

func signaturesOf(paths []string) signatures {
	all := signatures{}
	for _, path := range paths {
		if _, ok := all[path]; !ok {
			all[path] = signatureOf(path)
		}
	}
	return all
}

// listFiles returns the list files that the rules name.
func listFiles(c access.Config) []string {
	var paths []string
	for _, rule := range c.Rules {
		paths = append(append(paths, rule.ClientFile...), rule.ServerFile...)
	}
	return paths
}

func signatureOf(path string) signature {
	stat, err := os.Stat(path)
	if err != nil {
		return signature{missing: errors.Is(err, fs.ErrNotExist)}
	}
	s := signature{modified: stat.ModTime(), size: stat.Size()}
	if unix, ok := stat.Sys().(*syscall.Stat_t); ok {
		s.inode = unix.Ino
	}
	return s
}

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

// signaturesOf returns those of all list files that the rules name.
func signaturesOf(c access.Config) signatures {
	all := signatures{}
	for _, rule := range c.Rules {
		for _, paths := range [][]string{rule.ClientFile, rule.ServerFile} {
			for _, path := range paths {
				if _, ok := all[path]; !ok {
					all[path] = signatureOf(path)
				}
			}
		}
	}
	return all
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

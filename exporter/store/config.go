package store

import (
	"fmt"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/setting"
)

// MinMaxSize is the least Config.MaxSize: logs (5 of 4 MiB), and tables that exist twice while they are
// merged, need about half of it.
const MinMaxSize = 64 << 20

// Config is the section storage of the configuration file.
type Config struct {
	// Sync makes every Commit survive a crash of the machine, not only one of the process.
	Sync bool `yaml:"sync"`
	// MaxSize bounds the size of the directory; at the bound the oldest spans are dropped. The least is MinMaxSize.
	MaxSize units.Base2Bytes `yaml:"max_size"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{MaxSize: units.GiB} }

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	if c.MaxSize < MinMaxSize {
		return setting.Invalid("max_size", fmt.Errorf("must be at least %v", units.Base2Bytes(MinMaxSize)))
	}
	return nil
}

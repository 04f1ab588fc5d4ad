package history

import (
	"cmp"
	"errors"
	"time"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section history of the configuration file: how many finished connections are kept. Start from
// DefaultConfig.
type Config struct {
	// MaxSize bounds their size; at the bound the oldest ones are removed.
	MaxSize units.Base2Bytes `yaml:"max_size"`
	// MaxAge is how long a finished connection is kept; 0 keeps none.
	MaxAge time.Duration `yaml:"max_age"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{MaxSize: 256 * units.MiB, MaxAge: 7 * 24 * time.Hour} }

// Enabled reports whether connections are kept.
func (c Config) Enabled() bool { return c.MaxAge > 0 }

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	if c.MaxAge < 0 {
		return setting.Invalid("max_age", errors.New("must not be negative"))
	}
	return cmp.Or(setting.Positive("max_size", c.MaxSize))
}

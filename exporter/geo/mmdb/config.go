package mmdb

import (
	"errors"
	"fmt"
	"path/filepath"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section geoip of the configuration file. Start from DefaultConfig.
type Config struct {
	// Files are databases in the MMDB format, such as one of cities and one of autonomous systems. Of several that know a
	// value, the first counts. Without any, there are no places.
	Files []string `yaml:"files"`
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{} }

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	for i, path := range c.Files {
		if path == "" {
			return setting.Invalid(fmt.Sprintf("files[%d]", i), errors.New("is empty"))
		}
	}
	return nil
}

// SetDirectory makes relative paths relative to a directory.
func (c *Config) SetDirectory(dir string) {
	for i, path := range c.Files {
		if !filepath.IsAbs(path) {
			c.Files[i] = filepath.Join(dir, path)
		}
	}
}

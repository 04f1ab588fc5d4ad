package webhook

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/units"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/setting"
)

// Config is the section webhook of the configuration file: who may send events, and how much. Start from
// DefaultConfig.
type Config struct {
	// Secrets are the last path segments of the webhook's URL that are let in. Without any, one is
	// generated and kept in the storage directory; it speaks for all sources.
	Secrets []Secret `yaml:"secrets"`
	// Allow are the networks of the clients that may connect; nil allows all.
	Allow []access.Network `yaml:"allow"`
	// TLS makes the listener speak HTTPS, and with it HTTP/2; nil is plain HTTP.
	TLS *TLS `yaml:"tls"`
	// MaxBodySize is the size of the largest event.
	MaxBodySize units.Base2Bytes `yaml:"max_body_size"`
	Limits      Limits           `yaml:"limits"`
}

// Secret is a secret, or the file that holds it, and the sources that it speaks for.
type Secret struct {
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
	// Sources are the proxies whose events the secret may send; nil stands for all.
	Sources []access.Glob `yaml:"sources"`
}

// TLS names the certificate of the listener and, optionally, the CA of client certificates. All files are PEM.
type TLS struct {
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ClientCAFile holds the CAs of client certificates; with it every client needs a certificate.
	ClientCAFile string `yaml:"client_ca_file"`
	// Clients are the client certificates that are let in, and the sources that they speak for; nil lets all
	// certificates of the CA in, for all sources.
	Clients []Client `yaml:"clients"`
}

// Client is a client certificate by its name: the common name of its subject or one of its DNS names.
type Client struct {
	Name    string        `yaml:"name"`
	Sources []access.Glob `yaml:"sources"`
}

// Limits bound what clients can make the exporter hold and do.
type Limits struct {
	// Connections bounds open connections, ConnectionsPerAddress those of one client address (IPv6: of one
	// /64). At the bound the connection that has waited longest for a request is closed for the new one.
	Connections           int `yaml:"connections"`
	ConnectionsPerAddress int `yaml:"connections_per_address"`
	// BodyMemory bounds the memory of request bodies. The first 16 KiB of a body do not count.
	BodyMemory units.Base2Bytes `yaml:"body_memory"`
	// EventsPerSecond bounds the events of one source, UnauthenticatedPerSecond the requests of one client
	// address that have no valid secret. Two seconds' worth may come at once.
	EventsPerSecond          int `yaml:"events_per_second"`
	UnauthenticatedPerSecond int `yaml:"unauthenticated_per_second"`
	// HeaderTimeout is for the header of a request and for a TLS handshake; BodyTimeout for a whole request;
	// WriteTimeout for a request and its answer; IdleTimeout for the time between two requests.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	BodyTimeout   time.Duration `yaml:"body_timeout"`
	WriteTimeout  time.Duration `yaml:"write_timeout"`
	IdleTimeout   time.Duration `yaml:"idle_timeout"`
	// LargeBodyTimeout is for the receipt of a body over 16 KiB, and for how long it waits for BodyMemory.
	LargeBodyTimeout time.Duration `yaml:"large_body_timeout"`
}

// DefaultConfig returns the configuration of an empty file. 200 proxies behind one address, with 7,000 events/s and a
// connection for each event, reach none of its limits.
func DefaultConfig() Config {
	return Config{
		MaxBodySize: 4 * units.MiB,
		Limits: Limits{
			Connections: 16384, ConnectionsPerAddress: 12288, BodyMemory: 40 * units.MiB,
			EventsPerSecond: 10_000, UnauthenticatedPerSecond: 100,
			// smithproxy gives up after 5 s (60 s for neighbor events, which are small), so these cut no event short.
			HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, WriteTimeout: 35 * time.Second,
			LargeBodyTimeout: 5 * time.Second,
			// Behind a reverse proxy connections are kept.
			IdleTimeout: 2 * time.Minute,
		},
	}
}

// SetDirectory makes the relative paths of files relative to dir.
func (c *Config) SetDirectory(dir string) {
	rebase := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	for i := range c.Secrets {
		rebase(&c.Secrets[i].SecretFile)
	}
	if t := c.TLS; t != nil {
		rebase(&t.CertFile)
		rebase(&t.KeyFile)
		rebase(&t.ClientCAFile)
	}
}

// Validate returns a *setting.Error for the first setting that is invalid. It does not read the files.
func (c Config) Validate() error {
	for i, s := range c.Secrets {
		if err := s.validate(); err != nil {
			return within(fmt.Sprintf("secrets[%d]", i), err)
		}
	}
	if c.Allow != nil && len(c.Allow) == 0 {
		return setting.Invalid("allow", errors.New("must not be empty, because an empty list allows no client; omit it to allow all"))
	}
	if c.TLS != nil {
		if err := c.TLS.validate(); err != nil {
			return within("tls", err)
		}
	}
	if err := setting.Positive("max_body_size", c.MaxBodySize); err != nil {
		return err
	}
	return setting.Within("limits", c.Limits.validate(c.MaxBodySize))
}

// within moves an error into a mapping. An error without a field is one of the whole mapping.
func within(mapping string, err error) error {
	if _, ok := errors.AsType[*setting.Error](err); ok {
		return setting.Within(mapping, err)
	}
	return setting.Invalid(mapping, err)
}

func (s Secret) validate() error {
	if (s.Secret == "") == (s.SecretFile == "") {
		return errors.New("needs either secret or secret_file")
	}
	if s.Secret != "" {
		if err := CheckSecret(s.Secret); err != nil {
			return err
		}
	}
	return validSources(s.Sources)
}

func validSources(sources []access.Glob) error {
	if sources != nil && len(sources) == 0 {
		return setting.Invalid("sources", errors.New("must not be empty, because an empty list matches nothing; omit it to match everything"))
	}
	return nil
}

func (t TLS) validate() error {
	if t.CertFile == "" || t.KeyFile == "" {
		return errors.New("needs both cert_file and key_file")
	}
	if t.Clients != nil && t.ClientCAFile == "" {
		return setting.Invalid("clients", errors.New("needs client_ca_file"))
	}
	for i, c := range t.Clients {
		element := fmt.Sprintf("clients[%d]", i)
		if c.Name == "" {
			return within(element, setting.Invalid("name", errors.New("is missing")))
		}
		if err := validSources(c.Sources); err != nil {
			return within(element, err)
		}
	}
	return nil
}

func (l Limits) validate(maxBody units.Base2Bytes) error {
	for _, number := range []struct {
		field string
		value int64
	}{
		{"connections", int64(l.Connections)}, {"connections_per_address", int64(l.ConnectionsPerAddress)},
		{"events_per_second", int64(l.EventsPerSecond)}, {"unauthenticated_per_second", int64(l.UnauthenticatedPerSecond)},
		{"header_timeout", int64(l.HeaderTimeout)}, {"body_timeout", int64(l.BodyTimeout)},
		{"write_timeout", int64(l.WriteTimeout)}, {"idle_timeout", int64(l.IdleTimeout)},
		{"large_body_timeout", int64(l.LargeBodyTimeout)},
	} {
		if err := setting.Positive(number.field, number.value); err != nil {
			return err
		}
	}
	if l.BodyMemory < 2*maxBody {
		return setting.Invalid("body_memory", fmt.Errorf("must be at least %v, twice webhook.max_body_size", 2*maxBody))
	}
	if l.WriteTimeout <= l.BodyTimeout {
		return setting.Invalid("write_timeout", errors.New("must be longer than body_timeout, or a request whose body stalls gets no answer"))
	}
	return nil
}

// sparedFiles are the open files that connections must leave for the store, the web listener and the rest.
const sparedFiles = 512

// Within returns the limits with no more connections than a process may have that can open so many files.
func (l Limits) Within(files int) Limits {
	most := max(files-sparedFiles, files/2)
	l.Connections = min(l.Connections, most)
	l.ConnectionsPerAddress = min(l.ConnectionsPerAddress, l.Connections)
	return l
}

// secretPunctuation is what may be in a secret besides letters and digits.
const secretPunctuation = "-._~"

// CheckSecret says why a secret would not do as a segment of a URL's path, just as it is.
func CheckSecret(secret string) error {
	if secret == "." || secret == ".." {
		return errors.New("secret: dots alone are removed from URLs")
	}
	for _, r := range secret {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune(secretPunctuation, r) {
			return errors.New("secret: only letters, digits and " + secretPunctuation + " go into a URL as they are")
		}
	}
	return nil
}

// NeedsRestart returns the settings that differ in o and are not changed by a reload.
func (c Config) NeedsRestart(o Config) []string {
	var changed []string
	if (c.TLS == nil) != (o.TLS == nil) {
		changed = append(changed, "webhook.tls")
	}
	if c.MaxBodySize != o.MaxBodySize {
		changed = append(changed, "webhook.max_body_size")
	}
	if c.Limits != o.Limits {
		changed = append(changed, "webhook.limits")
	}
	return changed
}

// files returns the files that the configuration names.
func (c Config) files() []string {
	var paths []string
	for _, s := range c.Secrets {
		if s.SecretFile != "" {
			paths = append(paths, s.SecretFile)
		}
	}
	if t := c.TLS; t != nil {
		paths = append(paths, t.CertFile, t.KeyFile)
		if t.ClientCAFile != "" {
			paths = append(paths, t.ClientCAFile)
		}
	}
	return paths
}

package access

import (
	"errors"
	"fmt"
	"path/filepath"
	"unicode"
	"unicode/utf8"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/setting"
)

// Config is the section access of the configuration file. Start from DefaultConfig.
type Config struct {
	// Default is the verdict for what no rule decides: accept or reject; "" is accept.
	Default event.Verdict `yaml:"default"`
	// Defaults override it for some proxies; the first one that matches the proxy applies.
	Defaults []ProxyDefault `yaml:"defaults"`
	// DryRun makes all rules and defaults dry-run: a connection that would be rejected is accepted, counted and traced.
	DryRun bool `yaml:"dry_run"`
	// Rules are tried in order; the first one that matches decides.
	Rules []Rule `yaml:"rules"`
}

// ProxyDefault is the default verdict of some proxies.
type ProxyDefault struct {
	Source  []Glob        `yaml:"source"`
	Verdict event.Verdict `yaml:"verdict"`
}

// Rule decides about the connections that match all its fields. A nil field matches every connection; any other field
// does not match a connection for which its value is unknown.
type Rule struct {
	Name   string `yaml:"name"`
	Source []Glob `yaml:"source"`
	// Client and Server are addresses and networks, ClientFile and ServerFile are lists of them.
	Client     []Network `yaml:"client"`
	ClientFile []string  `yaml:"client_file"`
	Server     []Network `yaml:"server"`
	ServerFile []string  `yaml:"server_file"`
	// Port is the server's.
	Port      []Ports           `yaml:"port"`
	Transport []event.Transport `yaml:"transport"`
	Policy    []Policy          `yaml:"policy"`
	Schedule  *Schedule         `yaml:"schedule"`
	Verdict   event.Verdict     `yaml:"verdict"`
	// DryRun makes it a dry-run rule: it does not decide, but connections that it would reject are counted and traced.
	DryRun bool `yaml:"dry_run"`
}

// Schedule is a part of the week, by the local clock in Timezone ("" is UTC). It lasts from From to To, which is on the
// next day if To is not after From, or the whole day if neither is set. Days are the days on which it begins, all of
// them if nil.
type Schedule struct {
	Days     []Day     `yaml:"days"`
	From     TimeOfDay `yaml:"from"`
	To       TimeOfDay `yaml:"to"`
	Timezone string    `yaml:"timezone"`
}

// maxRuleName bounds the name of a rule, in bytes. The name is a label value, and part of the proxy's echo.
const maxRuleName = 128

var (
	errEmpty   = errors.New("must not be empty, because an empty list matches nothing; omit it to match everything")
	errMissing = errors.New("is missing")
)

// DefaultConfig returns the configuration of an empty file: every connection is accepted.
func DefaultConfig() Config { return Config{Default: event.Accept} }

// SetDirectory makes the relative paths of lists relative to dir.
func (c *Config) SetDirectory(dir string) {
	for i := range c.Rules {
		for _, paths := range [][]string{c.Rules[i].ClientFile, c.Rules[i].ServerFile} {
			for j, path := range paths {
				if !filepath.IsAbs(path) {
					paths[j] = filepath.Join(dir, path)
				}
			}
		}
	}
}

// Validate returns a *setting.Error for the first setting that is invalid. It does not read the lists.
func (c Config) Validate() error {
	if c.Default != "" {
		if err := validVerdict(c.Default); err != nil {
			return setting.Invalid("default", err)
		}
	}
	for i, d := range c.Defaults {
		if err := d.validate(); err != nil {
			return setting.Within(index("defaults", i), err)
		}
	}
	names := map[string]int{RuleDefault: -1}
	for i := range c.Rules {
		r := &c.Rules[i]
		if err := r.validate(); err != nil {
			return setting.Within(index("rules", i), err)
		}
		if other, taken := names[r.Name]; taken {
			err := fmt.Errorf("%q is the name of rules[%d]", r.Name, other)
			if other < 0 {
				err = fmt.Errorf("%q is the name of the default verdict", r.Name)
			}
			return setting.Within(index("rules", i), setting.Invalid("name", err))
		}
		names[r.Name] = i
	}
	return nil
}

// index returns the field of an element of a list.
func index(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

func validVerdict(v event.Verdict) error {
	switch v {
	case event.Accept, event.Reject:
		return nil
	case "":
		return errMissing
	}
	return fmt.Errorf("%q is neither accept nor reject", v)
}

func (d ProxyDefault) validate() error {
	if len(d.Source) == 0 {
		return setting.Invalid("source", errMissing)
	}
	return setting.Invalid("verdict", validVerdict(d.Verdict))
}

func (r *Rule) validate() error {
	if err := validName(r.Name); err != nil {
		return setting.Invalid("name", err)
	}
	for _, list := range []struct {
		field string
		empty bool
	}{
		{"source", empty(r.Source)},
		{"client", empty(r.Client)},
		{"client_file", empty(r.ClientFile)},
		{"server", empty(r.Server)},
		{"server_file", empty(r.ServerFile)},
		{"port", empty(r.Port)},
		{"transport", empty(r.Transport)},
		{"policy", empty(r.Policy)},
	} {
		if list.empty {
			return setting.Invalid(list.field, errEmpty)
		}
	}
	for i, t := range r.Transport {
		switch t {
		case event.TCP, event.TLS, event.UDP, event.SSH, event.QUIC:
		default:
			return setting.Invalid(index("transport", i), fmt.Errorf("%q is not one of tcp, tls, udp, ssh, quic", t))
		}
	}
	for i, p := range r.Policy {
		if p < event.PolicyUnknown {
			return setting.Invalid(index("policy", i), fmt.Errorf("%v is not a policy: must be 0 or more, or -1 for an unknown policy", p))
		}
	}
	for _, files := range []struct {
		field string
		paths []string
	}{{"client_file", r.ClientFile}, {"server_file", r.ServerFile}} {
		for i, path := range files.paths {
			if path == "" {
				return setting.Invalid(index(files.field, i), errMissing)
			}
		}
	}
	if r.Schedule != nil {
		if err := r.Schedule.validate(); err != nil {
			return setting.Within("schedule", err)
		}
	}
	return setting.Invalid("verdict", validVerdict(r.Verdict))
}

// empty reports whether a list is present and empty.
func empty[T any](list []T) bool { return list != nil && len(list) == 0 }

func validName(name string) error {
	switch {
	case name == "":
		return errMissing
	case len(name) > maxRuleName:
		return fmt.Errorf("is longer than %d bytes", maxRuleName)
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return fmt.Errorf("%q: contains %q, which cannot be printed", name, r)
		}
	}
	return nil
}

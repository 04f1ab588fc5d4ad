package privacy

import (
	"cmp"
	"errors"
	"fmt"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section privacy of the configuration file. Start from DefaultConfig.
type Config struct {
	// URLs is how much of the URLs of L7 requests is kept.
	URLs URLs `yaml:"urls"`
	// ClientAddresses is how much of the addresses of clients is kept.
	ClientAddresses Addresses `yaml:"client_addresses"`
	// SensitiveParameters are names of parameters whose values are replaced, in addition to the known ones.
	SensitiveParameters []Parameter `yaml:"sensitive_parameters"`
}

// URLs is how much of a URL is kept.
type URLs string

const (
	// URLsFull keeps URLs as the proxy sends them.
	URLsFull URLs = "full"
	// URLsRedacted replaces user information and the values of sensitive parameters.
	URLsRedacted URLs = "redacted"
	// URLsNoQuery also removes the query and the fragment.
	URLsNoQuery URLs = "no_query"
	// URLsHost keeps scheme, host and port.
	URLsHost URLs = "host"
	// URLsNone keeps the number of requests.
	URLsNone URLs = "none"
)

// UnmarshalText accepts the values above.
func (u *URLs) UnmarshalText(text []byte) error {
	*u = URLs(text)
	return u.validate()
}

func (u URLs) validate() error {
	switch u {
	case URLsFull, URLsRedacted, URLsNoQuery, URLsHost, URLsNone:
		return nil
	}
	return fmt.Errorf("%q is not one of full, redacted, no_query, host, none", string(u))
}

// Addresses is how much of an address is kept.
type Addresses string

const (
	// AddressesFull keeps addresses as the proxy sends them.
	AddressesFull Addresses = "full"
	// AddressesTruncated keeps the network: 24 bits of IPv4, 48 bits of IPv6.
	AddressesTruncated Addresses = "truncated"
	// AddressesHashed replaces an address by a keyed hash.
	AddressesHashed Addresses = "hashed"
)

// UnmarshalText accepts the values above.
func (a *Addresses) UnmarshalText(text []byte) error {
	*a = Addresses(text)
	return a.validate()
}

func (a Addresses) validate() error {
	switch a {
	case AddressesFull, AddressesTruncated, AddressesHashed:
		return nil
	}
	return fmt.Errorf("%q is not one of full, truncated, hashed", string(a))
}

// Parameter is the name of a parameter. Names are compared without case and percent-encoding, and only by their
// ASCII letters and digits: api_key, api-key and apiKey are the same name.
type Parameter string

// UnmarshalText accepts a name that can be compared.
func (p *Parameter) UnmarshalText(text []byte) error {
	*p = Parameter(text)
	return p.validate()
}

func (p Parameter) validate() error {
	switch n := len(canonical(string(p))); {
	case n == 0:
		return errors.New("needs a letter or a digit")
	case n > maxParameter:
		return fmt.Errorf("has more than %d letters and digits", maxParameter)
	}
	return nil
}

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config {
	return Config{URLs: URLsRedacted, ClientAddresses: AddressesFull}
}

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	for i, p := range c.SensitiveParameters {
		if err := p.validate(); err != nil {
			return setting.Invalid(fmt.Sprintf("sensitive_parameters[%d]", i), err)
		}
	}
	return cmp.Or(
		setting.Invalid("urls", c.URLs.validate()),
		setting.Invalid("client_addresses", c.ClientAddresses.validate()),
	)
}

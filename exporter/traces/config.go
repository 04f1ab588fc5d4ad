package traces

import (
	"fmt"
	"time"

	"smithproxy_exporter/exporter/setting"
)

// Config is the section otlp of the configuration file: where traces are sent. Start from DefaultConfig. SpanConfig is the
// section traces.
type Config struct {
	// Endpoint is a URL, http or https, or host:port for http. "" leaves it to the OTEL_* variables.
	Endpoint string `yaml:"endpoint"`
	// Protocol is grpc or http/protobuf; "" leaves it to the OTEL_* variables, and grpc is the default.
	Protocol string            `yaml:"protocol"`
	Headers  map[string]string `yaml:"headers"`
	// FlushTimeout bounds how long a stop of the exporter sends waiting spans; the rest stays in the store.
	FlushTimeout time.Duration `yaml:"flush_timeout"`
}

// The protocols, under the names of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// DefaultConfig returns the configuration of an empty file.
func DefaultConfig() Config { return Config{FlushTimeout: 5 * time.Second} }

// Validate returns a *setting.Error for the first setting that is invalid.
func (c Config) Validate() error {
	if p := c.Protocol; p != "" && p != protocolGRPC && p != protocolHTTP {
		return setting.Invalid("protocol", fmt.Errorf("%q is neither %s nor %s", p, protocolGRPC, protocolHTTP))
	}
	return setting.Positive("flush_timeout", c.FlushTimeout)
}

// HasEndpoint reports whether the configuration or an OTEL_* variable has an endpoint.
func (c Config) HasEndpoint() bool { return c.Endpoint != "" || fromEnv("ENDPOINT") != "" }

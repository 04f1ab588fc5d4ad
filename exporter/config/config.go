// Package config reads the configuration file. The file is optional, and so is everything in it;
// what it does not know it refuses.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

// Config is the whole configuration file.
type Config struct {
	Webhook     webhook.Config `yaml:"webhook"`
	Access      access.Config  `yaml:"access"`
	OTLP        OTLP           `yaml:"otlp"`
	Storage     Storage        `yaml:"storage"`
	Connections Connections    `yaml:"connections"`
	Proxies     Proxies        `yaml:"proxies"`
	Metrics     Metrics        `yaml:"metrics"`
	API         API            `yaml:"api"`

	// Origin is where all this comes from, for errors that are found later.
	Origin Origin `yaml:"-"`
}

// OTLP is where traces go.
type OTLP struct {
	// Endpoint is a URL, http or https, or host:port for http. "" leaves it to the OTEL_* variables.
	Endpoint string `yaml:"endpoint"`
	// Protocol is grpc or http/protobuf; "" leaves it to the OTEL_* variables, and grpc is the default.
	Protocol string            `yaml:"protocol"`
	Headers  map[string]string `yaml:"headers"`
	// FlushTimeout is for how long the end of the process tries to send what waits; the rest is kept.
	FlushTimeout model.Duration `yaml:"flush_timeout"`
}

// The protocols, under the names of OTEL_EXPORTER_OTLP_PROTOCOL.
const (
	ProtocolGRPC = "grpc"
	ProtocolHTTP = "http/protobuf"
)

// Storage is the persistent state.
type Storage struct {
	// Sync makes what was acknowledged survive a crash of the machine, not only one of the process.
	Sync bool `yaml:"sync"`
	// MaxSize bounds what is on disk; at the bound the oldest spans go.
	MaxSize units.Base2Bytes `yaml:"max_size"`
}

// Connections are the times and bounds of connection records; see track.Options.
type Connections struct {
	// GracePeriod is how long a connection that is over waits for what may still come of it.
	GracePeriod model.Duration `yaml:"grace_period"`
	// IdleTimeout closes an open connection that no event or list showed alive for so long; 0 is never.
	IdleTimeout model.Duration `yaml:"idle_timeout"`
	// MaxOpen bounds the connections of one proxy, MaxOpenTotal those of all; beyond it the oldest is evicted.
	MaxOpen      int `yaml:"max_open"`
	MaxOpenTotal int `yaml:"max_open_total"`
	// OpenSpanAge is when a long connection gets its first span; 0 is never.
	OpenSpanAge model.Duration   `yaml:"open_span_age"`
	MaxRequests int              `yaml:"max_l7_requests"`
	MaxTextSize units.Base2Bytes `yaml:"max_text_size"`
}

// Proxies are the times of a proxy's own life.
type Proxies struct {
	PingTimeout model.Duration `yaml:"ping_timeout"`
	// DownTimeout closes what is open on a proxy that has been down for so long; 0 is never.
	DownTimeout    model.Duration `yaml:"down_timeout"`
	NeighborWindow model.Duration `yaml:"neighbor_window"`
	ForgetAfter    model.Duration `yaml:"forget_after"`
	// Max is how many proxies are remembered.
	Max int `yaml:"max"`
}

// Metrics bound the exposition; see collector.Options.
type Metrics struct {
	MaxValues   int            `yaml:"max_values"`
	MaxApps     int            `yaml:"max_apps"`
	Grace       model.Duration `yaml:"grace"`
	Expiry      model.Duration `yaml:"expiry"`
	SNIGrouping SNIGrouping    `yaml:"sni_grouping"`
}

// SNIGrouping is by what TLS server names are counted.
type SNIGrouping string

// The groupings.
const (
	SNIExact            SNIGrouping = "exact"
	SNIRegisteredDomain SNIGrouping = "registered_domain"
)

// API bounds what the JSON API remembers.
type API struct {
	// Finished is how many finished connections are kept to be looked at.
	Finished int `yaml:"finished_connections"`
}

// Default is the configuration of an empty file.
func Default() Config {
	o, m := track.DefaultOptions(), collector.DefaultOptions()
	return Config{
		Webhook: webhook.DefaultConfig(),
		OTLP:    OTLP{FlushTimeout: model.Duration(5 * time.Second)},
		Storage: Storage{MaxSize: units.GiB},
		Connections: Connections{
			GracePeriod: model.Duration(o.Grace), IdleTimeout: model.Duration(o.IdleAge),
			MaxOpen: o.MaxConnections, MaxOpenTotal: o.MaxTotalConnections,
			OpenSpanAge: model.Duration(o.OpenAge),
			MaxRequests: o.Limits.ListItems, MaxTextSize: units.Base2Bytes(o.Limits.TextBytes),
		},
		Proxies: Proxies{
			PingTimeout: model.Duration(o.PingTimeout), DownTimeout: model.Duration(o.DownAge),
			NeighborWindow: model.Duration(o.NeighborWindow), ForgetAfter: model.Duration(o.ForgetAge), Max: o.MaxProxies,
		},
		Metrics: Metrics{
			MaxValues: m.MaxValues, MaxApps: m.MaxApps, Grace: model.Duration(m.Grace), Expiry: model.Duration(m.Expiry),
			SNIGrouping: SNIExact,
		},
		API: API{Finished: 1000},
	}
}

// Load reads and checks the configuration file at path; "" is an empty one. Paths in it are taken as
// relative to its own folder. Errors name the file, the line and the field. Lists that access rules name are
// not read.
func Load(path string) (Config, error) {
	c := Default()
	if path == "" {
		return c, nil
	}
	c.Origin.Path = path
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	if err := c.read(raw); err != nil {
		return Config{}, err
	}
	if err := c.validate(); err != nil {
		return Config{}, c.Origin.locate(err)
	}
	c.resolve(filepath.Dir(path))
	return c, nil
}

func (c *Config) read(raw []byte) error {
	var document, more yaml.Node
	decoder := decoder{map[string]int{}}
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	err := documents.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		err = documents.Decode(&more)
	}
	switch {
	case err == nil:
		return c.Origin.at(more.Line, errors.New("there is something behind the end of the document"))
	case !errors.Is(err, io.EOF):
		line, text := position(err)
		return c.Origin.at(line, errors.New("no yaml: "+text))
	}
	if err := decoder.decode(document.Content[0], reflect.ValueOf(c).Elem(), ""); err != nil {
		return c.Origin.locate(err)
	}
	if len(decoder.lines) > 0 {
		c.Origin.Lines = decoder.lines
	}
	return nil
}

// TrackOptions are the options of the tracker that the configuration asks for.
func (c Config) TrackOptions() track.Options {
	o := track.DefaultOptions()
	o.Grace = time.Duration(c.Connections.GracePeriod)
	o.IdleAge = time.Duration(c.Connections.IdleTimeout)
	o.OpenAge = time.Duration(c.Connections.OpenSpanAge)
	o.MaxConnections, o.MaxTotalConnections = c.Connections.MaxOpen, c.Connections.MaxOpenTotal
	o.DownAge = time.Duration(c.Proxies.DownTimeout)
	o.Limits = track.Limits{TextBytes: int(c.Connections.MaxTextSize), ListItems: c.Connections.MaxRequests}
	o.PingTimeout = time.Duration(c.Proxies.PingTimeout)
	o.NeighborWindow = time.Duration(c.Proxies.NeighborWindow)
	o.ForgetAge = time.Duration(c.Proxies.ForgetAfter)
	o.MaxProxies = c.Proxies.Max
	return o
}

// CollectorOptions are the options of the metrics that the configuration asks for.
func (c Config) CollectorOptions() collector.Options {
	o := collector.DefaultOptions()
	o.MaxValues, o.MaxApps = c.Metrics.MaxValues, c.Metrics.MaxApps
	o.Grace, o.Expiry = time.Duration(c.Metrics.Grace), time.Duration(c.Metrics.Expiry)
	o.RegisteredDomain = c.Metrics.SNIGrouping == SNIRegisteredDomain
	return o
}

func (c *Config) resolve(dir string) {
	rebase := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(dir, *path)
		}
	}
	c.Webhook.SetDirectory(dir)
	for i := range c.Access.Rules {
		r := &c.Access.Rules[i]
		for _, files := range [][]string{r.ClientFile, r.ServerFile} {
			for j := range files {
				rebase(&files[j])
			}
		}
	}
}

package config_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/units"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/geo/mmdb"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
	"smithproxy_exporter/exporter/webhook"
)

func TestLoadValid(t *testing.T) {
	want := config.Config{
		Webhook: webhook.Config{
			Secrets: []webhook.Secret{
				{Secret: "Aa0-._~"},
				{SecretFile: filepath.Join("testdata", "secrets", "second"), Sources: []access.Glob{"edge-*", "lab"}},
				{SecretFile: "/etc/smithproxy_exporter/third", Sources: []access.Glob{"lab"}},
			},
			Allow: []access.Network{access.Network(netip.MustParsePrefix("10.0.0.0/8")), access.Network(netip.MustParsePrefix("fd00::1/128"))},
			TLS: &webhook.TLS{
				CertFile: filepath.Join("testdata", "tls", "cert.pem"), KeyFile: "/etc/smithproxy_exporter/key.pem",
				ClientCAFile: filepath.Join("testdata", "tls", "ca.pem"),
				Clients:      []webhook.Client{{Name: "edge.example.com", Sources: []access.Glob{"edge-*"}}, {Name: "all"}},
			},
			MaxBodySize: 8 * units.MiB,
			Limits: webhook.Limits{
				Connections: 500, ConnectionsPerAddress: 100, BodyMemory: 64 * units.MiB, EventsPerSecond: 2000,
				UnauthenticatedPerSecond: 5, HeaderTimeout: 5 * time.Second, BodyTimeout: 20 * time.Second,
				WriteTimeout: 25 * time.Second, IdleTimeout: time.Minute, LargeBodyTimeout: 4 * time.Second,
			},
		},
		Access: access.Config{Default: event.Reject},
		OTLP: traces.Config{
			Endpoint: "https://otlp.example.com:4317", Protocol: "http/protobuf", Headers: map[string]string{"authorization": "Bearer token"},
			FlushTimeout: 10 * time.Second,
		},
		Traces: traces.SpanConfig{Sampling: traces.SamplingConfig{Ratio: 0.25, Keep: traces.KeepConfig{
			Reasons: []track.Reason{track.ReasonEvicted, track.ReasonLost}, LongerThan: time.Hour, BytesOver: 10 * units.MiB,
			EntropyUpOver: 7.5, Rules: []string{"no-mail"}, Sources: []access.Glob{"lab-*"},
		}}, ClientSpan: traces.ClientSpanConfig{Enabled: true, Services: []traces.ServiceConfig{{
			Name: "code", Domains: []string{"github.com", "example.org"}, Servers: []access.Network{access.Network(netip.MustParsePrefix("192.0.2.0/24"))},
		}}}},
		Storage: store.Config{Sync: true, MaxSize: 100 * units.MiB},
		Connections: track.ConnectionConfig{
			GracePeriod: 40 * time.Second, IdleTimeout: 3 * time.Hour, OpenSpanAge: time.Minute,
			MaxOpen: 5000, MaxOpenTotal: 9000, MaxRequests: 16, MaxTextSize: 2 * units.KiB,
		},
		Proxies: track.ProxyConfig{
			PingTimeout: 6 * time.Minute, DownTimeout: 20 * time.Minute, NeighborWindow: time.Hour,
			ForgetAfter: 30 * 24 * time.Hour, Max: 20,
			MaxNeighbors: track.DefaultConfig().Proxies.MaxNeighbors, MaxNeighborsTotal: track.DefaultConfig().Proxies.MaxNeighborsTotal,
		},
		Metrics: collector.Config{
			MaxValues: 50, MaxApps: 10, Grace: 10 * time.Minute, Expiry: 30 * time.Minute, SNIGrouping: collector.SNIRegisteredDomain,
			Networks: []collector.NetworkConfig{
				{Name: "guests", CIDRs: []access.Network{access.Network(netip.MustParsePrefix("10.20.0.0/16")), access.Network(netip.MustParsePrefix("fd00:20::/32"))}},
				{Name: "printer", CIDRs: []access.Network{access.Network(netip.MustParsePrefix("10.20.0.9/32"))}},
			},
		},
		GeoIP: mmdb.Config{Files: []string{filepath.Join("testdata", "city.mmdb"), "/usr/share/GeoIP/asn.mmdb"}},
		API:   web.Config{Finished: 200},
		Privacy: privacy.Config{
			URLs: privacy.URLsNoQuery, ClientAddresses: privacy.AddressesHashed, SensitiveParameters: []privacy.Parameter{"customer_id", "iban"},
		},
	}
	got, err := config.Load(filepath.Join("testdata", "valid.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(config.Config{}, "Positions"), cmp.Comparer(sameNetwork)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func sameNetwork(a, b access.Network) bool { return a == b }

func TestLoadDefaults(t *testing.T) {
	contents := map[string]string{
		"empty":          "",
		"comment":        "# nothing\n",
		"null":           "null\n",
		"empty mapping":  "{}\n",
		"empty sections": "webhook:\naccess:\notlp:\ntraces:\nstorage:\nconnections:\nproxies:\nmetrics:\ngeoip:\napi:\nprivacy:\n",
	}
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yml")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			checkDefaults(t, path)
		})
	}
	t.Run("no file", func(t *testing.T) { checkDefaults(t, "") })
}

func checkDefaults(t *testing.T, path string) {
	t.Helper()
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got, cmpopts.IgnoreFields(config.Config{}, "Positions")); diff != "" {
		t.Errorf("-default +got:\n%s", diff)
	}
	if got.Webhook.MaxBodySize != 4*units.MiB || got.Metrics.MaxValues != 100 || got.API.Finished != 1000 {
		t.Errorf("defaults are %+v", got)
	}
}

func TestLoadNoFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load() = %v, want %v", err, fs.ErrNotExist)
	}
}

// invalid is a file that is refused, and what the error says.
type invalid struct{ file, want string }

func TestLoadInvalid(t *testing.T) {
	tests := []invalid{
		{"unknown-section", ":1: webhooks: unknown field"},
		{"unknown-field", ":2: webhook.max_body: unknown field"},
		{"unknown-field-of-secret", ":3: webhook.secrets[0].password: unknown field"},
		{"unknown-field-of-access", ":2: access.fallback: unknown field"},
		{"second-document", ": the file has more than one document"},
		{"duplicate-field", ":3: api.finished_connections: is already set on line 2"},
		{"no-yaml", ": invalid YAML: "},
		{"no-mapping", "cannot unmarshal"},
		{"type-section", ":1: webhook: cannot unmarshal"},
		{"type-secrets", ":2: webhook.secrets: cannot unmarshal"},
		{"type-secret", ":3: webhook.secrets[0]: cannot unmarshal"},
		{"type-size", ":2: webhook.max_body_size: cannot unmarshal"},
		{"type-duration", ":2: connections.grace_period: cannot unmarshal"},
		{"type-number", ":2: metrics.max_values: cannot unmarshal"},
		{"type-headers", ":2: otlp.headers: cannot unmarshal"},
		{"type-verdict", ":2: access.default: cannot unmarshal"},
		{"size-without-unit", ":2: webhook.max_body_size: units: unknown unit"},
		{"size-of-unknown-unit", ":2: webhook.max_body_size: units: unknown unit MX"},
		{"duration-without-unit", ":2: connections.grace_period: not a valid duration"},
		{"duration-of-unknown-unit", ":2: connections.grace_period: unknown unit"},
		{"duration-negative", ":2: connections.grace_period: not a valid duration"},
		{"duration-too-long", ":2: proxies.forget_after: duration out of range"},
		{"secret-neither", "webhook.secrets[1]: needs either"},
		{"secret-both", "webhook.secrets[0]: needs either"},
		{"secret-empty", "webhook.secrets[0]: needs either"},
		{"secret-slash", "webhook.secrets[0]: secret:"},
		{"secret-percent", "webhook.secrets[0]: secret:"},
		{"secret-space", "webhook.secrets[0]: secret:"},
		{"secret-question-mark", "webhook.secrets[0]: secret:"},
		{"secret-not-ascii", "webhook.secrets[0]: secret:"},
		{"secret-dot", "webhook.secrets[0]: secret:"},
		{"secret-dots", "webhook.secrets[0]: secret:"},
		{"secret-sources-empty", ":4: webhook.secrets[0].sources: must not be empty"},
		{"secret-sources-pattern", `:4: webhook.secrets[0].sources[1]: "edge-[" is not a pattern`},
		{"allow-empty", ":2: webhook.allow: must not be empty"},
		{"allow-network", `:2: webhook.allow[0]: "10.0.0.0/33" is neither`},
		{"tls-clients-without-ca", ":5: webhook.tls.clients: needs client_ca_file"},
		{"tls-client-without-name", ":7: webhook.tls.clients[0].name: is missing"},
		{"limit-zero", ":3: webhook.limits.connections: must be greater than 0"},
		{"limit-duration-without-unit", ":3: webhook.limits.idle_timeout: not a valid duration"},
		{"limit-body-memory", ":3: webhook.limits.body_memory: must be at least 8MiB"},
		{"limit-write-timeout", ":3: webhook.limits.write_timeout: must be longer than body_timeout"},
		{"tls-without-key", "webhook.tls: needs both"},
		{"tls-without-certificate", "webhook.tls: needs both"},
		{"tls-empty", "webhook.tls: needs both"},
		{"verdict", `access.default: "drop" is neither`},
		{"verdict-case", `access.default: "Reject" is neither`},
		{"zero-body-size", "webhook.max_body_size: must be greater than 0"},
		{"negative-body-size", "webhook.max_body_size: must be greater than 0"},
		{"zero-grace-period", "connections.grace_period: must be greater than 0"},
		{"zero-max-open-total", "connections.max_open_total: must be greater than 0"},
		{"otlp-protocol", `otlp.protocol: "http/json" is neither grpc nor http/protobuf`},
		{"sampling-ratio", ":3: traces.sampling.ratio: 1.5 is not a number from 0 to 1"},
		{"sampling-ratio-nan", ":3: traces.sampling.ratio: NaN is not a number from 0 to 1"},
		{"sampling-reason", `:4: traces.sampling.keep.reasons[1]: "Lost" is not one of [stop`},
		{"sampling-entropy", ":4: traces.sampling.keep.entropy_up_over: 9 is not a number from 0 to 8"},
		{"sampling-bytes", ":4: traces.sampling.keep.bytes_over: must not be negative"},
		{"service-without-name", ":4: traces.client_span.services[0].name: is missing"},
		{"service-of-nothing", ":4: traces.client_span.services[0]: needs domains or servers"},
		{"service-domain", ":4: traces.client_span.services[0].domains: has an empty name"},
		{"sampling-rule", ":4: traces.sampling.keep.rules[0]: is empty"},
		{"storage-too-small", "storage.max_size: must be at least 64MiB"},
		{"zero-flush-timeout", "otlp.flush_timeout: must be greater than 0"},
		{"zero-max-open", "connections.max_open: must be greater than 0"},
		{"negative-max-open", "connections.max_open: must be greater than 0"},
		{"zero-max-l7-requests", "connections.max_l7_requests: must be greater than 0"},
		{"zero-max-text-size", "connections.max_text_size: must be greater than 0"},
		{"zero-ping-timeout", "proxies.ping_timeout: must be greater than 0"},
		{"zero-neighbor-window", "proxies.neighbor_window: must be greater than 0"},
		{"zero-forget-after", "proxies.forget_after: must be greater than 0"},
		{"zero-max-proxies", "proxies.max: must be greater than 0"},
		{"zero-max-apps", "metrics.max_apps: must be greater than 0"},
		{"zero-grace", "metrics.grace: must be greater than 0"},
		{"zero-expiry", "metrics.expiry: must be greater than 0"},
		{"sni-grouping", "metrics.sni_grouping: \"tld\" is neither exact nor registered_domain"},
		{"network-without-name", ":3: metrics.networks[0].name: is missing"},
		{"network-name-twice", `:4: metrics.networks[1].name: "a" is the name of networks[0]`},
		{"network-name-control", `:3: metrics.networks[0].name: "a\nb" is over 128 bytes or cannot be printed`},
		{"network-without-cidrs", ":3: metrics.networks[0].cidrs: is empty"},
		{"network-cidr", `:3: metrics.networks[0].cidrs[0]: "10.0.0.0/33" is neither`},
		{"zero-max-values", "metrics.max_values: must be greater than 0"},
		{"privacy-urls", `:2: privacy.urls: "some" is not one of full`},
		{"privacy-client-addresses", `:2: privacy.client_addresses: "none" is not one of full`},
		{"privacy-parameter", ":2: privacy.sensitive_parameters[1]: needs a letter"},
		{"geoip-file", ":2: geoip.files[0]: is empty"},
		{"negative-finished-connections", "api.finished_connections: must be greater than 0"},
	}
	tests = append(tests, accessTests...)
	tested := map[string]bool{}
	for _, tt := range tests {
		tested[tt.file+".yml"] = true
		t.Run(tt.file, func(t *testing.T) {
			path := filepath.Join("testdata", "invalid", tt.file+".yml")
			got, err := config.Load(path)
			if err == nil {
				t.Fatalf("Load() = %+v, want an error", got)
			}
			for _, want := range []string{tt.want, path} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load() = %q, want it to contain %q", err, want)
				}
			}
			if !regexp.MustCompile(`^configuration ` + regexp.QuoteMeta(path) + `:[1-9]`).MatchString(err.Error()) {
				t.Errorf("Load() = %q, want the line", err)
			}
			if strings.Contains(err.Error(), "a%2Fb") || strings.Contains(err.Error(), "a/b") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	// A file that the table forgot would look as if it was tested.
	files, err := os.ReadDir(filepath.Join("testdata", "invalid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !tested[file.Name()] {
			t.Errorf("%s is not in the table", file.Name())
		}
	}
}

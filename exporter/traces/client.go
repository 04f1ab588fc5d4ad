package traces

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Client sends requests. It is an OpenTelemetry exporter without retries. It writes the backend's response into the
// *response in the context.
type Client = otlptrace.Client

// fromEnv returns a variable of the OTLP exporters: the one for traces, or else the one for all signals.
func fromEnv(name string) string {
	if value := os.Getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); value != "" {
		return value
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_" + name)
}

// NewClient returns an OTLP client. An endpoint without a scheme is taken as http://host:port.
func NewClient(c Config) (Client, error) {
	protocol, endpoint := c.Protocol, c.Endpoint
	if protocol == "" {
		protocol = fromEnv("PROTOCOL")
	}
	if endpoint != "" && !strings.Contains(endpoint, "://") {
		endpoint = "http://" + endpoint
	}
	switch protocol {
	case "", protocolGRPC:
		return newGRPC(endpoint, c.Headers), nil
	case protocolHTTP:
		return newHTTP(endpoint, c.Headers)
	}
	return nil, fmt.Errorf("protocol %q is neither %s nor %s", protocol, protocolGRPC, protocolHTTP)
}

// reconnect limits the time between attempts to connect; gRPC's default is up to two minutes.
var reconnect = backoff.Config{BaseDelay: minPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxPause}

func newGRPC(endpoint string, headers map[string]string) Client {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
		otlptracegrpc.WithDialOption(
			grpc.WithChainUnaryInterceptor(observeGRPC),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		),
	}
	if endpoint != "" {
		options = append(options, otlptracegrpc.WithEndpointURL(endpoint))
	}
	if len(headers) > 0 {
		options = append(options, otlptracegrpc.WithHeaders(headers))
	}
	return otlptracegrpc.NewClient(options...)
}

// tracesPath is the path of traces below a base URL, by the OTLP specification.
const tracesPath = "/v1/traces"

func newHTTP(endpoint string, headers map[string]string) (Client, error) {
	config, err := tlsFromEnv()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	options := []otlptracehttp.Option{
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport: observeHTTP{transport}, Timeout: requestTimeout(), CheckRedirect: followPosts,
		}),
	}
	if endpoint != "" {
		if _, path, _ := strings.Cut(endpoint[strings.Index(endpoint, "://")+3:], "/"); path == "" {
			endpoint = strings.TrimSuffix(endpoint, "/") + tracesPath
		}
		options = append(options, otlptracehttp.WithEndpointURL(endpoint))
	}
	if len(headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.NewClient(options...), nil
}

// followPosts follows a redirect only if the client repeats the POST. After other redirects it would send a GET, and
// take its 200 for accepted spans.
func followPosts(next *http.Request, via []*http.Request) error {
	if next.Method != http.MethodPost || len(via) >= 10 {
		return http.ErrUseLastResponse
	}
	return nil
}

// requestTimeout returns OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT, which is in milliseconds; the default is 10 s. The
// OpenTelemetry exporter does not apply it to an HTTP client that is passed to it.
func requestTimeout() time.Duration {
	if ms, err := time.ParseDuration(fromEnv("TIMEOUT") + "ms"); err == nil && ms > 0 {
		return ms
	}
	return 10 * time.Second
}

// tlsFromEnv reads the certificates that the OTEL_* variables name, nil if there are none. The OpenTelemetry exporter
// does not apply them to an HTTP client that is passed to it.
func tlsFromEnv() (*tls.Config, error) {
	var config tls.Config
	set := false
	if path := fromEnv("CERTIFICATE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA certificate: %s has none", path)
		}
		set = true
	}
	if certificate, key := fromEnv("CLIENT_CERTIFICATE"), fromEnv("CLIENT_KEY"); certificate != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
		set = true
	}
	if !set {
		return nil, nil
	}
	return &config, nil
}

var errNoResponse = errors.New("backend did not respond")

type responseKey struct{}

// withResponse returns a context in which a client writes the backend's response to r.
func withResponse(ctx context.Context, r *response) context.Context {
	return context.WithValue(ctx, responseKey{}, r)
}

func responseOf(ctx context.Context) *response {
	r, ok := ctx.Value(responseKey{}).(*response)
	if !ok {
		return new(response)
	}
	return r
}

package traces

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// The variables by which the SDK's exporter finds its endpoint.
var endpointVariables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Configured reports whether anyone said where to send traces to: endpoint is what flag or
// configuration say.
func Configured(endpoint string) bool {
	if endpoint != "" {
		return true
	}
	for _, name := range endpointVariables {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

var reconnect = backoff.Config{BaseDelay: minPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxPause}

// NewClient returns an OTLP/gRPC client for the endpoint, a URL or host:port, which is taken as
// http://host:port; "" leaves it to the OTEL_* variables. It does not retry: the Outbox does.
func NewClient(endpoint string, headers map[string]string, meter Meter, logger *slog.Logger) otlptrace.Client {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: false}),
		otlptracegrpc.WithDialOption(
			grpc.WithChainUnaryInterceptor(partialSuccess(meter, logger)),
			// A backend that comes back shall not wait for gRPC's own two minutes.
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		),
	}
	if endpoint != "" {
		if !strings.Contains(endpoint, "://") {
			endpoint = "http://" + endpoint
		}
		options = append(options, otlptracegrpc.WithEndpointURL(endpoint))
	}
	if len(headers) > 0 {
		options = append(options, otlptracegrpc.WithHeaders(headers))
	}
	return otlptracegrpc.NewClient(options...)
}

// partialSuccess accounts for the spans that a backend rejected out of a request that it accepted.
// The client behind it reports them as an error like any other, after which the whole request would
// be sent again.
func partialSuccess(meter Meter, logger *slog.Logger) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		response, ok := reply.(*coltracepb.ExportTraceServiceResponse)
		if err != nil || !ok || response.GetPartialSuccess() == nil {
			return err
		}
		partial := response.GetPartialSuccess()
		response.PartialSuccess = nil
		if n := int(partial.GetRejectedSpans()); n > 0 {
			meter.SpansDropped(DroppedRefused, n)
			logger.Error("Backend rejected some spans", "spans", n, "message", partial.GetErrorMessage())
		}
		return nil
	}
}

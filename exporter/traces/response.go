package traces

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// verdict is what a response means for the spans of its request.
type verdict uint8

const (
	unavailable  verdict = iota // no response or a retryable error: send the same request again later
	accepted                    // accepted, except for the rejected spans of a partial success
	rejected                    // a non-retryable error
	tooLarge                    // the request exceeds the backend's limit
	unauthorized                // the credentials are rejected: an operator has to act
)

// response is the response of a backend to a request.
type response struct {
	verdict verdict
	err     error
	// pause is the delay in RetryInfo or Retry-After, 0 without one.
	pause time.Duration
	// rejectedSpans and message are of a partial success.
	rejectedSpans int
	message       string
}

// maxAskedPause bounds response.pause.
const maxAskedPause = 5 * time.Minute

// observeGRPC records the response to a request. It removes a partial success from the reply, which the OpenTelemetry
// exporter would report as an error.
func observeGRPC(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker,
	opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	r := responseOf(ctx)
	if err != nil {
		*r = fromStatus(status.Convert(err))
		return err
	}
	*r = response{verdict: accepted}
	if export, ok := reply.(*coltracepb.ExportTraceServiceResponse); ok {
		r.partial(export)
		export.PartialSuccess = nil
	}
	return nil
}

func (r *response) partial(export *coltracepb.ExportTraceServiceResponse) {
	if p := export.GetPartialSuccess(); p != nil {
		r.rejectedSpans, r.message = int(max(0, p.GetRejectedSpans())), p.GetErrorMessage()
	}
}

// fromStatus classifies a gRPC status by the table of the OTLP specification ("Failures", OTLP/gRPC).
func fromStatus(s *status.Status) response {
	r := response{verdict: rejected, err: s.Err()}
	asked := false
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			asked, r.pause = true, min(max(0, info.GetRetryDelay().AsDuration()), maxAskedPause)
		}
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		r.verdict = unavailable
	case codes.ResourceExhausted:
		switch {
		case strings.Contains(s.Message(), "larger than max"): // the text of gRPC's server
			r.verdict = tooLarge
		case asked:
			r.verdict = unavailable
		}
	case codes.Unauthenticated, codes.PermissionDenied:
		r.verdict = unauthorized
	}
	return r
}

// observeHTTP is an http.RoundTripper that records the response to a request, and removes a partial success from it.
type observeHTTP struct{ next http.RoundTripper }

// maxResponse bounds how much of a response is read, in bytes.
const maxResponse = 64 << 10

func (o observeHTTP) RoundTrip(request *http.Request) (*http.Response, error) {
	reply, err := o.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, maxResponse))
	_ = reply.Body.Close()
	if err != nil {
		return nil, err
	}
	r := responseOf(request.Context())
	*r = fromHTTP(reply.StatusCode, reply.Status, reply.Header, body)
	if r.verdict == accepted {
		body = nil
	}
	reply.Body, reply.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return reply, nil
}

// fromHTTP classifies a status by the OTLP specification ("Failures", OTLP/HTTP).
func fromHTTP(code int, text string, header http.Header, body []byte) response {
	if code >= 200 && code <= 299 {
		r := response{verdict: accepted}
		var export coltracepb.ExportTraceServiceResponse
		if proto.Unmarshal(body, &export) == nil {
			r.partial(&export)
		}
		return r
	}
	r := response{verdict: rejected, err: fmt.Errorf("%s: %s", text, bytes.TrimSpace(body[:min(len(body), 200)]))}
	switch code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		r.verdict, r.pause = unavailable, retryAfter(header.Get("Retry-After"))
	case http.StatusRequestEntityTooLarge:
		r.verdict = tooLarge
	case http.StatusUnauthorized, http.StatusForbidden:
		r.verdict = unauthorized
	}
	return r
}

// retryAfter parses a Retry-After header: seconds or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(0, time.Duration(seconds)*time.Second), maxAskedPause)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, time.Until(at)), maxAskedPause)
	}
	return 0
}

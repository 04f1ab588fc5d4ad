package traces

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// samplerFromEnv returns the sampler of OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG; nil samples everything. Traces
// have no remote parents here, so a parent-based sampler is its root sampler.
func samplerFromEnv() (sdktrace.Sampler, error) {
	name := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER"))), "parentbased_")
	switch name {
	case "", "always_on":
		return nil, nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		text := os.Getenv("OTEL_TRACES_SAMPLER_ARG")
		if text == "" {
			return nil, nil
		}
		ratio, err := strconv.ParseFloat(text, 64)
		if err != nil || ratio < 0 || ratio > 1 {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not a number from 0 to 1", text)
		}
		return sdktrace.TraceIDRatioBased(ratio), nil
	}
	return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: %q is unknown", name)
}

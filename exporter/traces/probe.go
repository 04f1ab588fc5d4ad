package traces

import (
	"context"
	"errors"
	"time"
)

// probeTimeout is for the connection and the response.
const probeTimeout = 5 * time.Second

// Probe sends a request without spans to the backend, and returns nil if the backend accepts it. It can be called while an
// exporter runs.
func Probe(ctx context.Context, c Config) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, err := NewClient(c)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	var r response
	err = client.UploadTraces(withResponse(ctx, &r), nil)
	return errors.Join(err, client.Stop(context.WithoutCancel(ctx)))
}

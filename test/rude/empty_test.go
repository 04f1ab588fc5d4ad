//go:build rude

package rude

import (
	"encoding/json"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"testing"
)

// emptyJob starts a plain net/http server, without time-outs and limits, whose handler only reads the body.
type emptyJob struct {
	Certificate, Key string // "" for plain HTTP
}

type empty struct{ address string }

func startEmpty(t *testing.T, p place, secure bool) empty {
	t.Helper()
	var job emptyJob
	if secure {
		job = emptyJob{p.certificate, p.key}
	}
	var e empty
	startChild(t, roleEmpty, job).hear(t, &e.address)
	return e
}

func playEmpty(encoded []byte) error {
	var job emptyJob
	if err := json.Unmarshal(encoded, &job); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := say(listener.Addr().String()); err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // A body that breaks off is the client's business.
		}),
		ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	if job.Certificate != "" {
		return server.ServeTLS(listener, job.Certificate, job.Key)
	}
	return server.Serve(listener)
}

// Package doctor checks a running exporter from outside, and says in words what is wrong and what to do. It changes
// nothing.
package doctor

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Level is how bad a finding is.
type Level int

// The levels. Only Wrong makes the doctor fail.
const (
	OK Level = iota
	Warning
	Wrong
)

func (l Level) String() string { return [...]string{"ok", "warning", "WRONG"}[l] }

// Finding is the result of one check.
type Finding struct {
	Level Level
	// Check names what was looked at, Text says what was found and what to do.
	Check, Text string
}

// Options say where the exporter is, and what it is to be compared with.
type Options struct {
	// Web is the base URL of the web listener, MetricsPath the path of metrics.
	Web, MetricsPath string
	// Webhook is the base URL of the webhook listener.
	Webhook string
	// ClientCertificates is whether the webhook listener asks for client certificates, so that the doctor cannot connect.
	ClientCertificates bool
	// Secrets are those of the configuration, by the setting that they come from.
	Secrets []Secret
	// Configuration returns what is wrong with the configuration, or with the files that it names.
	Configuration func() error
	// Storage is the storage directory, MaxSize the limit of the store in bytes.
	Storage string
	MaxSize int64
	// Endpoint is the OTLP endpoint, "" for none. SendNothing sends it a request without spans.
	Endpoint    string
	SendNothing func(context.Context) error
	// Version is that of this program.
	Version string
	Now     func() time.Time
	// Synchronized reports whether the clock of this host is synchronized.
	Synchronized func() (bool, error)
	// Free returns the free bytes of the file system that has a directory.
	Free func(dir string) (uint64, error)
}

// Secret is a webhook secret, or the error of reading it.
type Secret struct {
	Setting, Value string
	Err            error
}

// Run makes all checks, in the order in which they depend on each other.
func Run(ctx context.Context, o Options) []Finding {
	e := examination{Options: o}
	e.configuration()
	e.web(ctx)
	e.webhook(ctx)
	e.proxies()
	e.storage()
	e.traces(ctx)
	e.clock()
	return e.findings
}

// Write writes findings, a line each, and returns how many are Wrong.
func Write(out io.Writer, findings []Finding) (wrong int, err error) {
	for _, f := range findings {
		if f.Level == Wrong {
			wrong++
		}
		if _, err := fmt.Fprintf(out, "%-7s  %s: %s\n", f.Level, f.Check, f.Text); err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}

// examination is one run.
type examination struct {
	Options
	findings []Finding
	metrics  metrics // nil if they could not be read
	// date is the clock of the exporter as the response at asked had it; zero if unknown.
	date, asked time.Time
}

func (e *examination) find(level Level, check, format string, args ...any) {
	e.findings = append(e.findings, Finding{level, check, fmt.Sprintf(format, args...)})
}

func (e *examination) configuration() {
	if err := e.Configuration(); err != nil {
		e.find(Wrong, "configuration", "%v", err)
		return
	}
	e.find(OK, "configuration", "is valid, with the files that it names")
}

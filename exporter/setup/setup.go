// Package setup writes a first configuration with a fresh secret, tells what to enter on the proxy, and checks what the
// exporter needs. It can be repeated: it never replaces a secret or a configuration that has settings.
package setup

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/exporter/durable"
)

// Options are the options of Run.
type Options struct {
	// Path is the configuration file. It is written unless it has settings.
	Path string
	// Listen is the address of the webhook listener, host:port.
	Listen string
	// Host is the name by which proxies reach this host; HostID is the name of a proxy in metrics and traces.
	Host, HostID string
	// Endpoint is the OTLP endpoint, "" for no traces.
	Endpoint string
	// Ask asks for a value that was not given; nil if nobody can be asked. An empty answer stands for the proposal.
	Ask func(question, proposal string) (string, error)
	// Load reads what a configuration has.
	Load func(path string) (Current, error)
	// NewSecret returns a fresh secret.
	NewSecret func() string
	// ReadSecret returns the secret in a file.
	ReadSecret func(path string) (string, error)
	// CheckOTLP returns nil if the endpoint of the configuration answers.
	CheckOTLP func(ctx context.Context, path string) error
	Out       io.Writer
}

// Current is what a configuration has.
type Current struct {
	// Secret is a secret that the exporter accepts with this configuration, "" if none is known.
	Secret string
	// Secure is whether the webhook is served by HTTPS.
	Secure bool
	// Endpoint is the OTLP endpoint.
	Endpoint string
}

// ErrFailed is returned if a check failed; Run has written which one.
var ErrFailed = errors.New("set-up is not complete")

// Run sets the exporter up.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	written, err := o.configure()
	if err != nil {
		return err
	}
	current, err := o.Load(o.Path)
	if err != nil {
		return err
	}
	if written {
		fmt.Fprintf(o.Out, "Wrote %s.\n", o.Path)
	} else {
		fmt.Fprintf(o.Out, "%s has settings and stays as it is.\n", o.Path)
	}
	if current.Secret == "" {
		return fmt.Errorf("%s has no webhook.secrets, and the exporter has not generated a secret yet: start it, and run setup again", o.Path)
	}
	o.showBlock(current)
	if !o.check(ctx, current) {
		return ErrFailed
	}
	return nil
}

// complete asks for what was not given.
func (o *Options) complete() error {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "localhost"
	}
	for _, value := range []struct {
		at                 *string
		question, proposal string
	}{
		{&o.Host, "Host name or address by which the proxies reach this host", hostname},
		{&o.HostID, "Name of the first proxy in metrics and traces", "edge-1"},
		{&o.Endpoint, "URL to which traces are sent by OTLP, such as http://tempo:4317; empty for none", ""},
	} {
		if *value.at != "" {
			continue
		}
		answer := ""
		if o.Ask != nil {
			if answer, err = o.Ask(value.question, value.proposal); err != nil {
				return fmt.Errorf("ask for the %s: %w", value.question, err)
			}
		}
		*value.at = cmp.Or(strings.TrimSpace(answer), value.proposal)
	}
	return nil
}

// configure writes the secret and the configuration, unless the file has settings.
func (o *Options) configure() (written bool, err error) {
	existing, err := os.ReadFile(o.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("configuration: %w", err)
	}
	var document yaml.Node
	// Loading the file says what is wrong with invalid YAML.
	if err := yaml.Unmarshal(existing, &document); err != nil || len(document.Content) > 0 {
		return false, nil
	}
	secret := filepath.Join(filepath.Dir(o.Path), secretFile)
	if err := o.keepSecret(secret); err != nil {
		return false, err
	}
	text, err := o.configuration()
	if err != nil {
		return false, err
	}
	if len(existing) > 0 {
		text = append(append(bytes.TrimRight(existing, "\n"), "\n\n"...), text...)
	}
	if err := replace(o.Path, text); err != nil {
		return false, fmt.Errorf("configuration: %w", err)
	}
	return true, nil
}

// secretFile is the name of the file with the secret, beside the configuration.
const secretFile = "webhook-secret"

// keepSecret writes a fresh secret, unless there is one.
func (o *Options) keepSecret(path string) error {
	if _, err := o.ReadSecret(path); !durable.IsMissing(err) {
		return err
	}
	if err := durable.WriteFile(path, o.NewSecret()+"\n"); err != nil {
		return fmt.Errorf("webhook secret: %w", err)
	}
	return shareWithGroup(path)
}

// shareWithGroup lets the group read a file if the directory gives its group to new files: that of the packages belongs to
// root and the group of the service.
func shareWithGroup(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSetgid == 0 {
		return nil
	}
	return os.Chmod(path, 0o640)
}

// configuration returns the settings.
func (o *Options) configuration() ([]byte, error) {
	type section map[string]any
	settings := section{"webhook": section{"secrets": []section{{"secret_file": secretFile}}}}
	if o.Endpoint != "" {
		settings["otlp"] = section{"endpoint": o.Endpoint}
	}
	var b bytes.Buffer
	b.WriteString("# Written by smithproxy_exporter setup.\n")
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(settings); err != nil {
		return nil, err
	}
	return b.Bytes(), encoder.Close()
}

// replace writes a file as a whole. One that exists keeps its mode.
func replace(path string, content []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// url returns the webhook's URL as proxies reach it.
func (o *Options) url(c Current) string {
	scheme := "http"
	if c.Secure {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		port = "5000"
	}
	return scheme + "://" + net.JoinHostPort(strings.Trim(o.Host, "[]"), port) + "/webhook/" + c.Secret
}

// showBlock writes what belongs into smithproxy.cfg.
func (o *Options) showBlock(c Current) {
	fmt.Fprintf(o.Out, `
Edit the group settings.webhook that is already in /etc/smithproxy/smithproxy.cfg on the proxy. A second group makes the
reload fail, and then the proxy passes no traffic.

  webhook =
  {
    enabled = true
    url = %q
    tls_verify = true
    hostid = %q
    ping_interval = 120
  }

Then reload the proxy: send it SIGUSR1, or enter "execute reload" in its CLI. The URL has the secret: keep it private.

`, o.url(c), o.HostID)
}

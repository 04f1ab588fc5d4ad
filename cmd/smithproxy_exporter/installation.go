package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/doctor"
	"smithproxy_exporter/exporter/probe"
	"smithproxy_exporter/exporter/proc"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/setup"
	"smithproxy_exporter/exporter/traces"
	"smithproxy_exporter/exporter/webhook"
)

// The paths of the packages.
const (
	packagedConfig  = "/etc/smithproxy_exporter/config.yml"
	packagedStorage = "/var/lib/smithproxy_exporter"
)

// installation has the flags of the commands that set an exporter up, and look at a running one.
type installation struct {
	hasConfigFile, hasStoragePath bool
	healthURL, webURL             string
	host, hostID                  string
}

func (i *installation) flags(app *kingpin.Application) {
	health := app.Command(commandHealth, "Exit with status 0 if the exporter on this host answers, for containers.")
	health.Flag("url", "URL to fetch.").Default("http://127.0.0.1:10932/-/healthy").StringVar(&i.healthURL)
	setup := app.Command(commandSetup, "Write a configuration with a fresh secret, print what to enter on the proxy, and check the port and the OTLP endpoint. "+
		"On a terminal it asks for what no flag says.")
	setup.Flag("host", "Host name or address by which proxies reach this host. Default: the host name.").StringVar(&i.host)
	setup.Flag("hostid", "Name of the first proxy in metrics and traces. Default: edge-1.").StringVar(&i.hostID)
	examine := app.Command(commandDoctor, "Check a running exporter from outside, and say what is wrong.")
	examine.Flag("web.url", "URL of the web listener, with user and password if it asks for them.").Default("http://127.0.0.1:10932").StringVar(&i.webURL)
}

// installed returns the implementation of a command of the installation. Without flags the commands use the paths of the
// packages, if these are installed.
func (f flags) installed(command string) (run func(stdout, stderr io.Writer) int, ok bool) {
	if _, err := os.Stat(filepath.Dir(packagedConfig)); err == nil && !f.installation.hasConfigFile {
		f.configFile = packagedConfig
		if !f.installation.hasStoragePath {
			f.storagePath = packagedStorage
		}
	}
	implementation, ok := map[string]func(context.Context, io.Writer) error{
		commandHealth: f.healthcheck, commandSetup: f.setup, commandDoctor: f.doctor,
	}[command]
	return func(stdout, stderr io.Writer) int {
		if err := implementation(context.Background(), stdout); err != nil {
			fmt.Fprintf(stderr, "smithproxy_exporter: error: %v\n", err)
			return 1
		}
		return 0
	}, ok
}

func (f flags) healthcheck(ctx context.Context, _ io.Writer) error {
	return probe.Healthy(ctx, f.installation.healthURL)
}

func (f flags) setup(ctx context.Context, out io.Writer) error {
	if f.configFile == "" {
		return errors.New("--config.file is missing: the file to write")
	}
	o := setup.Options{
		Path: f.configFile, Listen: f.webhookAddress, Host: f.installation.host, HostID: f.installation.hostID, Endpoint: f.otlpEndpoint,
		Load: f.current, NewSecret: webhook.NewSecret, ReadSecret: webhook.ReadSecret, Out: out,
		CheckOTLP: func(ctx context.Context, path string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			return traces.Probe(ctx, cfg.OTLP)
		},
	}
	if proc.IsTerminal(os.Stdin) && proc.IsTerminal(out) {
		o.Ask = asker(os.Stdin, out)
	}
	return setup.Run(ctx, o)
}

// asker returns a function that asks on a terminal.
func asker(in io.Reader, out io.Writer) func(question, proposal string) (string, error) {
	answers := bufio.NewReader(in)
	return func(question, proposal string) (string, error) {
		if proposal != "" {
			question += " [" + proposal + "]"
		}
		if _, err := fmt.Fprint(out, question+": "); err != nil {
			return "", err
		}
		answer, err := answers.ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimSpace(answer), err
	}
}

// current returns what a configuration has, for setup.
func (f flags) current(path string) (setup.Current, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return setup.Current{}, err
	}
	c := setup.Current{Secure: cfg.Webhook.TLS != nil, Endpoint: cfg.OTLP.Endpoint}
	for _, secret := range f.secrets(cfg) {
		// A secret that does not exist is one that the exporter will generate.
		if secret.Err != nil && !errors.Is(secret.Err, fs.ErrNotExist) {
			return setup.Current{}, secret.Err
		}
		c.Secret = cmp.Or(c.Secret, secret.Value)
	}
	return c, nil
}

// secrets returns the secrets of a configuration, or the one that the exporter generates without any.
func (f flags) secrets(cfg config.Config) (secrets []doctor.Secret) {
	for i, s := range cfg.Webhook.Secrets {
		read := doctor.Secret{Setting: fmt.Sprintf("webhook.secrets[%d]", i), Value: s.Secret}
		if s.SecretFile != "" {
			read.Value, read.Err = webhook.ReadSecret(s.SecretFile)
		}
		secrets = append(secrets, read)
	}
	if len(secrets) == 0 {
		path := webhook.SecretPath(f.storagePath)
		value, err := webhook.ReadSecret(path)
		secrets = append(secrets, doctor.Secret{Setting: path, Value: value, Err: err})
	}
	return secrets
}

func (f flags) doctor(ctx context.Context, out io.Writer) error {
	cfg, err := config.Load(f.configFile)
	if err != nil {
		return err
	}
	if f.otlpEndpoint != "" {
		cfg.OTLP.Endpoint = f.otlpEndpoint
	}
	tls := cfg.Webhook.TLS
	findings := doctor.Run(ctx, doctor.Options{
		Web: strings.TrimSuffix(f.installation.webURL, "/"), MetricsPath: f.telemetryPath,
		Webhook:            probe.Local(tls != nil, f.webhookAddress),
		ClientCertificates: tls != nil && tls.ClientCAFile != "",
		Secrets:            f.secrets(cfg),
		Configuration: func() error {
			if err := cfg.Webhook.Check(); err != nil {
				return cfg.Positions.Locate("webhook", err)
			}
			_, err := reload.Compile(cfg, new(access.Loader))
			return err
		},
		Storage: f.storagePath, MaxSize: int64(cfg.Storage.MaxSize), Free: proc.FreeBytes,
		Endpoint: cfg.OTLP.Endpoint, SendNothing: func(ctx context.Context) error { return traces.Probe(ctx, cfg.OTLP) },
		Version: version.Version, Now: time.Now, Synchronized: proc.ClockSynchronized,
	})
	wrong, err := doctor.Write(out, findings)
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d checks found something wrong", wrong)
	}
	return err
}

// Package reload changes the access rules, the secrets and the certificates of a running exporter: on request, and when
// a file that they name changes.
package reload

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/webhook"
)

const (
	// fileInterval is how often files are looked at. Polling works wherever a file is and however it is
	// replaced: by rename, through the links of a mounted config map, on a network file system.
	fileInterval = time.Second
	// loadShare is which part of one processor's time loading takes at most, so that it does not delay
	// requests: a million entries then take some five seconds.
	loadShare = .2
)

// Metrics records loads.
type Metrics interface {
	// Loaded is called when the configuration in the file is in force since the given time.
	Loaded(at time.Time)
	// LoadFailed is called when a configuration could not be loaded, and the one before stays in force.
	LoadFailed()
}

// Options are what a Reloader works with.
type Options struct {
	// Path is the configuration file, "" for none, and Config what was read from it at the start.
	Path    string
	Config  config.Config
	Now     func() time.Time
	Metrics Metrics
	// InForce is called with each Set that a reload has put in force.
	InForce func(*access.Set)
	Door    Door
	Logger  *slog.Logger
}

// Door is who may send events.
type Door interface {
	// Prepare reads the files of a configuration, and returns what puts it in force.
	Prepare(c webhook.Config) (use func(), err error)
	// Files returns the files whose change needs another Prepare.
	Files(c webhook.Config) []string
}

// Reloader puts the sections access and webhook of a configuration in force, all or nothing: if anything is wrong, what
// was in force stays. Other sections need a restart.
type Reloader struct {
	Options
	loader access.Loader
	rules  *access.Rules

	requests chan chan<- error

	// status is what Status returns.
	status atomic.Pointer[Status]

	// The rest belongs to Run.

	// current is the configuration whose sections are in force.
	current config.Config
	// broken is set while the file is not what is in force. A file it names that changes does not mend that.
	broken bool
	// seen are the files when they were last loaded.
	seen signatures
}

// New returns a Reloader whose rules wait for Load.
func New(o Options) *Reloader {
	r := &Reloader{Options: o, current: o.Config, rules: access.New(), requests: make(chan chan<- error)}
	r.seen = r.look(o.Config)
	r.status.Store(&Status{Config: o.Config})
	return r
}

// Status is the result of the last attempts to load the configuration.
type Status struct {
	// Config is the configuration in force. Its sections other than access and webhook are those of the start.
	Config config.Config
	// Loaded is when the configuration in the file was last put in force; zero before the first time.
	Loaded time.Time
	// Err is why the last attempt failed, nil if it did not.
	Err error
}

// Status returns the result of the last attempts. It never waits, and is called from any goroutine.
func (r *Reloader) Status() Status { return *r.status.Load() }

// look returns the signatures of all files that a configuration names and that are reloaded.
func (r *Reloader) look(c config.Config) signatures {
	return signaturesOf(append(listFiles(c.Access), r.Door.Files(c.Webhook)...))
}

// Load compiles the rules that the exporter starts with, at full speed, and puts them in force. It is called once,
// before Run. Errors name the file, the line and the field.
func (r *Reloader) Load() error {
	set, err := Compile(r.current, &r.loader)
	if err != nil {
		return err
	}
	r.loader.Share = loadShare
	r.rules.Use(set)
	r.InForce(set)
	r.loaded()
	return nil
}

// Compile reads the lists that a configuration names, and compiles its rules. Errors name the file, the
// line and the field.
func Compile(c config.Config, loader *access.Loader) (*access.Set, error) {
	set, err := loader.Load(c.Access)
	if err != nil {
		return nil, c.Positions.Locate("access", err)
	}
	return set, nil
}

// Rules returns the rules, which change with each reload.
func (r *Reloader) Rules() *access.Rules { return r.rules }

// Run reloads when Reload is called, on a signal from hangups, and when a file has changed, until ctx is
// done. It may be reading a file that does not answer, so nothing should wait for its return.
func (r *Reloader) Run(ctx context.Context, hangups <-chan os.Signal) {
	ticker := time.NewTicker(fileInterval)
	defer ticker.Stop()
	changed := signatures(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			_ = r.reload() // it is logged
		case reply := <-r.requests:
			reply <- r.reload()
		case <-ticker.C:
			// A file that is being written is left alone until it is the same twice.
			now := r.look(r.current)
			if !reflect.DeepEqual(now, r.seen) && reflect.DeepEqual(now, changed) {
				r.reloadFiles()
			}
			changed = now
		}
	}
}

// Reload loads the configuration file, and returns once that is done or has failed. It waits for Run.
func (r *Reloader) Reload(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case r.requests <- reply:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Reloader) reload() error {
	c, err := config.Load(r.Path)
	if r.broken = err != nil; err == nil {
		err = r.use(c)
		r.broken = err != nil && !r.isCurrent(c)
	}
	r.report(err)
	if err == nil {
		sections := append(r.Config.ChangedSections(c, "access", "webhook"), r.Config.Webhook.NeedsRestart(c.Webhook)...)
		if len(sections) > 0 {
			r.Logger.Warn("Some changes of the configuration need a restart", "sections", sections)
		}
	}
	return err
}

// reloadFiles reads the files of the configuration in force again. It does not read the configuration file, which
// may be half edited.
func (r *Reloader) reloadFiles() {
	r.Logger.Info("A file that the configuration names has changed")
	r.report(r.use(r.current))
}

func (r *Reloader) isCurrent(c config.Config) bool {
	return reflect.DeepEqual(c.Access, r.current.Access) && reflect.DeepEqual(c.Webhook, r.current.Webhook)
}

func (r *Reloader) use(c config.Config) error {
	seen := r.look(c)
	set, err := Compile(c, &r.loader)
	var admit func()
	if err == nil {
		if admit, err = r.Door.Prepare(c.Webhook); err != nil {
			err = c.Positions.Locate("webhook", err)
		}
	}
	if err != nil {
		// What failed is not tried again before it changes.
		if r.isCurrent(c) {
			r.seen = seen
		}
		return err
	}
	r.current, r.seen = c, seen
	r.rules.Use(set)
	admit()
	r.InForce(set)
	return nil
}

// loaded records that what is in the file is in force.
func (r *Reloader) loaded() {
	now, inForce := r.Now(), r.Config
	inForce.Access, inForce.Webhook, inForce.Positions = r.current.Access, r.current.Webhook, r.current.Positions
	r.status.Store(&Status{Config: inForce, Loaded: now})
	r.Metrics.Loaded(now)
}

func (r *Reloader) report(err error) {
	if err != nil {
		r.Metrics.LoadFailed()
		failed := r.Status()
		failed.Err = err
		r.status.Store(&failed)
		r.Logger.Error("Failed to reload the configuration, the previous one stays in force", "err", err)
		return
	}
	if !r.broken {
		r.loaded()
	}
	r.Logger.Info("Reloaded the configuration", "rules", len(r.current.Access.Rules), "secrets", len(r.current.Webhook.Secrets))
}

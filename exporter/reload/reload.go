// Package reload changes the access rules of a running exporter: on request, and when a list file that they
// name changes.
package reload

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
)

const (
	// listInterval is how often list files are looked at. Polling works wherever a file is and however it is
	// replaced: by rename, through the links of a mounted config map, on a network file system.
	listInterval = time.Second
	// loadShare is which part of one processor's time loading takes at most, so that it does not delay
	// requests: a million entries then take some five seconds.
	loadShare = .2
)

// Meter is told of loads.
type Meter interface {
	// Loaded is called when the configuration in the file is in force since the given time.
	Loaded(at time.Time)
	// LoadFailed is called when a configuration could not be loaded, and the one before stays in force.
	LoadFailed()
}

// Options are what a Reloader works with.
type Options struct {
	// Path is the configuration file, "" for none, and Config what was read from it at the start.
	Path   string
	Config config.Config
	Now    func() time.Time
	Meter  Meter
	// InForce is called with each Set that a reload has put in force.
	InForce func(*access.Set)
	Logger  *slog.Logger
}

// Reloader puts access rules in force, all or nothing: if anything is wrong, the rules before stay. Only
// the section access of a configuration is reloaded.
type Reloader struct {
	Options
	loader access.Loader
	rules  *access.Rules

	requests chan chan<- error

	// The rest belongs to Run.

	// current is the configuration whose access section is in force.
	current config.Config
	// broken is set while the file is not what is in force. A list that changes does not mend that.
	broken bool
	// seen are the list files when they were last loaded.
	seen signatures
}

// New returns a Reloader whose rules wait for Load.
func New(o Options) *Reloader {
	return &Reloader{
		Options: o, current: o.Config, rules: access.New(), requests: make(chan chan<- error), seen: signaturesOf(o.Config.Access),
	}
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
	r.Meter.Loaded(r.Now())
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

// Run reloads when Reload is called, on a signal from hangups, and when a list has changed, until ctx is
// done. It may be reading a file that does not answer, so nothing should wait for its return.
func (r *Reloader) Run(ctx context.Context, hangups <-chan os.Signal) {
	ticker := time.NewTicker(listInterval)
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
			now := signaturesOf(r.current.Access)
			if !reflect.DeepEqual(now, r.seen) && reflect.DeepEqual(now, changed) {
				r.reloadLists()
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
		r.broken = err != nil && !reflect.DeepEqual(c.Access, r.current.Access)
	}
	r.report(err)
	if err == nil {
		if sections := r.Config.ChangedSections(c, "access"); len(sections) > 0 {
			r.Logger.Warn("Only the access rules are reloaded, other changes need a restart", "sections", sections)
		}
	}
	return err
}

// reloadLists reads the lists of the rules in force again. It does not read the configuration file, which
// may be half edited.
func (r *Reloader) reloadLists() {
	r.Logger.Info("A list of the access rules has changed")
	r.report(r.use(r.current))
}

func (r *Reloader) use(c config.Config) error {
	seen := signaturesOf(c.Access)
	set, err := Compile(c, &r.loader)
	if err != nil {
		// What failed is not tried again before it changes.
		if reflect.DeepEqual(c.Access, r.current.Access) {
			r.seen = seen
		}
		return err
	}
	r.current, r.seen = c, seen
	r.rules.Use(set)
	r.InForce(set)
	return nil
}

func (r *Reloader) report(err error) {
	if err != nil {
		r.Meter.LoadFailed()
		r.Logger.Error("Failed to reload the access rules, the previous ones stay in force", "err", err)
		return
	}
	if !r.broken {
		r.Meter.Loaded(r.Now())
	}
	r.Logger.Info("Reloaded the access rules", "rules", len(r.current.Access.Rules))
}

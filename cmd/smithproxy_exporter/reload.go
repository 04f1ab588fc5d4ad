package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/verdict"
)

const (
	// listInterval is how often list files are looked at. Looking works wherever a file is and however it is
	// replaced: by rename, through the links of a mounted config map, on a network file system.
	listInterval = time.Second
	// loadPause is how long the reading of lists rests after each stretch of some 200 µs, so that most
	// of a processor is left to requests: a million entries then take about five seconds.
	loadPause = time.Millisecond
)

// reloader puts access rules in force: those of the start, and later those of a reload. All or nothing: what
// is wrong is reported, and the rules before stay.
type reloader struct {
	path   string
	logger *slog.Logger
	now    func() time.Time
	files  verdict.Files
	rules  *verdict.Rules
	meter  *collector.Exporter
	// inForce is told what is in force now.
	inForce func(*verdict.Set)

	// started is the configuration of the start, which stays in force but for its access part.
	started config.Config
	access  config.Config // whose access part is in force
	// broken is set while the file is not what is in force: a list that changes does not mend that.
	broken bool
	seen   signatures

	requests chan chan<- error
	hangups  chan os.Signal
}

// compile reads the lists that the configuration names, and makes rules of it. Errors say where in the file
// the fault is.
func compile(cfg config.Config, files *verdict.Files) (*verdict.Set, error) {
	set, err := files.Compile(cfg.Access)
	if err != nil {
		return nil, cfg.Origin.Access(err)
	}
	return set, nil
}

// newReloader compiles the rules that the exporter starts with.
func newReloader(path string, cfg config.Config, logger *slog.Logger, now func() time.Time) (*reloader, *verdict.Set, error) {
	r := &reloader{
		path: path, logger: logger, now: now, started: cfg, access: cfg,
		requests: make(chan chan<- error), hangups: make(chan os.Signal, 1),
	}
	r.seen = signaturesOf(cfg.Access)
	tuneRuntime(r.seen.bytes())
	set, err := compile(cfg, &r.files)
	if err != nil {
		return nil, nil, err
	}
	r.rules = verdict.New(set)
	r.files.Pause = func() { time.Sleep(loadPause) }
	return r, set, nil
}

// run reloads when it is asked to, on SIGHUP, and when a list has changed, until ctx is done.
func (r *reloader) run(ctx context.Context) {
	signal.Notify(r.hangups, syscall.SIGHUP)
	defer signal.Stop(r.hangups)
	ticker := time.NewTicker(listInterval)
	defer ticker.Stop()
	changed := signatures(nil)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangups:
			_ = r.reload() // it is logged
		case reply := <-r.requests:
			reply <- r.reload()
		case <-ticker.C:
			// A file that is being written is left alone until it is the same twice.
			now := signaturesOf(r.access.Access)
			if !reflect.DeepEqual(now, r.seen) && reflect.DeepEqual(now, changed) {
				r.reloadLists()
			}
			changed = now
		}
	}
}

// Reload loads the configuration file anew, and waits until that is done.
func (r *reloader) Reload(ctx context.Context) error {
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

func (r *reloader) reload() error {
	cfg, err := config.Load(r.path)
	if r.broken = err != nil; err == nil {
		err = r.use(cfg)
		r.broken = err != nil && !reflect.DeepEqual(cfg.Access, r.access.Access)
	}
	r.report(err)
	if err == nil {
		if sections := changedSections(r.started, cfg); len(sections) > 0 {
			r.logger.Warn("The access rules are in force; what else changed takes a restart", "sections", sections)
		}
	}
	return err
}

// reloadLists reads the lists of the rules in force anew, and not the file, which may be half edited.
func (r *reloader) reloadLists() {
	r.logger.Info("A list of the access rules has changed")
	r.report(r.use(r.access))
}

func (r *reloader) use(cfg config.Config) error {
	seen := signaturesOf(cfg.Access)
	tuneRuntime(max(seen.bytes(), r.seen.bytes()))
	set, err := compile(cfg, &r.files)
	if err != nil {
		// What failed is not tried again before it changes.
		if reflect.DeepEqual(cfg.Access, r.access.Access) {
			r.seen = seen
		}
		return err
	}
	r.access, r.seen = cfg, seen
	r.rules.Use(set)
	r.inForce(set)
	return nil
}

func (r *reloader) report(err error) {
	if err != nil {
		r.meter.LoadFailed()
		r.logger.Error("The configuration cannot be loaded; the one before stays in force", "err", err)
		return
	}
	if !r.broken {
		r.meter.Loaded(r.now())
	}
	r.logger.Info("Loaded the access rules", "rules", len(r.access.Access.Rules))
}

// changedSections are the top-level names, other than access, that differ.
func changedSections(a, b config.Config) []string {
	var names []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		name := x.Type().Field(i).Tag.Get("yaml")
		if name != "access" && name != "-" && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// signatures tell by path whether a file changed, without reading it.
type signatures map[string]signature

type signature struct {
	modified time.Time
	size     int64
	inode    uint64
	missing  bool
}

// bytes is the size of all files.
func (s signatures) bytes() (n int64) {
	for _, file := range s {
		n += file.size
	}
	return n
}

func signaturesOf(c verdict.Config) signatures {
	all := signatures{}
	for _, rule := range c.Rules {
		for _, paths := range [][]string{rule.ClientFile, rule.ServerFile} {
			for _, path := range paths {
				if _, ok := all[path]; !ok {
					all[path] = signatureOf(path)
				}
			}
		}
	}
	return all
}

func signatureOf(path string) signature {
	stat, err := os.Stat(path)
	if err != nil {
		return signature{missing: errors.Is(err, fs.ErrNotExist)}
	}
	s := signature{modified: stat.ModTime(), size: stat.Size()}
	if unix, ok := stat.Sys().(*syscall.Stat_t); ok {
		s.inode = unix.Ino
	}
	return s
}

func accessRules(s *verdict.Set) collector.AccessRules {
	answers, dryRuns := s.Answers()
	rules := collector.AccessRules{DryRuns: dryRuns}
	for _, a := range answers {
		rules.Answers = append(rules.Answers, collector.AccessAnswer{Verdict: string(a.Verdict), Rule: a.Rule})
	}
	return rules
}

func accessLists(s *verdict.Set) []collector.AccessList {
	var lists []collector.AccessList
	for _, l := range s.Lists() {
		lists = append(lists, collector.AccessList{File: l.Path, Entries: l.Len(), Modified: l.Modified})
	}
	return lists
}

package reload_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/reload"
	"smithproxy_exporter/exporter/setting"
	"smithproxy_exporter/exporter/webhook"
)

const (
	mailLabel = "tcp_10.20.0.1:40000+tcp_192.0.2.1:25"
	webLabel  = "tcp_10.20.0.1:40000+tcp_192.0.2.1:443"

	rejectMail = "access: {rules: [{name: mail, port: 25, verdict: reject}]}\n"
	rejectWeb  = "access: {rules: [{name: web, port: 443, verdict: reject}]}\n"
)

// loads are what came of reloads.
type loads struct {
	mu             sync.Mutex
	loaded, failed int
	inForce        []*access.Set
}

func (l *loads) Loaded(time.Time)            { l.note(func() { l.loaded++ }) }
func (l *loads) LoadFailed()                 { l.note(func() { l.failed++ }) }
func (l *loads) becameInForce(s *access.Set) { l.note(func() { l.inForce = append(l.inForce, s) }) }

func (l *loads) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// door is who is let in, by the last configuration that was used. Secret files are read.
type door struct {
	mu    sync.Mutex
	inUse []string
}

func (d *door) Prepare(c webhook.Config) (use func(), err error) {
	var secrets []string
	for i, s := range c.Secrets {
		if s.SecretFile != "" {
			if s.Secret, err = webhook.ReadSecret(s.SecretFile); err != nil {
				return nil, setting.Invalid(fmt.Sprintf("secrets[%d].secret_file", i), err)
			}
		}
		secrets = append(secrets, s.Secret)
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inUse = secrets
	}, nil
}

func (d *door) Files(c webhook.Config) (files []string) {
	for _, s := range c.Secrets {
		if s.SecretFile != "" {
			files = append(files, s.SecretFile)
		}
	}
	return files
}

func (d *door) want(t *testing.T, secrets ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.inUse, secrets) {
		t.Errorf("in use are the secrets %v, want %v", d.inUse, secrets)
	}
}

// fixture is a Reloader that runs, on files that a test changes.
type fixture struct {
	*reload.Reloader
	t       *testing.T
	dir     string
	loads   loads
	door    door
	hangups chan os.Signal
}

// run runs test in a bubble, where time passes as fast as it can.
func run(t *testing.T, text string, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{t: t, dir: t.TempDir(), hangups: make(chan os.Signal, 1)}
		f.write("feed.netset", "192.0.2.0/24\n")
		f.write("config.yml", text)
		path := filepath.Join(f.dir, "config.yml")
		c, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		f.Reloader = reload.New(reload.Options{
			Path: path, Config: c, Now: time.Now, Metrics: &f.loads, Logger: slog.New(slog.DiscardHandler),
			InForce: f.loads.becameInForce, Door: &f.door,
		})
		if err := f.Load(); err != nil {
			t.Fatal(err)
		}
		f.wantLoads(1, 0, 1)
		f.loads.loaded, f.loads.inForce = 0, nil // what follows counts
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx, f.hangups) }()
		test(t, f)
		cancel()
		<-done
	})
}

// write replaces a file as an editor does.
func (f *fixture) write(name, text string) {
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// wait lets lists be followed.
func (f *fixture) wait() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

func (f *fixture) decide(label string) access.Outcome {
	return f.Rules().Decide(access.Request{Source: "edge-1", Session: event.ParseSession(label), Policy: -1}).Outcome
}

func (f *fixture) want(label string, verdict event.Verdict, rule string) {
	f.t.Helper()
	if got, want := f.decide(label), (access.Outcome{Verdict: verdict, Rule: rule}); got != want {
		f.t.Errorf("%s: %+v, want %+v", label, got, want)
	}
}

// wantLoads checks how many loads have succeeded and failed, and how many sets were put in force.
func (f *fixture) wantLoads(loaded, failed, inForce int) {
	f.t.Helper()
	l := &f.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded != loaded || l.failed != failed || len(l.inForce) != inForce {
		f.t.Errorf("%d loads succeeded and %d failed, %d sets came into force; want %d, %d, %d",
			l.loaded, l.failed, len(l.inForce), loaded, failed, inForce)
	}
	if n := len(l.inForce); n > 0 && l.inForce[n-1] != f.Rules().Set() {
		f.t.Error("the set in force is not the one that was announced last")
	}
}

func TestReload(t *testing.T) {
	run(t, rejectMail, func(t *testing.T, f *fixture) {
		f.want(mailLabel, event.Reject, "mail")
		f.want(webLabel, event.Accept, access.RuleDefault)
		f.write("config.yml", rejectWeb)
		f.wait() // the configuration file is not followed
		f.want(mailLabel, event.Reject, "mail")
		if err := f.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.want(mailLabel, event.Accept, access.RuleDefault)
		f.want(webLabel, event.Reject, "web")
		f.wantLoads(1, 0, 1)

		f.write("config.yml", "access:\n  rules:\n    - {name: web, port: https, verdict: reject}\n")
		err := f.Reload(t.Context())
		want := filepath.Join(f.dir, "config.yml") + `:3: access.rules[0].port[0]: "https" is not a port`
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		f.want(webLabel, event.Reject, "web")
		f.wantLoads(1, 1, 1)
		f.write("config.yml", "access: {rules: [{name: a, verdict: accept}, {name: feed, server_file: none.netset, verdict: reject}]}\n")
		if err := f.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "access.rules[1].server_file[0]") {
			t.Errorf("error %v", err)
		}
		f.want(webLabel, event.Reject, "web")
		f.wantLoads(1, 2, 1)
		f.write("config.yml", rejectMail)
		f.hangups <- syscall.SIGHUP
		synctest.Wait()
		f.want(mailLabel, event.Reject, "mail")
		f.wantLoads(2, 2, 2)
	})
}

// A reload says so when the file has changes that only a restart makes, and only then.
func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	run(t, rejectMail, func(t *testing.T, f *fixture) {
		var log strings.Builder
		f.Logger = slog.New(slog.NewTextHandler(&log, nil))
		for _, c := range []struct{ text, want string }{
			{rejectWeb, ""},
			{"storage: {sync: true}\nconnections: {grace_period: 1s}\n" + rejectWeb, "connections"},
		} {
			log.Reset()
			f.write("config.yml", c.text)
			if err := f.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if warns := strings.Contains(log.String(), "level=WARN"); warns != (c.want != "") || !strings.Contains(log.String(), c.want) {
				t.Errorf("reloading %q logs\n%s", c.text, log.String())
			}
		}
	})
}

func TestLoadFails(t *testing.T) {
	c := config.Default()
	c.Positions.Path = "config.yml"
	c.Access.Rules = []access.Rule{{Name: "feed", ServerFile: []string{filepath.Join(t.TempDir(), "none")}, Verdict: event.Reject}}
	err := reload.New(reload.Options{Config: c, Door: new(door)}).Load()
	if err == nil || !strings.Contains(err.Error(), "config.yml: access.rules[0].server_file[0]: ") {
		t.Errorf("error %v", err)
	}
}

func TestReloadEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reload.New(reload.Options{Config: config.Default(), Door: new(door)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Reload(ctx); err != context.DeadlineExceeded {
			t.Errorf("error %v: nothing runs that could reload", err)
		}
	})
}

// A request that comes before the rules are loaded is answered by them.
func TestRequestsWaitForTheRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config.Default()
		c.Access.Default = event.Reject
		r := reload.New(reload.Options{Config: c, Now: time.Now, Metrics: &loads{}, InForce: func(*access.Set) {}, Door: new(door)})
		answered := make(chan access.Decision, 1)
		go func() { answered <- r.Rules().Decide(access.Request{Source: "edge-1", Policy: -1}) }()
		synctest.Wait()
		select {
		case d := <-answered:
			t.Fatalf("answered %v without rules", d)
		default:
		}
		if err := r.Load(); err != nil {
			t.Fatal(err)
		}
		if d := <-answered; d.Verdict != event.Reject {
			t.Errorf("answered %v", d)
		}
	})
}

// A list is replaced by rename, by a link to another directory as a config map is, by one that is wrong, by
// none, and by one that is right again.
func TestListsAreFollowed(t *testing.T) {
	run(t, "access: {rules: [{name: feed, server_file: feed.netset, verdict: reject}]}\n", func(t *testing.T, f *fixture) {
		f.want(webLabel, event.Reject, "feed")
		f.wait()
		f.wantLoads(0, 0, 0)
		f.write("feed.netset", "198.51.100.7 # another\n\n# no more\n198.51.100.8\n")
		f.wait()
		f.want(webLabel, event.Accept, access.RuleDefault)
		f.wantLoads(1, 0, 1)
		if lists := f.Rules().Set().Lists(); len(lists) != 1 || lists[0].Len() != 2 {
			t.Errorf("lists are %v", lists)
		}

		if err := os.Mkdir(filepath.Join(f.dir, "..data"), 0o700); err != nil {
			t.Fatal(err)
		}
		f.write("..data/feed.netset", "192.0.2.1\n")
		if err := os.Symlink("..data/feed.netset", filepath.Join(f.dir, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(f.dir, "link"), filepath.Join(f.dir, "feed.netset")); err != nil {
			t.Fatal(err)
		}
		f.wait()
		f.want(webLabel, event.Reject, "feed")
		f.wantLoads(2, 0, 2)

		f.write("..data/feed.netset", "192.0.2.1\n192.0.2.256\n")
		f.wait()
		f.want(webLabel, event.Reject, "feed")
		f.wantLoads(2, 1, 2)
		f.wait() // what failed is not tried again before it changes
		f.wantLoads(2, 1, 2)
		if err := os.Remove(filepath.Join(f.dir, "feed.netset")); err != nil {
			t.Fatal(err)
		}
		f.wait()
		f.want(webLabel, event.Reject, "feed")
		f.wantLoads(2, 2, 2)
		f.write("feed.netset", "203.0.113.0/24\n")
		f.wait()
		f.want(webLabel, event.Accept, access.RuleDefault)
		f.wantLoads(3, 2, 3)
	})
}

// A file that is being written is left alone.
func TestListThatIsBeingWritten(t *testing.T) {
	run(t, "access: {rules: [{name: feed, server_file: feed.netset, verdict: reject}]}\n", func(t *testing.T, f *fixture) {
		text := ""
		for range 60 {
			text += "198.51.100.7\n"
			f.write("feed.netset", text)
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		f.wantLoads(0, 0, 0)
		f.wait()
		f.want(webLabel, event.Accept, access.RuleDefault)
		f.wantLoads(1, 0, 1)
	})
}

// A configuration file that is half edited does not come into force because a list did, and a list does not
// make a file good that failed.
func TestListsAreFollowedWithoutTheFile(t *testing.T) {
	run(t, "access: {rules: [{name: feed, server_file: feed.netset, verdict: reject}]}\n", func(t *testing.T, f *fixture) {
		f.write("config.yml", "access: {default: reject}\n")
		f.write("feed.netset", "203.0.113.0/24\n")
		f.wait()
		f.want(webLabel, event.Accept, access.RuleDefault)
		f.wantLoads(1, 0, 1)
		f.write("config.yml", "access: {default: maybe}\n")
		if f.Reload(t.Context()) == nil {
			t.Error("no error")
		}
		f.write("feed.netset", "192.0.2.0/24\n")
		f.wait()
		f.want(webLabel, event.Reject, "feed")
		f.wantLoads(1, 1, 2) // in force, but the last attempt to load the file failed still
	})
}

// Two configurations change places while requests are decided: under each, one and the same rule decides.
// No decision may be of neither.
func TestReloadIsWhole(t *testing.T) {
	texts := []string{
		"access: {default: accept, rules: [{name: a, port: 25, verdict: reject}]}\n",
		"access: {default: reject, rules: [{name: b, port: 25, verdict: accept}]}\n",
	}
	run(t, texts[0], func(t *testing.T, f *fixture) {
		allowed := map[access.Outcome]bool{{Verdict: event.Reject, Rule: "a"}: true, {Verdict: event.Accept, Rule: "b"}: true}
		stop := make(chan struct{})
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if got := f.decide(mailLabel); !allowed[got] {
						t.Errorf("%+v", got)
						return
					}
				}
			})
		}
		for i := range 40 {
			f.write("config.yml", texts[(i+1)%2])
			if err := f.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		asking.Wait()
	})
}

// A secret file that changes is read again; with one that is wrong, what was in force stays, the access rules included.
func TestSecretFilesAreFollowed(t *testing.T) {
	text := "webhook: {secrets: [{secret: first}, {secret_file: second}]}\n"
	run(t, "{}\n", func(t *testing.T, f *fixture) {
		f.write("second", "a\n")
		f.write("config.yml", text)
		if err := f.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.door.want(t, "first", "a")
		f.write("second", "b\n")
		f.wait()
		f.door.want(t, "first", "b")
		f.wantLoads(2, 0, 2)
		f.write("second", "\n")
		f.wait()
		f.door.want(t, "first", "b")
		f.wantLoads(2, 1, 2)

		f.write("config.yml", text+rejectMail)
		err := f.Reload(t.Context())
		if want := filepath.Join(f.dir, "config.yml") + ":1: webhook.secrets[1].secret_file: "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		f.want(mailLabel, event.Accept, access.RuleDefault)
		f.write("second", "c\n")
		if err := f.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.door.want(t, "first", "c")
		f.want(mailLabel, event.Reject, "mail")
	})
}

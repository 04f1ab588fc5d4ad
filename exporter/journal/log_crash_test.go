package journal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// play is a life of a log: it appends and rewrites, and says what must be found and what may be, when
// the disk stops at some step. The state is the list of everything appended; a Rewrite writes the same
// state in other words, "snapshot of" it.
type play struct {
	// acknowledged is what a replay must give; pending are the other outcomes of what was under way.
	acknowledged []string
	pending      [][]string
}

func (p *play) append(l *Log, texts ...string) bool {
	p.pending = nil
	for n := 1; n <= len(texts); n++ {
		p.pending = append(p.pending, append(slices.Clone(p.acknowledged), texts[:n]...))
	}
	if l.Append(entries(texts...)) != nil {
		return false
	}
	p.acknowledged, p.pending = append(slices.Clone(p.acknowledged), texts...), nil
	return true
}

func (p *play) rewrite(l *Log) bool {
	state := []string{fmt.Sprintf("snapshot of %q", p.acknowledged), "and more"}
	p.pending = [][]string{state}
	if l.Rewrite(slices.Values(entries(state...))) != nil {
		return false
	}
	p.acknowledged, p.pending = state, nil
	return true
}

func (p *play) run(l *Log) {
	_ = p.append(l, "a") && p.append(l, "b", "c", "d") && p.rewrite(l) && p.append(l, "e", "f") &&
		p.rewrite(l) && p.rewrite(l) && p.append(l, "g")
}

func (p *play) check(t *testing.T, when string, got []string) {
	t.Helper()
	for _, want := range append(p.pending, p.acknowledged) {
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("%s: got %q, want %q or one of %q", when, got, p.acknowledged, p.pending)
}

// The process ends between any two steps of the disk, or in the middle of one.
func TestLogAfterACrashAtAnyStep(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, torn := range []func(int) int{nil, func(n int) int { return n / 2 }, func(n int) int { return n - 1 }} {
			for steps := 0; ; steps++ {
				path := t.TempDir()
				disk := &hookFS{}
				dir := mustDir(t, path, disk)
				l, _, _ := mustLog(t, dir, LogOptions{Sync: sync})
				crashed := false
				disk.set(crashAt(steps, torn, &crashed))
				var p play
				p.run(l)
				l.Close()
				dir.Close()
				when := fmt.Sprintf("sync %v, %d steps", sync, steps)
				got, damage := reread(t, path)
				p.check(t, when, got)
				if damage.Entries+damage.Segments > 0 {
					t.Fatalf("%s: damage %+v", when, damage)
				}
				// A second life goes on from what the first left.
				dir = mustDir(t, path, osFS{})
				l, _, _ = mustLog(t, dir, LogOptions{Sync: sync})
				second := play{acknowledged: got}
				second.run(l)
				l.Close()
				dir.Close()
				got, damage = reread(t, path)
				equal(t, when+", second life", got, second.acknowledged)
				if damage.Any() {
					t.Fatalf("%s: second life: damage %+v", when, damage)
				}
				if !crashed {
					break
				}
			}
		}
	}
}

// The power fails at any step: of what was not synced, any part may be missing.
func TestSyncedLogAfterAPowerCutAtAnyStep(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for steps := 0; ; steps++ {
		crashed := false
		for range 5 {
			path := t.TempDir()
			disk := newPowerFS()
			dir := mustDir(t, path, disk)
			l, _, _ := mustLog(t, dir, LogOptions{Sync: true})
			disk.set(crashAt(steps, func(n int) int { return random.IntN(n + 1) }, &crashed))
			var p play
			p.run(l)
			l.Close()
			dir.Close()
			check(t, disk.cut(random))
			got, _ := reread(t, path)
			p.check(t, fmt.Sprintf("%d steps", steps), got)
		}
		if !crashed {
			return
		}
	}
}

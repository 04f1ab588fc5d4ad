package verdict

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

// naive decides as the rule language says: one rule after the other.
func naive(s *Set, q Request) Outcome {
	subject := subjectOf(q)
	first, decides := -1, -1
	for i := range s.rules {
		if !matches(&s.rules[i], &subject) {
			continue
		}
		if first < 0 {
			first = i
		}
		if !s.rules[i].trial {
			decides = i
			break
		}
	}
	fallback := s.fallback
	for _, d := range s.defaults {
		if matchAny(d.Source, q.Source) {
			fallback = d.Verdict
			break
		}
	}
	return s.outcome(first, decides, fallback)
}

// matches reports whether all fields of the rule match.
func matches(r *rule, s *subject) bool {
	for _, f := range fields {
		if f.has(r) && f.mismatch(r, s) != "" {
			return false
		}
	}
	return true
}

// TestIndexAgreesWithRules holds the index against the rules tried one by one, on configurations and requests
// whose few different values meet often.
func TestIndexAgreesWithRules(t *testing.T) {
	configurations := 100
	if testing.Short() {
		configurations = 30
	}
	dir := t.TempDir()
	paths := writeRandomLists(t, dir)
	files := &Files{} // the lists are the same each time, so they are read once
	different := 0
	for seed := range uint64(configurations) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		c := r.config(paths)
		set, err := files.Compile(c)
		if err != nil {
			t.Fatal(err)
		}
		decided := map[string]int{}
		for range 300 {
			q := r.request()
			want, got := naive(set, q), set.Decide(q)
			if want != got {
				t.Fatalf("seed %d: %+v\n got %+v\nwant %+v\n%v", seed, q, got, want, set.Explain(q))
			}
			decided[got.Rule]++
		}
		different += len(decided)
	}
	if different < 4*configurations {
		t.Errorf("%d rules decided in %d configurations: the test does not test much", different, configurations)
	}
}

// writeRandomLists writes more lists than have tries of their own, some of them long.
func writeRandomLists(t *testing.T, dir string) []string {
	r := random{rand.New(rand.NewPCG(7, 7))}
	var paths []string
	for i := range ownTries + 6 {
		var b strings.Builder
		n := 1 + r.IntN(5)
		if i < ownTries+2 {
			n = shortList * 2
		}
		for range n {
			fmt.Fprintln(&b, r.network())
		}
		path := filepath.Join(dir, fmt.Sprintf("list%d.netset", i))
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

// some returns a field's values: none as a rule.
func some[T any](r random, one func() T) []T {
	if r.IntN(3) > 0 {
		return nil
	}
	values := make([]T, 1+r.IntN(3))
	for i := range values {
		values[i] = one()
	}
	return values
}

func (r random) addr() netip.Addr {
	if r.IntN(3) == 0 {
		return netip.AddrFrom16([16]byte{0xfd, byte(r.IntN(4)), 15: byte(r.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{10, byte(r.IntN(4)), byte(r.IntN(4)), byte(r.IntN(8))})
}

func (r random) network() netip.Prefix {
	a := r.addr()
	p, err := a.Prefix(r.IntN(a.BitLen() + 1))
	if err != nil {
		panic(err)
	}
	if r.IntN(3) == 0 {
		p = netip.PrefixFrom(a, a.BitLen())
	}
	return p
}

func (r random) rule(i int, paths []string) Rule {
	rule := Rule{
		Name:       fmt.Sprintf("rule %d", i),
		Source:     some(r, func() Glob { return pick[Glob](r, "lab-*", "edge-1", "edge-?", "*", "[ab]*", "none") }),
		Client:     some(r, func() Network { return Network(r.network()) }),
		Server:     some(r, func() Network { return Network(r.network()) }),
		ClientFile: some(r, func() string { return pick(r, paths...) }),
		ServerFile: some(r, func() string { return pick(r, paths...) }),
		Port: some(r, func() Ports {
			from := uint16(pick(r, 1, 25, 80, 443, 65000))
			return Ports{from, from + uint16(r.IntN(536))}
		}),
		Transport: some(r, func() event.Transport { return pick(r, event.TCP, event.TLS, event.UDP) }),
		Policy:    some(r, func() int { return r.IntN(5) - 1 }),
		Verdict:   pick(r, event.Accept, event.Reject),
		DryRun:    r.IntN(4) == 0,
	}
	if r.IntN(4) == 0 {
		rule.Schedule = &Schedule{
			Days: some(r, func() Day { return Day(r.IntN(7)) }),
			From: TimeOfDay(r.IntN(24) * 60), To: TimeOfDay(r.IntN(24*60) / 7 * 7),
			Timezone: pick(r, "", "Europe/Prague", "America/St_Johns", "Asia/Kathmandu"),
		}
		if rule.Schedule.validate() != nil {
			rule.Schedule = &Schedule{Days: []Day{Day(time.Monday)}}
		}
	}
	return rule
}

func (r random) config(paths []string) Config {
	c := Config{Default: pick[event.Verdict](r, "", event.Accept, event.Reject), DryRun: r.IntN(5) == 0}
	for range r.IntN(3) {
		c.Defaults = append(c.Defaults, ProxyDefault{[]Glob{pick[Glob](r, "lab-*", "edge-?")}, pick(r, event.Accept, event.Reject)})
	}
	for i := range pick(r, 0, 1, 5, 63, 64, 65, 200, 400) {
		c.Rules = append(c.Rules, r.rule(i, paths))
	}
	return c
}

func (r random) request() Request {
	side := func() string {
		host := r.addr().String()
		switch r.IntN(8) {
		case 0:
			return "0:0"
		case 1:
			host = "a.host"
		case 2:
			host = "::ffff:10.1.1." + fmt.Sprint(r.IntN(8))
		}
		return fmt.Sprintf("%s_%s:%d", pick(r, "tcp", "ssli", "udp", "ux", "new"), host, pick(r, 0, 1, 25, 80, 443, 500, 65535))
	}
	label := side() + "+" + side()
	if r.IntN(20) == 0 {
		label = "no label"
	}
	return Request{
		Source:  pick(r, "lab-1", "edge-1", "edge-2", "a/b", "b"),
		Session: event.ParseSession(label), Policy: r.IntN(6) - 1,
		At: time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(14*24*60*60)) * time.Second),
	}
}

func TestSourcesAreBounded(t *testing.T) {
	set := compile(t, Config{Rules: []Rule{{Name: "lab", Source: []Glob{"lab-*"}, Verdict: event.Reject}}})
	for i := range maxSources + 100 {
		for _, name := range []string{"lab-", "edge-"} {
			q := Request{Source: fmt.Sprint(name, i)}
			if got, want := set.Decide(q), naive(set, q); got != want {
				t.Fatalf("%s: %+v, want %+v", q.Source, got, want)
			}
		}
	}
	if n := set.sources.number.Load(); n > maxSources {
		t.Errorf("%d sources are remembered, want %d at the most", n, maxSources)
	}
}

func TestAnswers(t *testing.T) {
	c := Config{
		Default:  event.Reject,
		Defaults: []ProxyDefault{{[]Glob{"a"}, event.Accept}, {[]Glob{"b"}, event.Reject}},
		Rules: []Rule{
			{Name: "1", Verdict: event.Accept}, {Name: "2", Verdict: event.Reject},
			{Name: "3", Verdict: event.Reject, DryRun: true}, {Name: "4", Verdict: event.Accept, DryRun: true},
		},
	}
	answers, dry := compile(t, c).Answers()
	want := []Answer{{"1", event.Accept}, {"2", event.Reject}, {"default", event.Reject}, {"default", event.Accept}}
	if !slices.Equal(answers, want) || !slices.Equal(dry, []string{"3"}) {
		t.Errorf("%v, on trial %v", answers, dry)
	}
	c.DryRun = true
	answers, dry = compile(t, c).Answers()
	want = []Answer{{"1", event.Accept}, {"2", event.Accept}, {"default", event.Accept}}
	if !slices.Equal(answers, want) || !slices.Equal(dry, []string{"2", "3", "default"}) {
		t.Errorf("all on trial: %v, on trial %v", answers, dry)
	}
}

func compile(t testing.TB, c Config) *Set {
	t.Helper()
	set, err := new(Files).Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

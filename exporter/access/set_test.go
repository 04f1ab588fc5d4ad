package access

import (
	"fmt"
	"maps"
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

// TestDecideAgreesWithReference holds Decide and Explain against the reference, on configurations and requests
// whose few different values meet often.
func TestDecideAgreesWithReference(t *testing.T) {
	configurations := 100
	if testing.Short() {
		configurations = 30
	}
	lists := writeRandomLists(t, t.TempDir())
	paths := slices.Sorted(maps.Keys(lists))
	loader := &Loader{} // the lists are the same each time, so they are read once
	different := 0
	for seed := range uint64(configurations) {
		r := random{rand.New(rand.NewPCG(seed, 1))}
		c := r.config(paths)
		set, err := loader.Load(c)
		if err != nil {
			t.Fatal(err)
		}
		decided := map[string]int{}
		for range 300 {
			q := r.request()
			want, got := reference{c, lists}.decide(q), set.Decide(q)
			explained := set.Explain(q)
			if want != got || explained.Outcome != got {
				t.Fatalf("seed %d: %+v\n got %+v\nwant %+v\n%+v", seed, q, got, want, explained)
			}
			checkExplanation(t, reference{c, lists}, q, explained)
			decided[got.Rule]++
		}
		different += len(decided)
	}
	if different < 4*configurations {
		t.Errorf("%d rules decided in %d configurations: the test does not test much", different, configurations)
	}
}

// checkExplanation checks that the rules that were passed are those above the one that decided, and that
// each of them says why, unless it is a dry-run rule that matched.
func checkExplanation(t *testing.T, c reference, q Request, e Explanation) {
	t.Helper()
	for i, p := range e.Passed {
		r := c.Rules[i]
		if p.Rule != r.Name || (len(p.Mismatches) == 0) != c.matches(r, q) || len(p.Mismatches) == 0 && !r.DryRun {
			t.Errorf("%+v: passed %+v", q, p)
		}
		for _, m := range p.Mismatches {
			if m.Field == "" || m.Why == "" {
				t.Errorf("%+v: passed %+v without saying why", q, p)
			}
		}
	}
	above := len(c.Rules)
	if e.Rule != RuleDefault {
		above = slices.IndexFunc(c.Rules, func(r Rule) bool { return r.Name == e.Rule })
	}
	if len(e.Passed) != above {
		t.Errorf("%+v: passed %d rules, want %d", q, len(e.Passed), above)
	}
}

// writeRandomLists writes lists, short and longer, and returns their networks by path.
func writeRandomLists(t *testing.T, dir string) map[string][]netip.Prefix {
	r := random{rand.New(rand.NewPCG(7, 7))}
	lists := map[string][]netip.Prefix{}
	for i := range 70 { // more than are looked up once only
		var b strings.Builder
		var networks []netip.Prefix
		for range pick(r, 1, 3, 5, 60) {
			n := r.network()
			fmt.Fprintln(&b, n)
			networks = append(networks, n.Masked())
		}
		path := filepath.Join(dir, fmt.Sprintf("list%d.netset", i))
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		lists[path] = networks
	}
	return lists
}

type random struct{ *rand.Rand }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

// some returns a field's values: mostly none, and sometimes many.
func some[T any](r random, one func() T) []T {
	if r.IntN(3) > 0 {
		return nil
	}
	values := make([]T, pick(r, 1, 2, 3, fewNetworks+1))
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
		Name: fmt.Sprintf("rule %d", i),
		Source: some(r, func() Glob {
			return pick[Glob](r, "lab-*", "edge-1", "edge-?", "*", "[ab]*", "none", "a/*", "*-1", `e\*`)
		}),
		Client:     some(r, func() Network { return Network(r.network().Masked()) }),
		Server:     some(r, func() Network { return Network(r.network().Masked()) }),
		ClientFile: some(r, func() string { return pick(r, paths...) }),
		ServerFile: some(r, func() string { return pick(r, paths...) }),
		Port: some(r, func() Ports {
			from := uint16(pick(r, 1, 25, 80, 443, 65000))
			return Ports{from, from + uint16(r.IntN(536))}
		}),
		Transport: some(r, func() event.Transport { return pick(r, event.TCP, event.TLS, event.UDP, event.SSH, event.QUIC) }),
		Policy:    some(r, func() Policy { return pick[Policy](r, -1, 0, 1, 2, 3, event.PolicyImplicit) }),
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
		return fmt.Sprintf("%s_%s:%d", pick(r, "tcp", "ssli", "udp", "ux", "ssh", "mf", "new"), host, pick(r, 0, 1, 25, 80, 443, 500, 65535))
	}
	label := side() + "+" + side()
	if r.IntN(20) == 0 {
		label = "no label"
	}
	return Request{
		Source:  pick(r, "lab-1", "edge-1", "edge-2", "a/b", "b", "lab-a/b", "e*"),
		Session: event.ParseSession(label), Policy: pick(r, -1, 0, 1, 2, 3, 4, event.PolicyImplicit),
		At: time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(14*24*60*60)) * time.Second),
	}
}

// The default for a proxy is what a request gets that no rule matches.
func TestDefault(t *testing.T) {
	c := Config{
		Default:  event.Reject,
		Defaults: []ProxyDefault{{[]Glob{"lab-*"}, event.Accept}, {[]Glob{"*"}, event.Reject}},
		Rules:    []Rule{{Name: "all", Verdict: event.Accept}},
	}
	rules := New()
	rules.Use(compile(t, c))
	for source, want := range map[string]event.Verdict{"lab-1": event.Accept, "edge-1": event.Reject, "": event.Reject, "a/b": event.Reject} {
		first, second := rules.Default(source), rules.Default(source)
		if first.Outcome != (Outcome{Verdict: want, Rule: RuleDefault}) {
			t.Errorf("Default(%q) = %+v, want %s", source, first, want)
		}
		if first.ID == "" || first.ID == second.ID {
			t.Errorf("decision ids are %q and %q", first.ID, second.ID)
		}
	}
	c.DryRun = true
	rules.Use(compile(t, c))
	if got, want := rules.Default("edge-1").Outcome, (Outcome{event.Accept, RuleDefault, RuleDefault}); got != want {
		t.Errorf("dry run: Default() = %+v, want %+v", got, want)
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
		t.Errorf("%v, dry-run %v", answers, dry)
	}
	c.DryRun = true
	answers, dry = compile(t, c).Answers()
	want = []Answer{{"1", event.Accept}, {"2", event.Accept}, {"default", event.Accept}}
	if !slices.Equal(answers, want) || !slices.Equal(dry, []string{"2", "3", "default"}) {
		t.Errorf("all dry-run: %v, dry-run %v", answers, dry)
	}
}

func compile(t testing.TB, c Config) *Set {
	t.Helper()
	set, err := new(Loader).Load(c)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

package verdict

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

const benchRules = 10_000

// shape is a configuration of 10,000 rules, and requests that it decides.
type shape struct {
	name     string
	config   func(b *testing.B) Config
	requests []Request
}

func BenchmarkDecide(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			set, err := new(Files).Compile(s.config(b))
			if err != nil {
				b.Fatal(err)
			}
			rules := New(set)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				rules.Decide(s.requests[i%len(s.requests)])
			}
		})
	}
}

// BenchmarkRuleByRule is what the index saves.
func BenchmarkRuleByRule(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			set, err := new(Files).Compile(s.config(b))
			if err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				naive(set, s.requests[i%len(s.requests)])
			}
		})
	}
}

func shapes() []shape {
	v4 := requests(func(r random) string {
		return fmt.Sprintf("tcp_10.%d.%d.2:40762+ssli_203.%d.%d.7:443", r.IntN(40), r.IntN(256), r.IntN(256), r.IntN(256))
	})
	v6 := requests(func(r random) string {
		return fmt.Sprintf("tcp_fd00:%x::2:40762+ssli_2001:db8:%x:%x::7:443", r.IntN(10000), r.IntN(65536), r.IntN(65536))
	})
	same := []Request{{Source: "edge-1", Session: event.ParseSession("tcp_10.1.2.3:4+tcp_10.2.3.4:443"), At: benchTime}}
	same6 := []Request{{Source: "edge-1", Session: event.ParseSession("tcp_fd00::3:4+tcp_fd01::4:443"), At: benchTime}}
	return []shape{
		{"own networks/IPv4", ownNetworks, v4},
		{"own networks/IPv6", ownNetworks, v6},
		{"one list of a million each fourth rule/IPv4", sharedLists, v4},
		{"one list of a million each fourth rule/IPv6", sharedLists, v6},
		{"20 lists of 50,000, a rule each of 500/IPv4", manyLists, v4},
		{"all match in all fields but the last/IPv4", allButOne, same},
		{"all match in all fields but the last/IPv6", allButOne, same6},
	}
}

var benchTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func requests(label func(random) string) []Request {
	r := random{rand.New(rand.NewPCG(1, 2))}
	all := make([]Request, 4096)
	for i := range all {
		all[i] = Request{Source: fmt.Sprintf("edge-%d", i%50), Session: event.ParseSession(label(r)), Policy: -1, At: benchTime}
	}
	return all
}

// ownNetworks: each rule has a network of its own on both sides, ports, and a pattern; few match.
func ownNetworks(*testing.B) Config {
	var c Config
	for i := range benchRules {
		c.Rules = append(c.Rules, Rule{
			Name: fmt.Sprintf("rule %d", i), Source: []Glob{Glob(fmt.Sprintf("edge-%d*", i%10))},
			Client: []Network{
				Network(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24)),
				Network(netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0, byte(i >> 8), byte(i)}), 32)),
			},
			Port: []Ports{{uint16(i), uint16(i) + 1000}}, Transport: []event.Transport{event.TCP, event.TLS},
			Verdict: event.Reject,
		})
	}
	return c
}

// sharedLists: besides, each fourth rule names the same million networks.
func sharedLists(b *testing.B) Config {
	c := ownNetworks(b)
	path := writeList(b, 1_000_000, 1)
	for i := range c.Rules {
		if i%4 == 0 {
			c.Rules[i].ServerFile = []string{path}
			c.Rules[i].Client, c.Rules[i].Port = nil, nil
			c.Rules[i].Policy = []int{i%20 + 1} // and does not match for another reason
		}
	}
	return c
}

// manyLists: 20 lists of 50,000 networks, and each rule names one.
func manyLists(b *testing.B) Config {
	c := ownNetworks(b)
	var paths []string
	for i := range 20 {
		paths = append(paths, writeList(b, 50_000, uint64(i)))
	}
	for i := range c.Rules {
		c.Rules[i].ServerFile = []string{paths[i%len(paths)]}
	}
	return c
}

// allButOne: every rule has every field, and all match but that of the schedule, which comes last.
func allButOne(b *testing.B) Config {
	any4, any6 := Network(netip.MustParsePrefix("0.0.0.0/0")), Network(netip.MustParsePrefix("::/0"))
	path := filepath.Join(b.TempDir(), "all.netset")
	if err := os.WriteFile(path, []byte("0.0.0.0/0\n::/0\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var c Config
	for i := range benchRules {
		c.Rules = append(c.Rules, Rule{
			Name: fmt.Sprintf("rule %d", i), Source: []Glob{"edge-*"},
			Client: []Network{any4, any6}, Server: []Network{any4, any6},
			ClientFile: []string{path}, ServerFile: []string{path},
			Port: []Ports{{1, 65535}}, Transport: []event.Transport{event.TCP}, Policy: []int{0},
			Schedule: &Schedule{Days: []Day{Day(time.Monday)}}, Verdict: event.Reject,
		})
	}
	return c
}

// writeList writes so many networks, half of them IPv6, as public lists have them: mostly single addresses.
func writeList(b testing.TB, entries int, seed uint64) string {
	path := filepath.Join(b.TempDir(), fmt.Sprintf("%d-%d.netset", entries, seed))
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "# a list to measure with")
	r := random{rand.New(rand.NewPCG(seed, 3))}
	for i := range entries {
		switch {
		case i%2 == 1:
			fmt.Fprintf(w, "2001:db8:%x:%x::/64\n", r.IntN(65536), r.IntN(65536))
		case i%8 == 0:
			fmt.Fprintf(w, "%d.%d.%d.0/24\n", 1+r.IntN(222), r.IntN(256), r.IntN(256))
		default:
			fmt.Fprintf(w, "%d.%d.%d.%d\n", 1+r.IntN(222), r.IntN(256), r.IntN(256), r.IntN(256))
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkReadList reads a list of a million entries, and says how much memory it keeps.
func BenchmarkReadList(b *testing.B) {
	path := writeList(b, 1_000_000, 1)
	before := heap()
	var list *List
	for b.Loop() {
		var err error
		if list, err = new(Files).read(path, func() {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
	b.ReportMetric(float64(list.Len()), "entries")
}

// BenchmarkCompile makes a Set of 10,000 rules, the lists being unchanged.
func BenchmarkCompile(b *testing.B) {
	for _, s := range shapes() {
		b.Run(s.name, func(b *testing.B) {
			c := s.config(b)
			files := &Files{}
			before := heap()
			var set *Set
			for b.Loop() {
				var err error
				if set, err = files.Compile(c); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
			runtime.KeepAlive(set)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package access

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

// shape is a kind of configuration, and requests that none of its rules matches: the slowest ones.
type shape struct {
	name     string
	rule     func(i int, lists []string) Rule
	requests []Request
}

// BenchmarkDecide has to stay under 5 µs for 100 rules and under 50 µs for 1,000.
func BenchmarkDecide(b *testing.B) {
	var lists []string
	for i := range 10 {
		lists = append(lists, writeList(b, 20_000, uint64(i)))
	}
	for _, rules := range []int{100, 1000} {
		for _, s := range shapes() {
			b.Run(fmt.Sprintf("%d rules, %s", rules, s.name), func(b *testing.B) {
				var c Config
				for i := range rules {
					rule := s.rule(i, lists)
					rule.Name, rule.Verdict = fmt.Sprintf("rule %d", i), event.Reject
					c.Rules = append(c.Rules, rule)
				}
				set := New()
				set.Use(compile(b, c))
				for _, q := range s.requests {
					if d := set.Decide(q); d.Rule != RuleDefault {
						b.Fatalf("%+v: %s decides", q, d.Rule)
					}
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					set.Decide(s.requests[i%len(s.requests)])
				}
			})
		}
	}
}

func shapes() []shape {
	v4 := requests(func(r random) string {
		return fmt.Sprintf("tcp_10.%d.%d.2:40762+ssli_230.%d.%d.7:443", r.IntN(40), r.IntN(256), r.IntN(256), r.IntN(256))
	})
	v6 := requests(func(r random) string {
		return fmt.Sprintf("tcp_fd00:%x::2:40762+ssli_2001:db9:%x:%x::7:443", r.IntN(10000), r.IntN(65536), r.IntN(65536))
	})
	return []shape{
		{"a few fields each/IPv4", usual, v4},
		{"a few fields each/IPv6", usual, v6},
		{"a list each/IPv4", withList, v4},
		{"a list each/IPv6", withList, v6},
		{"all fields, all match but the last/IPv4", allButLast, v4},
		{"all fields, all match but the last/IPv6", allButLast, v6},
	}
}

var benchTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func requests(label func(random) string) []Request {
	r := random{rand.New(rand.NewPCG(1, 2))}
	all := make([]Request, 1024)
	for i := range all {
		all[i] = Request{Source: fmt.Sprintf("edge-%d", i%50), Session: event.ParseSession(label(r)), Policy: -1, At: benchTime}
	}
	return all
}

// usual is what people write: some networks and ports, for some proxies.
func usual(i int, lists []string) Rule {
	r := Rule{
		Client: []Network{
			Network(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i)}), 24)),
			Network(netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 1, byte(i >> 8), byte(i)}), 32)),
		},
		Port: []Ports{{25, 25}, {465, 587}},
	}
	switch i % 4 {
	case 1:
		r.Source = []Glob{"edge-*", "lab-1"}
	case 2:
		r.ServerFile = lists[i%len(lists) : i%len(lists)+1]
		r.Port = nil
	case 3:
		r.Schedule = &Schedule{From: 22 * 60, To: 6 * 60, Timezone: "Europe/Prague"}
	}
	return r
}

// withList: each rule looks the server up on one of ten lists, for all clients of some proxies.
func withList(i int, lists []string) Rule {
	return Rule{Source: []Glob{"edge-*"}, ServerFile: lists[i%len(lists) : i%len(lists)+1]}
}

// allButLast: each rule has every field but lists of clients, and all match but the list, which is tried last.
func allButLast(i int, lists []string) Rule {
	any4, any6 := Network(netip.MustParsePrefix("0.0.0.0/0")), Network(netip.MustParsePrefix("::/0"))
	return Rule{
		Source: []Glob{"edge-*"}, Client: []Network{any4, any6}, Server: []Network{any4, any6},
		Port: []Ports{{1, 65535}}, Transport: []event.Transport{event.TCP, event.TLS}, Policy: []Policy{-1},
		Schedule: &Schedule{Days: []Day{Day(time.Sunday)}}, ServerFile: lists[i%len(lists) : i%len(lists)+1],
	}
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
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if list, err = readList(path, nil, newPacer(1)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
	b.ReportMetric(float64(list.Len()), "entries")
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package fleet

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	for g, pattern := range map[Generation]string{
		Generation2025: `^Proxy-[0-9A-F]{1,8}-OID-[1-9A-F][0-9A-F]*$`,
		GenerationPTR:  `^Proxy-[0-9A-F]{1,8}-PTR-[1-9A-F][0-9A-F]*$`,
		Generation2026: `^Proxy-[0-9A-F]{1,8}-SID-[1-9A-F][0-9A-F]*$`,
	} {
		t.Run(string(g), func(t *testing.T) {
			cfg := generationConfig(g)
			cfg.AddressReuseShare = 0
			p, _ := newRecordedProxy(t, cfg, nil)
			seen := make(map[string]bool)
			for range 500 {
				id, ordinal := p.ids.next(addr("10.0.0.1:1"), true)
				if !regexp.MustCompile(pattern).MatchString(id) || !strings.HasPrefix(id, p.instanceNow()+"-") {
					t.Fatalf("id is %s", id)
				}
				if seen[id] || ordinal != 1 {
					t.Fatalf("%s comes again, ordinal %d", id, ordinal)
				}
				seen[id] = true
			}
			if g == Generation2026 && (!seen[p.instanceNow()+"-SID-1"] && !seen[p.instanceNow()+"-SID-2"] || p.ids.made <= 500) {
				t.Errorf("the counter is at %d after 500 ids", p.ids.made)
			}
		})
	}
}

func TestAddressesAreReused(t *testing.T) {
	cfg := generationConfig(GenerationPTR)
	cfg.AddressReuseShare = 1
	p, r := newRecordedProxy(t, cfg, nil)
	play := func(client string, change func(*script)) {
		s := with(func(s *script) { s.client = addr(client) })
		if change != nil {
			change(s)
		}
		p.open(s)
		p.pool.idle()
		playAll(p)
	}
	play("10.77.1.2:1001", nil)
	play("10.77.1.2:1002", nil)
	play("10.77.1.2:1002", nil) // the same client port needs another id
	play("10.77.1.2:1003", func(s *script) { s.start.never, s.stop.never = true, true })
	play("10.77.1.2:1004", nil)
	play("10.77.1.2:1005", func(s *script) { s.lostStop = true }) // its end is not known
	play("10.77.1.2:1006", nil)
	p.archive.closeAll(p)
	got := make(map[string]*Connection)
	for _, c := range p.archive.records {
		got[strings.TrimPrefix(c.Client, "10.77.1.2:")+c.Expected] = c
	}
	first := p.archive.records[0].ID
	third := p.archive.records[2].ID
	for i, want := range []struct {
		id      string
		ordinal int
	}{{first, 1}, {first, 2}, {third, 1}, {third, 2}, {third, 2}} {
		if c := p.archive.records[i]; c.ID != want.id || c.Ordinal != want.ordinal {
			t.Errorf("%d: %s is the %d. of its id, want %s, %d", i, c.ID, c.Ordinal, want.id, want.ordinal)
		}
	}
	if first == third {
		t.Error("two connections of one client port have one id")
	}
	silent, last := got["1005open"], got["1006stop"]
	if silent == nil || last == nil || silent.ID != third || silent.Ordinal != 3 || last.ID != first || last.Ordinal != 3 {
		t.Errorf("silent %+v, last %+v", silent, last)
	}
	if n := p.ledger.totals.ReusedIDs; n != 4 {
		t.Errorf("%d reused ids reported, want 4", n)
	}
	r.take()
	p.restart(time.Now())
	if id, ordinal := p.ids.next(addr("10.0.0.1:1"), true); id == first || ordinal != 1 {
		t.Errorf("%s survives a restart", id)
	}
}

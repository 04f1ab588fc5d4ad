package fleet

import (
	"context"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// hang never answers.
func hang(ctx context.Context, _ request) (answer, error) {
	<-ctx.Done()
	return answer{}, ctx.Err()
}

func TestTries(t *testing.T) {
	fails := func(err error) func(context.Context, request) (answer, error) {
		return func(context.Context, request) (answer, error) { return answer{}, err }
	}
	answers := func(status int) func(context.Context, request) (answer, error) {
		return func(context.Context, request) (answer, error) { return answer{status: status}, nil }
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	type result struct {
		tries int
		took  time.Duration
	}
	for _, tt := range []struct {
		name     string
		exchange func(context.Context, request) (answer, error)
		old      result
		newest   result
	}{
		{"refused", fails(refused), result{5, 0}, result{2, 50 * time.Millisecond}},
		{"name not resolved", fails(&net.DNSError{}), result{5, 0}, result{2, 50 * time.Millisecond}},
		{"reset", fails(syscall.ECONNRESET), result{5, 0}, result{1, 0}},
		{"no answer", hang, result{5, 25 * time.Second}, result{1, 5 * time.Second}},
		{"500", answers(500), result{1, 0}, result{1, 0}},
		{"200", answers(200), result{1, 0}, result{1, 0}},
	} {
		for _, g := range Generations {
			t.Run(tt.name+" "+string(g), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, _ := newRecordedProxy(t, generationConfig(g), nil)
					p.exchange = tt.exchange
					began := time.Now()
					o := p.deliver(t.Context(), event{action: ActionStart, body: []byte("{}"), timeout: 5 * time.Second})
					want := tt.old
					if g == Generation2026 {
						want = tt.newest
					}
					if got := (result{o.tries, time.Since(began)}); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				})
			})
		}
	}
}

// In generation 2026 the timeout bounds both tries together.
func TestTriesShareTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := newRecordedProxy(t, generationConfig(Generation2026), nil)
		calls := 0
		p.exchange = func(ctx context.Context, r request) (answer, error) {
			if calls++; calls > 1 {
				return hang(ctx, r)
			}
			time.Sleep(3 * time.Second)
			return answer{}, syscall.ECONNREFUSED
		}
		began := time.Now()
		o := p.deliver(t.Context(), event{action: ActionStart, body: []byte("{}"), timeout: 5 * time.Second})
		if took := time.Since(began); o.tries != 2 || took != 5*time.Second {
			t.Errorf("%d tries in %v", o.tries, took)
		}
	})
}

// A receiver that needs a second for each event meets 300 of them at once.
func TestQueueLimit(t *testing.T) {
	for _, g := range Generations {
		t.Run(string(g), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := generationConfig(g)
				cfg.Threads = 4
				cfg.Timeout = time.Hour
				p, r := newRecordedProxy(t, cfg, func(received) (answer, error) {
					time.Sleep(time.Second)
					return acknowledged, nil
				})
				p.neighbors.seen("10.77.1.2")
				const starts = 300
				for range starts {
					p.open(plainScript())
				}
				p.pushPing()
				p.requestAccess(p.newConnection(with(func(s *script) { s.asks = true }))) // does not queue
				p.pool.idle()
				sent := r.take()
				wantStarts, wantPings := starts, 1
				if g == Generation2026 {
					wantStarts, wantPings = 256, 0
				}
				if n := countOf(sent, start); n != wantStarts || countOf(sent, "ping") != wantPings || countOf(sent, ask) != 1 {
					t.Errorf("received %d starts, %d pings, %d access-requests", n, countOf(sent, "ping"), countOf(sent, ask))
				}
				dropped := starts - wantStarts + 1 - wantPings
				n := p.ledger.totals.Actions[ActionStart]
				if p.ledger.totals.Dropped != dropped || n.Dropped != starts-wantStarts || n.FailedEvents != n.Dropped || n.Events != starts {
					t.Errorf("reported %d dropped, starts %+v", p.ledger.totals.Dropped, n)
				}
				playAll(p)
				p.archive.closeAll(p)
				lost := 0
				for _, c := range p.archive.records {
					if c.Start.Dropped {
						lost++
					}
					if c.Start.Dropped == c.Start.Acknowledged {
						t.Fatalf("start is %+v", c.Start)
					}
				}
				if len(p.archive.records) != starts || lost != starts-wantStarts {
					t.Errorf("%d records, %d without a start", len(p.archive.records), lost)
				}
			})
		})
	}
}

func countOf(list []string, s string) int {
	return len(slices.DeleteFunc(slices.Clone(list), func(e string) bool { return e != s }))
}

// A planned stop of generation 2026 discards what waits.
func TestPlannedStopDiscardsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := generationConfig(Generation2026)
		cfg.RestartKillShare = 0
		p, r := newRecordedProxy(t, cfg, func(received) (answer, error) {
			time.Sleep(time.Second)
			return acknowledged, nil
		})
		p.neighbors.seen("10.77.1.2")
		p.open(plainScript())
		p.open(plainScript())
		synctest.Wait() // the thread has the first start
		p.restart(time.Now())
		playAll(p)
		if got := r.take(); !slices.Equal(got, []string{start}) {
			t.Errorf("received %v", got)
		}
		var ends []string
		for _, c := range p.archive.records {
			ends = append(ends, c.Expected)
		}
		slices.Sort(ends)
		if n := p.ledger.totals.Discarded; n != 1 || !slices.Equal(ends, []string{ExpectedNone, ExpectedRestart}) {
			t.Errorf("%d discarded, ends %v", n, ends)
		}
	})
}

// Ten starts within three seconds are all answered with 202.
func TestRefreshGate(t *testing.T) {
	for g, want := range map[Generation]int{Generation2025: 10, GenerationPTR: 10, Generation2026: 3} {
		t.Run(string(g), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, r := newRecordedProxy(t, generationConfig(g), func(received) (answer, error) {
					return answer{status: 202, body: []byte(`{"access-response":"accept"}`)}, nil
				})
				for range 10 {
					p.open(plainScript())
					p.pool.idle()
					time.Sleep(300 * time.Millisecond)
				}
				pings := 0
				for _, m := range r.requests {
					if m.Action == ActionPing {
						pings++
						if !strings.Contains(m.body, `"proxies-plus":["`) {
							t.Errorf("ping is %s", m.body)
						}
					}
				}
				if pings != want || countOf(r.take(), "neighbor") != want+1 {
					t.Errorf("%d refreshes, want %d", pings, want)
				}
				p.requestAccess(p.newConnection(with(func(s *script) { s.asks = true })))
				if got := r.take(); !slices.Equal(got, []string{ask}) {
					t.Errorf("202 to an access-request: sent %v", got)
				}
			})
		})
	}
}

// The info of a connection leaves while its object is destroyed, so a connection
// with the same id can be there before it.
func TestReusedIDOvertakesTheInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := generationConfig(GenerationPTR)
		cfg.Threads, cfg.AddressReuseShare = 2, 1
		p, r := newRecordedProxy(t, cfg, nil)
		record := p.exchange
		p.exchange = func(ctx context.Context, req request) (answer, error) {
			if strings.Contains(string(req.body), info) {
				time.Sleep(time.Second)
			}
			return record(ctx, req)
		}
		p.neighbors.seen("10.77.1.2")
		p.open(with(func(s *script) { s.statistics = true }))
		synctest.Wait()
		for p.schedule.connTimers > 0 {
			if a := p.schedule.take(); a.conn != nil {
				p.perform(a.conn, a.op)
				synctest.Wait()
				p.release(a.conn)
			}
		}
		p.open(with(func(s *script) { s.client = addr("10.77.1.2:37071") }))
		p.pool.idle()
		if got := r.take(); !slices.Equal(got, []string{start, stop, start, info}) {
			t.Errorf("received %v", got)
		}
		playAll(p)
		first, second := p.archive.records[0], p.archive.records[1]
		if first.ID != second.ID || first.Ordinal != 1 || second.Ordinal != 2 || first.Client == second.Client {
			t.Errorf("first %+v, second %+v", first, second)
		}
	})
}

// While a receiver hangs, generation 2026 waits five seconds and blocks.
func TestAccessRequestHangs(t *testing.T) {
	for g, want := range map[Generation]time.Duration{
		Generation2025: 25 * time.Second, GenerationPTR: 25 * time.Second, Generation2026: 5 * time.Second,
	} {
		t.Run(string(g), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, r := newRecordedProxy(t, generationConfig(g), nil)
				record := p.exchange
				p.exchange = func(ctx context.Context, req request) (answer, error) {
					if strings.Contains(string(req.body), ask) && !strings.Contains(string(req.body), info) {
						return hang(ctx, req)
					}
					return record(ctx, req)
				}
				began := time.Now()
				p.open(with(func(s *script) { s.asks = true }))
				if took := time.Since(began); took != want {
					t.Errorf("it took %v, want %v", took, want)
				}
				playAll(p)
				sent := r.take()
				if blocked := g == Generation2026; p.archive.records[0].Blocked != blocked || slices.Contains(sent, start) == blocked {
					t.Errorf("blocked %v, sent %v", p.archive.records[0].Blocked, sent)
				}
			})
		})
	}
}

// An answer that is lost is not asked for again in generation 2026: the receiver
// accepted, and the proxy blocks.
func TestLostAnswer(t *testing.T) {
	for _, g := range Generations {
		p, r := newRecordedProxy(t, generationConfig(g), answerAccess(200, `{"access-response":"accept"}`, nil))
		p.open(with(func(s *script) { s.asks, s.access.repeats = true, 2 }))
		playAll(p)
		asks, verdict := 3, verdictAccept
		if g == Generation2026 {
			asks, verdict = 1, verdictFailed
		}
		c := p.archive.records[0]
		if n := countOf(r.take(), ask); n != asks || c.Verdict != verdict || c.Decision != verdictAccept || !c.Access.Acknowledged {
			t.Errorf("%s: asked %d times, verdict %s, decision %s, access %+v", g, n, c.Verdict, c.Decision, c.Access)
		}
	}
}

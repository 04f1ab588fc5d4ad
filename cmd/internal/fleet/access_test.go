package fleet

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestAnswersToAccessRequest(t *testing.T) {
	const passes, rejected, blocked = "passes", "rejected", "blocked"
	for _, tt := range []struct {
		name   string
		status int
		body   string
		err    error
		old    string // generations that fail open
		newest string
		echo   string // in the newest, "" is null
	}{
		{"accept", 200, `{"access-response":"accept","note":[1]}`, nil, passes, passes, `{"access-response":"accept","note":[1]}`},
		{"reject", 200, `{"access-response":"reject"}`, nil, rejected, rejected, `{"access-response":"reject"}`},
		{"202 with accept", 202, `{"access-response":"accept"}`, nil, passes, passes, `{"access-response":"accept"}`},
		{"empty object", 200, `{}`, nil, passes, blocked, `{}`},
		{"array", 200, `[]`, nil, passes, blocked, `[]`},
		{"capital", 200, `{"access-response":"Accept"}`, nil, passes, blocked, `{"access-response":"Accept"}`},
		{"true", 200, `{"access-response":true}`, nil, passes, blocked, `{"access-response":true}`},
		{"empty", 200, ``, nil, passes, blocked, ``},
		{"broken", 200, `{"access-response":"accept"`, nil, passes, blocked, ``},
		{"503 with accept", 503, `{"access-response":"accept"}`, nil, passes, blocked, `{"access-response":"accept"}`},
		{"302 with reject", 302, `{"access-response":"reject"}`, nil, passes, blocked, `{"access-response":"reject"}`},
		{"reset", 0, ``, syscall.ECONNRESET, passes, blocked, ``},
		{"refused", 0, ``, syscall.ECONNREFUSED, passes, blocked, ``},
	} {
		for _, g := range Generations {
			for _, mode := range []Mode{Transparent, SOCKS, HTTPConnect} {
				t.Run(tt.name+" "+string(g)+" "+string(mode), func(t *testing.T) {
					p, r := newRecordedProxy(t, generationConfig(g), answerAccess(tt.status, tt.body, tt.err))
					p.neighbors.seen("10.77.1.2") // who is new is not the matter here
					p.open(with(func(s *script) { s.mode, s.asks = mode, true }))
					p.pool.idle()
					playAll(p)
					outcome := tt.old
					if g == Generation2026 {
						outcome = tt.newest
					}
					asks := slices.Repeat([]string{ask}, asksOf(g, mode, tt.err))
					want := slices.Concat(asks, map[string][]string{passes: {start, stop, info}, rejected: {info}, blocked: {info}}[outcome])
					if mode != Transparent {
						want = slices.Concat([]string{start}, asks, map[string][]string{passes: {stop, info}, rejected: {info}, blocked: {info}}[outcome])
					}
					requests := r.requests
					if got := r.take(); !slices.Equal(got, want) {
						t.Errorf("sent %v, want %v", got, want)
					}
					c := p.archive.records[0]
					expected := map[string]string{passes: ExpectedStop, rejected: ExpectedRejected, blocked: ExpectedBlocked}[outcome]
					if c.Expected != expected || c.Blocked != (outcome == blocked) || (p.ledger.totals.Blocked == 1) != c.Blocked {
						t.Errorf("expected %s, blocked %v; want %s", c.Expected, c.Blocked, expected)
					}
					if g == Generation2026 {
						echo := tt.echo
						if echo == "" {
							echo = "null"
						}
						if last := requests[len(requests)-1].body; !strings.Contains(last, `"access-response":`+echo+`,"session":`) {
							t.Errorf("info is %s, want the echo %s", last, echo)
						}
					}
				})
			}
		}
	}
}

// asksOf is the number of deliveries of access-requests of one connection.
func asksOf(g Generation, mode Mode, err error) int {
	n := 1
	if g == Generation2025 && mode == SOCKS {
		n = 2
	}
	switch {
	case err != nil && g != Generation2026:
		n *= 5
	case errors.Is(err, syscall.ECONNREFUSED):
		n *= 2
	}
	return n
}

package track

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
)

func addresses(mode privacy.Addresses) *privacy.Policy {
	return privacy.New(privacy.Config{URLs: privacy.URLsRedacted, ClientAddresses: mode}, make([]byte, privacy.KeyBytes))
}

var addressModes = []privacy.Addresses{privacy.AddressesFull, privacy.AddressesTruncated, privacy.AddressesHashed}

// TestPrivacyKeepsCorrelation plays each capture with client addresses as they are and as a policy leaves them, and
// expects the same facts, but for the addresses.
func TestPrivacyKeepsCorrelation(t *testing.T) {
	eachCapture(t, func(t *testing.T, steps []step) {
		full := factsOf(t, steps, nil)
		for _, mode := range addressModes[1:] {
			policy := addresses(mode)
			var want []string
			for _, fact := range full {
				want = append(want, clients.ReplaceAllStringFunc(fact, policy.Address))
			}
			got := factsOf(t, steps, policy)
			if mode == privacy.AddressesTruncated {
				// The neighbors are networks then, and fewer.
				want, got = slices.DeleteFunc(want, ofNeighbors), slices.DeleteFunc(got, ofNeighbors)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-full +%s):\n%s", mode, mode, diff)
			}
		}
	})
}

// clients are the clients of the captures.
var clients = regexp.MustCompile(`10\.77\.1\.[0-9]+|fd77:1::[0-9a-f]+`)

func ofNeighbors(fact string) bool {
	return strings.HasPrefix(fact, "track.NeighborSeen") || strings.HasPrefix(fact, "track.ProxyStatus")
}

func factsOf(t *testing.T, steps []step, policy *privacy.Policy) []string {
	t.Helper()
	var facts transcript
	w := newWorld(t)
	w.tracker.Privacy, w.tracker.emit = policy, facts.take
	for _, s := range steps {
		w.play(step{policy.Event(s.ev), s.at})
		w.advance()
	}
	w.pass(w.config.Connections.GracePeriod)
	w.pass(time.Hour)
	return facts
}

// TestTwoClientsOfANetwork has two clients that are one after truncation: with the same port, to the same server, at
// the same time. Their connections stay two, and the proxy's echo gives each its own decision.
func TestTwoClientsOfANetwork(t *testing.T) {
	policy := addresses(privacy.AddressesTruncated)
	labels := []string{"tcp_10.77.1.2:40762+tcp_10.77.2.2:8080", "tcp_10.77.1.3:40762+tcp_10.77.2.2:8080"}
	w := newWorld(t)
	w.tracker.Privacy = policy
	for i, label := range labels {
		w.decide(Decision{Source: source, ID: fmt.Sprint("d", i), Label: policy.Session(label), Policy: event.PolicyUnknown, Verdict: event.Accept, Rule: fmt.Sprint("r", i)})
	}
	send := func(action event.Action, id string, payload any) {
		w.apply(policy.Event(event.Event{Action: action, Source: source, ID: id, Payload: payload}))
	}
	for i, label := range labels {
		send(event.ActionStart, fmt.Sprint("Proxy-A1-OID-", i), event.Start{Session: label})
	}
	for i, label := range labels {
		id := fmt.Sprint("Proxy-A1-OID-", i)
		send(event.ActionStop, id, event.Stop{Session: label})
		send(event.ActionInfo, id, event.Info{Echo: &event.Echo{Session: label, Verdict: event.Accept, Rule: fmt.Sprint("r", i), Decision: fmt.Sprint("d", i)}})
	}
	w.wantFinished(ReasonStop, ReasonStop)
	for i, c := range w.finished {
		if c.Decision == nil || c.Decision.ID != fmt.Sprint("d", i) {
			t.Errorf("connection %s has the decision %+v", c.ID, c.Decision)
		}
	}
	if n := decided(w.recorder); n != 2 {
		t.Errorf("%d decisions are counted, want 2", n)
	}
}

// TestChangedPrivacy changes the settings between two runs, with a connection open, a decision pending, a stop that
// waits for its info, and a neighbor. It expects that the connections are recognised by their next events, and that
// nothing is reported in a way that the new settings do not allow.
func TestChangedPrivacy(t *testing.T) {
	const (
		client  = "10.77.1.2"
		pending = "tcp_10.77.1.2:40763+tcp_10.77.2.2:8080"
		closing = "tcp_10.77.1.2:40764+tcp_10.77.2.2:8080"
	)
	for _, before := range addressModes {
		for _, after := range addressModes {
			t.Run(fmt.Sprintf("%s to %s", before, after), func(t *testing.T) {
				old, now := addresses(before), addresses(after)
				w := newWorld(t)
				w.tracker.Privacy = old
				send := func(p *privacy.Policy, action event.Action, id string, payload any) {
					w.apply(p.Event(event.Event{Action: action, Source: source, ID: id, Payload: payload}))
				}
				send(old, event.ActionStart, idA, event.Start{Session: label})
				send(old, event.ActionStart, "Proxy-A1-OID-2", event.Start{Session: closing})
				send(nil, event.ActionStop, "Proxy-A1-OID-2", event.Stop{
					Session: old.Session(closing), BytesUp: 1, Details: []string{"http://joe:pa55@h/"}, // as an older version stored it
				})
				send(old, event.ActionNeighbor, "", event.Neighbor{Addresses: []string{client}, State: event.NeighborNew})
				w.decide(Decision{Source: source, ID: "d", ConnectionID: old.ID(pending), Label: old.Session(pending), Policy: event.PolicyUnknown, Verdict: event.Accept})

				w.recorder.facts, w.recorder.finished = nil, nil
				var said transcript
				w.tracker = New(w.config, func(f Fact) { said.take(f); w.recorder.take(f) })
				w.tracker.Privacy = now
				for _, k := range w.store.sorted() {
					if err := w.tracker.Restore(k.kind, k.source, k.key, w.store.records[k]); err != nil {
						t.Fatal(err)
					}
				}
				err := w.tracker.Restore(KindNeighbor, source, old.Address(client), []byte("{"))
				if err == nil || after != privacy.AddressesFull && strings.Contains(err.Error(), client) {
					t.Errorf("a damaged record is reported as %v", err)
				}
				w.tracker.Resume(at(w.now))
				w.tracker.Publish()
				w.advance()
				send(now, event.ActionInfo, "Proxy-A1-OID-2", event.Info{Statistics: &event.Statistics{Session: closing}})
				send(now, event.ActionStart, "Proxy-A1-OID-3", event.Start{Session: pending})
				send(now, event.ActionStop, "Proxy-A1-OID-3", event.Stop{Session: pending})
				send(now, event.ActionStop, idA, event.Stop{Session: label})
				w.pass(w.config.Connections.GracePeriod)
				w.pass(time.Second)

				w.wantFinished(ReasonStop, ReasonStop, ReasonStop)
				convertible := before == privacy.AddressesFull || before == after
				for _, c := range w.finished {
					want := map[string]string{idA: label, "Proxy-A1-OID-2": closing, "Proxy-A1-OID-3": pending}[c.ID]
					if c.N != 1 || c.Label != now.Session(want) || !c.Started() {
						t.Errorf("connection %+v", c)
					}
					if c.ID == "Proxy-A1-OID-3" && convertible != (c.Decision != nil) {
						t.Errorf("connection %s has the decision %+v", c.ID, c.Decision)
					}
				}
				text := strings.Join(said, "\n")
				if strings.Contains(text, "pa55") {
					t.Errorf("the password is reported:\n%s", text)
				}
				if after != privacy.AddressesFull && strings.Contains(text, client) {
					t.Errorf("the client is reported:\n%s", text)
				}
				if neighbors := w.status().Neighbors; convertible != (neighbors == 1) {
					t.Errorf("%d neighbors", neighbors)
				}
				for k, record := range w.store.records {
					if after != privacy.AddressesFull && (strings.Contains(k.key, client) || strings.Contains(string(record), client)) {
						t.Errorf("the client is stored in %v: %q", k, record)
					}
				}
				w.pass(w.config.Proxies.NeighborWindow)
				for k := range w.store.records {
					if k.kind == KindNeighbor {
						t.Errorf("a neighbor is left over in the store: %v", k)
					}
				}
			})
		}
	}
}

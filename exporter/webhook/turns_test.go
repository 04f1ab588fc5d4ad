package webhook

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Clients take turns, and of one client the latest handshake is first.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		many, few := new(client), new(client)
		running := turns.take(many)
		var order []string
		started := make(chan *turn)
		for _, next := range []struct {
			name   string
			client *client
		}{{"many 1", many}, {"many 2", many}, {"many 3", many}, {"few 1", few}} {
			taken := turns.take(next.client)
			go func() {
				if err := taken.wait(time.Minute); err != nil {
					t.Error(err)
				}
				order = append(order, next.name)
				started <- taken
			}()
		}
		synctest.Wait()
		if len(order) > 0 {
			t.Fatalf("%v began while another was computed", order)
		}
		for range 4 {
			running.end()
			running = <-started
		}
		if want := []string{"many 3", "few 1", "many 2", "many 1"}; !slices.Equal(order, want) {
			t.Errorf("order is %v, want %v", order, want)
		}
		running.end()
		running.end() // has no effect
		if turns.free != 1 || turns.waiting.Len() > 0 || len(turns.lines) > 0 {
			t.Errorf("%d turns are free, %d clients wait at the end", turns.free, turns.waiting.Len())
		}
	})
}

// A handshake that does not wait to the end leaves no gap.
func TestTurnsThatAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		running := turns.take(new(client))
		same := new(client)
		late, closed, patient := turns.take(same), turns.take(same), turns.take(same)
		errs := make(chan error, 2)
		go func() { errs <- late.wait(time.Second) }()
		time.Sleep(2 * time.Second)
		if err := <-errs; !errors.Is(err, errNoTurn) {
			t.Errorf("after its time: %v, want %v", err, errNoTurn)
		}
		go func() { errs <- closed.wait(time.Hour) }()
		closed.stopWaiting()
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("after its connection was closed: %v, want %v", err, net.ErrClosed)
		}
		running.stopWaiting() // has no effect: it does not wait
		select {
		case <-patient.granted:
			t.Fatal("the turn began before the other one ended")
		default:
		}
		running.end()
		if err := patient.wait(time.Hour); err != nil {
			t.Error(err)
		}
		patient.end()
		if turns.free != 1 || len(turns.lines) > 0 {
			t.Errorf("%d turns are free, %d clients wait at the end", turns.free, len(turns.lines))
		}
	})
}

package webhook

import (
	"testing"
	"testing/synctest"
	"time"
)

// take starts to take memory, and tells by a channel how that ended.
func take(m *memory, c *claim, n int64, timeout time.Duration) <-chan error {
	done := make(chan error, 1)
	go func() { done <- m.take(c, n, timeout) }()
	synctest.Wait()
	return done
}

func wantTaken(t *testing.T, m *memory, want int64) {
	t.Helper()
	if got := m.taken(); got != want {
		t.Errorf("%d bytes are taken, want %d", got, want)
	}
}

// Bodies that each hold a part and want more do not wait for each other: one may finish from the reserve.
func TestMemoryOfPartsFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(50, 10)
		var claims [4]claim
		for i := range claims {
			if err := m.take(&claims[i], 5, 0); err != nil {
				t.Fatal(err)
			}
		}
		wantTaken(t, m, 20)
		for i := range claims {
			if err := m.take(&claims[i], 5, 0); err != nil {
				t.Fatalf("half of it is for those that have begun: %v", err)
			}
		}
		wantTaken(t, m, 40)
		if err := m.take(&claims[0], 5, 0); err != nil {
			t.Fatalf("the reserve is not used: %v", err)
		}
		wantTaken(t, m, 50)
		var begins claim
		beginning := take(m, &begins, 5, time.Second)
		var waiting []<-chan error
		for i := range claims[1:] {
			waiting = append(waiting, take(m, &claims[i+1], 6, time.Second))
		}
		m.give(&claims[0])
		synctest.Wait()
		// The last one gets what was held, and the next the reserve; one that begins comes after them.
		if len(waiting[2]) != 1 || len(waiting[1]) != 1 || len(waiting[0])+len(beginning) != 0 {
			t.Errorf("served are %d, %d, %d and %d, want the last two", len(waiting[0]), len(waiting[1]), len(waiting[2]), len(beginning))
		}
		m.give(&claims[3])
		m.give(&claims[2])
		m.give(&claims[1])
		for _, done := range []<-chan error{waiting[0], beginning} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		m.give(&begins)
		wantTaken(t, m, 0)
	})
}

func TestMemoryWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(20, 10)
		var holds, finishes, waits claim
		if m.take(&holds, 5, 0) != nil || m.take(&finishes, 5, 0) != nil {
			t.Fatal("there is memory, and none was given")
		}
		if err := m.take(&waits, 1, 0); err != errBusy {
			t.Errorf("without a wait: %v", err)
		}
		began := time.Now()
		if err := m.take(&waits, 1, 3*time.Second); err != errBusy || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v, want %v after 3 s", err, time.Since(began), errBusy)
		}
		m.give(&holds)
		m.give(&finishes)
		wantTaken(t, m, 0)
		if err := m.take(&waits, 10, 0); err != nil {
			t.Errorf("nothing is taken, and %v", err)
		}
	})
}

package track

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q queue[int]
	var want []int
	pushed := 0
	// The chance of a push moves, so that the queue grows over several chunks, and becomes empty.
	for round := range 40 {
		grow := round%4 < 2
		for range 2000 {
			if random.IntN(10) < 7 == grow {
				q.push(pushed)
				want = append(want, pushed)
				pushed++
			} else if len(want) > 0 {
				q.pop()
				want = want[1:]
			}
			if oldest, ok := q.peek(); ok != (len(want) > 0) || ok && oldest != want[0] {
				t.Fatalf("the oldest is %d, %v; %d left", oldest, ok, len(want))
			}
			if q.len() != len(want) {
				t.Fatalf("%d items, want %d", q.len(), len(want))
			}
		}
		if all := slices.Collect(q.all()); !slices.Equal(all, want) {
			t.Fatalf("all yields %v, want %v", all, want)
		}
	}
}

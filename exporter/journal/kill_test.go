package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// killBatch is the most entries that a child appends at once, killDone that it is done with.
	killBatch = 8
	killDone  = 16
)

// killEntry is an entry of a child that will be killed: its number, and as much as makes its length its
// own, so that nothing else can be taken for it.
func killEntry(n int) []byte {
	return []byte(strconv.Itoa(n) + " " + strings.Repeat("k", n%1500))
}

func killNumber(t *testing.T, entry string) int {
	t.Helper()
	number, _, _ := strings.Cut(entry, " ")
	n, err := strconv.Atoi(number)
	check(t, err)
	if entry != string(killEntry(n)) {
		t.Fatalf("entry %d is not as it was written", n)
	}
	return n
}

// appendFlatOut is a child: it goes on from the largest number that it finds, and says each that the log
// ("l") and the queue ("q") have acknowledged, each rewrite ("r", with the first number that is left) and
// what is done with ("d"). It reads its own queue, as a sender would.
func appendFlatOut(path string) error {
	d, err := OpenDir(path)
	if err != nil {
		return err
	}
	l := OpenLog(d, "log", LogOptions{})
	var state [][]byte
	n := 0
	if _, err := l.Replay(func(e []byte) error { state = append(state, slices.Clone(e)); return nil }); err != nil {
		return err
	}
	q, _, err := OpenQueue(d, "queue", QueueOptions{SegmentBytes: 256 << 10})
	if err != nil {
		return err
	}
	if len(state) > 0 {
		fmt.Sscan(string(state[len(state)-1]), &n)
	}
	var said strings.Builder
	for {
		said.Reset()
		batch := make([][]byte, 1+rand.IntN(killBatch))
		for i := range batch {
			n++
			batch[i] = killEntry(n)
			fmt.Fprintf(&said, "l %d\n", n)
		}
		if err := l.Append(batch); err != nil {
			return err
		}
		os.Stdout.WriteString(said.String())
		state = append(state, batch...)
		if err := q.Append(batch, nil); err != nil {
			return err
		}
		os.Stdout.WriteString(strings.ReplaceAll(said.String(), "l", "q"))
		if len(state) > 500 {
			state = state[400:]
			fmt.Printf("r %s\n", strings.Fields(string(state[0]))[0])
			if err := l.Rewrite(slices.Values(state)); err != nil {
				return err
			}
		}
		if rand.IntN(4) == 0 {
			payloads, mark, err := q.Next(64<<10, killDone)
			if err != nil {
				return err
			}
			if len(payloads) > 0 {
				if err := q.Done(mark); err != nil {
					return err
				}
				fmt.Printf("d %s\n", strings.Fields(string(payloads[len(payloads)-1]))[0])
			}
		}
	}
}

// A child that appends as fast as it can is killed at random moments. What it said was acknowledged is
// there, in order, and nothing else but what it was at.
func TestKilledAtRandomMoments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	// The first and last entry that the log must have. begun is the first that it may have: that of a
	// rewrite which may not have come to its end.
	first, last, begun := 1, 0, 1
	// What the queue must have: what it acknowledged, behind what is done with.
	queued, done := map[int]bool{}, 0
	for round := range 8 {
		c := startChild(t, "append", path)
		kill := time.AfterFunc(time.Duration(50+rand.IntN(250))*time.Millisecond, func() { c.cmd.Process.Kill() })
		for _, line := range c.rest() {
			// Lines are whole: a write to a pipe of less than a page is.
			what, number, _ := strings.Cut(line, " ")
			n, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(line)
			}
			switch what {
			case "l":
				last, first = n, begun
			case "q":
				queued[n] = true
			case "r":
				begun = n
			case "d":
				done = n
			}
		}
		kill.Stop()
		dir := mustDir(t, path, osFS{})
		first, last = checkKilledLog(t, dir, first, begun, last)
		begun = first
		queued = checkKilledQueue(t, dir, queued, done)
		check(t, dir.Close())
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if last < 1000 {
		t.Errorf("only %d entries", last)
	}
	t.Logf("%d entries", last)
}

// checkKilledLog says what the log has, from and to.
func checkKilledLog(t *testing.T, dir *Dir, first, begun, last int) (int, int) {
	t.Helper()
	l, got, damage := mustLog(t, dir, LogOptions{})
	defer l.Close()
	if damage.Entries+damage.Segments > 0 {
		t.Errorf("log: damage %+v", damage)
	}
	if len(got) == 0 {
		// It may have been killed before it came to anything.
		if last > 0 {
			t.Fatal("the log is empty")
		}
		return 1, 0
	}
	from := killNumber(t, got[0])
	to := from + len(got) - 1
	for i, e := range got {
		if killNumber(t, e) != from+i {
			t.Fatalf("log: entry %d follows %d", killNumber(t, e), from+i-1)
		}
	}
	if from != first && from != begun || to < last || to > last+killBatch {
		t.Errorf("log has %d to %d, want %d or %d to %d", from, to, first, begun, last)
	}
	return from, to
}

// checkKilledQueue says what the queue has.
func checkKilledQueue(t *testing.T, dir *Dir, queued map[int]bool, done int) map[int]bool {
	t.Helper()
	q, damage := mustQueue(t, dir, QueueOptions{})
	defer q.Close()
	if damage.Entries+damage.Segments > 0 {
		t.Errorf("queue: damage %+v", damage)
	}
	weight := q.Weight()
	has, previous, unsaid := map[int]bool{}, done, 0
	for i, e := range drain(t, q, 100, false) {
		n := killNumber(t, e)
		if n <= previous {
			t.Errorf("queue: entry %d follows %d", n, previous)
		}
		for missing := previous + 1; missing < n; missing++ {
			switch {
			case queued[missing] && i > 0:
				t.Errorf("queue: no entry %d", missing)
			case queued[missing]:
				unsaid++
			}
		}
		if !queued[n] {
			unsaid++
		}
		has[n], previous = true, n
	}
	for missing := range queued {
		switch {
		case missing > previous && len(has) > 0:
			t.Errorf("queue: no entry %d", missing)
		case missing > previous:
			unsaid++
		}
	}
	// One batch can have been appended and one done with before the child could say so.
	if unsaid > killBatch+killDone || weight != int64(len(has)) {
		t.Errorf("queue: %d entries of weight %d, of which %d were not said", len(has), weight, unsaid)
	}
	return has
}

package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() {
	children["commit"] = commitForEver
	children["die"] = commitForEver
}

const dieVariable = "STORE_TEST_DIE_AT"

// commitForEver is a child. Batch n holds record n, tombstone n and span n, and removes record n-1. It prints
// n once it is committed.
func commitForEver(path string) error {
	at, _ := strconv.Atoi(os.Getenv(dieVariable))
	count := 0
	var o Options
	if at > 0 {
		f := &faults{}
		o.Faults = func(op, path string) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if count++; count == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}
	}
	s, err := Open(path, o)
	if err != nil {
		return err
	}
	first := 0
	if err := s.Load(func(_ Kind, _, key string, _ []byte, _ bool) error {
		first, err = strconv.Atoi(key)
		return err
	}); err != nil {
		return err
	}
	var b Batch
	filler := strings.Repeat("x", 1000)
	for n := first + 1; ; n++ {
		b.Reset()
		key := fmt.Sprintf("%09d", n)
		b.Put(KindConnection, "p", key, []byte("record"))
		b.Remove(KindConnection, "p", fmt.Sprintf("%09d", n-1))
		b.PutTombstone("p", key, []byte("t"), time.Duration(n))
		b.AddSpans([]byte(key+filler), 1)
		if err := s.Commit(&b); err != nil {
			return err
		}
		fmt.Println(n)
		if at > 0 && n == first+300 {
			return s.Close()
		}
	}
}

// killed runs a child until it dies and returns the last batch that it committed.
func killed(t *testing.T, path string, dieAt int, after time.Duration) int {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"=commit", pathVariable+"="+path, fmt.Sprint(dieVariable, "=", dieAt))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	if after > 0 {
		time.AfterFunc(after, func() { cmd.Process.Kill() })
	}
	last := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			last = n
		} else if strings.HasPrefix(lines.Text(), "error") {
			t.Error(lines.Text())
		}
	}
	cmd.Wait()
	return last
}

// verifyBatches checks that batches 1 to n are there wholly, n being at least last, and nothing else.
func verifyBatches(t *testing.T, path string, last int) (n int) {
	t.Helper()
	var c counts
	s := open(t, path, Options{Metrics: &c})
	defer s.Close()
	for key := range load(t, s) {
		if n != 0 {
			t.Error("more than one record")
		}
		fmt.Sscanf(key, "2/p/%d", &n)
	}
	if n < last || n > last+1 {
		t.Errorf("record %d, acknowledged %d", n, last)
	}
	seen := 0
	check(t, s.Spans(0, func(_ uint64, _ int, encoded []byte) bool {
		seen++
		if string(encoded[:9]) != fmt.Sprintf("%09d", seen) {
			t.Errorf("span %s is number %d", encoded[:9], seen)
		}
		return !t.Failed()
	}))
	equal(t, "spans", seen, n)
	pending, _ := s.Pending()
	equal(t, "pending", pending, n)
	for _, i := range []int{min(1, n), n / 2, n} {
		if i > 0 && tomb(t, s, "p", fmt.Sprintf("%09d", i)) != "t" {
			t.Errorf("tombstone %d of %d", i, n)
		}
	}
	equal(t, "tombstone", tomb(t, s, "p", fmt.Sprintf("%09d", n+1)), "")
	equal(t, "damage", c.damaged.Load(), 0)
	return n
}

func TestKill(t *testing.T) {
	path := t.TempDir()
	last := 0
	for round := range 6 {
		last = verifyBatches(t, path, max(last, killed(t, path, 0, 50*time.Millisecond+rand.N(400*time.Millisecond))))
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	if last < 100 {
		t.Errorf("only %d batches", last)
	}
}

// The process dies at the n-th file operation, opening a store that exists or not.
func TestKillAtOperation(t *testing.T) {
	path := t.TempDir()
	last := 0
	for n := 1; n < 150; n += 3 {
		fresh := t.TempDir()
		verifyBatches(t, fresh, killed(t, fresh, n, 0))
		last = verifyBatches(t, path, max(last, killed(t, path, n, 0)))
		if t.Failed() {
			t.Fatalf("at operation %d", n)
		}
	}
}

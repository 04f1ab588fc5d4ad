package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/setting"
)

func TestParseList(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string // networks, or the error
	}{
		"empty":           {"", nil},
		"comments":        {"# a\n\n  # b\n;", []string{`f:4: ";" is neither an address nor a CIDR`}},
		"addresses":       {"10.0.0.1\nfd00::1\n10.0.0.1\n", []string{"10.0.0.1/32", "fd00::1/128"}},
		"networks":        {"10.1.2.3/8 # host bits\n\tfd00::1/32\t#x\r\n", []string{"10.0.0.0/8", "fd00::/32"}},
		"no last newline": {"10.0.0.1", []string{"10.0.0.1/32"}},
		"mapped":          {"::ffff:10.0.0.1\n::ffff:11.0.0.0/104\n::ffff:0:0/90\n", []string{"10.0.0.1/32", "11.0.0.0/8", "::ffc0:0:0/90"}},
		"everything":      {"0.0.0.0/0\n::/0\n", []string{"0.0.0.0/0", "::/0"}},
		"byte order mark": {"\ufeff10.0.0.1\n", []string{"10.0.0.1/32"}},
		"length":          {"10.0.0.1\n\n10.0.0.0/33\n", []string{`f:3: "10.0.0.0/33" is neither an address nor a CIDR`}},
		"name":            {"a.host\n", []string{`f:1: "a.host" is neither an address nor a CIDR`}},
		"two on a line":   {"10.0.0.1 10.0.0.2\n", []string{`f:1: "10.0.0.1 10.0.0.2" is neither an address nor a CIDR`}},
		"zone":            {"fe80::1%eth0\n", []string{`f:1: "fe80::1%eth0": must not have a zone, which is valid on one host only`}},
		"zone of network": {"fe80::%eth0/64\n", []string{`f:1: "fe80::%eth0/64" is neither an address nor a CIDR`}},
		"leading zero":    {"010.0.0.1\n", []string{`f:1: "010.0.0.1" is neither an address nor a CIDR`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			table, err := parseList("f", strings.NewReader(tt.text), newPacer(1))
			if err != nil {
				got = []string{err.Error()}
			} else {
				for p := range table.AllSorted() {
					got = append(got, p.String())
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzParseList holds what is read of any text against reading it line by line, plainly.
func FuzzParseList(f *testing.F) {
	f.Add("10.0.0.1\n# x\nfd00::/8 # y\r\n")
	f.Add("::ffff:1.2.3.4/97\n1.2.3.4/0")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseList("f", strings.NewReader(text), newPacer(1))
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			addr, err1 := netip.ParseAddr(line)
			p, err2 := netip.ParsePrefix(line)
			if err1 != nil && err2 != nil {
				if err == nil {
					t.Fatalf("%q was read", line)
				}
				return
			}
			if err != nil {
				continue // another line is wrong
			}
			if err2 == nil {
				addr = p.Addr()
			}
			if !table.Contains(addr.Unmap()) && !table.Contains(addr) {
				t.Fatalf("%q is not on the list", line)
			}
		}
	})
}

// Blocks end within lines and within the lines' ends; none of it may change what is read.
func TestParseListBlocks(t *testing.T) {
	const entries = 3 * blockBytes / len("10.000.000.000\n")
	var b strings.Builder
	for i := range entries {
		fmt.Fprintf(&b, "10.%d.%d.%d", i>>16, i>>8&255, i&255)
		if i == entries/2 {
			b.WriteString(" # " + strings.Repeat("x", 2*blockBytes)) // a line that is longer than a block
		}
		b.WriteString("\r\n")
	}
	table, err := parseList("f", iotest.HalfReader(strings.NewReader(b.String())), newPacer(1))
	if err != nil || table.Size() != entries {
		t.Errorf("%d entries, %v, want %d", table.Size(), err, entries)
	}
	_, err = parseList("f", strings.NewReader(b.String()+"x\n"), newPacer(1))
	if want := fmt.Sprintf(`f:%d: "x" is neither`, entries+1); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	_, err = parseList("f", strings.NewReader("10.0.0.1\n#"+strings.Repeat("x", maxLineBytes)), newPacer(1))
	if err == nil || !strings.HasPrefix(err.Error(), "f:2: ") {
		t.Errorf("error %v, want one about line 2", err)
	}
	broken := errors.New("broken")
	_, err = parseList("f", io.MultiReader(strings.NewReader("10.0.0.1\n"), iotest.ErrReader(broken)), newPacer(1))
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// Loading works for its share of the time, and sleeps for the rest.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := newPacer(.2)
		work := func(d time.Duration, want time.Duration) {
			t.Helper()
			time.Sleep(d)
			before := time.Now()
			p.pause()
			if slept := time.Since(before); slept != want {
				t.Errorf("after %v of work it sleeps %v, want %v", d, slept, want)
			}
		}
		work(workSlice/2, 0)
		work(workSlice/2, 4*workSlice)
		for range 100 {
			work(workSlice, 4*workSlice)
		}
		if took := time.Since(began); took != 101*5*workSlice {
			t.Errorf("101 slices took %v, want %v", took, 101*5*workSlice)
		}
		work(time.Hour, maxPause)
		p = newPacer(1)
		work(time.Hour, 0)
	})
}

// TestLoad reads lists: each once, those that did not change not again, and all or nothing.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(a, "10.0.0.0/8\n")
	write(b, "fd00::/8\n")
	written := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(a, written, written); err != nil {
		t.Fatal(err)
	}
	c := Config{Rules: []Rule{
		{Name: "1", ClientFile: []string{a, b}, Verdict: "reject"}, {Name: "2", ServerFile: []string{a}, Verdict: "reject"},
	}}
	loader := &Loader{}
	first, err := loader.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	if lists := first.Lists(); len(lists) != 2 || lists[0].Path != a || lists[0].Len() != 1 || !lists[0].Modified.Equal(written) {
		t.Errorf("lists are %v", lists)
	}
	if first.rules[0].clientLists.lists[0] != first.rules[1].serverLists.lists[0] {
		t.Error("a list was read twice")
	}
	write(b, "fd00::/16\n") // of the same length, maybe within the grain of the file system's clock
	second, err := loader.Load(c)
	if err != nil {
		t.Fatal(err)
	}
	if first.Lists()[0].networks != second.Lists()[0].networks {
		t.Error("a list that did not change was parsed again")
	}
	if addr := netip.MustParseAddr("fd01::"); !first.Lists()[1].contains(addr) || second.Lists()[1].contains(addr) {
		t.Error("a list that changed was not")
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	_, err = loader.Load(c)
	var field *setting.Error
	if !errors.As(err, &field) || field.Field != "rules[0].client_file[1]" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	c.Rules[0].ClientFile[1] = dir
	if _, err = loader.Load(c); !errors.As(err, &field) || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

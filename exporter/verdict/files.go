package verdict

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
)

// Files reads list files. It keeps the lists of the Set it was last asked for, so that a file whose content
// is still the same is not parsed anew. It is used by one goroutine.
type Files struct {
	// Pause is called every few hundred microseconds of work, so that reading a million entries takes no
	// processor from requests; nil for none.
	Pause func()

	kept map[string]*List
}

// Compile reads all lists that a configuration names, each once, and makes a Set of it. Errors are of type
// *FieldError.
func (f *Files) Compile(c Config) (*Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	pause := f.Pause
	if pause == nil {
		pause = func() {}
	}
	read := map[string]*List{}
	rules := make([]rule, len(c.Rules))
	for i := range c.Rules {
		rules[i] = newRule(&c.Rules[i])
		for _, field := range []struct {
			name  string
			paths []string
			lists *[]*List
		}{
			{"client_file", c.Rules[i].ClientFile, &rules[i].clientLists},
			{"server_file", c.Rules[i].ServerFile, &rules[i].serverLists},
		} {
			for j, path := range field.paths {
				list, ok := read[path]
				if !ok {
					var err error
					if list, err = f.read(path, pause); err != nil {
						return nil, &FieldError{fmt.Sprintf("rules[%d].%s[%d]", i, field.name, j), err}
					}
					read[path] = list
				}
				*field.lists = append(*field.lists, list)
			}
		}
	}
	f.kept = read
	return newSet(c, rules, pause), nil
}

func (f *Files) read(path string, pause func()) (*List, error) {
	// The time before the content: what is written in between has another time, and is found by that.
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no regular file", path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list := &List{Path: path, Modified: stat.ModTime(), sum: checksum(content, pause)}
	if kept, ok := f.kept[path]; ok && kept.sum == list.sum {
		list.networks = kept.networks
		return list, nil
	}
	list.networks, err = parseList(path, content, pause)
	if err != nil {
		return nil, err
	}
	return list, nil
}

func checksum(content []byte, pause func()) (sum [sha256.Size]byte) {
	hash := sha256.New()
	for part := range slices.Chunk(content, 128<<10) {
		hash.Write(part)
		pause()
	}
	hash.Sum(sum[:0])
	return sum
}

package access

import "smithproxy_exporter/exporter/setting"

// Loader reads list files and compiles configurations. It keeps the lists of the last Set, so that an unchanged file is
// not parsed again. It is not safe for concurrent use.
type Loader struct {
	// Share is the share of one processor that loading may use while requests are answered, such as 0.2. 0 is no bound,
	// for the start.
	Share float64

	kept map[string]*List
}

// Load reads each list that a configuration names once, and compiles the configuration to a Set. Errors are of type
// *setting.Error.
func (l *Loader) Load(c Config) (*Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	share := l.Share
	if share == 0 {
		share = 1
	}
	r := reading{pacer: newPacer(share), kept: l.kept, read: map[string]*List{}}
	rules, zones := make([]rule, len(c.Rules)), zones{}
	for i := range c.Rules {
		prefix := index("rules", i) + "."
		clients, err := r.lists(prefix+"client_file", c.Rules[i].ClientFile)
		if err != nil {
			return nil, err
		}
		servers, err := r.lists(prefix+"server_file", c.Rules[i].ServerFile)
		if err != nil {
			return nil, err
		}
		rules[i] = newRule(&c.Rules[i], clients, servers, zones)
	}
	l.kept = r.read
	return newSet(c, rules, r.order), nil
}

// reading is the state of one call of Load.
type reading struct {
	pacer *pacer
	kept  map[string]*List
	read  map[string]*List
	order []*List // in the order in which they were read
}

// lists returns the lists of a field.
func (r *reading) lists(field string, paths []string) ([]*List, error) {
	var lists []*List
	for i, path := range paths {
		list, ok := r.read[path]
		if !ok {
			var err error
			if list, err = readList(path, r.kept[path], r.pacer); err != nil {
				return nil, setting.Invalid(index(field, i), err)
			}
			list.index = len(r.order)
			r.read[path] = list
			r.order = append(r.order, list)
		}
		lists = append(lists, list)
	}
	return lists, nil
}

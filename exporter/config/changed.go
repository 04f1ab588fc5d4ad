package config

import (
	"reflect"
	"slices"
)

// ChangedSections returns the names of the sections that differ in o, except for those in ignore.
func (c Config) ChangedSections(o Config, ignore ...string) []string {
	var names []string
	x, y := reflect.ValueOf(c), reflect.ValueOf(o)
	for i := range x.NumField() {
		name := x.Type().Field(i).Tag.Get("yaml")
		if name != "-" && !slices.Contains(ignore, name) && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

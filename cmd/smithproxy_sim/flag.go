package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// flag adds a flag for the value, whose current value is the default.
func flag[T bool | int | float64 | string | time.Duration](app *kingpin.Application, name, help string, value *T) {
	f := app.Flag(name, help).Default(fmt.Sprint(*value))
	switch v := any(value).(type) {
	case *bool:
		f.BoolVar(v)
	case *int:
		f.IntVar(v)
	case *float64:
		f.Float64Var(v)
	case *string:
		f.StringVar(v)
	case *time.Duration:
		f.DurationVar(v)
	}
}

// boolText is a bool with an explicit value, as in --flag=false. Flags of kingpin have no value, but --no-flag.
type boolText bool

// Set implements kingpin.Value.
func (b *boolText) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is not true or false", s)
	}
	*b = boolText(v)
	return nil
}

// String implements kingpin.Value.
func (b *boolText) String() string { return strconv.FormatBool(bool(*b)) }

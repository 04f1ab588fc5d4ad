// Package setting has the error by which the Validate method of a Config names the setting that is wrong.
//
// Each package that is configured has a Config with yaml tags, a function DefaultConfig, and a method Validate that
// returns nil or an *Error. Package config composes them, and adds the file and the line to the error.
package setting

import "errors"

// Error is an invalid setting.
type Error struct {
	// Field is the path of the setting: rules[2].schedule.from. It begins in the Config that was validated.
	Field string
	// Err says what is wrong with the value.
	Err error
}

func (e *Error) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Invalid returns an *Error for a field, or nil if err is nil.
func Invalid(field string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Field: field, Err: err}
}

// Within returns err with the field of its *Error moved into parent: from becomes schedule.from. Other errors,
// and nil, are returned as they are.
func Within(parent string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return &Error{Field: parent + "." + e.Field, Err: e.Err}
	}
	return err
}

// Positive returns an *Error unless value is greater than 0.
func Positive[T ~int | ~int64](field string, value T) error {
	if value > 0 {
		return nil
	}
	return &Error{Field: field, Err: errors.New("must be greater than 0")}
}

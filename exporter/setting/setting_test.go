package setting

import (
	"errors"
	"io/fs"
	"testing"
	"time"
)

func TestErrorNamesTheFieldFromTheOutermostSection(t *testing.T) {
	cause := errors.New("is missing")
	err := Within("access", Within("rules[2]", Invalid("name", cause)))
	if want := "access.rules[2].name: is missing"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if !errors.Is(err, cause) {
		t.Errorf("%v does not wrap its cause", err)
	}
}

func TestWithinKeepsOtherErrors(t *testing.T) {
	if err := Within("access", nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	if err := Within("access", fs.ErrNotExist); err != fs.ErrNotExist {
		t.Errorf("an error without a field became %v", err)
	}
}

func TestPositive(t *testing.T) {
	for value, want := range map[time.Duration]bool{-1: false, 0: false, 1: true, time.Hour: true} {
		if err := Positive("timeout", value); (err == nil) != want {
			t.Errorf("Positive(%v) = %v", value, err)
		}
	}
}

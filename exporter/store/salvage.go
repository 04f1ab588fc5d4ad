package store

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

func damaged(err error) bool { return err != nil && pebble.IsCorruptionError(err) }

// openOrRepair opens the database and surveys it.
func (s *Store) openOrRepair() (*instance, survey, error) {
	exists, err := checkFormat(s.dir)
	if err != nil {
		return nil, survey{}, err
	}
	if !exists {
		if err := writeFormat(s.newFS(), s.dir); err != nil {
			return nil, survey{}, err
		}
	}
	in, err := s.openInstance(s.dir, false)
	if err != nil {
		return nil, survey{}, err
	}
	found, err := in.survey()
	if err != nil {
		in.dispose()
		return nil, survey{}, errors.Join(errors.New("survey"), err)
	}
	return in, found, nil
}

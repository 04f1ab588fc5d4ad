package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

func damaged(err error) bool { return err != nil && pebble.IsCorruptionError(err) }

// openOrRepair opens the database and surveys it. A damaged one is repaired: first its logs, which is quick and
// enough after a power cut, then all of it.
func (s *Store) openOrRepair() (*instance, survey, error) {
	fs := s.newFS()
	if err := s.finishSalvage(fs); err != nil {
		return nil, survey{}, err
	}
	exists, err := checkFormat(s.dir)
	if err != nil {
		return nil, survey{}, err
	}
	if !exists {
		if err := writeFormat(fs, s.dir); err != nil {
			return nil, survey{}, err
		}
	}
	s.mu.Lock()
	corrupt := s.corrupt
	s.mu.Unlock()
	if !corrupt {
		cause := checkManifests(fs, s.dir)
		if fs.troubled.Load() {
			return nil, survey{}, cause
		}
		if cause == nil {
			in, found, err := s.openSurveyed()
			if err == nil || !in.foundDamage(err) {
				return in, found, err
			}
			cause = err
		}
		s.logger.Warn("Store is damaged, repairing it", "err", cause.Error())
		bad, err := s.repairLogs()
		if err != nil {
			return nil, survey{}, err
		}
		if bad > 0 && checkManifests(fs, s.dir) == nil {
			s.metrics.Damaged(bad)
			in, found, err := s.openSurveyed()
			if err == nil || !in.foundDamage(err) {
				return in, found, err
			}
		}
	}
	bad, err := s.salvage()
	if err != nil {
		return nil, survey{}, err
	}
	s.metrics.Damaged(bad)
	s.mu.Lock()
	s.corrupt = false
	s.mu.Unlock()
	return s.openSurveyed()
}

// finishSalvage ends a salvage that a crash interrupted, or removes what is left of it.
func (s *Store) finishSalvage(fs *diskFS) error {
	fresh := filepath.Join(s.path, salvageDir)
	if _, err := os.Stat(fresh); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(s.dir); errors.Is(err, os.ErrNotExist) {
		if complete, _ := checkFormat(fresh); complete {
			return errors.Join(fs.Rename(fresh, s.dir), syncDir(fs, s.path))
		}
	}
	return fs.RemoveAll(fresh)
}

// openSurveyed opens the database. On error the instance is dead.
func (s *Store) openSurveyed() (*instance, survey, error) {
	in, err := s.openInstance(s.dir, false)
	if err != nil {
		return in, survey{}, err
	}
	found, err := in.survey()
	if err != nil {
		in.dispose()
	}
	return in, found, err
}

// foundDamage tells whether an error means damage, rather than a disk that fails.
func (in *instance) foundDamage(err error) bool {
	if damaged(err) {
		return true
	}
	var no syscall.Errno
	if errors.As(err, &no) && no != syscall.ENOENT {
		return false
	}
	return !in.fs.troubled.Load() && !errors.Is(err, errFenced)
}

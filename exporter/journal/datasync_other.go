//go:build !linux

package journal

func (f osFile) Datasync() error { return f.Sync() }

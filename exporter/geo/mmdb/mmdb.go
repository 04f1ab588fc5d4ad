// Package mmdb finds places of addresses in files of the MMDB format, as MaxMind and others publish them.
//
// A file is read into memory as a whole. Memory that is mapped would be read from the disk while events wait, and a file
// that is cut while it is replaced would end the process.
package mmdb

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/setting"
)

const (
	// checkEvery is the interval in which files are checked for changes.
	checkEvery = 10 * time.Second
	// maxCached bounds the places that are kept, about 150 bytes each. A connection asks several times for the same address.
	maxCached = 4096
)

// Databases are the open files. They are safe for concurrent use.
type Databases struct {
	logger *slog.Logger
	files  []*file // only used by Open and Check

	mu      sync.Mutex
	readers []*maxminddb.Reader // of the files, in their order
	cached  map[netip.Addr]geo.Place
}

// file is a file as it was read last.
type file struct {
	path     string
	modified time.Time
	size     int64
	failed   error // of the last check
}

// Open reads the files of a configuration. The error is a *setting.Error.
func Open(c Config, logger *slog.Logger) (*Databases, error) {
	d := &Databases{logger: logger, readers: make([]*maxminddb.Reader, len(c.Files)), cached: map[netip.Addr]geo.Place{}}
	for i, path := range c.Files {
		f := &file{path: path}
		reader, err := f.read()
		if err != nil {
			return nil, setting.Invalid(fmt.Sprintf("files[%d]", i), err)
		}
		d.files, d.readers[i] = append(d.files, f), reader
	}
	return d, nil
}

// read reads and opens the file. It returns nil without an error if the file has not changed since it was read last.
func (f *file) read() (*maxminddb.Reader, error) {
	stat, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if stat.ModTime().Equal(f.modified) && stat.Size() == f.size {
		return nil, nil
	}
	raw, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	reader, err := maxminddb.OpenBytes(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.path, err)
	}
	f.modified, f.size = stat.ModTime(), stat.Size()
	return reader, nil
}

// Run checks the files for changes until ctx is done.
func (d *Databases) Run(ctx context.Context) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			d.Check()
		}
	}
}

// Check uses the files that have changed. One that cannot be read stays as it was. It must not be called concurrently.
func (d *Databases) Check() {
	for i, f := range d.files {
		reader, err := f.read()
		switch {
		case err != nil:
			if f.failed == nil || f.failed.Error() != err.Error() {
				d.logger.Warn("Failed to read a GeoIP database, the previous one stays in use", "file", f.path, "err", err)
			}
		case reader != nil:
			d.use(i, reader)
			d.logger.Info("GeoIP database is in use", "file", f.path, "built", reader.Metadata.BuildTime())
		}
		f.failed = err
	}
}

func (d *Databases) use(i int, reader *maxminddb.Reader) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers[i] = reader
	clear(d.cached)
}

// Place returns where an address is, the zero Place if no file has it.
func (d *Databases) Place(addr netip.Addr) geo.Place {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return geo.Place{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if place, ok := d.cached[addr]; ok {
		return place
	}
	place := d.find(addr)
	if len(d.cached) >= maxCached {
		clear(d.cached)
	}
	d.cached[addr] = place
	return place
}

func (d *Databases) find(addr netip.Addr) (place geo.Place) {
	for _, reader := range d.readers {
		result := reader.Lookup(addr)
		if !result.Found() {
			continue
		}
		var r record
		if err := result.Decode(&r); err != nil {
			continue // the file is damaged there
		}
		r.addTo(&place)
	}
	return place
}

// record is what is used of a record of MaxMind's databases Country, City, ASN and Enterprise, and of others in this form.
type record struct {
	Continent struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"continent"`
	Country      country  `maxminddb:"country"`
	Registered   country  `maxminddb:"registered_country"`
	Subdivisions []region `maxminddb:"subdivisions"`
	City         struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	ASN          uint32 `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
}

type country struct {
	Code string `maxminddb:"iso_code"`
}

type region struct {
	Code string `maxminddb:"iso_code"`
}

// addTo sets what place does not have yet. The text of a file can be anything.
func (r *record) addTo(place *geo.Place) {
	code := cmp.Or(r.Country.Code, r.Registered.Code)
	region := ""
	if len(r.Subdivisions) > 0 && r.Subdivisions[0].Code != "" && r.Country.Code != "" {
		region = r.Country.Code + "-" + r.Subdivisions[0].Code
	}
	for _, v := range []struct {
		to   *string
		text string
	}{
		{&place.Continent, r.Continent.Code}, {&place.Country, code}, {&place.Region, region},
		{&place.City, r.City.Names.English}, {&place.Organization, r.Organization},
	} {
		*v.to = cmp.Or(*v.to, strings.ToValidUTF8(v.text, "\ufffd"))
	}
	place.ASN = cmp.Or(place.ASN, r.ASN)
}

var _ geo.Locator = (*Databases)(nil)

package mmdb_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/geo/mmdb"
	"smithproxy_exporter/exporter/geo/mmdb/mmdbtest"
	"smithproxy_exporter/exporter/setting"
)

func city(country, name string) mmdbtest.Record {
	return mmdbtest.Record{
		"continent": mmdbtest.Record{"code": "EU"}, "country": mmdbtest.Record{"iso_code": country},
		"subdivisions": []any{mmdbtest.Record{"iso_code": "10"}},
		"city":         mmdbtest.Record{"names": mmdbtest.Record{"de": "Prag", "en": name}},
	}
}

func as(number uint32, name string) mmdbtest.Record {
	return mmdbtest.Record{"autonomous_system_number": number, "autonomous_system_organization": name}
}

type networks = map[netip.Prefix]mmdbtest.Record

var (
	ipv4 = netip.MustParsePrefix("192.0.2.0/24")
	ipv6 = netip.MustParsePrefix("2001:db8:1::/48")
)

// write writes a database, with a time that differs from all before.
func write(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	written++
	at := time.Unix(1_790_000_000+written, 0)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

var written int64

func open(t testing.TB, log *bytes.Buffer, paths ...string) *mmdb.Databases {
	t.Helper()
	d, err := mmdb.Open(mmdb.Config{Files: paths}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	cities, systems := filepath.Join(dir, "city.mmdb"), filepath.Join(dir, "asn.mmdb")
	write(t, cities, mmdbtest.Build(networks{
		ipv4: city("CZ", "Prague"), ipv6: {"registered_country": mmdbtest.Record{"iso_code": "DE"}},
		netip.MustParsePrefix("198.51.100.0/24"): {"country": "no map"},
		netip.MustParsePrefix("203.0.113.0/24"):  city("CZ", "\xff"),
	}))
	write(t, systems, mmdbtest.Build(networks{ipv4: as(64500, "Example"), netip.MustParsePrefix("198.51.100.0/24"): as(64501, "Other")}))
	d := open(t, new(bytes.Buffer), cities, systems)
	prague := geo.Place{Continent: "EU", Country: "CZ", Region: "CZ-10", City: "Prague", ASN: 64500, Organization: "Example"}
	for text, want := range map[string]geo.Place{
		"192.0.2.1":        prague,
		"::ffff:192.0.2.1": prague,
		"2001:db8:1::1":    {Country: "DE"},
		"2001:db8:2::1":    {},
		"10.0.0.1":         {},
		"198.51.100.7":     {ASN: 64501, Organization: "Other"},
		"203.0.113.7":      {Continent: "EU", Country: "CZ", Region: "CZ-10", City: "\ufffd"},
	} {
		for range 2 { // from the file, and from memory
			if got := d.Place(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s is in %+v, want %+v", text, got, want)
			}
		}
	}
	if got := d.Place(netip.Addr{}); got != (geo.Place{}) {
		t.Errorf("no address is in %+v", got)
	}
}

// TestChange replaces a file, breaks it, and repairs it.
func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "city.mmdb")
	write(t, path, mmdbtest.Build(networks{ipv4: city("CZ", "Prague")}))
	var log bytes.Buffer
	d := open(t, &log, path)
	is := func(want string) {
		t.Helper()
		if got := d.Place(ipv4.Addr()).City; got != want {
			t.Errorf("the city is %q, want %q", got, want)
		}
	}
	is("Prague")
	write(t, path, mmdbtest.Build(networks{ipv4: city("CZ", "Brno")}))
	is("Prague")
	d.Check()
	is("Brno")
	write(t, path, []byte("half of a database"))
	d.Check()
	d.Check()
	is("Brno")
	if n := strings.Count(log.String(), "Failed to read"); n != 1 {
		t.Errorf("the failure is logged %d times:\n%s", n, log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.Check()
	is("Brno")
	write(t, path, mmdbtest.Build(networks{ipv4: city("CZ", "Plzen")}))
	d.Check()
	is("Plzen")
}

func TestOpenFails(t *testing.T) {
	good, bad := filepath.Join(t.TempDir(), "good.mmdb"), filepath.Join(t.TempDir(), "bad.mmdb")
	write(t, good, mmdbtest.Build(networks{ipv4: city("CZ", "Prague")}))
	write(t, bad, []byte("no database"))
	for _, path := range []string{bad, filepath.Join(t.TempDir(), "none.mmdb")} {
		_, err := mmdb.Open(mmdb.Config{Files: []string{good, path}}, slog.New(slog.DiscardHandler))
		wrong, ok := errors.AsType[*setting.Error](err)
		if !ok || wrong.Field != "files[1]" || !strings.Contains(err.Error(), path) {
			t.Errorf("the error is %v", err)
		}
	}
}

// BenchmarkPlace is the cost of an address that was not asked for before, and of one that was.
func BenchmarkPlace(b *testing.B) {
	path := filepath.Join(b.TempDir(), "city.mmdb")
	if err := os.WriteFile(path, mmdbtest.Build(networks{netip.MustParsePrefix("0.0.0.0/1"): city("CZ", "Prague")}), 0o600); err != nil {
		b.Fatal(err)
	}
	d := open(b, new(bytes.Buffer), path)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		addr := netip.MustParseAddr("10.0.0.0")
		for b.Loop() {
			d.Place(addr)
			addr = addr.Next()
		}
	})
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		addr := netip.MustParseAddr("10.0.0.0")
		for b.Loop() {
			d.Place(addr)
		}
	})
}

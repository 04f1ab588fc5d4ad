package privacy_test

import (
	"reflect"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
)

const (
	label     = "tcp_10.1.2.3:50000+ssli_192.0.2.1:443"
	secretURL = "https://joe:pa55@h/?token=x"
	otherURL  = "/no/host"
)

// events are one of each kind, with URLs and client addresses as given.
func events(id, label, address string, details []string, omitted int) []event.Event {
	of := func(action event.Action, payload any) event.Event {
		return event.Event{Action: action, Source: "10.1.2.3", ID: "Proxy-A-OID-1", Payload: payload}
	}
	return []event.Event{
		of(event.ActionStart, event.Start{Session: label}),
		of(event.ActionStop, event.Stop{Session: label, TLS: true, SNI: "h", Details: details, DetailsOmitted: omitted}),
		of(event.ActionInfo, event.Info{Statistics: &event.Statistics{Session: label}, Echo: &event.Echo{Session: label, Rule: "r"}}),
		of(event.ActionInfo, event.Info{Sinkhole: &event.Sinkhole{Left: true}}),
		{Action: event.ActionAccess, Source: "10.1.2.3", ID: id, Payload: event.Access{Session: label, Policy: 3}},
		of(event.ActionNeighbor, event.Neighbor{State: event.NeighborNew, Addresses: []string{address, ""}}),
		of(event.ActionPing, event.Ping{Instance: "Proxy-A", Listed: true, Open: []string{"Proxy-A-OID-1", id}, Full: true,
			Sessions: []event.OpenSession{{ID: "Proxy-A-OID-1", Session: label}, {ID: id, Session: label}}}),
		of(event.ActionContent, event.Content{Side: "L", Bytes: 3}),
		{Action: event.ActionUnknown, Source: "10.1.2.3"},
	}
}

func TestEvent(t *testing.T) {
	given := func() []event.Event { return events(label, label, "10.1.2.3", []string{secretURL, otherURL}, 0) }
	const truncated, redacted = "tcp_10.1.2.0:50000+ssli_192.0.2.1:443", "https://REDACTED:REDACTED@h/?token=REDACTED"
	hashedLabel := "tcp_" + hashed("10.1.2.3") + ":50000+ssli_192.0.2.1:443"
	for _, tt := range []struct {
		urls      privacy.URLs
		addresses privacy.Addresses
		want      []event.Event
	}{
		{privacy.URLsFull, privacy.AddressesFull, given()},
		{privacy.URLsRedacted, privacy.AddressesFull, events(label, label, "10.1.2.3", []string{redacted, otherURL}, 0)},
		{privacy.URLsHost, privacy.AddressesTruncated, events(truncated, truncated, "10.1.2.0", []string{"https://h"}, 1)},
		{privacy.URLsNone, privacy.AddressesHashed, events(hashedLabel, hashedLabel, hashed("10.1.2.3"), nil, 2)},
		{privacy.URLsFull, privacy.AddressesHashed, events(hashedLabel, hashedLabel, hashed("10.1.2.3"), []string{secretURL, otherURL}, 0)},
	} {
		p := privacy.New(privacy.Config{URLs: tt.urls, ClientAddresses: tt.addresses}, key)
		for i, ev := range given() {
			if got := p.Event(ev); !reflect.DeepEqual(got, tt.want[i]) {
				t.Errorf("%s, %s: %+v\nwant %+v", tt.urls, tt.addresses, got, tt.want[i])
			}
			if !reflect.DeepEqual(ev, given()[i]) {
				t.Errorf("%s, %s: the event itself was changed: %+v", tt.urls, tt.addresses, ev)
			}
		}
	}
	for i, ev := range given() {
		if got := (*privacy.Policy)(nil).Event(ev); !reflect.DeepEqual(got, given()[i]) {
			t.Errorf("no policy makes %+v of it", got)
		}
	}
}

// TestNothingToHide expects that an event in which there is nothing to hide costs no memory.
func TestNothingToHide(t *testing.T) {
	p := privacy.New(privacy.DefaultConfig(), nil)
	for _, ev := range events(label, label, "10.1.2.3", []string{"https://www.example.com/", "https://h:8443/a?b=c"}, 0) {
		if n := testing.AllocsPerRun(100, func() { p.Event(ev) }); n != 0 {
			t.Errorf("%s allocates %v times", ev.Action, n)
		}
	}
}

func TestConfig(t *testing.T) {
	if err := privacy.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		change func(*privacy.Config)
		want   string
	}{
		{func(c *privacy.Config) { c.URLs = "some" }, `urls: "some" is not one of full, redacted, no_query, host, none`},
		{func(c *privacy.Config) { c.ClientAddresses = "" }, `client_addresses: "" is not one of full, truncated, hashed`},
		{func(c *privacy.Config) { c.SensitiveParameters = []privacy.Parameter{"a", "-ß"} }, "sensitive_parameters[1]: needs a letter or a digit"},
		{func(c *privacy.Config) {
			c.SensitiveParameters = []privacy.Parameter{privacy.Parameter(strings.Repeat("a", 64) + "b")}
		},
			"sensitive_parameters[0]: has more than 64 letters and digits"},
	} {
		c := privacy.DefaultConfig()
		tt.change(&c)
		if err := c.Validate(); err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
	var u privacy.URLs
	var a privacy.Addresses
	var p privacy.Parameter
	for _, err := range []error{u.UnmarshalText([]byte("none")), a.UnmarshalText([]byte("hashed")), p.UnmarshalText([]byte("pin"))} {
		if err != nil {
			t.Error(err)
		}
	}
	if u != privacy.URLsNone || a != privacy.AddressesHashed || p != "pin" {
		t.Errorf("read %q, %q, %q", u, a, p)
	}
	if u.UnmarshalText([]byte("x")) == nil || a.UnmarshalText(nil) == nil || p.UnmarshalText([]byte("_")) == nil {
		t.Error("an invalid value is accepted")
	}
}

func BenchmarkEvent(b *testing.B) {
	stop := func(details ...string) event.Event {
		return event.Event{Action: event.ActionStop, Source: "edge-1", ID: "Proxy-A-OID-1", Payload: event.Stop{Session: label, Details: details}}
	}
	for _, bb := range []struct {
		name      string
		addresses privacy.Addresses
		ev        event.Event
	}{
		{"start", privacy.AddressesFull, event.Event{Action: event.ActionStart, ID: "Proxy-A-OID-1", Payload: event.Start{Session: label}}},
		{"stop without URLs", privacy.AddressesFull, stop()},
		{"plain URLs", privacy.AddressesFull, stop("https://www.example.com/index.html", "https://www.example.com/a/b/c.png", "https://www.example.com/")},
		{"URLs with parameters", privacy.AddressesFull, stop("https://www.example.com/search?q=hello&lang=en&page=2&utm_source=x",
			"https://www.example.com/a/b/c.png?v=20261101", "https://www.example.com/")},
		{"URLs with credentials", privacy.AddressesFull, stop("https://joe:pa55@www.example.com/?access_token=0123456789abcdef&page=2",
			"https://www.example.com/a/b/c.png?v=20261101", "https://www.example.com/")},
		{"hashed start", privacy.AddressesHashed, event.Event{Action: event.ActionStart, ID: "Proxy-A-OID-1", Payload: event.Start{Session: label}}},
		{"truncated start", privacy.AddressesTruncated, event.Event{Action: event.ActionStart, ID: "Proxy-A-OID-1", Payload: event.Start{Session: label}}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := privacy.New(privacy.Config{URLs: privacy.URLsRedacted, ClientAddresses: bb.addresses}, key)
			b.ReportAllocs()
			for b.Loop() {
				p.Event(bb.ev)
			}
		})
	}
}

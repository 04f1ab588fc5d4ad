package config_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
)

// accessTests are the ways for access rules to be wrong, a file each in testdata/invalid.
var accessTests = []invalid{
	{"rule-without-name", `:3: access.rules[0].name: is missing`},
	{"rule-without-verdict", `:3: access.rules[0].verdict: is missing`},
	{"rule-verdict", `:4: access.rules[0].verdict: "deny" is neither accept nor reject`},
	{"rule-name-twice", `:6: access.rules[2].name: "a" is the name of rules[0]`},
	{"rule-name-default", `:3: access.rules[0].name: "default" is the name of`},
	{"rule-name-long", `:3: access.rules[0].name: is longer than 128 bytes`},
	{"rule-name-control", `:3: access.rules[0].name: "a\nb": contains '\n', which cannot be printed`},
	{"rule-null", `:3: access.rules[0]: is empty`},
	{"rules-mapping", `:2: access.rules: cannot unmarshal`},
	{"rule-unknown-field", `:5: access.rules[0].sni: unknown field`},
	{"rule-dry-run", `:5: access.rules[0].dry_run: cannot unmarshal`},
	{"rule-source-pattern", `:5: access.rules[0].source[0]: "lab-[" is not a pattern`},
	{"rule-source-empty", `:5: access.rules[0].source: must not be empty`},
	{"rule-source-null", `:5: access.rules[0].source: must not be empty`},
	{"rule-source-no-name", `:5: access.rules[0].source[0]: is missing`},
	{"rule-client", `:5: access.rules[0].client[1]: "10.0.0.256" is neither an address nor a CIDR`},
	{"rule-client-bits", `:5: access.rules[0].client[0]: "10.0.0.0/33" is neither`},
	{"rule-client-zone", `:5: access.rules[0].client[0]: "fe80::1%eth0": must not have a zone`},
	{"rule-client-empty", `:5: access.rules[0].client: must not be empty`},
	{"rule-client-file-empty", `:5: access.rules[0].client_file: must not be empty`},
	{"rule-client-file-no-name", `:5: access.rules[0].client_file[0]: is missing`},
	{"rule-server", `:6: access.rules[0].server[0]: "fd00::/129" is neither`},
	{"rule-server-empty", `:5: access.rules[0].server: must not be empty`},
	{"rule-server-file-empty", `:5: access.rules[0].server_file: must not be empty`},
	{"rule-port", `:5: access.rules[0].port[1]: "smtp" is not a port`},
	{"rule-port-zero", `:5: access.rules[0].port[0]: "0" is not a port`},
	{"rule-port-high", `:5: access.rules[0].port[0]: "65536" is not a port`},
	{"rule-port-backwards", `:5: access.rules[0].port[0]: "90-80": the end is lower than the start`},
	{"rule-port-open", `:5: access.rules[0].port[0]: "90-" is not a port`},
	{"rule-port-empty", `:5: access.rules[0].port: must not be empty`},
	{"rule-port-null", `:5: access.rules[0].port[0]: is empty`},
	{"rule-transport", `:5: access.rules[0].transport[1]: "ssli" is not one of tcp, tls, udp`},
	{"rule-transport-empty", `:5: access.rules[0].transport: must not be empty`},
	{"rule-policy", `:5: access.rules[0].policy[1]: -2 is not a policy: must be 0 or more`},
	{"rule-policy-text", `:5: access.rules[0].policy[0]: "web" is not a policy`},
	{"rule-policy-empty", `:5: access.rules[0].policy: must not be empty`},
	{"schedule-null", `:5: access.rules[0].schedule.days: needs days, from or to`},
	{"schedule-always", `:5: access.rules[0].schedule.days: needs days, from or to`},
	{"schedule-day", `:5: access.rules[0].schedule.days[1]: "Sunday" is not one of`},
	{"schedule-days-empty", `:5: access.rules[0].schedule.days: must not be empty`},
	{"schedule-from", `:6: access.rules[0].schedule.from: "25:00" is not a time of day`},
	{"schedule-to", `:5: access.rules[0].schedule.to: "6" is not a time of day`},
	{"schedule-same", `:5: access.rules[0].schedule.to: 06:00 is the same as from`},
	{"schedule-timezone", `:5: access.rules[0].schedule.timezone: unknown time zone Mars/Olympus`},
	{"schedule-unknown-field", `:5: access.rules[0].schedule.until: unknown field`},
	{"defaults-without-source", `:3: access.defaults[0].source: is missing`},
	{"defaults-without-verdict", `:3: access.defaults[0].verdict: is missing`},
	{"defaults-verdict", `:3: access.defaults[0].verdict: "no" is neither`},
	{"dry-run", `:2: access.dry_run: cannot unmarshal`},
}

func TestLoadAccess(t *testing.T) {
	network := func(s string) access.Network { return access.Network(netip.MustParsePrefix(s)) }
	list := filepath.Join("testdata", "feeds", "botnet.netset")
	want := access.Config{
		Default:  event.Accept,
		DryRun:   true,
		Defaults: []access.ProxyDefault{{Source: []access.Glob{"edge-*"}, Verdict: event.Reject}},
		Rules: []access.Rule{
			{Name: "lab-may-do-anything", Source: []access.Glob{"lab-*"}, Verdict: event.Accept},
			{
				Name:      "no-mail-from-guests",
				Client:    []access.Network{network("10.20.0.0/16"), network("fd00:20::/32")},
				Port:      []access.Ports{{From: 25, To: 25}, {From: 465, To: 465}, {From: 587, To: 600}},
				Transport: []event.Transport{event.TCP, event.TLS}, Verdict: event.Reject,
			},
			{Name: "threat-feed", ServerFile: []string{list}, Verdict: event.Reject, DryRun: true},
			{Name: "guests", ClientFile: []string{list, "/etc/guests"}, Server: []access.Network{network("192.0.2.1/32")}, Verdict: event.Reject},
			{
				Name: "night", Policy: []access.Policy{3, -1}, Verdict: event.Reject,
				Schedule: &access.Schedule{Days: []access.Day{6, 0}, From: 22 * 60, To: 6 * 60, Timezone: "Europe/Prague"},
			},
		},
	}
	got, err := config.Load(filepath.Join("testdata", "access.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Access, cmpopts.EquateComparable(netip.Prefix{}), cmp.Transformer("network", access.Network.String)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

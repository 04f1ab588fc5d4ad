package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAccessCheck(t *testing.T) {
	dir := t.TempDir()
	feed, wrong := filepath.Join(dir, "feed.netset"), filepath.Join(dir, "wrong.netset")
	for path, text := range map[string]string{feed: "203.0.113.0/24\n", wrong: "# a comment\n203.0.113.0/24\n10.0.0.0/33 # one bit\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := filepath.Join(dir, "good.yml")
	rules := `access:
  rules:
    - {name: lab, source: ["lab-*"], verdict: accept}
    - {name: guests, client: [10.20.0.0/16], port: [25, 465], transport: tcp, verdict: reject}
    - {name: feed, server_file: FEED, verdict: reject, dry_run: true}
    - {name: night, schedule: {days: [sat], from: "22:00", to: "06:00", timezone: Europe/Prague}, policy: [3], verdict: reject}
`
	if err := os.WriteFile(good, []byte(strings.Replace(rules, "FEED", feed, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.yml")
	if err := os.WriteFile(bad, []byte(strings.Replace(rules, "FEED", "wrong.netset", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(label string, more ...string) []string {
		return append([]string{"access-check", "--config.file=" + good, "--source=edge-1", "--session=" + label}, more...)
	}
	whatIsWrong := bad + `:5: access.rules[2].server_file[0]: ` + wrong + `:3: "10.0.0.0/33" is neither an address nor a CIDR`
	tests := map[string]commandLine{
		"rule": {
			args: check("tcp_10.20.1.1:40000+tcp_203.0.113.7:25", "--policy=3", "--at=2026-11-01T05:00:00+01:00"),
			stdout: `request:  source "edge-1", client 10.20.1.1:40000, server 203.0.113.7:25, transport tcp, policy 3, at 2026-11-01T05:00:00+01:00
verdict:  reject
rule:     guests

The rules above it:
  lab (accept)
    source: "edge-1" is not lab-*
`,
		},
		"schedule, below a dry-run rule": {
			args: check("tcp_10.21.1.1:40000+ssli_203.0.113.7:443", "--policy=3", "--at=2026-11-01T05:00:00+01:00"),
			stdout: `request:  source "edge-1", client 10.21.1.1:40000, server 203.0.113.7:443, transport tls, policy 3, at 2026-11-01T05:00:00+01:00
verdict:  reject
rule:     night
dry run:  feed would reject

The rules above it:
  lab (accept)
    source: "edge-1" is not lab-*
  guests (reject)
    client: 10.21.1.1 is not in 10.20.0.0/16
    port: 443 is not 25, 465
    transport: tls is not tcp
  feed (reject)
    matches, but is a dry-run rule and decides nothing
`,
		},
		"default, little known": {
			args: check("tcp_10.20.1.1:40000+0:0", "--at=2026-11-02T05:00:00+01:00"),
			stdout: `request:  source "edge-1", client 10.20.1.1:40000, server not known, transport tcp, policy not known, at 2026-11-02T05:00:00+01:00
verdict:  accept
rule:     default

The rules above it:
  lab (accept)
    source: "edge-1" is not lab-*
  guests (reject)
    port: is not known
  feed (reject)
    server_file: is not known
  night (reject)
    policy: is not known
    schedule: mon 05:00 CET is not in sat 22:00 to 06:00 Europe/Prague
`,
		},
		"no policy":         {args: check("0:0+0:0", "--policy=web"), status: 1, stderr: `--policy: "web" is not a policy`},
		"no time":           {args: check("0:0+0:0", "--at=noon"), status: 1, stderr: `--at: "noon" is not a time`},
		"no source":         {args: []string{"access-check", "--session=0:0+0:0"}, status: 2, stderr: "--source"},
		"a list is wrong":   {args: []string{"access-check", "--config.file=" + bad, "--source=a", "--session=0:0+0:0"}, status: 1, stderr: whatIsWrong},
		"the check says it": {args: []string{"--config.check", "--config.file=" + bad}, status: 1, stderr: whatIsWrong},
		"the check reads":   {args: []string{"--config.check", "--config.file=" + good}, stdout: "configuration is valid\n"},
	}
	for name, tt := range tests {
		t.Run(name, tt.run)
	}
}

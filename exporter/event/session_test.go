package event_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

func endpoint(t event.Transport, host string, port uint16) event.Endpoint {
	return event.Endpoint{Transport: t, Host: host, Port: port}
}

func TestParseSession(t *testing.T) {
	v4Client, v4Server := endpoint(event.TCP, "10.77.1.2", 40762), endpoint(event.TCP, "10.77.2.2", 8080)
	tests := []struct {
		name, label string
		want        event.Session
	}{
		{"tcp", "tcp_10.77.1.2:40762+tcp_10.77.2.2:8080", event.Session{Client: v4Client, Server: v4Server}},
		{"inspected tls", "ssli_172.30.1.10:32954+ssli_1.2.3.4:443", event.Session{
			Client: endpoint(event.TLS, "172.30.1.10", 32954), Server: endpoint(event.TLS, "1.2.3.4", 443),
		}},
		{"udp", "udp_10.77.1.2:41927+udp_10.77.2.2:53", event.Session{
			Client: endpoint(event.UDP, "10.77.1.2", 41927), Server: endpoint(event.UDP, "10.77.2.2", 53),
		}},
		{"unix", "ux_/run/app.sock:0+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.Unix, "/run/app.sock", 0), Server: v4Server,
		}},
		{"underscore in host", "ux_/run/my_app.sock:0+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.Unix, "/run/my_app.sock", 0), Server: v4Server,
		}},
		{"ipv6 without brackets", "tcp_fd77:1::2:45306+tcp_fd77:2::2:8080", event.Session{
			Client: endpoint(event.TCP, "fd77:1::2", 45306), Server: endpoint(event.TCP, "fd77:2::2", 8080),
		}},
		{"ipv6 that is short", "tcp_::1:1+tcp_fe80:::2", event.Session{
			Client: endpoint(event.TCP, "::1", 1), Server: endpoint(event.TCP, "fe80::", 2),
		}},
		{"families mixed", "tcp_10.77.1.2:40762+ssli_fd77:2::2:443", event.Session{
			Client: v4Client, Server: endpoint(event.TLS, "fd77:2::2", 443),
		}},
		{"socket number", "7::tcp_10.77.1.2:40762+tcp_10.77.2.2:8080", event.Session{Client: v4Client, Server: v4Server}},
		{"socket number and ipv6", "12::tcp_fd77:1::2:45306+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.TCP, "fd77:1::2", 45306), Server: v4Server,
		}},
		{"server not known", "tcp_10.77.1.2:40762+0:0", event.Session{Client: v4Client}},
		{"client not known", "0:0+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"neither known", "0:0+0:0", event.Session{}},
		{"server reduced", "tcp_10.77.1.2:40762+?:<reduced>", event.Session{Client: v4Client}},
		{"client reduced", "?:<reduced>+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"reduced with an address", "tcp_10.77.1.2:40762+?:tcp_10.77.2.2:8080", event.Session{Client: v4Client}},
		{"ssh", "ssh_10.77.1.2:1+ssh_10.77.2.2:22", event.Session{
			Client: endpoint(event.SSH, "10.77.1.2", 1), Server: endpoint(event.SSH, "10.77.2.2", 22),
		}},
		{"socket number and ssh", "7::ssh_fd77:1::2:1+ssh_10.77.2.2:22", event.Session{
			Client: endpoint(event.SSH, "fd77:1::2", 1), Server: endpoint(event.SSH, "10.77.2.2", 22),
		}},
		{"quic stream", "mf_10.77.1.2:1+mf_fd77:2::2:443", event.Session{
			Client: endpoint(event.QUIC, "10.77.1.2", 1), Server: endpoint(event.QUIC, "fd77:2::2", 443),
		}},
		{"other transport", "sctp_10.77.1.2:1+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint("sctp", "10.77.1.2", 1), Server: v4Server,
		}},
		{"longest transport", "a234567890bcdef6_10.77.1.2:1+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint("a234567890bcdef6", "10.77.1.2", 1), Server: v4Server,
		}},
		{"transport too long", "a234567890bcdef67_10.77.1.2:1+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.TransportUnknown, "10.77.1.2", 1), Server: v4Server,
		}},
		{"transport in upper case", "SSH_10.77.1.2:1+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.TransportUnknown, "10.77.1.2", 1), Server: v4Server,
		}},
		{"transport empty", "_10.77.1.2:1+tcp_10.77.2.2:8080", event.Session{
			Client: endpoint(event.TransportUnknown, "10.77.1.2", 1), Server: v4Server,
		}},
		{"host name", "tcp_10.77.1.2:40762+tcp_www.example.com:443", event.Session{
			Client: v4Client, Server: endpoint(event.TCP, "www.example.com", 443),
		}},
		{"highest port", "tcp_10.77.1.2:65535+0:0", event.Session{Client: endpoint(event.TCP, "10.77.1.2", 65535)}},
		{"port overflows", "tcp_10.77.1.2:65536+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"port overflows by far", "tcp_10.77.1.2:99999999999999999999+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"port negative", "tcp_10.77.1.2:-1+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"port signed", "tcp_10.77.1.2:40762+tcp_10.77.2.2:+80", event.Session{Client: v4Client}},
		{"port missing", "tcp_10.77.1.2:+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"port no number", "tcp_10.77.1.2:http+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"colon missing", "tcp_localhost+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"host missing", "tcp_:80+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"transport missing", "10.77.1.2:40762+tcp_10.77.2.2:8080", event.Session{Server: v4Server}},
		{"one side only", "tcp_10.77.1.2:40762", event.Session{}},
		{"empty sides", "+", event.Session{}},
		{"empty", "", event.Session{}},
		{"garbage", "::+::", event.Session{}},
		{"more garbage", "_:+_:", event.Session{}},
		{"no UTF-8", "\xff\xfe+\x00", event.Session{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, event.ParseSession(tt.label)); diff != "" {
				t.Errorf("ParseSession(%q), -want +got:\n%s", tt.label, diff)
			}
		})
	}
}

func TestSessionComplete(t *testing.T) {
	tests := []struct {
		label string
		want  bool
	}{
		{"tcp_10.77.1.2:1+tcp_10.77.2.2:2", true},
		{"sctp_10.77.1.2:1+tcp_10.77.2.2:2", true},
		{"tcp_10.77.1.2:1+0:0", false},
		{"0:0+tcp_10.77.2.2:2", false},
		{"0:0+0:0", false},
		{"", false},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			if got := event.ParseSession(tt.label).Complete(); got != tt.want {
				t.Errorf("Complete() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSessionTransport(t *testing.T) {
	tests := []struct {
		label string
		want  event.Transport
	}{
		{"tcp_10.77.1.2:1+tcp_10.77.2.2:2", event.TCP},
		{"tcp_10.77.1.2:1+ssli_10.77.2.2:2", event.TLS},
		{"ssli_10.77.1.2:1+tcp_10.77.2.2:2", event.TCP},
		{"udp_10.77.1.2:1+0:0", event.UDP},
		{"0:0+ux_/run/app.sock:0", event.Unix},
		{"ssh_10.77.1.2:1+ssh_10.77.2.2:22", event.SSH},
		{"mf_10.77.1.2:1+mf_10.77.2.2:443", event.QUIC},
		{"tcp_10.77.1.2:1+sctp_10.77.2.2:2", "sctp"},
		{"tcp_10.77.1.2:1+S_10.77.2.2:2", event.TransportUnknown},
		{"0:0+0:0", event.TransportUnknown},
		{"", event.TransportUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			if got := event.ParseSession(tt.label).Transport(); got != tt.want {
				t.Errorf("Transport() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSessionSameConnection(t *testing.T) {
	const whole = "tcp_10.77.1.2:40762+tcp_10.77.2.2:443"
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"equal", whole, whole, true},
		{"transport changed", whole, "ssli_10.77.1.2:40762+ssli_10.77.2.2:443", true},
		{"server not known yet", whole, "tcp_10.77.1.2:40762+0:0", true},
		{"no server in either", "tcp_10.77.1.2:40762+0:0", "tcp_10.77.1.2:40762+0:0", true},
		{"socket number", whole, "7::" + whole, true},
		{"other client port", whole, "tcp_10.77.1.2:40763+tcp_10.77.2.2:443", false},
		{"other client host", whole, "tcp_10.77.1.3:40762+tcp_10.77.2.2:443", false},
		{"other server port", whole, "tcp_10.77.1.2:40762+tcp_10.77.2.2:444", false},
		{"other server host", whole, "tcp_10.77.1.2:40762+tcp_10.77.2.3:443", false},
		{"client not known", whole, "0:0+tcp_10.77.2.2:443", false},
		{"neither client known", "0:0+tcp_10.77.2.2:443", "0:0+tcp_10.77.2.2:443", false},
		{"nothing known", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := event.ParseSession(tt.a), event.ParseSession(tt.b)
			if got := a.SameConnection(b); got != tt.want {
				t.Errorf("a.SameConnection(b) = %v, want %v", got, tt.want)
			}
			if got := b.SameConnection(a); got != tt.want {
				t.Errorf("b.SameConnection(a) = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEndpointAddr(t *testing.T) {
	tests := []struct {
		host string
		want bool
	}{
		{"10.77.1.2", true},
		{"fd77:1::2", true},
		{"::ffff:10.77.1.2", true},
		{"www.example.com", false},
		{"[fd77:1::2]", false},
		{"", false},
	}
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			addr, ok := event.Endpoint{Host: tt.host}.Addr()
			if ok != tt.want || ok && addr.String() != tt.host {
				t.Errorf("Addr() = %v, %v, want ok %v", addr, ok, tt.want)
			}
		})
	}
}

// wireTransports are the names in a label of the transports that have another name there.
var wireTransports = map[event.Transport]string{event.TLS: "ssli", event.Unix: "ux", event.QUIC: "mf"}

// wireName returns the name of a transport in a label; ok is false when it has none.
func wireName(t event.Transport) (name string, ok bool) {
	if name, ok := wireTransports[t]; ok {
		return name, true
	}
	return string(t), t != event.TransportUnknown
}

func FuzzParseSession(f *testing.F) {
	for _, label := range []string{
		"tcp_10.77.1.2:40762+tcp_10.77.2.2:8080", "tcp_fd77:1::2:45306+ssli_fd77:2::2:443",
		"7::tcp_10.77.1.2:40762+0:0", "?:<reduced>+udp_10.77.2.2:53", "ux_/run/a_b+c:0+tcp_::1:65536", "",
		"ssh_10.0.0.2:50001+ssh_192.0.2.10:22", "7::ssh_10.0.0.2:50001+ssh_192.0.2.10:22",
		"mf_10.0.0.2:50002+mf_192.0.2.10:443", "tcp_2001:db8::2:50004+tcp_2001:db8:1::1:22",
	} {
		f.Add(label)
	}
	f.Fuzz(func(t *testing.T, label string) {
		s := event.ParseSession(label)
		for _, side := range []event.Endpoint{s.Client, s.Server} {
			if !side.Known() && side != (event.Endpoint{}) {
				t.Errorf("a side that is not known is not zero: %+v", side)
			}
			if len(side.Transport) > 16 {
				t.Errorf("transport %q is not bounded", side.Transport)
			}
			if side.Known() && (side.Host == "" || side.Transport == "") {
				t.Errorf("a side that is known lacks something: %+v", side)
			}
		}
		client, ok := wireName(s.Client.Transport)
		server, also := wireName(s.Server.Transport)
		if !s.Complete() || !ok || !also {
			return
		}
		again := fmt.Sprintf("%s_%s:%d+%s_%s:%d", client, s.Client.Host, s.Client.Port,
			server, s.Server.Host, s.Server.Port)
		if got := event.ParseSession(again); got != s {
			t.Errorf("%q parses to %+v, and written back as %q to %+v", label, s, again, got)
		}
		if !s.SameConnection(s) {
			t.Errorf("%q is not the same connection as itself", label)
		}
	})
}

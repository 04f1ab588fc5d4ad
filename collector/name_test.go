package collector

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestServerName(t *testing.T) {
	part := strings.Repeat("x", 63)
	tests := map[string]struct{ in, want string }{
		"plain":                {"www.example.com", "www.example.com"},
		"upper case, dot":      {"WWW.Example.COM.", "www.example.com"},
		"one part":             {"localhost", "localhost"},
		"punycode":             {"xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"},
		"underscore":           {"_dmarc.my_host.example.com", "_dmarc.my_host.example.com"},
		"digits":               {"1.2.3.example", "1.2.3.example"},
		"inner hyphens":        {"r3---sn-4g5e.example.com", "r3---sn-4g5e.example.com"},
		"longest part":         {part + ".com", part + ".com"},
		"long":                 {part + "." + part + "." + part + ".com", part + ".com"},
		"empty":                {"", invalid},
		"dot":                  {".", invalid},
		"two dots":             {"example.com..", invalid},
		"empty part":           {"a..b", invalid},
		"part too long":        {part + "x.com", invalid},
		"too long":             {strings.Repeat("a.", 130) + "com", invalid},
		"IPv4":                 {"192.0.2.1", invalid},
		"IPv4, dot":            {"192.0.2.1.", invalid},
		"IPv4, short":          {"127.1", invalid},
		"IPv4, hexadecimal":    {"0x7f.0x1", invalid},
		"IPv6":                 {"2001:db8::1", invalid},
		"IPv6, in brackets":    {"[2001:db8::1]", invalid},
		"with port":            {"example.com:443", invalid},
		"leading hyphen":       {"-a.example.com", invalid},
		"trailing hyphen":      {"a-.example.com", invalid},
		"wildcard":             {"*.example.com", invalid},
		"space":                {"a b.example.com", invalid},
		"zero":                 {"a\x00.example.com", invalid},
		"not ASCII":            {"пример.рф", invalid},
		"not UTF-8":            {"\xff.example.com", invalid},
		"what stands for rest": {other, invalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := serverName(tt.in); got != tt.want {
				t.Errorf("%q is %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestRegisteredDomain(t *testing.T) {
	for name, want := range map[string]string{
		"a.b.example.com": "example.com", "www.example.co.uk": "example.co.uk", "example.com": "example.com",
		"co.uk": "co.uk", "localhost": "localhost", "me.github.io": "me.github.io", invalid: invalid,
	} {
		if got := registeredDomain(name); got != want {
			t.Errorf("%s is of %s, want %s", name, got, want)
		}
	}
}

func FuzzServerName(f *testing.F) {
	for _, seed := range []string{"www.example.com.", "192.0.2.1", "a..b", "\xff", strings.Repeat("a.", 130), "_other"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sni string) {
		name := serverName(sni)
		for _, n := range []string{name, registeredDomain(name)} {
			if !utf8.ValidString(n) || len(n) > maxLabelBytes || n == "" || n == other {
				t.Errorf("%q gives %q", sni, n)
			}
		}
		if again := serverName(name); again != name {
			t.Errorf("%q gives %q, and that %q", sni, name, again)
		}
	})
}

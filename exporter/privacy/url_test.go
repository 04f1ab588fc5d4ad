package privacy_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/privacy"
)

func policy(t testing.TB, urls privacy.URLs, parameters ...privacy.Parameter) *privacy.Policy {
	t.Helper()
	c := privacy.Config{URLs: urls, ClientAddresses: privacy.AddressesFull, SensitiveParameters: parameters}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return privacy.New(c, nil)
}

// TestRedacted expects want for each URL, and the URL itself where want is "".
func TestRedacted(t *testing.T) {
	p := policy(t, privacy.URLsRedacted, "customer-id", "IBAN")
	for _, tt := range []struct{ name, url, want string }{
		{name: "empty"},
		{name: "plain", url: "https://www.example.com/a/b"},
		{name: "port", url: "http://10.77.2.2:8080/a/b?x=1&y=two"},
		{name: "IPv6", url: "http://[fd77:2::2]:8080/v6?x=1"},
		{name: "IPv6 with zone", url: "http://[fe80::1%25eth0]:8080/"},
		{name: "IPv6 without brackets", url: "http://fd77:2::2:8080/v6"},
		{name: "mail address", url: "https://h/u/joe@example.com?mail=joe@example.com&to=a%40b"},
		{name: "coordinates", url: "https://h/maps/@48.1,11.5,14z"},
		{name: "escapes", url: "https://h/a%20b%2Fc?q=%20z%&r=%zz%2"},
		{name: "names that contain sensitive ones", url: "https://h/?tokens=1&zipcode=2&monkey=3&author=4&sidebar=5&design=6&sessions=7"},

		{"user and password", "https://joe:pa55@h/", "https://REDACTED:REDACTED@h/"},
		{"user", "https://ghp_16C7e42F@h/", "https://REDACTED:REDACTED@h/"},
		{"empty user", "https://@h/", "https://REDACTED:REDACTED@h/"},
		{"password with @", "https://joe:p@55@h/", "https://REDACTED:REDACTED@h/"},
		{"password with encoded @", "https://joe:p%4055@h/", "https://REDACTED:REDACTED@h/"},
		{"encoded @ before the host", "https://joe:pa55%40h/", "https://REDACTED:REDACTED%40h/"},
		{"password with /", "https://joe:pa/55@h/", "https://REDACTED:REDACTED@h/"},
		{"password with ?", "https://joe:pa?55@h/", "https://REDACTED:REDACTED@h/"},
		{"password with #", "https://joe:pa#55@h/", "https://REDACTED:REDACTED@h/"},
		{"password with = and &", "https://joe:p=a&5@h/", "https://REDACTED:REDACTED@h/"},
		{"password with a backslash", `https://joe:pa\55@h/`, "https://REDACTED:REDACTED@h/"},
		{"password that is cut off", "https://joe:pa55", "https://REDACTED:REDACTED@"},
		{"digits that are no port", "https://joe:123456/", "https://REDACTED:REDACTED@/"},
		{"bracket that is cut off", "https://[joe:pa55", "https://REDACTED:REDACTED@"},
		{"no scheme", "//joe:pa55@h/", "//REDACTED:REDACTED@h/"},
		{"authority only", "joe:pa55@h:443", "REDACTED:REDACTED@h:443"},
		{"request line", "CONNECT joe:pa55@h:443 HTTP/1.1", "CONNECT REDACTED:REDACTED@h:443 HTTP/1.1"},
		{"in the path", "https://h/git/joe:pa55@other/x", "https://h/git/REDACTED:REDACTED@other/x"},
		{"URL in the path", "https://h/http://joe:pa55@other/x", "https://h/http://REDACTED:REDACTED@other/x"},
		{"URL in the query", "https://h/?a=1&u=http://joe:pa55@other/&b=2", "https://h/?a=1&u=http://REDACTED:REDACTED@other/&b=2"},
		{"encoded URL in the query", "https://h/?u=http%3A%2F%2Fjoe%3Apa55%40other%2F&b=2", "https://h/?u=http%3A%2F%2FREDACTED:REDACTED%40other%2F&b=2"},

		{"OpenTelemetry's", "https://h/?AWSAccessKeyId=a&Signature=b&sig=c&X-Goog-Signature=d",
			"https://h/?AWSAccessKeyId=REDACTED&Signature=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED"},
		{"endings", "https://h/?X-Amz-Security-Token=a&client_secret=b&user_password=c&x-api-key=d&ASP.NET_SessionId=e&X-Amz-Credential=f",
			"https://h/?X-Amz-Security-Token=REDACTED&client_secret=REDACTED&user_password=REDACTED&x-api-key=REDACTED&ASP.NET_SessionId=REDACTED&X-Amz-Credential=REDACTED"},
		{"configured", "https://h/?customerId=1&iban=2&CUSTOMER_ID=3&id=4", "https://h/?customerId=REDACTED&iban=REDACTED&CUSTOMER_ID=REDACTED&id=4"},
		{"others stay", "https://h/?a=1&token=x&b=2", "https://h/?a=1&token=REDACTED&b=2"},
		{"last", "https://h/?a=1&token=x", "https://h/?a=1&token=REDACTED"},
		{"no value", "https://h/?token=&a=1", "https://h/?token=REDACTED&a=1"},
		{"twice", "https://h/?token=a&token=b", "https://h/?token=REDACTED&token=REDACTED"},
		{"encoded name", "https://h/?t%6Fk%65n=x&a=1", "https://h/?t%6Fk%65n=REDACTED&a=1"},
		{"encoded name, twice", "https://h/?t%256Fken=x", "https://h/?t%256Fken=REDACTED"},
		{"encoded =", "https://h/?token%3Dx&a=1", "https://h/?token%3DREDACTED&a=1"},
		{"value with =", "https://h/?token=a=b==&c=1", "https://h/?token=REDACTED&c=1"},
		{"value with a nested name", "https://h/?a=token=x&c=1", "https://h/?a=token=REDACTED&c=1"},
		{"value with ? ; / #", "https://h/?token=a?b;c/d#e&f=1", "https://h/?token=REDACTED&f=1"},
		{"value with encoded &", "https://h/?token=a%26b&f=1", "https://h/?token=REDACTED&f=1"},
		{"semicolons", "https://h/?a=1;token=x;b=2", "https://h/?a=1;token=REDACTED"},
		{"brackets", "https://h/?user[password]=x&token[]=y&token[0]=z&u%5Bpassword%5D=x",
			"https://h/?user[password]=REDACTED&token[]=REDACTED&token[0]=REDACTED&u%5Bpassword%5D=REDACTED"},
		{"parameter of the path", "https://h/a;jsessionid=0A1B?b=1&c=2", "https://h/a;jsessionid=REDACTED?b=1&c=2"},
		{"segment of the path", "https://h/token=a/b?c=1", "https://h/token=REDACTED?c=1"},
		{"fragment", "https://h/cb#access_token=x&state=1", "https://h/cb#access_token=REDACTED&state=1"},
		{"path in a fragment", "https://h/#/cb?code=x", "https://h/#/cb?code=REDACTED"},
		{"encoded URL", "https://h/?u=%2Fcb%3Fcode%3Dx%26state%3D1&a=1", "https://h/?u=%2Fcb%3Fcode%3DREDACTED%26state%3D1&a=1"},
		{"URL that is encoded twice", "https://h/?u=%2Fcb%3Fv%3Dhttps%253A%252F%252Fi%252F%253Fcode%253Dx%2526y%253D1%26z%3D2",
			"https://h/?u=%2Fcb%3Fv%3Dhttps%253A%252F%252Fi%252F%253Fcode%253DREDACTED%2526y%253D1%26z%3D2"},
		{"no URL", "token=x", "token=REDACTED"},
		{"form", "user=joe&password=a?b", "user=joe&password=REDACTED"},
		{"text", `Referer: "https://h/?token=x"`, `Referer: "https://h/?token=REDACTED`},
		{"no UTF-8", "https://h/\xff?token=\xff&a=\xff", "https://h/\xff?token=REDACTED&a=\xff"},
		{"NUL and newline", "https://h/\x00\n?\ntoken=x", "https://h/\x00\n?\ntoken=REDACTED"},
		{"long name", "https://h/?" + strings.Repeat("x", 1000) + "_token=x", "https://h/?" + strings.Repeat("x", 1000) + "_token=REDACTED"},
		{"name between NULs", "https://h/?" + strings.Repeat("%00", 1000) + "pin=x", "https://h/?" + strings.Repeat("%00", 1000) + "pin=REDACTED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = tt.url
			}
			if got := p.URL(tt.url); got != tt.want {
				t.Errorf("%s\nbecomes %s\nwant    %s", tt.url, got, tt.want)
			}
		})
	}
}

func TestModes(t *testing.T) {
	const full = "https://joe:pa55@h:8443/a;sid=1/b?token=x&y=1#z"
	for _, tt := range []struct {
		mode      privacy.URLs
		url, want string
	}{
		{privacy.URLsFull, full, full},
		{privacy.URLsRedacted, full, "https://REDACTED:REDACTED@h:8443/a;sid=REDACTED?token=REDACTED&y=1#z"},
		{privacy.URLsNoQuery, full, "https://REDACTED:REDACTED@h:8443/a;sid=REDACTED"},
		{privacy.URLsNoQuery, "https://joe:pa?ss@h/", "https://REDACTED:REDACTED@"},
		{privacy.URLsNoQuery, "https://h/a#b?c", "https://h/a"},
		{privacy.URLsHost, full, "https://h:8443"},
		{privacy.URLsHost, "http://[fd77:2::2]:8080/v6?x=1", "http://[fd77:2::2]:8080"},
		{privacy.URLsHost, "https://bücher.example", "https://bücher.example"},
		{privacy.URLsHost, "https://joe:pa55", ""},
		{privacy.URLsHost, "https://joe:pa/ss@h/", ""},
		{privacy.URLsHost, "https://a b/", ""},
		{privacy.URLsHost, "https:///a", ""},
		{privacy.URLsHost, "/a?u=http://h/", ""},
		{privacy.URLsHost, "://h/", ""},
		{privacy.URLsHost, "www.example.com", ""},
		{privacy.URLsNone, full, ""},
		{privacy.URLsNone, "", ""},
	} {
		if got := policy(t, tt.mode).URL(tt.url); got != tt.want {
			t.Errorf("%s: %s\nbecomes %s\nwant    %s", tt.mode, tt.url, got, tt.want)
		}
	}
	if got := (*privacy.Policy)(nil).URL(full); got != full {
		t.Errorf("no policy makes %s of it", got)
	}
}

// FuzzURL checks what holds for any text: the result is the text with parts of it replaced by markers, applying the
// policy again changes nothing, and a URL that is valid has no credentials where a parser finds them.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"", "https://joe:p@55@h:1/a;sid=1/b?token=x&y[pin][]=1#code=2", "//a:b", "a:b@c", "%2F%2fa%3Ab%40c", "https://[::1%25a]:80/?a=b",
		"http://%zz%/%252F%252525?x%3Dtoken%253dy%26&=&==", "https://h/?u=http%3A%2F%2Fjoe%3Apa55%40other%2F&b=2", "://@/@:@//:@", "\xff\x00%00",
	} {
		f.Add(seed)
	}
	policies := map[privacy.URLs]*privacy.Policy{}
	for _, mode := range []privacy.URLs{privacy.URLsRedacted, privacy.URLsNoQuery, privacy.URLsHost} {
		policies[mode] = policy(f, mode)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for mode, p := range policies {
			got := p.URL(text)
			if again := p.URL(got); again != got {
				t.Errorf("%s: %q becomes %q, and then %q", mode, text, got, again)
			}
			if mode != privacy.URLsHost && !isCut(text, got) {
				t.Errorf("%s: %q becomes %q, which has something in it that was not there", mode, text, got)
			}
			if u, err := url.Parse(got); err == nil {
				checkURL(t, mode, text, u)
			}
		}
	})
}

// markers are what can be put in. A user's marker comes with an @ if the text has none.
var markers = strings.NewReplacer("REDACTED:REDACTED@", "\n", "REDACTED:REDACTED", "\n", "REDACTED", "\n")

// isCut reports whether got is text with parts of it removed, and markers put in.
func isCut(text, got string) bool {
	parts := strings.Split(markers.Replace(got), "\n")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	for _, part := range parts {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

func checkURL(t *testing.T, mode privacy.URLs, text string, u *url.URL) {
	t.Helper()
	if mode == privacy.URLsHost && *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		t.Errorf("%s: %q becomes %v", mode, text, u)
	}
	if u.User != nil && u.User.String() != "REDACTED:REDACTED" {
		t.Errorf("%s: %q has the user %q", mode, text, u.User)
	}
	if mode != privacy.URLsRedacted && (u.RawQuery != "" || u.Fragment != "") {
		t.Errorf("%s: %q has the query %q and the fragment %q", mode, text, u.RawQuery, u.Fragment)
	}
	for name, values := range u.Query() {
		switch strings.ToLower(name) {
		case "token", "code", "sig", "awsaccesskeyid", "signature", "x-goog-signature", "password":
			if slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "REDACTED" }) {
				t.Errorf("%s: %q has %s=%q", mode, text, name, values)
			}
		}
	}
}

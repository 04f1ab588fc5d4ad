package privacy

import "strings"

// knownParameters are the names whose values are replaced, in canonical form. OpenTelemetry's are awsaccesskeyid,
// signature, sig and xgoogsignature.
var knownParameters = []string{
	"awsaccesskeyid", "sig",
	"key", "accesskey", "accountkey", "appkey", "authkey", "functionkey", "privatekey", "secretkey", "sessionkey",
	"sharedkey", "subscriptionkey",
	"auth", "authorization", "bearer", "jwt", "pass", "passphrase", "pwd",
	"assertion", "clientassertion", "samlart", "samlrequest", "samlresponse", "ticket",
	"code", "authcode", "codeverifier", "devicecode", "oauthverifier", "usercode", "otp", "pin",
	"csrf", "xsrf", "idtokenhint", "session", "sid",
}

// knownEndings are the endings of further such names.
var knownEndings = []string{
	"token", "secret", "password", "passwd", "apikey", "signature", "credential", "credentials", "sessionid", "sessid",
}

// endingsBy are the endings by their last letter, so that few are tried.
var endingsBy = func() (by [256][]string) {
	for _, ending := range knownEndings {
		last := ending[len(ending)-1]
		by[last] = append(by[last], ending)
	}
	return by
}()

// maxParameter is the length of a name that is compared, in letters and digits.
const maxParameter = 64

// isSensitive reports whether the value of a parameter is to be replaced. Of a name with brackets, as in
// user[password], each part counts.
func (p *Policy) isSensitive(name string) bool {
	var buffer [2 * maxParameter]byte
	part := buffer[:0]
	for i := 0; i < len(name); {
		c, size := name[i], 1
		if c == '%' {
			c, size, _ = decode(name, i)
		}
		i += size
		switch c = letterOrDigit(c); {
		case c == bracket:
			if p.isSensitivePart(part) {
				return true
			}
			part = part[:0]
		case c != 0:
			if len(part) == cap(part) {
				// Only the end counts of a name that is this long.
				part = part[:copy(part, part[maxParameter:])]
			}
			part = append(part, c)
		}
	}
	return p.isSensitivePart(part)
}

func (p *Policy) isSensitivePart(part []byte) bool {
	if len(part) == 0 {
		return false
	}
	if _, ok := p.sensitive[string(part)]; ok {
		return true
	}
	for _, ending := range endingsBy[part[len(part)-1]] {
		if n := len(part) - len(ending); n >= 0 && string(part[n:]) == ending {
			return true
		}
	}
	return false
}

const bracket = '['

// letterOrDigit returns a letter as lower case, a digit as it is, bracket for a bracket, and 0 for all others.
func letterOrDigit(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return c
	case c >= 'A' && c <= 'Z':
		return c - 'A' + 'a'
	case c == '[', c == ']':
		return bracket
	default:
		return 0
	}
}

// canonical returns the letters and digits of a name that is not encoded.
func canonical(name string) string {
	return strings.Map(func(r rune) rune {
		if r > 0x7f {
			return -1
		}
		if c := letterOrDigit(byte(r)); c != 0 && c != bracket {
			return rune(c)
		}
		return -1
	}, name)
}

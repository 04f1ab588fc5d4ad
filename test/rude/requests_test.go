//go:build rude

package rude

import (
	"context"
	"fmt"
	"testing"
)

const (
	pathRate      = 200 // a second
	secretRate    = 5000
	secretWorkers = 16
)

const pathSource = "rude-path"

// pathTricks tries to get in, or to get at something else, by the form of the request line.
func pathTricks(ctx context.Context, c *client) {
	c.tryAll(ctx, paths(), pathRate)
}

func paths() []probe {
	body := startBody(pathSource, "Proxy-6F-OID-1")
	post := func(target string, w want) probe {
		p := probe{fmt.Sprintf("%.60q", target), "", request("POST "+target, body), w}
		if w != dropped {
			p.action = actionStart
		}
		return p
	}
	percent := func(s string) string {
		var encoded string
		for i := range len(s) {
			encoded += fmt.Sprintf("%%%02X", s[i])
		}
		return encoded
	}
	probes := []probe{
		// These name the same resource by RFC 3986 and RFC 9112.
		post("/webhook/"+secret, accepted),
		post("/webhook/"+secret+"?x=y", accepted),
		post("/webhook/"+percent(secret), accepted),
		post("http://elsewhere.example/webhook/"+secret, accepted),
		// This does not, and only somebody who has the secret can ask for it.
		post("/webhook%2f"+secret, answered),
	}
	for _, target := range []string{
		"/webhook/" + secret + "/", "/webhook//" + secret, "//webhook/" + secret, "/webhook/./" + secret, "/webhook/../webhook/" + secret,
		"/x/../webhook/" + secret, "/webhook/x/../" + secret, "/webhook/" + secret + "%00", "/webhook/" + secret + "%20",
		"/webhook/" + secret + "#", "/webhook/" + secret + ";x", "/WEBHOOK/" + secret, "/webhook/" + secret[:len(secret)-1], "/webhook/" + secret + "x",
		"/webhook/", "/webhook", "/", "", "*", "webhook/" + secret, "/webhook/%", "/webhook/%zz", "\\webhook\\" + secret, "/webhook/" + percent("/"+secret),
		"/metrics", "/debug/pprof/", "/api/v1/connections", "/-/reload", "/../../../../etc/passwd", "/webhook/\xff", "/webhook/" + secret + "\t", "http:///webhook/",
	} {
		probes = append(probes, post(target, dropped))
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "TRACE", "CONNECT", "PATCH", "post", "PRI", "OPTIONS", ""} {
		probes = append(probes, probe{"method " + method, "", request(method+" /webhook/"+secret, body, "Connection: close"), dropped})
	}
	return append(probes,
		probe{"a GET of the metrics", "", request("GET /metrics", ""), dropped},
		probe{"HTTP/0.9", "", []byte("POST /webhook/" + secret + "\r\n\r\n" + body), dropped},
		probe{"HTTP/3.0", "", []byte("POST /webhook/" + secret + " HTTP/3.0\r\nHost: x\r\n\r\n"), dropped},
		probe{"no Host", "", []byte("POST /webhook/" + secret + " HTTP/1.1\r\n\r\n"), dropped},
		probe{"two Hosts", "", []byte("POST /webhook/" + secret + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), dropped},
		probe{"a space before a colon", "", []byte("POST /webhook/" + secret + " HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"), dropped},
		probe{"a request line of 1 MiB", "", request("POST /webhook/"+string(make([]byte, 1<<20)), body), dropped},
	)
}

func judgePaths(t *testing.T, o outcome) {
	// Only the paths that lead to the webhook have counted.
	o.metrics.between(t, o.client.Acknowledged[actionStart], o.client.Sent[actionStart], "smithproxy_events_total", "source="+pathSource)
}

// wrongSecrets guesses.
func wrongSecrets(ctx context.Context, c *client) {
	body := startBody("rude-guess", "Proxy-7A-OID-1")
	c.stream(ctx, secretWorkers, secretRate, func(worker, i int) probe {
		return probe{"a wrong secret", "", request(fmt.Sprintf("POST /webhook/%s-%d-%d", secret, worker, i), body), dropped}
	})
}

func judgeSecrets(t *testing.T, o outcome) {
	o.metrics.between(t, o.client.Counts["404"], o.client.Sent[""], "smithproxy_exporter_events_rejected_total", "reason=secret")
	if n := o.metrics.value("smithproxy_events_total", "source=rude-guess"); n != 0 {
		t.Errorf("%v events with a wrong secret were counted", n)
	}
}

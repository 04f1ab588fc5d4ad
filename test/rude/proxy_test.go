//go:build rude

package rude

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the well-behaved proxy does, at each of the two targets: as many access-requests a second, and a connection
// (start, stop, info) for every few of them, and now and then the content of one. Over TLS a request costs the clients
// more.
const (
	accessRate       = 100
	accessRateSecure = 50
	accessPerStart   = 5
	accessPerContent = 25
	contentBytes     = 48 << 10
	// proxyTimeout is when a proxy gives up on an answer.
	proxyTimeout = 5 * time.Second
	proxySource  = "edge-1"
	proxyBoot    = "Proxy-1234ABCD"
)

// phase divides what the proxy measures.
type phase string

const (
	phaseQuiet  phase = "quiet"
	phaseAttack phase = "attack"
	phaseAfter  phase = "after"
)

// proxyJob starts the well-behaved proxy, which sends the same to both addresses until its standard input ends.
type proxyJob struct {
	Exporter, Empty string
	Secure          bool
}

// proxyResult is what the proxy saw.
type proxyResult struct{ Exporter, Empty side }

// side is what the proxy saw of one target.
type side struct {
	// Access are the times of the access-requests that were answered, by the phase in which they were sent.
	Access map[phase][]time.Duration
	// Sent and Acknowledged are events by action. Refused are those of them that got another answer than 2xx, or an
	// access-request one without an accept.
	Sent, Acknowledged map[string]int
	Refused            int
	// Lost are events without an answer in time.
	Lost int
	// Cause is the first reason for either.
	Cause string
}

// proxy is the process of the proxy.
type proxy struct{ *child }

func startProxy(t *testing.T, job proxyJob) proxy {
	t.Helper()
	p := proxy{startChild(t, roleProxy, job)}
	var ready bool
	p.hear(t, &ready)
	return p
}

// say tells the proxy which phase begins.
func (p proxy) say(t *testing.T, next phase) {
	t.Helper()
	if _, err := fmt.Fprintln(p.stdin, next); err != nil {
		t.Fatal(err)
	}
}

// finish ends the proxy.
func (p proxy) finish(t *testing.T) proxyResult {
	t.Helper()
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	var r proxyResult
	p.hear(t, &r)
	return r
}

// wellBehaved is the proxy, inside its process.
type wellBehaved struct {
	secure bool
	mu     sync.Mutex
	phase  phase
	sides  map[string]*side // by address
	asked  sync.WaitGroup
}

func playProxy(encoded []byte) error {
	var job proxyJob
	if err := json.Unmarshal(encoded, &job); err != nil {
		return err
	}
	newSide := func() *side {
		return &side{Access: map[phase][]time.Duration{}, Sent: map[string]int{}, Acknowledged: map[string]int{}}
	}
	ours, rival := newSide(), newSide()
	p := &wellBehaved{secure: job.Secure, phase: phaseQuiet, sides: map[string]*side{job.Exporter: ours, job.Empty: rival}}
	for address := range p.sides {
		p.send(address, "ping", pingBody(""))
	}
	if err := say(true); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			p.mu.Lock()
			p.phase = phase(lines.Text())
			p.mu.Unlock()
		}
	}()
	p.work(ctx)
	p.asked.Wait()
	return say(proxyResult{*ours, *rival})
}

// work sends at its rate, whatever becomes of what it sent before.
func (p *wellBehaved) work(ctx context.Context) {
	rate := accessRate
	if p.secure {
		rate = accessRateSecure
	}
	gap := time.NewTicker(time.Second / time.Duration(rate))
	defer gap.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-gap.C:
		}
		for address := range p.sides {
			p.asked.Go(func() { p.access(address, i) })
			if i%accessPerStart == 0 {
				p.asked.Go(func() { p.connection(address, i) })
			}
			if i%accessPerContent == 0 {
				p.asked.Go(func() { p.send(address, "connection-content", contentBody(proxySource, contentBytes)) })
			}
		}
	}
}

func proxyLabel(transport string, i int) string {
	return fmt.Sprintf("%s_10.0.%d.%d:%d+%[1]s_192.0.2.10:443", transport, i>>8&255, i&255, 20000+i%40000)
}

func pingBody(more string) string {
	return fmt.Sprintf(`{"action":"ping","instance":%q,"proxies":[]%s,"source":%q,"type":"proxy"}`, proxyBoot, more, proxySource)
}

// access asks for a connection, and measures.
func (p *wellBehaved) access(address string, i int) {
	label := proxyLabel("tcp", i)
	p.mu.Lock()
	during := p.phase
	p.mu.Unlock()
	began := time.Now()
	_, answer, ok := p.send(address, "access-request", fmt.Sprintf(`{"action":"access-request","details":{"bytes_side":"L","bytes_size":0,"policy":-1,`+
		`"require":"origin-info","session":%q,"state":"init"},"id":%[1]q,"source":%q,"type":"proxy"}`, label, proxySource))
	took := time.Since(began)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sides[address]
	s.Access[during] = append(s.Access[during], took)
	// The empty handler answers nothing.
	if len(answer) > 0 && !bytes.Contains(answer, []byte(`"access-response":"accept"`)) {
		s.refuse(fmt.Errorf("an access-request is answered %q", answer))
	}
}

// connection lives a short life.
func (p *wellBehaved) connection(address string, i int) {
	id, label := fmt.Sprintf("%s-SID-%X", proxyBoot, i), proxyLabel("ssli", i)
	send := func(action, details string) {
		status, _, _ := p.send(address, action, fmt.Sprintf(`{"action":%q,"details":%s,"id":%q,"source":%q,"type":"proxy"}`, action, details, id, proxySource))
		if status == http.StatusAccepted {
			p.send(address, "ping", pingBody(`,"proxies-plus":[]`))
		}
	}
	send("connection-start", fmt.Sprintf(`{"info":{"session":%q}}`, label))
	send("connection-stop", fmt.Sprintf(`{"info":{"bytes_down":4096,"bytes_up":206,"policy":2,"session":%q,"tls":{"sni":"www.example.com"}}}`, label))
	send("connection-info", fmt.Sprintf(`{"statistics":{"entropy":{"left":{"bytes_accounted":206,"entropy":7.5},`+
		`"right":{"bytes_accounted":512,"entropy":7.5}},"flow":{"skew":0.9},"info":{"protocol":"http2","session":%q}}}`, label))
}

// send posts an event over a connection of its own, as smithproxy does, and accounts for it.
func (p *wellBehaved) send(address, action, body string) (status int, answer []byte, ok bool) {
	status, answer, err := post(address, p.secure, body)
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sides[address]
	s.Sent[action]++
	switch {
	case err != nil:
		s.Lost++
		if s.Cause == "" {
			s.Cause = fmt.Sprintf("%s: %v", action, err)
		}
		return 0, nil, false
	case status/100 != 2:
		s.refuse(fmt.Errorf("%s is answered %d %q", action, status, answer))
		return status, nil, false
	}
	s.Acknowledged[action]++
	return status, answer, true
}

func (s *side) refuse(err error) {
	s.Refused++
	if s.Cause == "" {
		s.Cause = err.Error()
	}
}

// post sends one request over a connection of its own: HTTP/1.1, or TLS and HTTP/2.
func post(address string, secure bool, body string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), proxyTimeout)
	defer cancel()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(proxyAddress)}, KeepAlive: -1}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: insecure(), ForceAttemptHTTP2: true}
	conn, err := transport.NewClientConn(ctx, scheme, address)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+address+"/webhook/"+secret, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := conn.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if secure && response.ProtoMajor != 2 {
		return 0, nil, fmt.Errorf("answered by %s, want HTTP/2", response.Proto)
	}
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// insecure does not verify the certificate, which would cost the client time, and is not the question here.
func insecure(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
}

// times are sorted durations.
type times []time.Duration

func (s side) during(p phase) times { return slices.Sorted(slices.Values(s.Access[p])) }

func (t times) quantile(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[int(q*float64(len(t)-1))]
}

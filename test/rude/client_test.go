//go:build rude

package rude

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// clientJob starts a rude client.
type clientJob struct {
	Attack   string
	Target   string
	Secure   bool
	Exporter bool // the target is the exporter, whose answers are judged
	Duration time.Duration
}

// clientResult is what a rude client did, and what was wrong with the answers.
type clientResult struct {
	Counts map[string]int
	// Sent and Acknowledged are events by action.
	Sent, Acknowledged map[string]int
	Failures           []string
}

// patience is how long after the attack a rude client may still wait for answers.
const patience = time.Minute

// startClient starts a rude client.
func startClient(t *testing.T, job clientJob, target string, exporter bool) *rudeClient {
	t.Helper()
	job.Target, job.Exporter = target, exporter
	return &rudeClient{startChild(t, roleClient, job)}
}

type rudeClient struct{ *child }

// wait waits until the attack is over.
func (c *rudeClient) wait(t *testing.T) clientResult {
	t.Helper()
	var r clientResult
	c.hear(t, &r)
	for _, f := range r.Failures {
		t.Error(f)
	}
	return r
}

func playClient(encoded []byte) error {
	var job clientJob
	if err := json.Unmarshal(encoded, &job); err != nil {
		return err
	}
	i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == job.Attack })
	if i < 0 {
		return fmt.Errorf("no attack %q", job.Attack)
	}
	time.AfterFunc(job.Duration+patience, func() {
		fmt.Fprintf(os.Stderr, "%s: the client does not come to an end\n", job.Attack)
		os.Exit(1)
	})
	a := attacks[i]
	first := rudeAddress
	if a.from != "" {
		first = a.from
	}
	c := &client{
		first: netip.MustParseAddr(first), addresses: max(1, a.addresses), target: job.Target, secure: job.Secure, exporter: job.Exporter, dialing: make(chan struct{}, 64),
		result: clientResult{Counts: map[string]int{}, Sent: map[string]int{}, Acknowledged: map[string]int{}},
	}
	ctx, cancel := context.WithTimeout(context.Background(), job.Duration)
	defer cancel()
	a.run(ctx, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	return say(c.result)
}

// client is a rude client, inside its process.
type client struct {
	target           string
	secure, exporter bool
	first            netip.Addr // that it connects from
	addresses        int
	dialed           atomic.Int64
	dialing          chan struct{} // one for each connection that is being opened

	mu     sync.Mutex
	result clientResult
}

// address returns the address for the next connection.
func (c *client) address() net.IP {
	next := c.first.As4()
	n := int(c.dialed.Add(1)) % c.addresses
	next[2], next[3] = next[2]+byte(n/250), next[3]+byte(n%250)
	return next[:]
}

func (c *client) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Counts[what]++
}

// maxFailures is how many failures of an attack are reported.
const maxFailures = 20

// failf reports what the exporter must not do; the empty handler may.
func (c *client) failf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := fmt.Sprintf(format, args...); c.exporter && len(c.result.Failures) < maxFailures && !slices.Contains(c.result.Failures, f) {
		c.result.Failures = append(c.result.Failures, f)
	}
}

// dial opens a TCP connection. It is closed when ctx is done, and with a reset, so that the ports
// do not run out.
func (c *client) dial(ctx context.Context) (net.Conn, error) {
	c.dialing <- struct{}{}
	defer func() { <-c.dialing }()
	dialer := net.Dialer{Timeout: proxyTimeout, LocalAddr: &net.TCPAddr{IP: c.address()}, KeepAlive: -1, ControlContext: bindLate}
	conn, err := dialer.DialContext(ctx, "tcp", c.target)
	if err != nil {
		var number syscall.Errno
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &number):
			c.count("not connected: " + number.Error())
		default:
			c.count("not connected: time-out")
		}
		return nil, err
	}
	c.count("connected")
	_ = conn.(*net.TCPConn).SetLinger(0) // Then it is closed in the usual way.
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// bindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of ip(7), which package syscall lacks.
const bindAddressNoPort = 24

// bindLate has the kernel choose the local port when the connection is made, with the target in view. Otherwise the
// ports of an address run out.
func bindLate(_ context.Context, _, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	})
	return errors.Join(err, failed)
}

// connect opens a connection that speaks HTTP/1.1, over TLS if the target does.
func (c *client) connect(ctx context.Context) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if err != nil || !c.secure {
		return conn, err
	}
	secured := tls.Client(conn, insecure("http/1.1"))
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

// loop runs n workers over and over, until ctx is done. A worker that fails pauses.
func (c *client) loop(ctx context.Context, n int, pause time.Duration, work func(worker int) error) {
	var workers sync.WaitGroup
	for i := range n {
		workers.Go(func() {
			for ctx.Err() == nil {
				if work(i) == nil {
					continue
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	workers.Wait()
}

// maxOutstanding bounds the work of every.
const maxOutstanding = 15_000

// every starts work at a rate, whatever becomes of the work before, until ctx is done, and waits for all of it.
func (c *client) every(ctx context.Context, rate int, work func(i int)) {
	const ticks = 100 // a second
	gap := time.NewTicker(time.Second / ticks)
	defer gap.Stop()
	room := make(chan struct{}, maxOutstanding)
	var working sync.WaitGroup
	defer working.Wait()
	began, i := time.Now(), 0
	for {
		for due := int(time.Since(began).Seconds() * float64(rate)); i <= due; i++ {
			select {
			case room <- struct{}{}:
				working.Go(func() { work(i); <-room })
			default:
				c.count("left out")
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-gap.C:
		}
	}
}

// want is the kind of answer that a request must get.
type want string

const (
	accepted want = "2xx"
	refused  want = "4xx or 5xx other than 500"
	answered want = "any status other than 500"
	verdict  want = "200 with an explicit verdict"
	dropped  want = "no 2xx" // the connection may just be closed
)

// probe is one request whose answer is judged.
type probe struct {
	name   string
	action string // of the event in it
	raw    []byte
	want   want
}

// event returns a POST of a body with the right secret.
func event(name, action, body string, w want) probe {
	return probe{name, action, request("POST /webhook/"+secret, body), w}
}

func request(line, body string, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s HTTP/1.1\r\nHost: exporter\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", line, len(body))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// errStatus is for an answer other than 2xx.
var errStatus = errors.New("refused")

// try sends a probe over a connection of its own, and judges the answer.
func (c *client) try(ctx context.Context, p probe) {
	// What is begun is finished, for the answer to be judged.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience/2)
	defer cancel()
	conn, err := c.connect(ctx)
	if err != nil {
		c.failf("%s: %v", p.name, err)
		return
	}
	defer conn.Close()
	status, body, err := c.exchange(conn, bufio.NewReader(conn), p)
	explicit := bytes.Contains(body, []byte(`"access-response":"accept"`)) || bytes.Contains(body, []byte(`"access-response":"reject"`))
	ok := false
	switch p.want {
	case accepted:
		ok = status/100 == 2
	case refused:
		ok = status >= 400 && status != http.StatusInternalServerError
	case answered:
		ok = status != 0 && status != http.StatusInternalServerError
	case verdict:
		ok = status == http.StatusOK && explicit && json.Valid(body)
	case dropped:
		ok = status/100 != 2
	}
	if !ok {
		c.failf("%s is answered %d %.200q (%v), want %s", p.name, status, body, err, p.want)
	}
}

// exchange sends a probe over a connection, and returns the answer; without one the status is 0.
func (c *client) exchange(conn net.Conn, answers *bufio.Reader, p probe) (status int, body []byte, err error) {
	c.sent(p.action)
	// The answer can come before the end of the request.
	go func() { _, _ = conn.Write(p.raw) }()
	return c.answer(answers, p.action)
}

func (c *client) sent(action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Sent[action]++
}

// answer reads the answer to an event.
func (c *client) answer(answers *bufio.Reader, action string) (status int, body []byte, err error) {
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		c.count("no answer")
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Counts[fmt.Sprint(response.StatusCode)]++
	if response.StatusCode/100 == 2 {
		c.result.Acknowledged[action]++
	} else if err == nil {
		err = errStatus
	}
	return response.StatusCode, body, err
}

// stream sends events over kept connections from n workers, as next gives them, until ctx is done. rate is a second
// for all of them, 0 for as fast as it goes.
func (c *client) stream(ctx context.Context, n, rate int, next func(worker, i int) probe) {
	var sent sync.Map
	c.loop(ctx, n, 10*time.Millisecond, func(worker int) error {
		conn, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		answers := bufio.NewReader(conn)
		var gap <-chan time.Time
		if rate > 0 {
			ticker := time.NewTicker(time.Duration(n) * time.Second / time.Duration(rate))
			defer ticker.Stop()
			gap = ticker.C
		}
		from, _ := sent.LoadOrStore(worker, new(int))
		for i := from.(*int); ctx.Err() == nil; *i++ {
			if gap != nil {
				<-gap
			}
			if _, _, err := c.exchange(conn, answers, next(worker, *i)); err != nil && !errors.Is(err, errStatus) {
				return err
			}
		}
		return nil
	})
}

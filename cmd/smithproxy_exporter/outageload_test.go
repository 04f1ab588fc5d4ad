package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func outageID(source string, i int) string { return fmt.Sprintf("Proxy-%X-OID-%X", len(source), i) }

// randomText is what paths of URLs are taken from, so that the store cannot compress them.
var randomText = sync.OnceValue(func() string {
	text, random := make([]byte, 1<<20), rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte('a' + random.IntN(26))
	}
	return string(text)
})

// life is what a proxy sends of a connection that has asked for so many URLs.
func life(source string, i, urls int) []string {
	const path = 250
	var details strings.Builder
	for url := 1; url < urls; url++ {
		at := (i*urls + url) * path % (len(randomText()) - path)
		details.WriteString(`,"http://10.77.2.2:8080/` + randomText()[at:at+path] + `"`)
	}
	session := fmt.Sprintf("tcp_10.%d.%d.%d:%d+tcp_10.77.2.2:8080", i>>16&255, i>>8&255, i&255, 1024+i%60000)
	common := fmt.Sprintf(`"id":%q,"source":%q,"type":"proxy"}`, outageID(source, i), source)
	return []string{
		`{"action":"connection-start","details":{"info":{"session":"` + session + `"}},` + common,
		`{"action":"connection-stop","details":{"info":{"bytes_down":123,"bytes_up":107,"ja4_ch":"","ja4_ch_ignore_sni":false,"ja4_sh":"",` +
			`"l7":{"app":"http1","details":["http://10.77.2.2:8080/rate?req=9_0"` + details.String() + `],"ja4h":["ge11nn030000_cd680697de12_000000000000_000000000000"],` +
			`"signatures":["www/http/request","www/http/get|post+reply"]},"policy":2,"session":"` + session + `"}},` + common,
		`{"action":"connection-info","details":{"statistics":{"entropy":{"left":{"bytes_accounted":107,"entropy":4.9994687726072335},` +
			`"right":{"bytes_accounted":123,"entropy":4.8236814783205455}},"flow":{"skew":0.06956521739130435,"skew_all":0.06956521739130435},` +
			`"info":{"protocol":"http1","session":"` + session + `"}}},` + common,
	}
}

// accessRequest is what a proxy asks before the start of a connection.
func accessRequest(source string, i int) string {
	_, session, _ := strings.Cut(life(source, i, 0)[0], `"session":"`)
	session, _, _ = strings.Cut(session, `"`)
	return `{"action":"access-request","details":{"bytes_side":"L","bytes_size":0,"policy":-1,"require":"origin-info","session":"` + session +
		`","state":"init"},"id":"` + session + `","source":"` + source + `","type":"proxy"}`
}

// load delivers the whole lives of n connections, in order, as fast as the clients go.
func (o *outage) load(source string, n int) time.Duration {
	o.t.Helper()
	began := time.Now()
	var clients sync.WaitGroup
	var next atomic.Int64
	for range outageClients {
		clients.Go(func() {
			c, err := dialKept(o.webhook)
			if err != nil {
				o.t.Error(err)
				return
			}
			defer c.Close()
			for j := int(next.Add(1)) - 1; j < n; j = int(next.Add(1)) - 1 {
				for _, body := range life(source, j, o.urls) {
					if err := c.deliver(body); err != nil {
						o.t.Error(err)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	o.made += n
	if o.t.Failed() {
		o.t.FailNow()
	}
	return time.Since(began)
}

// answer is how long one took, and when it came.
type answer struct {
	at     time.Time
	took   time.Duration
	access bool
}

// probeAnswers are those to one connection of probe, which makes probeSpans: its own and its decision's.
const (
	probeAnswers = 4
	probeSpans   = 2
)

// probe plays a proxy of 200 connections a second, until it is stopped.
func (o *outage) probe(stop <-chan struct{}) (answers []answer) {
	c, err := dialKept(o.webhook)
	if err != nil {
		o.t.Error(err)
		return nil
	}
	defer c.Close()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return answers
		case <-ticker.C:
		}
		for j, body := range append([]string{accessRequest("probe", i)}, life("probe", i, 1)...) {
			sent := time.Now()
			if err := c.deliver(body); err != nil {
				o.t.Error(err)
				return answers
			}
			answers = append(answers, answer{time.Now(), time.Since(sent), j == 0})
		}
	}
}

func (o *outage) report(what string, answers []answer, access bool, first, last time.Time) {
	o.t.Helper()
	var before, during []time.Duration
	for _, a := range answers {
		switch {
		case a.access != access || a.at.After(last):
		case a.at.Before(first):
			before = append(before, a.took)
		default:
			during = append(during, a.took)
		}
	}
	o.t.Logf("%s answered before the drain: %s; during: %s", what, spread(before), spread(during))
	// On a machine that is busy answers take longer, before the drain as well.
	bound := outageAnswer
	if len(before) > 0 {
		bound = max(bound, outageSlower*slices.Max(before))
	}
	if len(during) > 0 && slices.Max(during) > bound {
		o.t.Errorf("one of the %s was answered after %v while the backlog drained, want %v", what, slices.Max(during), bound)
	}
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	slices.SortFunc(d, cmp.Compare[time.Duration])
	at := func(q int) time.Duration { return d[len(d)*q/1000].Round(time.Microsecond) }
	return fmt.Sprintf("%d, half of them within %v, 99%% %v, all %v", len(d), at(500), at(990), d[len(d)-1].Round(time.Microsecond))
}

// kept is a connection over which one webhook follows another, as from a reverse proxy.
type kept struct {
	net.Conn
	answers *bufio.Reader
	address string
}

func dialKept(address string) (*kept, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &kept{conn, bufio.NewReader(conn), address}, nil
}

func (k *kept) deliver(body string) error {
	if _, err := fmt.Fprintf(k, "POST /webhook/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		secret, k.address, len(body), body); err != nil {
		return err
	}
	response, err := http.ReadResponse(k.answers, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s to %s", response.Status, body)
	}
	return nil
}

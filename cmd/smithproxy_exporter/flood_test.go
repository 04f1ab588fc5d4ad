package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/test/loopback"
)

var (
	flood      = flag.Bool("flood", false, "run TestFlood, which takes minutes")
	floodNames = flag.Int("flood.names", 1_000_000, "distinct server names of TestFlood")
)

// What the flood is made of, besides as many distinct server names as the flag says.
const (
	floodProxies    = 50
	floodAddresses  = 200_000
	floodSignatures = 20_000
	floodFrequent   = 10  // names a proxy that are not junk
	floodShare      = .1  // of connections that are to one of them
	floodHostile    = .02 // of strings that are chosen to do harm
	floodClients    = 4
	floodScrapes    = 30 // after the flood
)

// What must hold.
const (
	floodScrape = 250 * time.Millisecond
	floodMemory = 512 << 20
)

// floodHostiles are JSON strings.
var floodHostiles = []string{
	`""`, `"192.0.2.1"`, `"2001:db8::1"`, `"_other"`, `"_invalid"`, `"a..b"`, `"\u0000"`, `"\n# TYPE x counter\nx 1\n"`,
	`"\"} 1\n"`, `"\\"`, "\"\xff\xfe\"", `"\u202e\u2028"`, `"` + strings.Repeat("x", 100_000) + `"`, `"` + strings.Repeat("ü", 70) + `"`,
	`"__name__"`, `"{source=\"edge\"}"`,
}

// TestFlood sends the running program more values of everything than anybody could want series of, scrapes
// it all the while, and holds what is exposed in the end against what was sent.
func TestFlood(t *testing.T) {
	if !*flood {
		t.Skip("run by make flood")
	}
	binary := buildBinary(t)
	webhook, web := loopback.Reserve(t), loopback.Reserve(t)
	configuration := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exporter := process(t, webhook, exec.Command(binary, "--config.file="+configuration,
		"--webhook.listen-address="+webhook, "--web.listen-address="+web, "--storage.path="+t.TempDir(), "--log.level=warn"))

	watch := &floodWatch{url: "http://" + web + "/metrics"}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
				watch.scrape(t, floodAccepts[i%len(floodAccepts)])
			}
		}
	}()
	began := time.Now()
	sent := sendFlood(t, webhook)
	took := time.Since(began)
	close(stop)
	<-stopped
	t.Logf("%d events in %v, %.0f a second; scrapes meanwhile: %s", sent.events, took.Round(time.Second),
		float64(sent.events)/took.Seconds(), watch)
	idle := &floodWatch{url: watch.url}
	spent := cpuTime(t, exporter)
	for i := range floodScrapes {
		idle.scrape(t, floodAccepts[i%len(floodAccepts)])
	}
	// On a machine that has other things to do, this says more than the time that passed.
	t.Logf("scrapes after: %s; %v of CPU time each, garbage collection included", idle,
		((cpuTime(t, exporter) - spent) / floodScrapes).Round(time.Millisecond))
	// The slowest one is what else the machine did.
	if median := idle.took[len(idle.took)/2]; median > floodScrape {
		t.Errorf("scrapes took %v, over %v", median, floodScrape)
	}
	resident, peak := memory(t, exporter.Pid)
	t.Logf("resident memory %d MiB, at most %d MiB", resident>>20, peak>>20)
	if peak > floodMemory {
		t.Errorf("resident memory was %d MiB, over %d", peak>>20, floodMemory>>20)
	}
	checkFlood(t, sent, parseMetrics(t, idle.text))
}

// floodSent is what was sent, and acknowledged.
type floodSent struct {
	mu                                                sync.Mutex
	events, connections, named, signatures, addresses int
	bytesUp, bytesDown, namedBytes                    uint64
	frequent                                          map[string]int // by source and name
}

func floodSource(i int) string {
	if i == 0 {
		return "edge\x00\n\"}"
	}
	return fmt.Sprintf("edge-%d", i)
}

// sendFlood sends from several clients, each over one connection: what a connection costs is not the
// question here.
func sendFlood(t *testing.T, address string) *floodSent {
	sent := &floodSent{frequent: map[string]int{}}
	var clients sync.WaitGroup
	for i := range floodClients {
		clients.Go(func() {
			c := &floodClient{sent: sent, random: rand.New(rand.NewPCG(1, uint64(i))), number: i}
			if err := c.run(address); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	return sent
}

type floodClient struct {
	sent    *floodSent
	random  *rand.Rand
	number  int
	conn    *bufio.ReadWriter
	waiting int
}

func (c *floodClient) run(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.conn = bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriterSize(conn, 1<<16))
	for i := c.number; i < floodProxies; i += floodClients {
		if err := c.post(`{"action":"ping","type":"proxy","instance":"Proxy-A1","source":%s}`, quoted(floodSource(i))); err != nil {
			return err
		}
	}
	for i := c.number; i < *floodNames; i += floodClients {
		if err := c.connection(fmt.Sprintf("host-%d.example.com", i), i); err != nil {
			return err
		}
		if c.random.Float64() < floodShare {
			if err := c.connection(fmt.Sprintf("frequent-%d.example.org", i%floodFrequent), i+*floodNames); err != nil {
				return err
			}
		}
		// As many messages of 20 addresses as make up all.
		if every := max(1, *floodNames*20/floodAddresses); i%every < 1 {
			if err := c.neighbors(i / every); err != nil {
				return err
			}
		}
	}
	return c.answers()
}

// connection starts, stops and profiles one.
func (c *floodClient) connection(name string, i int) error {
	source := c.random.IntN(floodProxies)
	up, down := uint64(c.random.IntN(10_000)), uint64(c.random.IntN(100_000))
	signature, app := fmt.Sprintf("flood/%d", i%floodSignatures), "http2"
	sni, frequent := c.hostile(quoted(name)), strings.HasPrefix(name, "frequent")
	s := c.sent
	s.mu.Lock()
	s.connections++
	s.signatures++
	s.bytesUp += up
	s.bytesDown += down
	if sni != `""` {
		s.named++
		s.namedBytes += up + down
	}
	if frequent {
		s.frequent[floodSource(source)+"/"+name]++
	}
	s.mu.Unlock()
	id, of := fmt.Sprintf("Proxy-A1-OID-%X", i), quoted(floodSource(source))
	session := fmt.Sprintf("ssli_10.%d.%d.%d:%d+ssli_192.0.2.1:443", i>>16&255, i>>8&255, i&255, 1024+i%60000)
	if err := c.post(`{"action":"connection-start","type":"proxy","id":"%s","source":%s,"details":{"info":{"session":"%s"}}}`, id, of, session); err != nil {
		return err
	}
	if err := c.post(`{"action":"connection-stop","type":"proxy","id":"%s","source":%s,"details":{"info":{"session":"%s","bytes_up":%d,"bytes_down":%d,"policy":%d,"tls":{"sni":%s},"l7":{"app":%s,"details":[],"signatures":[%s]}}}}`,
		id, of, session, up, down, c.random.IntN(1000), sni, c.hostile(quoted(app)), c.hostile(quoted(signature))); err != nil {
		return err
	}
	return c.post(`{"action":"connection-info","type":"proxy","id":"%s","source":%s,"details":{"statistics":{"info":{"session":"%s"},"entropy":{"left":{"entropy":%f,"bytes_accounted":512},"right":{"entropy":%f,"bytes_accounted":512}},"flow":{"skew":0.5}}}}`,
		id, of, session, c.random.Float64()*8, c.random.Float64()*8)
}

func (c *floodClient) neighbors(i int) error {
	var list []string
	for j := range 20 {
		n := i*20 + j
		list = append(list, c.hostile(fmt.Sprintf(`"10.%d.%d.%d"`, n>>16&255, n>>8&255, n&255)))
	}
	c.sent.mu.Lock()
	c.sent.addresses += len(list)
	c.sent.mu.Unlock()
	return c.post(`{"action":"neighbor","type":"proxy","state":"new","addresses":[%s],"source":%s}`,
		strings.Join(list, ","), quoted(floodSource(i%floodProxies)))
}

func (c *floodClient) hostile(s string) string {
	if c.random.Float64() < floodHostile {
		return floodHostiles[c.random.IntN(len(floodHostiles))]
	}
	return s
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // no string is that bad
	}
	return string(b)
}

// post sends an event, and reads the answers of a batch at once.
func (c *floodClient) post(format string, args ...any) error {
	body := fmt.Sprintf(format, args...)
	fmt.Fprintf(c.conn, "POST /webhook/%s HTTP/1.1\r\nHost: exporter\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body)
	c.waiting++
	if c.waiting < 30 {
		return nil
	}
	return c.answers()
}

func (c *floodClient) answers() error {
	if err := c.conn.Flush(); err != nil {
		return err
	}
	for ; c.waiting > 0; c.waiting-- {
		response, err := http.ReadResponse(c.conn.Reader, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return err
		}
		if response.StatusCode/100 != 2 {
			return fmt.Errorf("answered %s", response.Status)
		}
		c.sent.mu.Lock()
		c.sent.events++
		c.sent.mu.Unlock()
	}
	return nil
}

var floodAccepts = []string{"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0", protobuf}

// floodWatch scrapes, and remembers how that went.
type floodWatch struct {
	url    string
	took   []time.Duration
	sizes  []int
	series int
	text   string // the last one in the text format
}

func (w *floodWatch) scrape(t *testing.T, accept string) {
	request, err := http.NewRequest(http.MethodGet, w.url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("Accept-Encoding", "gzip")
	began := time.Now()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Errorf("scrape: %v", err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	w.took = append(w.took, time.Since(began))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("scrape: %s, %v", response.Status, err)
		return
	}
	w.sizes = append(w.sizes, len(body))
	if !strings.HasPrefix(accept, "text/plain") {
		return
	}
	body = gunzip(t, body)
	w.text, w.series = string(body), 0
	for line := range bytes.Lines(body) {
		if line[0] != '#' {
			w.series++
		}
	}
}

func (w *floodWatch) String() string {
	slices.Sort(w.took)
	return fmt.Sprintf("%d, median %v, slowest %v; %d series, at most %d KiB compressed, %d KiB of text",
		len(w.took), w.took[len(w.took)/2].Round(time.Millisecond), slices.Max(w.took).Round(time.Millisecond),
		w.series, slices.Max(w.sizes)>>10, len(w.text)>>10)
}

// memory is the resident memory of a process in bytes, and the most that it ever was.
func memory(t *testing.T, pid int) (resident, peak int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		// In kB; proc_pid_status(5).
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &resident)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	return resident << 10, peak << 10
}

func checkFlood(t *testing.T, sent *floodSent, m metrics) {
	all := func(name string, labels ...string) float64 { return m.sum("smithproxy_"+name, labels...) }
	check(t, "started", all("connections_started_total"), sent.connections)
	check(t, "closed", all("connections_closed_total"), sent.connections)
	check(t, "durations", all("connection_duration_seconds_count"), sent.connections)
	check(t, "bytes up", all("connection_bytes_total", "direction=up"), sent.bytesUp)
	check(t, "bytes down", all("connection_bytes_total", "direction=down"), sent.bytesDown)
	check(t, "SNI connections", all("sni_connections_total"), sent.named)
	check(t, "SNI bytes", all("sni_bytes_total"), sent.namedBytes)
	check(t, "signatures", all("signatures_total"), sent.signatures)
	check(t, "entropies", all("payload_entropy_bits_count"), 2*sent.connections)
	check(t, "events", all("events_total"), sent.events)
	t.Logf("%d connections, %d with a name; %.0f increments limited, %.0f distinct names and %.0f distinct signatures by estimate",
		sent.connections, sent.named, all("exporter_series_limited_total"),
		all("exporter_distinct_values", "metric=smithproxy_sni_connections_total"),
		all("exporter_distinct_values", "metric=smithproxy_signatures_total"))

	// There can be as many frozen values as live ones, and _other and _invalid.
	o := config.Default().Metrics
	most := map[string]int{}
	for name, family := range m {
		perSource := map[string]map[string]bool{}
		for _, s := range family.GetMetric() {
			var source, value string
			for _, l := range s.GetLabel() {
				switch l.GetName() {
				case "source":
					source = l.GetValue()
				case "sni", "signature", "address", "app", "policy", "client", "server", "rule", "country", "as":
					value += l.GetValue() + "\x00"
				}
			}
			if perSource[source] == nil {
				perSource[source] = map[string]bool{}
			}
			perSource[source][value] = true
		}
		for _, values := range perSource {
			most[name] = max(most[name], len(values))
		}
	}
	for name, n := range most {
		if strings.HasPrefix(name, "smithproxy_") && n > 2*o.MaxValues+2 {
			t.Errorf("%s has %d values of a proxy", name, n)
		}
	}
	t.Logf("most values of a proxy: %d names, %d signatures, %d addresses, %d pairs of policy and app, %d apps",
		most["smithproxy_sni_connections_total"], most["smithproxy_signatures_total"],
		most["smithproxy_neighbor_last_seen_timestamp_seconds"], most["smithproxy_connections_closed_total"],
		most["smithproxy_connection_duration_seconds"])

	counted, came, series := 0.0, 0, 0
	for sourceAndName, n := range sent.frequent {
		i := strings.LastIndexByte(sourceAndName, '/')
		source := strings.NewReplacer("\x00", "\ufffd", "\n", "\ufffd").Replace(sourceAndName[:i])
		got := all("sni_connections_total", "source="+source, "sni="+sourceAndName[i+1:])
		counted += got
		came += n
		if got > 0 {
			series++
		}
	}
	t.Logf("%d of %d frequent names have series, with %.1f %% of what came for them", series, len(sent.frequent), 100*counted/float64(came))
	if series < len(sent.frequent)*9/10 {
		t.Errorf("only %d of %d frequent names have series", series, len(sent.frequent))
	}
}

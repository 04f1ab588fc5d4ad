package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/store"
)

// The secrets in the URLs of a stop, by the part of the URL that they are in. Each stop has secrets of its own.
const (
	inUser      = "user"
	inParameter = "parameter" // a known one, a configured one, and one within an encoded URL
	inFragment  = "fragment"
	inQuery     = "query" // a parameter that is not sensitive
	inPath      = "path"
	inHost      = "host"
)

// hidden are the parts of URLs that must not be seen with a setting.
var hidden = map[privacy.URLs][]string{
	privacy.URLsFull:     {},
	privacy.URLsRedacted: {inUser, inParameter, inFragment},
	privacy.URLsNoQuery:  {inUser, inParameter, inFragment, inQuery},
	privacy.URLsHost:     {inUser, inParameter, inFragment, inQuery, inPath},
	privacy.URLsNone:     {inUser, inParameter, inFragment, inQuery, inPath, inHost},
}

// seeds makes events with secrets in them.
type seeds struct {
	secrets map[string]string // where it is, by secret
	parts   map[string]string // the part of a URL, by secret
	clients map[string]string // where it is, by client address
}

// secret returns a text that is nowhere else. It has no digits, so it cannot be a port.
func (s *seeds) secret(where, part string) string {
	n := len(s.secrets)
	text := "sEcReT" + string(rune('a'+n/26)) + string(rune('a'+n%26)) + "x"
	s.secrets[text], s.parts[text] = where, part
	return text
}

// client returns an address that is nowhere else. Truncation leaves no trace of it.
func (s *seeds) client(where string) string {
	n := len(s.clients)
	address := fmt.Sprintf("203.0.%d.%d", n, 200+n)
	if n%2 == 1 {
		address = fmt.Sprintf("2001:db8:%x:cafe::%x", n, 0xbee0+n)
	}
	s.clients[address] = where
	return address
}

// label is a session label with a client of its own.
func (s *seeds) label(where string) string {
	return "tcp_" + s.client(where) + ":50000+ssli_192.0.2.1:443"
}

// urls are requests with secrets, the last of which is no URL.
func (s *seeds) urls(where string) []string {
	of := func(part string) string { return s.secret(where, part) }
	return []string{
		fmt.Sprintf("https://joe:%s@%s.example/%s?a=%s&Access%%5fToken=%s&customer-id=%s&u=https%%3A%%2F%%2Fh%%2F%%3Fcode%%3D%s#id_token=%s",
			of(inUser), of(inHost), of(inPath), of(inQuery), of(inParameter), of(inParameter), of(inParameter), of(inFragment)),
		"https://" + of(inUser) + "@h.example/",
		"https://joe:" + of(inUser), // cut off
		"joe:" + of(inUser) + "@h:443",
		"GET /?b=" + of(inQuery) + "&password=" + of(inParameter) + " HTTP/1.1",
	}
}

// body is a message with the given details, if there are any, and the fields in top.
func body(action event.Action, id string, details map[string]any, top map[string]any) []byte {
	m := map[string]any{"action": action, "type": "proxy", "source": "edge-1"}
	if id != "" {
		m["id"] = id
	}
	if details != nil {
		m["details"] = details
	}
	maps.Copy(m, top)
	encoded, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return encoded
}

func infoBody(session string, more map[string]any) map[string]any {
	info := map[string]any{"session": session}
	maps.Copy(info, more)
	return map[string]any{"info": info}
}

func (s *seeds) stopBody(where, id, session string) []byte {
	return body(event.ActionStop, id, infoBody(session, map[string]any{
		"bytes_up": 1, "bytes_down": 2, "policy": 0,
		"l7": map[string]any{"app": "http1", "details": s.urls(where), "signatures": []string{"www/http/request"}},
	}), nil)
}

// events are those of every type, with secrets in each field that can have a URL or a client address in it.
func (s *seeds) events() [][]byte {
	statistics := func(session string) map[string]any {
		return map[string]any{"statistics": map[string]any{"info": map[string]any{"session": session}, "entropy": map[string]any{"left": map[string]any{"entropy": 1, "bytes_accounted": 9}}}}
	}
	echo := func(session string) map[string]any {
		return map[string]any{"access-request": map[string]any{"info": map[string]any{"session": session, "access-response": map[string]any{"access-response": "reject"}}}}
	}
	asked := s.label("access-request of a connection")
	life := s.label("whole life")
	unclaimed := s.label("access-request without a connection")
	howto := s.label("access-request in the form of the HOWTO")
	access := func(id, session string) []byte {
		return body(event.ActionAccess, id, map[string]any{"session": session, "policy": -1}, nil)
	}
	return [][]byte{
		body(event.ActionPing, "", nil, map[string]any{"instance": "Proxy-A1", "proxies": []string{"Proxy-A1-SID-90", s.label("id in a list")},
			"proxies-plus": []string{"Proxy-A1-SID-90=" + s.label("list"), s.label("id in a full list") + "=x"}}),
		body(event.ActionNeighbor, "", nil, map[string]any{"state": "new", "addresses": []string{s.client("neighbor"), s.client("second neighbor")}}),
		body(event.ActionNeighbor, "", nil, map[string]any{"state": "update", "address": s.client("neighbor in the form of the HOWTO")}),
		// Two whole lives, of which the second one is restored while it waits for its info.
		access(asked, asked),
		body(event.ActionStart, "Proxy-A1-SID-1", infoBody(asked, nil), nil),
		s.stopBody("stop", "Proxy-A1-SID-1", asked),
		body(event.ActionInfo, "Proxy-A1-SID-1", statistics(asked), nil),
		body(event.ActionStart, "Proxy-A1-SID-2", infoBody(life, nil), nil),
		s.stopBody("stop that waits", "Proxy-A1-SID-2", life),
		// What comes alone.
		body(event.ActionStart, "Proxy-A1-SID-3", infoBody(s.label("start"), nil), nil),
		body(event.ActionStart, "Proxy-A1-SID-4", infoBody("tcp_"+s.client("start over SOCKS")+":50000+0:0", nil), nil),
		body(event.ActionStart, "Proxy-A1-SID-5", infoBody("7::ux_/run/"+s.client("start of another kind")+":1+?:x", nil), nil),
		body(event.ActionStart, "Proxy-A1-SID-6", infoBody(s.client("label that is none"), nil), nil),
		s.stopBody("stop alone", "Proxy-A1-SID-7", s.label("stop")),
		body(event.ActionInfo, "Proxy-A1-SID-8", statistics(s.label("statistics")), nil),
		body(event.ActionInfo, "Proxy-A1-SID-9", echo(s.label("echo")), nil),
		body(event.ActionInfo, "Proxy-A1-SID-10", map[string]any{"access-request": map[string]any{"session": s.label("echo in the form of the HOWTO"), "access-response": nil}}, nil),
		access(unclaimed, unclaimed),
		access("Proxy-A1-SID-11", howto),
		body(event.ActionContent, "Proxy-A1-SID-3", infoBody(s.label("content"), map[string]any{"side": "L", "content": "R0VUIC8="}), nil),
		// Rejected and unknown messages.
		body(event.ActionStop, "Proxy-A1-SID-12", infoBody(s.label("stop without bytes"), nil), nil),
		body("connection-something", "Proxy-A1-SID-13", infoBody(s.label("unknown action"), nil), nil),
		[]byte(`{"action":"connection-start","details":{"info":{"session":"` + s.label("broken JSON")),
		body(event.ActionStart, "Proxy-A1-SID-14", map[string]any{"info": s.label("wrong type")}, nil),
	}
}

// sight is the content of each output, by the output's name.
type sight map[string]string

// spyLog is a log at level debug, in one of the formats.
type spyLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *spyLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *spyLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *spyLog) handler(t *testing.T, format string) slog.Handler {
	t.Helper()
	level, style := promslog.NewLevel(), promslog.NewFormat()
	if err := errors.Join(level.Set("debug"), style.Set(format)); err != nil {
		t.Fatal(err)
	}
	return promslog.New(&promslog.Config{Level: level, Format: style, Writer: l}).Handler()
}

// spied is an exporter whose outputs are looked at.
type spied struct {
	*exporter
	storage string
	sight   sight
	logs    map[string]*spyLog
}

// TestPrivacy sends secrets in every field that can have a URL or a client address in it, and searches all outputs
// for them: spans, metrics, API and pages, logs, and what is on the disk.
func TestPrivacy(t *testing.T) {
	for _, c := range []privacy.Config{
		{URLs: privacy.URLsFull, ClientAddresses: privacy.AddressesFull},
		privacy.DefaultConfig(),
		{URLs: privacy.URLsRedacted, ClientAddresses: privacy.AddressesTruncated},
		{URLs: privacy.URLsNoQuery, ClientAddresses: privacy.AddressesHashed},
		{URLs: privacy.URLsHost, ClientAddresses: privacy.AddressesTruncated},
		{URLs: privacy.URLsNone, ClientAddresses: privacy.AddressesHashed},
	} {
		t.Run(fmt.Sprintf("%s, %s", c.URLs, c.ClientAddresses), func(t *testing.T) {
			c.SensitiveParameters = []privacy.Parameter{"CustomerID"}
			seeds := &seeds{map[string]string{}, map[string]string{}, map[string]string{}}
			sight := runSpied(t, c, seeds)
			for secret, where := range seeds.secrets {
				part := seeds.parts[secret]
				sight.check(t, secret, fmt.Sprintf("%s of the URL of: %s", part, where), slices.Contains(hidden[c.URLs], part))
			}
			for address, where := range seeds.clients {
				sight.check(t, address, "client of: "+where, c.ClientAddresses != privacy.AddressesFull)
			}
		})
	}
}

// neverSeen are the events that leave no data, whatever the setting.
var neverSeen = []string{
	"client of: id in a list", "client of: id in a full list", "client of: content", "client of: stop without bytes",
	"client of: unknown action", "client of: broken JSON", "client of: wrong type",
}

// check searches all outputs. That the secret is seen where it may be shows that the search finds it.
func (s sight) check(t *testing.T, secret, where string, hidden bool) {
	t.Helper()
	var found []string
	for output, text := range s {
		if strings.Contains(text, secret) {
			found = append(found, output)
		}
	}
	slices.Sort(found)
	switch {
	case hidden && len(found) > 0:
		t.Errorf("%s: %q is in %v", where, secret, found)
	case slices.Contains(neverSeen, where):
		if len(found) > 0 {
			t.Errorf("%s: %q is in %v", where, secret, found)
		}
	case !hidden:
		for _, kind := range []string{"disk, read", "spans"} {
			if !slices.ContainsFunc(found, func(output string) bool { return strings.HasPrefix(output, kind) }) && !strings.Contains(where, "neighbor") {
				t.Errorf("%s: %q is not in the %s, only in %v", where, secret, kind, found)
			}
		}
		if len(found) == 0 {
			t.Errorf("%s: %q is nowhere", where, secret)
		}
	}
}

// runSpied lets an exporter receive the seeds while its backend does not answer, restarts it, and lets it send.
func runSpied(t *testing.T, c privacy.Config, seeds *seeds) sight {
	backend := newReceiver(t)
	backend.refuse = func(*coltracepb.ExportTraceServiceRequest) error { return status.Error(codes.Unavailable, "away") }
	s := &spied{storage: filepath.Join(t.TempDir(), "data"), sight: sight{}, logs: map[string]*spyLog{"logfmt": {}, "json": {}}}
	launch := func() {
		var handlers []slog.Handler
		for format, log := range s.logs {
			handlers = append(handlers, log.handler(t, format))
		}
		args := []string{"--storage.path=" + s.storage, "--otlp.endpoint=http://" + backend.address}
		s.exporter = launchLogged(t, &manualClock{at: epoch}, time.Hour, args, func(cfg *config.Config) {
			cfg.Privacy = c
			cfg.OTLP.FlushTimeout /= 50
		}, slog.NewMultiHandler(handlers...))
	}
	launch()
	for _, b := range seeds.events() {
		s.post(b)
	}
	s.look("open")
	s.checkShown(c, seeds)
	s.advance(s.clock.now().Add(s.app.config.Connections.OpenSpanAge + time.Minute)) // open connections have spans
	s.post(seeds.stopBody("late stop", "Proxy-A1-SID-8", "tcp_"+seeds.client("late stop")+":50000+ssli_192.0.2.1:443"))
	s.look("later")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.lookAtDisk("after the first run")

	backend.refuse = nil
	launch()
	s.look("restored")
	s.post(body(event.ActionPing, "", nil, map[string]any{"instance": "Proxy-B2", "proxies": []string{}})) // all is over
	s.advance(s.clock.now().Add(2 * time.Hour))
	s.look("over")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.lookAtDisk("after the second run")
	for i, span := range backend.all() {
		encoded, err := proto.Marshal(span.Span)
		if err != nil {
			t.Fatal(err)
		}
		s.sight[fmt.Sprintf("spans: %d %s", i, span.GetName())] = string(encoded) + fmt.Sprint(span.resource)
	}
	for format, log := range s.logs {
		s.sight["log as "+format] = log.String()
	}
	if !strings.Contains(s.sight["log as json"], `"msg":"Receiving webhooks"`) || !strings.Contains(s.sight["log as logfmt"], `msg="Receiving webhooks"`) {
		t.Errorf("the log is not what is searched:\n%s\n%s", s.sight["log as json"], s.sight["log as logfmt"])
	}
	return s.sight
}

// TestPrivacyChange hides client addresses from a restart on, with a connection open and a neighbor.
func TestPrivacyChange(t *testing.T) {
	const client = "10.77.1.2"
	args := []string{"--storage.path=" + filepath.Join(t.TempDir(), "data")}
	neighbor := body(event.ActionNeighbor, "", nil, map[string]any{"state": "new", "addresses": []string{client}})
	e := startExporter(t, args, nil)
	for _, b := range [][]byte{[]byte(pingBody), neighbor, startBody(1)} {
		e.post(b)
	}
	if _, list := e.get("/api/v1/connections"); !strings.Contains(list, client) {
		t.Errorf("the client is not shown before:\n%s", list)
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startExporter(t, args, func(c *config.Config) { c.Privacy.ClientAddresses = privacy.AddressesHashed })
	_, open := e.get("/api/v1/connections?state=open")
	e.post(stopBody(1))
	e.advance(e.clock.now().Add(time.Minute))
	_, all := e.get("/api/v1/connections")
	metrics := e.metrics()
	if strings.Contains(open+all+metrics, client) {
		t.Errorf("the client is shown afterwards:\n%s\n%s\n%s", open, all, metrics)
	}
	if !strings.Contains(open, `"client_address": "client-`) || !strings.Contains(metrics, `address="client-`) {
		t.Errorf("the client or the neighbor is lost:\n%s\n%s", open, metrics)
	}
	if strings.Count(all, `"close_reason": "stop"`) != 1 || strings.Count(all, `"id"`) != 1 {
		t.Errorf("the stop does not find its connection:\n%s", all)
	}
}

// look takes all that the web listener shows.
func (s *spied) look(when string) {
	s.t.Helper()
	for _, path := range []string{"/", "/metrics", "/-/healthy", "/-/ready"} {
		_, s.sight[when+": "+path] = s.get(path)
	}
	request, err := http.NewRequest(http.MethodGet, s.web+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sight[when+": OpenMetrics"] = s.read(response)
	for cursor := ""; ; {
		_, page := s.get("/api/v1/connections?limit=5&cursor=" + cursor)
		s.sight[when+": list "+cursor] = page
		var list struct {
			Connections []struct{ Source, ID string }
			NextCursor  string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(page), &list); err != nil {
			s.t.Fatal(err)
		}
		for _, c := range list.Connections {
			_, s.sight[when+": connection "+c.ID] = s.get("/api/v1/connections/" + c.Source + "/" + c.ID)
		}
		if cursor = list.NextCursor; cursor == "" {
			return
		}
	}
}

// lookAtDisk takes the bytes of all files, and what the store reads from them: tables are compressed.
func (s *spied) lookAtDisk(when string) {
	s.t.Helper()
	err := filepath.WalkDir(s.storage, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		s.sight[fmt.Sprintf("%s: file %s", when, strings.TrimPrefix(path, s.storage))] = path + string(raw)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	opened, err := store.Open(s.storage, store.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	var records, spans strings.Builder
	err = errors.Join(opened.Load(func(_ store.Kind, source, key string, record []byte, _ bool) error {
		fmt.Fprintf(&records, "%s %s %s\n", source, key, record)
		return nil
	}), opened.Spans(0, func(_ uint64, _ int, encoded []byte) bool {
		spans.Write(encoded)
		return true
	}), opened.Close())
	if err != nil {
		s.t.Fatal(err)
	}
	s.sight["disk, read "+when+": records"], s.sight["disk, read "+when+": spans"] = records.String(), spans.String()
}

// checkShown compares how the API and the metrics show a client, and finds it by that.
func (s *spied) checkShown(c privacy.Config, seeds *seeds) {
	s.t.Helper()
	var key []byte
	if c.NeedsKey() {
		raw, err := os.ReadFile(filepath.Join(s.storage, "client-address-key"))
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := fmt.Sscanf(string(raw), "%x\n", &key); err != nil {
			s.t.Fatal(err)
		}
	}
	policy := privacy.New(c, key)
	for address, where := range seeds.clients {
		want := policy.Address(address)
		switch where {
		case "start":
			_, list := s.get("/api/v1/connections?client=" + want)
			if strings.Count(list, `"client_address": "`+want+`"`) != 1 || !strings.Contains(list, "Proxy-A1-SID-3") {
				s.t.Errorf("the client of the start is not found as %s:\n%s", want, list)
			}
		case "neighbor":
			if metrics := s.metrics(); !strings.Contains(metrics, `address="`+want+`"`) {
				s.t.Errorf("the neighbor is not in the metrics as %s:\n%s", want, metrics)
			}
		}
	}
}

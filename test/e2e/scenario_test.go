//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// scenario is what three proxies do, the same in every second: the values on the dashboards follow from it. edge-1 asks
// for access and inspects TLS, edge-2 has statistics and restarts once, edge-3 falls silent after its first ping.
type scenario struct {
	t    *testing.T
	url  string
	boot string // of edge-2
	next int    // number of a connection
}

// The scenario takes 40 seconds.
const (
	scenarioSeconds = 40
	scenarioRestart = 5  // the boot id of edge-2 changes
	scenarioSteady  = 18 // everything has had its rate for longer than rates look back
)

// play plays the scenario and returns the times of its steady state and of its end.
func (s *scenario) play() (steady, end time.Time) {
	s.ping("edge-3", "Proxy-3333")
	s.boot = "Proxy-2222"
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := range scenarioSeconds {
		switch second {
		case scenarioRestart:
			s.opened()
			s.boot = "Proxy-4444"
		case scenarioSteady:
			steady = time.Now()
		}
		s.ping("edge-1", "Proxy-1111")
		s.ping("edge-2", s.boot)
		s.inspected("a.example")
		s.inspected("a.example")
		s.inspected("b.example")
		s.rejected()
		s.measured()
		// Connections that wait for their stop when the proxy restarts would be lost or closed by the restart.
		if second < scenarioRestart-2 || second >= scenarioRestart {
			s.lost()
		}
		if second%10 == 2 && second < 30 {
			s.send("edge-1", "neighbor", "", fmt.Sprintf(`"addresses":["10.9.0.%d"],"state":"new",`, second))
		}
		<-tick.C
	}
	return steady, time.Now()
}

func (s *scenario) id(boot string) string {
	s.next++
	return fmt.Sprintf("%s-SID-%X", boot, s.next)
}

func (s *scenario) ping(source, boot string) {
	s.send(source, "ping", "", `"instance":"`+boot+`","proxies":[],`)
}

// inspected is a connection of edge-1 with a server name, which it asked for.
func (s *scenario) inspected(sni string) {
	id := s.id("Proxy-1111")
	session := fmt.Sprintf("ssli_10.1.0.1:%d+ssli_192.0.2.1:443", 1024+s.next)
	s.send("edge-1", "access-request", session, `"details":{"bytes_side":"L","bytes_size":0,"policy":2,"require":"origin-info","session":"`+session+`","state":"init"},`)
	s.send("edge-1", "connection-start", id, `"details":{"info":{"session":"`+session+`"}},`)
	s.send("edge-1", "connection-stop", id, `"details":{"info":{"bytes_down":4000,"bytes_up":1000,"policy":2,"session":"`+session+
		`","tls":{"sni":"`+sni+`"},"l7":{"app":"http2","details":["https://`+sni+`/"],"signatures":["www/http2/start"]}}},`)
}

// rejected is a connection of edge-1 that the rule no-mail rejects.
func (s *scenario) rejected() {
	id := s.id("Proxy-1111")
	session := fmt.Sprintf("tcp_10.1.0.2:%d+tcp_192.0.2.2:25", 1024+s.next)
	answer := s.send("edge-1", "access-request", session, `"details":{"bytes_side":"L","bytes_size":0,"policy":-1,"require":"origin-info","session":"`+session+`","state":"init"},`)
	s.send("edge-1", "connection-info", id, `"details":{"access-request":{"info":{"access-response":`+string(answer)+`,"session":"`+session+`"}}},`)
}

// measured is a connection of edge-2 whose upload looks encrypted.
func (s *scenario) measured() {
	id := s.id(s.boot)
	session := fmt.Sprintf("tcp_10.2.0.1:%d+tcp_192.0.2.3:8080", 1024+s.next)
	s.send("edge-2", "connection-start", id, `"details":{"info":{"session":"`+session+`"}},`)
	s.send("edge-2", "connection-start", id, `"details":{"info":{"session":"`+session+`"}},`) // a repeat
	s.send("edge-2", "connection-content", id, `"details":{"info":{"content":"R0VUIC8=","session":"`+session+`","side":"L"}},`)
	s.send("edge-2", "connection-stop", id, `"details":{"info":{"bytes_down":100,"bytes_up":300,"policy":65500,"session":"`+session+`"}},`)
	s.send("edge-2", "connection-info", id, `"details":{"statistics":{"entropy":{"left":{"bytes_accounted":300,"entropy":7.95},"right":{"bytes_accounted":100,"entropy":4.25}},`+
		`"flow":{"skew":-0.8},"info":{"session":"`+session+`"}},"sinkhole":{"replacement_size":0,"sink_left":true,"sink_right":false,"sunken_left":50,"sunken_right":0}},`)
}

// opened is a connection of edge-2 that is open when the proxy restarts.
func (s *scenario) opened() {
	s.send("edge-2", "connection-start", s.id(s.boot), fmt.Sprintf(`"details":{"info":{"session":"tcp_10.2.0.3:%d+tcp_192.0.2.5:443"}},`, 1024+s.next))
}

// lost is a connection of edge-2 with an info and no stop.
func (s *scenario) lost() {
	id := s.id(s.boot)
	session := fmt.Sprintf("tcp_10.2.0.2:%d+tcp_192.0.2.4:22", 1024+s.next)
	s.send("edge-2", "connection-start", id, `"details":{"info":{"session":"`+session+`"}},`)
	s.send("edge-2", "connection-info", id, `"details":{"info":{"session":"`+session+`"}},`)
}

// send posts an event, whose id and further members are those given, and returns the body of the answer.
func (s *scenario) send(source, action, id, members string) []byte {
	s.t.Helper()
	if id != "" {
		members += `"id":"` + id + `",`
	}
	body := []byte(`{"action":"` + action + `",` + members + `"source":"` + source + `","type":"proxy"}`)
	if !json.Valid(body) {
		s.t.Fatalf("not JSON: %s", body)
	}
	response, err := http.Post(s.url, "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		s.t.Fatalf("%s: %s, %v: %s", body, response.Status, err, answer)
	}
	return answer
}

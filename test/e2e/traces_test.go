//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// connection is what the exporter's API says of one.
type connection struct {
	Source  string `json:"source"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
	Reason  string `json:"close_reason"`
	Client  string `json:"client_address"`
	Entropy struct {
		Up float64 `json:"up"`
	} `json:"entropy_bits"`
}

// jaegerTrace is a trace as Jaeger's API has it.
type jaegerTrace struct {
	TraceID string `json:"traceID"`
	Spans   []struct {
		ID   string `json:"spanID"`
		Name string `json:"operationName"`
		Tags []struct {
			Key   string `json:"key"`
			Value any    `json:"value"`
		} `json:"tags"`
	} `json:"spans"`
}

func (j jaegerTrace) tag(key string) any {
	for _, span := range j.Spans {
		for _, tag := range span.Tags {
			if tag.Key == key {
				return tag.Value
			}
		}
	}
	return nil
}

// finished returns a connection whose trace has been made, and which is as asked for.
func (s *servers) finished(t *testing.T, what string, match func(connection) bool) connection {
	t.Helper()
	var found connection
	eventually(t, 30*time.Second, "a "+what+" connection is in the API", func() error {
		var list struct {
			Connections []connection `json:"connections"`
		}
		if err := get("http://"+s.exporter+"/api/v1/connections?state=finished&limit=1000", &list); err != nil {
			return err
		}
		for _, c := range list.Connections {
			if match(c) {
				found = c
				return nil
			}
		}
		return fmt.Errorf("none among %d", len(list.Connections))
	}, s.processes...)
	return found
}

// find asks Jaeger for traces.
func (s *servers) find(path string) ([]jaegerTrace, error) {
	var reply struct {
		Data []jaegerTrace `json:"data"`
	}
	if err := get("http://"+s.jaegerQuery+path, &reply); err != nil {
		return nil, err
	}
	if len(reply.Data) == 0 {
		return nil, errors.New("no trace")
	}
	return reply.Data, nil
}

// search asks Jaeger for the traces that have all the tags.
func (s *servers) search(tags map[string]string) ([]jaegerTrace, error) {
	encoded, err := json.Marshal(tags)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return s.find("/api/traces?" + url.Values{
		"service": {"smithproxy"}, "tags": {string(encoded)}, "limit": {"1000"},
		"start": {strconv.FormatInt(now.Add(-time.Hour).UnixMicro(), 10)},
		"end":   {strconv.FormatInt(now.Add(time.Minute).UnixMicro(), 10)},
	}.Encode())
}

// traces looks in Jaeger for connections of each kind that the sampling keeps: by the id that anyone
// can compute, and by what an operator would ask for.
func (s *servers) traces(t *testing.T) {
	for _, kind := range []struct {
		what  string
		match func(connection) bool
	}{
		{"rejected", func(c connection) bool { return c.Reason == "rejected" }},
		{"lost", func(c connection) bool { return c.Reason == "lost" }},
		{"high-entropy", func(c connection) bool { return c.Entropy.Up >= 7.8 }},
	} {
		c := s.finished(t, kind.what, kind.match)
		out, err := exec.CommandContext(t.Context(), s.programs.exporter, "trace-id", c.Source, c.ID).Output()
		if err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSpace(string(out))
		if id != c.TraceID {
			t.Fatalf("trace id of %s: the command says %s, the API %s", c.ID, id, c.TraceID)
		}
		var trace jaegerTrace
		eventually(t, 30*time.Second, "its trace is in Jaeger by id", func() error {
			found, err := s.find("/api/traces/" + id)
			if err == nil {
				trace = found[0]
			}
			return err
		}, s.processes...)
		for key, want := range map[string]string{
			"smithproxy.connection.id": c.ID, "smithproxy.close.reason": c.Reason, "client.address": c.Client,
		} {
			if got := fmt.Sprint(trace.tag(key)); got != want {
				t.Errorf("trace %s: %s is %q, and %q in the API", id, key, got, want)
			}
		}
		found, err := s.search(map[string]string{"smithproxy.close.reason": c.Reason, "client.address": c.Client})
		if err != nil {
			t.Fatalf("search by reason %s and client %s: %v", c.Reason, c.Client, err)
		}
		for _, f := range found {
			if f.tag("smithproxy.close.reason") != c.Reason || f.tag("client.address") != c.Client {
				t.Errorf("search by reason %s and client %s found %s, which is of %v and %v", c.Reason, c.Client,
					f.TraceID, f.tag("smithproxy.close.reason"), f.tag("client.address"))
			}
		}
	}
}

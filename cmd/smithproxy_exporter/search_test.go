package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web/api"
	"smithproxy_exporter/test/loopback"
)

const (
	// searchOpen and searchFinished are how many connections TestSearch has with -latency.
	searchOpen, searchFinished = 200_000, 500_000
	// searchTime is for a full page, searchMemory for what the API and the history may take.
	searchTime, searchMemory = time.Second, 64 << 20
)

// TestSearch measures searches among many open and finished connections, and the memory that the API and the history
// take. It judges only with -latency, for which the machine should be idle.
func TestSearch(t *testing.T) {
	long(t)
	open, finished := searchOpen/20, searchFinished/20
	if *latency {
		open, finished = searchOpen, searchFinished
	}
	storage := t.TempDir()
	fillHistory(t, storage, finished)
	// Each is read at once: an idle process gives memory back.
	memory, _ := startSearched(t, t.TempDir(), "api: {enabled: false}\nhistory: {max_age: 0}\n", open)
	without := memory()
	memory, web := startSearched(t, storage, "", open)
	before := memory()

	searches := []struct {
		query string
		full  bool // a page of 100 is found
	}{
		{"", true}, {"state:open", true}, {"state:finished", true}, {"app:http2", true}, {"state:finished www.host-7.example", true},
		{"client:10.0.7.0/24", true}, {"-state:open bytes>1MB", true}, {"since:1h verdict:reject", true}, {"server:203.0.113.9", false}, {"nothing.example", false},
	}
	for _, s := range searches {
		began, calls, found := time.Now(), 0, 0
		for cursor := ""; ; {
			page := fetchPage(t, web, s.query, cursor)
			calls++
			if found += len(page.Connections); found >= 100 || page.Cursor == "" {
				break
			}
			cursor = page.Cursor
		}
		took := time.Since(began)
		t.Logf("%-40q %4d found in %v, %d calls", s.query, found, took.Round(100*time.Microsecond), calls)
		if *latency && s.full && (took > searchTime || found < 100) {
			t.Errorf("%q: %d found in %v, want a page within %v", s.query, found, took, searchTime)
		}
	}
	after := memory()
	t.Logf("%d open, %d finished: %.0f MiB resident, %.0f MiB after the searches; %.0f MiB without API and history", open, finished,
		float64(before)/(1<<20), float64(after)/(1<<20), float64(without)/(1<<20))
	if more := after - without; *latency && more > searchMemory {
		t.Errorf("the API and the history take %d MiB", more>>20)
	}
}

// startSearched runs the exporter with so many open connections; memory returns how much is resident.
func startSearched(t *testing.T, storage, settings string, open int) (memory func() int, web string) {
	t.Helper()
	configuration := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\nconnections: {max_open_total: 400000}\n"+settings), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook, web := loopback.Reserve(t), loopback.Reserve(t)
	running := process(t, webhook, exec.Command(buildBinary(t), "--config.file="+configuration, "--webhook.listen-address="+webhook,
		"--web.listen-address="+web, "--storage.path="+storage, "--log.level=warn"))
	awaitReady(t, web)
	openMany(t, webhook, open)
	return func() int { return resident(t, running) }, web
}

func fetchPage(t *testing.T, web, query, cursor string) (page api.ConnectionPage) {
	t.Helper()
	response, err := http.Get("http://" + web + "/api/v1/connections?" + url.Values{"q": {query}, "cursor": {cursor}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%q: answered %s", query, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	return page
}

// fillHistory writes finished connections into a new store, as the exporter does.
func fillHistory(t *testing.T, path string, finished int) {
	t.Helper()
	c := config.Default()
	s, err := store.Open(path, store.Options{
		Config: c.Storage, History: store.HistoryLimits{MaxSize: int64(c.History.MaxSize), MaxAge: c.History.MaxAge}, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	policy := privacy.New(c.Privacy, nil)
	forms := history.Forms{Addresses: policy.Form(), Requests: policy.RequestForm()}
	var batch store.Batch
	var entry []byte
	bytes := 0
	for i := range finished {
		end := time.Now().Add(-time.Duration(finished-i) * time.Millisecond)
		r := history.Record{
			Source: fmt.Sprint("edge-", i%4), ID: fmt.Sprintf("Proxy-A%d-SID-%X", i%4, i), N: 1, State: track.StateClosed, Reason: track.ReasonStop,
			Label: fmt.Sprintf("ssli_10.0.%d.%d:%d+ssli_198.51.100.%d:443", i>>8&63, i&255, 1024+i%60000, i%250), Transport: event.TLS,
			Start: end.Add(-time.Duration(i%100) * time.Second), End: end, DurationKnown: true, Policy: i % 5, Verdict: event.Accept, Rule: "default",
			Decision: fmt.Sprintf("%032x", i), Stopped: true, TLS: true, SNI: fmt.Sprintf("www.host-%d.example", i%5000), App: []string{"http1", "http2"}[i%2],
			Up: uint64(i % 10_000), Down: uint64(i * 7919 % 3_000_000), JA4: "t13d1516h2_8daaf6152771_b186095e22b6", JA4S: "t130200_1301_234ea6891581",
			Requests:  []string{fmt.Sprintf("https://www.host-%d.example/path/%x", i%5000, i*7919)},
			EntropyUp: &event.Entropy{Bits: float64(i%80) / 10, Sampled: 500}, Timeline: track.Timeline{Started: end, Stopped: end, Informed: end},
		}
		if i%50 == 0 {
			r.Verdict, r.Rule = event.Reject, "guests"
		}
		entry = r.Append(entry[:0], forms)
		bytes += len(entry)
		batch.AddHistory(r.Source, r.ID, entry)
		if batch.Len() == 256 || i == finished-1 {
			if err := s.Commit(&batch); err != nil {
				t.Fatal(err)
			}
			batch.Reset()
		}
	}
	totals := s.HistoryTotals()
	t.Logf("%d finished connections of %d bytes each, %d MiB in the store", totals.Entries, bytes/finished, s.Size()>>20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

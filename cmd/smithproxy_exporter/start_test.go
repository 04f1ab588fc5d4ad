package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/test/loopback"
)

// startLimit is within which access-requests are answered after the start, whatever the backlog.
const startLimit = time.Second

// TestStart measures a start with 200,000 open connections, 1 GiB of spans that were not sent, and a list of a million
// prefixes: when an access-request is answered, by the rules, when an event is, and when the exporter is ready. It
// judges the times only with -latency.
func TestStart(t *testing.T) {
	long(t)
	open, spans, prefixes := 10_000, int64(32<<20), 50_000
	if *latency {
		open, spans, prefixes = 200_000, 1<<30, 1_000_000
	}
	dir := t.TempDir()
	feed, configuration := filepath.Join(dir, "feed.netset"), filepath.Join(dir, "config.yml")
	writeFeed(t, feed, prefixes, 1)
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\nstorage: {max_size: 4GiB}\n"+
		"access: {default: reject, rules: [{name: feed, server_file: feed.netset, verdict: reject}, {name: web, port: 443, verdict: accept}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	fillStore(t, data, open, spans)
	webhook, web := loopback.Reserve(t), loopback.Reserve(t)
	command := exec.Command(buildBinary(t), "--config.file="+configuration, "--webhook.listen-address="+webhook, "--web.listen-address="+web,
		"--otlp.endpoint=http://"+loopback.Reserve(t), "--storage.path="+data, "--log.level=warn")
	began := time.Now()
	process(t, webhook, command)
	listens := time.Since(began)
	if err := deliverWithin(10*time.Second, webhook, askBody("tcp_10.20.0.1:40000+tcp_192.0.2.1:443")); err != nil {
		t.Fatal(err)
	}
	answered := time.Since(began)
	if err := deliverWithin(30*time.Second, webhook, startBody(1)); err != nil {
		t.Fatal(err)
	}
	taken := time.Since(began)
	awaitReady(t, web)
	t.Logf("%d open connections, %d MiB of spans, %d prefixes: listens after %v, answers an access-request after %v and an event after %v, ready after %v",
		open, spans>>20, prefixes, listens, answered, taken, time.Since(began))
	if *latency && answered > startLimit {
		t.Errorf("an access-request is answered %v after the start, want %v", answered, startLimit)
	}
}

// storeWriter writes what a tracker changes to a batch.
type storeWriter struct{ *store.Batch }

func (w storeWriter) Put(kind track.Kind, source, key string, record []byte) {
	w.Batch.Put(store.Kind(kind), source, key, record)
}

func (w storeWriter) Remove(kind track.Kind, source, key string) {
	w.Batch.Remove(store.Kind(kind), source, key)
}

// fillStore leaves open connections and spans as an exporter would.
func fillStore(t *testing.T, path string, open int, spans int64) {
	t.Helper()
	s, err := store.Open(path, store.Options{Config: store.Config{MaxSize: 4 << 30}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	config := track.DefaultConfig()
	config.Connections.MaxOpenTotal = open
	tracker := track.New(config, func(track.Fact) {})
	var batch store.Batch
	commit := func() {
		tracker.Changes(storeWriter{&batch})
		if err := s.Commit(&batch); err != nil {
			t.Fatal(err)
		}
		batch.Reset()
	}
	for i := range open {
		source := i % 4
		tracker.Apply(event.Event{
			Action: event.ActionStart, Source: fmt.Sprint("edge-", source), ID: fmt.Sprintf("Proxy-%X-SID-%X", 0xA000+source, i),
			Payload: event.Start{Session: fmt.Sprintf("ssli_10.0.%d.%d:%d+ssli_192.0.2.10:443", i>>8&255, i&255, 1024+i%60000)},
		}, track.At(time.Now(), time.Minute), nil)
		if i%256 == 255 {
			commit()
		}
	}
	commit()
	payload := make([]byte, 48<<10) // 64 spans; they are not looked at before they are sent
	random := rand.New(rand.NewPCG(1, 2))
	for size := int64(0); size < spans; size += int64(len(payload)) {
		for i := 0; i < len(payload); i += 4 {
			payload[i] = byte(random.Uint32())
		}
		batch.AddSpans(payload, 64)
		commit()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

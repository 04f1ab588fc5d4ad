package pipeline_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// TestStaleRecordOfFinishedConnectionIsNotRestored puts a store into the state that a crash leaves in the middle of the
// rewrite after an outage: the record of a connection that finished during the outage is still there.
func TestStaleRecordOfFinishedConnectionIsNotRestored(t *testing.T) {
	path := t.TempDir()
	const other = "Proxy-A65E609B-OID-2"
	put := map[string][]byte{} // the records of both connections, by key
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, path, nil)
		p := newPipeline(&metrics{})
		ran := make(chan struct{})
		go func() { defer close(ran); p.Run(s, func() {}) }()
		take(t, p, start(id), start(other))
		check := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(s.Load(func(kind store.Kind, _, key string, record []byte, _ bool) error {
			if track.Kind(kind) == track.KindConnection {
				put[key] = bytes.Clone(record)
			}
			return nil
		}))
		take(t, p, stop(id))
		time.Sleep(track.DefaultConfig().Connections.GracePeriod + tick)
		p.Stop()
		<-ran
		var b store.Batch
		for key, record := range put {
			b.Put(store.Kind(track.KindConnection), source, key, record)
		}
		check(s.Commit(&b))
		check(s.BeginRewrite())
		check(s.Close())
	})
	if len(put) != 2 {
		t.Fatalf("%d records, want those of both connections", len(put))
	}
	runIn(t, path, &facts{}, func(t *testing.T, p *pipeline.Pipeline) {
		err := p.Query(t.Context(), func(tr *track.Tracker) {
			for connection, want := range map[string]bool{id: false, other: true} {
				if _, found := tr.Connection(source, connection); found != want {
					t.Errorf("connection %s is restored: %v, want %v", connection, found, want)
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
		p.Stop()
	})
}

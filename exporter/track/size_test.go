package track

import (
	"fmt"
	"runtime"
	"testing"

	"smithproxy_exporter/exporter/event"
)

// TestMemoryOfOpenConnections measures what an open connection costs: at most 700 bytes.
func TestMemoryOfOpenConnections(t *testing.T) {
	const open = 200_000
	config := DefaultConfig()
	config.Connections.MaxOpen, config.Connections.MaxOpenTotal = open, open
	tr := New(config, func(Fact) {})
	w := newMemoryStore()
	before := heapInUse()
	for i := range open {
		body := fmt.Sprintf(`{"action":"connection-start","details":{"info":{"session":"ssli_10.%d.%d.%d:%d+ssli_192.0.2.10:443"}},"id":"Proxy-1234ABCD-SID-%X","source":"sx-1","type":"proxy"}`,
			i>>16&255, i>>8&255, i&255, 1024+i%60000, i+1)
		ev, err := event.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		tr.Apply(ev, at(0), nil)
		if i%256 == 255 {
			tr.Changes(w)
			clear(w.records)
		}
	}
	tr.Changes(w)
	clear(w.records)
	each := (heapInUse() - before) / open
	t.Logf("%d bytes", each)
	if each > 700 {
		t.Errorf("an open connection costs %d bytes", each)
	}
	runtime.KeepAlive(tr)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

package collector

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

func TestDocument(t *testing.T) {
	is, err := os.ReadFile(filepath.Join("..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Document(is)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(is)); diff != "" {
		t.Errorf("docs/metrics.md is not what the code says; make docs writes it (-want +got):\n%s", diff)
	}
	if _, err := Document([]byte("no marks")); err == nil {
		t.Error("no error for a text without marks")
	}
}

// TestCatalogLabels holds the labels that are said of each metric against those that its series have.
func TestCatalogLabels(t *testing.T) {
	w := newWorld(t, 10)
	w.sink.UseLocator(atlas{})
	w.sink.Take(track.ProxyForgotten{Source: "edge-2", Asked: true})
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.send(event.ActionNeighbor, "", event.Neighbor{State: event.NeighborNew, Addresses: []string{"10.0.0.1"}})
	w.connection("Proxy-A1-OID-1", event.Stop{TLS: true, SNI: "example.com", App: "http2", Signatures: []string{"www/http2/start"}})
	w.sink.Take(track.ProxyStatus{Source: "edge-1"})
	families, err := w.Gather()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		shown[f.GetName()] = labels
	}
	for _, m := range w.sink.metrics {
		labels, ok := shown[m.name]
		if !ok {
			t.Errorf("%s is not shown", m.name)
		}
		if want := slices.Sorted(slices.Values(m.labels)); !slices.Equal(labels, want) {
			t.Errorf("%s has the labels %v, want %v", m.name, labels, want)
		}
	}
}

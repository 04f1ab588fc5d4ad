package collector

import (
	"compress/gzip"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// BenchmarkScrape is of 50 proxies that have all the series that they can have.
func BenchmarkScrape(b *testing.B) {
	sink := New(DefaultConfig(), time.Now)
	for i := range 50 {
		for j := range 110 {
			c := &track.Connection{
				Source: fmt.Sprintf("edge-%d", i), ID: fmt.Sprint(j), State: track.StateClosing, Cause: track.CauseStop,
				Stop: &event.Stop{Policy: &j, SNI: fmt.Sprintf("host-%d.example.com", j), App: fmt.Sprint("app-", j), Signatures: []string{fmt.Sprint("signature-", j)}},
			}
			sink.Take(track.Stopped{C: c})
			sink.Take(track.Ended{C: c})
			sink.Take(track.NeighborSeen{Source: c.Source, Address: fmt.Sprintf("10.0.0.%d", j)})
		}
	}
	write := func(b *testing.B, w io.Writer, format expfmt.FormatType) {
		families, err := sink.Gather()
		if err != nil {
			b.Fatal(err)
		}
		encoder := expfmt.NewEncoder(w, expfmt.NewFormat(format))
		for _, f := range families {
			if err := encoder.Encode(f); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("gather", func(b *testing.B) {
		for b.Loop() {
			if _, err := sink.Gather(); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, format := range map[string]expfmt.FormatType{
		"text": expfmt.TypeTextPlain, "OpenMetrics": expfmt.TypeOpenMetrics, "protobuf": expfmt.TypeProtoDelim,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				write(b, io.Discard, format)
			}
		})
		b.Run(name+" gzip", func(b *testing.B) {
			for b.Loop() {
				w := gzip.NewWriter(io.Discard)
				write(b, w, format)
				w.Close()
			}
		})
	}
}

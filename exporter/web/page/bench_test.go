package page_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkPages is what it costs to render each page.
func BenchmarkPages(b *testing.B) {
	d := busy()
	h := handler(d)
	for _, path := range []string{"/overview", "/connections", connectionPath(d), "/access", "/top", "/status", "/setup"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
			}
		})
	}
}

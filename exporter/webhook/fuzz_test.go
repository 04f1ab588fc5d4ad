package webhook_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
)

// newerMessages returns the bodies of the versions of 2026.
func newerMessages(t testing.TB) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "newer-messages.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var bodies [][]byte
	for line := range strings.Lines(string(text)) {
		var m struct{ Body string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, []byte(m.Body))
	}
	return bodies
}

// FuzzHandler checks what is promised of every answer, whatever was posted.
func FuzzHandler(f *testing.F) {
	files, err := capture.Files(filepath.Join("..", "testdata", "captures"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		requests, err := capture.Read(file)
		if err != nil {
			f.Fatal(err)
		}
		// The first ones of each show what it is about; the rest repeats it.
		for _, r := range requests[:min(len(requests), 12)] {
			f.Add(r.Body)
		}
	}
	for _, body := range newerMessages(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"action":"access-request","details":`))
	f.Add(append([]byte(`{"action":"access-request","x":"`), bytes.Repeat([]byte{'x'}, maxBody)...))
	f.Add(bytes.Repeat([]byte{' '}, maxBody+1))
	f.Fuzz(func(t *testing.T, body []byte) {
		h, _ := newHandler(&intake{})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
		checkAnswer(t, w, body)
	})
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, body []byte) {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("answered %q to %q: %v", w.Body, body, err)
	}
	response := answer["access-response"]
	if _, isAccess := event.PartialAccess(body[:min(len(body), maxBody)]); isAccess {
		if w.Code != http.StatusOK || response != "accept" && response != "reject" {
			t.Errorf("answered %d %s to the access-request %q", w.Code, w.Body, body)
		}
		return
	}
	switch w.Code {
	case http.StatusOK:
		if ev, err := event.Decode(body); err != nil || ev.Action == event.ActionAccess {
			t.Errorf("answered 200 %s to %q (%v)", w.Body, body, err)
		}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
	default:
		t.Errorf("answered %d to %q", w.Code, body)
	}
}

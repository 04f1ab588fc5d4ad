package event_test

import (
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
)

// captured returns the bodies of the captures by file.
func captured(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := capture.Files(filepath.Join("..", "testdata", "captures"))
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string][][]byte{}
	for _, file := range files {
		requests, err := capture.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			bodies[filepath.Base(file)] = append(bodies[filepath.Base(file)], r.Body)
		}
	}
	return bodies
}

func TestDecodeCaptures(t *testing.T) {
	for name, bodies := range captured(t) {
		t.Run(name, func(t *testing.T) {
			for _, body := range bodies {
				ev, err := event.Decode(body)
				if err != nil {
					t.Errorf("%s: %v", body, err)
				}
				if ev.Payload == nil {
					t.Errorf("%s: decodes to %s", body, ev.Action)
				}
				checkEvent(t, ev)
			}
		})
	}
}

// manySeeds is above the number of requests of the captures that show one thing each. The larger ones
// repeat themselves, and would only make each run of the fuzzer begin later.
const manySeeds = 400

func FuzzDecode(f *testing.F) {
	for _, bodies := range captured(f) {
		if len(bodies) > manySeeds {
			continue
		}
		for _, body := range bodies {
			f.Add(body)
		}
	}
	for _, m := range newerMessages(f) {
		f.Add([]byte(m.Body))
	}
	f.Add([]byte(`{"action":"reload","type":"switch","source":"s","id":5}`))
	f.Add([]byte(`{"action":"neighbor","address":"10.77.1.2","source":"s","state":"new"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		ev, err := event.Decode(body)
		if err != nil {
			sentinelOf(t, err)
			return
		}
		checkEvent(t, ev)
	})
}

// checkEvent checks what is promised of every event.
func checkEvent(t *testing.T, ev event.Event) {
	t.Helper()
	if ev.Source == "" || len(ev.Source) > event.MaxNameBytes {
		t.Errorf("source is %d bytes long", len(ev.Source))
	}
	if len(ev.ID) > event.MaxNameBytes {
		t.Errorf("id is %d bytes long", len(ev.ID))
	}
	for _, s := range texts(ev) {
		if !utf8.ValidString(s) {
			t.Errorf("%q is not UTF-8", s)
		}
	}
	switch p := ev.Payload.(type) {
	case nil:
		if ev.Action != event.ActionUnknown {
			t.Errorf("%s has no payload", ev.Action)
		}
	case event.Content:
		if p.Bytes < 0 {
			t.Errorf("content has %d bytes", p.Bytes)
		}
	case event.Info:
		if p.Statistics != nil {
			checkStatistics(t, *p.Statistics)
		}
	}
}

// The comparisons are written so that they do not hold for NaN.
func checkStatistics(t *testing.T, s event.Statistics) {
	t.Helper()
	for _, e := range []*event.Entropy{s.Up, s.Down} {
		if e != nil && !(e.Bits >= 0 && e.Bits <= 8 && e.Sampled > 0) {
			t.Errorf("entropy is %v over %d bytes", e.Bits, e.Sampled)
		}
	}
	if s.Skew != nil && !(*s.Skew >= -1 && *s.Skew <= 1) {
		t.Errorf("skew is %v", *s.Skew)
	}
}

// texts returns every string in an event, of fields that are yet to come too.
func texts(ev event.Event) []string {
	var found []string
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			found = append(found, v.String())
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		}
	}
	walk(reflect.ValueOf(ev))
	return found
}

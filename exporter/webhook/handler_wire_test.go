package webhook_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

func TestBodyThatEndsEarly(t *testing.T) {
	h, refused := newHandler(&intake{})
	s := serve(t, h)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
	if _, err := io.WriteString(conn, head+ping); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(raw, []byte("HTTP/1.1 400 ")) || !bytes.Contains(raw, []byte(`"reason":"body"`)) {
		t.Errorf("answered %s", raw)
	}
	refused.check(t, "body")
}

func TestSeveralSecrets(t *testing.T) {
	h, _ := newHandler(&intake{})
	h.Door = openDoor(webhook.Config{Secrets: []webhook.Secret{{Secret: "first"}, {Secret: "second"}, {Secret: "second"}}})
	s := serve(t, h)
	for _, tt := range []struct {
		secret string
		status int
	}{{"first", 200}, {"second", 200}, {"third", 404}, {"firstsecond", 404}, {"", 404}} {
		t.Run(tt.secret, func(t *testing.T) {
			r := request(t, http.MethodPost, s.URL+"/webhook/"+tt.secret, strings.NewReader(ping))
			if got := do(t, s.Client(), r); got.status != tt.status {
				t.Errorf("answered %d, want %d", got.status, tt.status)
			}
		})
	}
}

// blocked returns an intake that takes nothing until the test is over.
func blocked(t *testing.T) *intake {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return &intake{
		event:    func(event.Event) error { <-release; return nil },
		decision: func(track.Decision) (bool, error) { <-release; return true, nil },
	}
}

// serveTLS serves h as a listener with a certificate does.
func serveTLS(t *testing.T, h *webhook.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = webhook.NewServer(h).HTTP
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// An access-request is answered whatever the rest of the exporter does.
func TestAccessRequestIsAnsweredWhileIntakeBlocks(t *testing.T) {
	servers := map[string]func(*testing.T, *webhook.Handler) *httptest.Server{"HTTP/1.1": serve, "HTTP/2.0": serveTLS}
	for proto, start := range servers {
		t.Run(proto, func(t *testing.T) {
			h, refused := newHandler(nil)
			s := start(t, h)
			// After the server, so that it is released before the server waits for its requests.
			h.Intake = blocked(t)
			resp, err := s.Client().Do(request(t, http.MethodPost, s.URL+path, strings.NewReader(accessRequest)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			// As much as the answer says it has: the end of the stream is not what libcurl waits for.
			body := make([]byte, max(0, resp.ContentLength))
			if _, err := io.ReadFull(resp.Body, body); err != nil {
				t.Fatal(err)
			}
			if resp.Proto != proto || resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"reject"`)) {
				t.Errorf("answered %s %d %s", resp.Proto, resp.StatusCode, body)
			}
			refused.check(t)
		})
	}
}

func TestIntakeFails(t *testing.T) {
	stopped := errors.New("stopped")
	h, refused := newHandler(&intake{
		event:    func(event.Event) error { return stopped },
		decision: func(track.Decision) (bool, error) { return false, stopped },
	})
	s := serve(t, h)
	t.Run("event", func(t *testing.T) {
		checkRefusal(t, post(t, s, ping), http.StatusServiceUnavailable, "stopping")
		refused.check(t, "stopping")
	})
	t.Run("content", func(t *testing.T) {
		body := `{"action":"connection-content","details":{"info":{"session":"l","side":"L","content":"QQ=="}},"id":"i","source":"s"}`
		checkRefusal(t, post(t, s, body), http.StatusServiceUnavailable, "stopping")
		refused.check(t, "stopping")
	})
	t.Run("access-request", func(t *testing.T) {
		if got := post(t, s, accessRequest); got.status != http.StatusOK || !strings.Contains(got.body, `"reject"`) {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		refused.check(t, "stopping")
	})
}

func TestPanic(t *testing.T) {
	healthy := &intake{}
	h, refused := newHandler(&intake{
		event: func(ev event.Event) error {
			if ev.Action == event.ActionPing {
				panic("a defect")
			}
			_, err := healthy.Event(ev, time.Time{})
			return err
		},
		decision: func(track.Decision) (bool, error) { panic("a defect") },
	})
	s := serve(t, h)
	// As smithproxy does it: a connection for every event.
	s.Client().Transport.(*http.Transport).DisableKeepAlives = true
	goesOn := func(t *testing.T) {
		t.Helper()
		if got := post(t, s, `{"action":"neighbor","addresses":[],"source":"s"}`); got.status != http.StatusOK {
			t.Errorf("the next one is answered %d %s", got.status, got.body)
		}
		refused.check(t)
	}
	t.Run("before the answer", func(t *testing.T) {
		checkRefusal(t, post(t, s, ping), http.StatusInternalServerError, "panic")
		refused.check(t, "panic")
		goesOn(t)
	})
	t.Run("after the answer", func(t *testing.T) {
		if got := post(t, s, accessRequest); got.status != http.StatusOK || !strings.Contains(got.body, `"reject"`) {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		refused.check(t, "panic")
		goesOn(t)
	})
	// A second answer cannot be sent. The server would close the connection because of it, and the next
	// event of a reverse proxy that keeps it would be lost.
	t.Run("after the answer, which stays", func(t *testing.T) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(accessRequest)))
		if got := w.Body.String(); strings.Contains(got, "internal error") {
			t.Errorf("answered %d %s", w.Code, got)
		}
		refused.check(t, "panic")
	})
	t.Run("that asks to abort", func(t *testing.T) {
		h, refused := newHandler(&intake{event: func(event.Event) error { panic(http.ErrAbortHandler) }})
		s := serve(t, h)
		resp, err := s.Client().Do(request(t, http.MethodPost, s.URL+path, strings.NewReader(ping)))
		if err == nil {
			resp.Body.Close()
			t.Errorf("answered %d, want no answer", resp.StatusCode)
		}
		refused.check(t)
	})
}

// smithproxy's libcurl asks before it sends a body over 1 MiB, and waits a second when it gets no answer.
func TestExpectContinue(t *testing.T) {
	in := &intake{}
	h, _ := newHandler(in)
	h.MaxBody = 4 << 20
	s := serve(t, h)
	client := s.Client()
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Hour

	send := func(t *testing.T, payload int) (got answer, continued bool) {
		body := `{"action":"connection-content","details":{"info":{"session":"l","side":"R","content":"` +
			strings.Repeat("QUJD", payload/3) + `"}},"id":"i","source":"s"}`
		r := request(t, http.MethodPost, s.URL+path, strings.NewReader(body))
		r.Header.Set("Expect", "100-continue")
		trace := &httptrace.ClientTrace{Got100Continue: func() { continued = true }}
		got = do(t, client, r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		return got, continued
	}
	t.Run("taken", func(t *testing.T) {
		const payload = 3 << 19 // 2 MiB of base64
		got, continued := send(t, payload)
		if got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"action":"none"}` || !continued {
			t.Errorf("answered %d %s, continued %v", got.status, got.body, continued)
		}
		want := event.Content{Side: "R", Bytes: payload}
		if len(in.events) != 1 || in.events[0].Payload != want {
			t.Errorf("the intake has %+v, want one with %+v", in.events, want)
		}
	})
	t.Run("too large", func(t *testing.T) {
		got, continued := send(t, 3<<20)
		checkRefusal(t, got, http.StatusRequestEntityTooLarge, "size")
		if continued {
			t.Error("the body was asked for")
		}
	})
}

func TestHTTP2(t *testing.T) {
	h, refused := newHandler(&intake{})
	s := serveTLS(t, h)
	for body, want := range map[string]string{ping: `{}`, accessRequest: `{"access-response":"reject","rule":"rule 1","decision":"0af7"}`} {
		resp, err := s.Client().Do(request(t, http.MethodPost, s.URL+path, strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK || strings.TrimSpace(string(got)) != want {
			t.Errorf("answered %s %d %s, %v, want %s", resp.Proto, resp.StatusCode, got, err, want)
		}
	}
	checkRefusal(t, post(t, s, "{"), http.StatusBadRequest, "syntax")
	refused.check(t, "syntax")
	large := request(t, http.MethodPost, s.URL+path, struct{ io.Reader }{bytes.NewReader(make([]byte, maxBody+1))})
	checkRefusal(t, do(t, s.Client(), large), http.StatusRequestEntityTooLarge, "size")
	refused.check(t, "size")
}

// A client that goes away in the handshake, or before its body, must not harm the others.
func TestClientThatGoesAway(t *testing.T) {
	h, refused := newHandler(&intake{})
	s := serveTLS(t, h)
	dialer := &tls.Dialer{Config: s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
	dialer.Config.NextProtos = nil
	conn, err := dialer.DialContext(context.Background(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	refused.check(t, "body")
	plain, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	plain.Close()
	if got := post(t, s, ping); got.status != http.StatusOK {
		t.Errorf("the next one is answered %d %s", got.status, got.body)
	}
	refused.check(t)
}

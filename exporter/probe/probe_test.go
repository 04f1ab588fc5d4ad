package probe

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering returns a server with one response, and the body of the request that it got.
func answering(t *testing.T, start func(http.Handler) *httptest.Server, status int, body string) (url string, got *string) {
	t.Helper()
	got = new(string)
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*got = r.Method + " " + r.URL.Path + " " + string(raw)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestWebhook(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"accepted":         {http.StatusBadRequest, `{"error":"…","reason":"missing"}`, nil},
		"wrong secret":     {http.StatusNotFound, `{"error":"…","reason":"secret"}`, ErrSecret},
		"address":          {http.StatusForbidden, `{"error":"…","reason":"address"}`, ErrAddress},
		"another server":   {http.StatusNotFound, "404 page not found", ErrForeign},
		"another JSON API": {http.StatusOK, `{"status":"success"}`, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			url, got := answering(t, httptest.NewServer, tt.status, tt.body)
			if _, err := Webhook(t.Context(), url+"/webhook/s"); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("the error is %v, want %v", err, tt.want)
			}
			if want := "POST /webhook/s {}"; *got != want {
				t.Errorf("the request is %q, want %q", *got, want)
			}
		})
	}
	t.Run("another reason", func(t *testing.T) {
		url, _ := answering(t, httptest.NewServer, http.StatusForbidden, `{"reason":"certificate"}`)
		if _, err := Webhook(t.Context(), url); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("the error is %v", err)
		}
	})
}

// TestTLS: the certificate of the test server is for example.com, and unknown.
func TestTLS(t *testing.T) {
	url, _ := answering(t, httptest.NewTLSServer, http.StatusBadRequest, `{"reason":"missing"}`)
	certificate, err := Webhook(t.Context(), url+"/webhook/s")
	if err != nil || certificate == nil || time.Until(certificate.NotAfter) < time.Hour {
		t.Errorf("the certificate is %v, %v", certificate, err)
	}
}

func TestErrorsDoNotTellTheSecret(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if _, err := Webhook(t.Context(), server.URL+"/webhook/s3cret"); err != ErrNoListener {
		t.Errorf("the error is %v, want %v", err, ErrNoListener)
	}
	if _, err := Webhook(t.Context(), "http://no-such-host.invalid/webhook/s3cret"); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error is %v", err)
	}
}

func TestHealthy(t *testing.T) {
	for status, healthy := range map[int]bool{
		http.StatusOK: true, http.StatusUnauthorized: true, http.StatusServiceUnavailable: false, http.StatusNotFound: false,
	} {
		url, _ := answering(t, httptest.NewServer, status, "text")
		if err := Healthy(t.Context(), url); (err == nil) != healthy {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestLocal(t *testing.T) {
	for listen, want := range map[string]string{
		":5000": "http://127.0.0.1:5000", "0.0.0.0:5000": "http://127.0.0.1:5000", "[::]:5000": "http://[::1]:5000",
		"10.0.0.5:80": "http://10.0.0.5:80", "exporter:80": "http://exporter:80",
	} {
		if got := Local(false, listen); got != want {
			t.Errorf("Local(false, %q) = %s, want %s", listen, got, want)
		}
	}
	if got, want := Local(true, ":5000"), "https://127.0.0.1:5000"; got != want {
		t.Errorf("Local(true, :5000) = %s, want %s", got, want)
	}
}

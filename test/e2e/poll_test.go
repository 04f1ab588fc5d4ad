//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

var client = &http.Client{Timeout: 10 * time.Second}

// eventually calls attempt until it succeeds, or fails the test with its last error when the time is
// over or one of the processes has ended.
func eventually(t *testing.T, within time.Duration, what string, attempt func() error, needs ...*process) {
	t.Helper()
	began := time.Now()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := attempt()
		if err == nil {
			t.Logf("%s: after %v", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		for _, p := range needs {
			select {
			case <-p.exited:
				t.Fatalf("%s: %s ended: %v", what, p.name, err)
			default:
			}
		}
		if time.Since(began) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		<-retry.C
	}
}

// fetch fetches a URL that has to answer 200.
func fetch(url string) ([]byte, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.500s", url, response.Status, body)
	}
	return body, nil
}

// get fetches a URL; reply is where its JSON goes, nil for nowhere.
func get(url string, reply any) error {
	body, err := fetch(url)
	if err != nil {
		return err
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(body, reply); err != nil {
		return fmt.Errorf("GET %s: %w: %.200s", url, err, body)
	}
	return nil
}

// answers is an attempt that succeeds when a URL does.
func answers(url string) func() error { return func() error { return get(url, nil) } }

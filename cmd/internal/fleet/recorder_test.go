package fleet

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
)

// recorder is a receiver without a network. It remembers the bodies of what it
// answered.
type recorder struct {
	answer func(received) (answer, error)

	mu       sync.Mutex
	requests []received
}

var acknowledged = answer{status: 200, body: []byte("{}")}

func (r *recorder) exchange(ctx context.Context, req request) (answer, error) {
	var m received
	if err := json.Unmarshal(req.body, &m); err != nil {
		return answer{}, err
	}
	m.body = string(req.body)
	r.mu.Lock()
	r.requests = append(r.requests, m)
	r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	if r.answer == nil {
		return acknowledged, nil
	}
	return r.answer(m)
}

// take returns the actions of what came since the last call.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var actions []string
	for _, m := range r.requests {
		actions = append(actions, string(m.Action))
	}
	r.requests = nil
	return actions
}

// generationConfig is a configuration for a proxy that newRecordedProxy makes.
func generationConfig(g Generation) Config {
	cfg := quick("http://192.0.2.1")
	cfg.Generation = g
	cfg.Threads = 1 // nothing overtakes by chance
	return cfg
}

// newRecordedProxy is a proxy that sends to a recorder.
func newRecordedProxy(t *testing.T, cfg Config, answer func(received) (answer, error)) (*proxy, *recorder) {
	t.Helper()
	p := newTestProxy(t, cfg)
	r := &recorder{answer: answer}
	p.exchange = r.exchange
	return p, r
}

// answerAccess answers access-requests as given and acknowledges all else.
func answerAccess(status int, body string, err error) func(received) (answer, error) {
	return func(m received) (answer, error) {
		if m.Action == ActionAccess {
			return answer{status: status, body: []byte(body)}, err
		}
		return acknowledged, nil
	}
}

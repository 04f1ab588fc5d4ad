package pipeline

import "context"

// forget is a call of Forget.
type forget struct {
	source string
	done   chan error // has a buffer of one
}

// Forget removes a proxy with all that is known of it, and returns when that is committed. Its open connections are closed
// as evicted. It returns track.ErrUnknownProxy, track.ErrProxySpoke if the proxy sends an event meanwhile, ErrStopped, or
// the error of ctx, after which the proxy may still be forgotten.
func (p *Pipeline) Forget(ctx context.Context, source string) error {
	f := &forget{source: source, done: make(chan error, 1)}
	if err := p.take(ctx, item{forget: f}); err != nil {
		return err
	}
	select {
	case err := <-f.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginForget begins to forget a proxy.
func (p *Pipeline) beginForget(f *forget) {
	if err := p.tracker.Forget(f.source); err != nil {
		f.done <- err
		return
	}
	p.forgets = append(p.forgets, f)
}

// endForgets answers the calls whose proxies are gone, after a commit.
func (p *Pipeline) endForgets() {
	waiting := p.forgets[:0]
	for _, f := range p.forgets {
		if done, err := p.tracker.Forgotten(f.source); done {
			f.done <- err
		} else {
			waiting = append(waiting, f)
		}
	}
	clear(p.forgets[len(waiting):])
	p.forgets = waiting
}

// stopForgets answers the calls that wait at the end.
func (p *Pipeline) stopForgets() {
	for _, f := range p.forgets {
		f.done <- ErrStopped
	}
	p.forgets = nil
}

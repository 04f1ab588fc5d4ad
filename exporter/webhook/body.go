package webhook

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"smithproxy_exporter/exporter/event"
)

const (
	// firstBody is what most bodies fit into, and smallBody what a body may have without memory being asked for.
	// Access-requests are smaller.
	firstBody, smallBody = 2 << 10, 16 << 10
	// largeGrowth is by how much a large body grows at a time.
	largeGrowth = 4
	// recognisableBytes is how much is read of a body that is known to be too large. The action comes first in
	// what smithproxy sends.
	recognisableBytes = 4 << 10
)

// body is what has been received of a request.
type body struct {
	data  []byte
	claim claim
	// deadline is when a large body must be there, and waited how long it has waited for memory.
	deadline time.Time
	waited   time.Duration
}

// bodies are those for small bodies. Large ones are not kept: only connection-content is large, and its payload
// shall not stay in memory.
var bodies = sync.Pool{New: func() any { return &body{data: make([]byte, 0, firstBody)} }}

// release ends the use of a body.
func (b *body) release(m *memory) {
	if b.claim.held > 0 || b.claim.finishes {
		m.give(&b.claim)
	}
	if cap(b.data) > smallBody {
		return
	}
	clear(b.data)
	b.data = b.data[:0]
	bodies.Put(b)
}

// read reads the whole body, or answers and returns false. Of a body that is too large it reads no more
// than is needed to recognise an access-request.
func (x *exchange) read() bool {
	r := x.r
	limit := x.MaxBody
	tooLarge := r.ContentLength > limit
	if tooLarge {
		// With Expect: 100-continue, reading would ask the client for the body.
		if r.Header.Get("Expect") != "" {
			x.failSize()
			return false
		}
		limit = min(limit, recognisableBytes)
	}
	size := limit
	if r.ContentLength >= 0 && !tooLarge {
		size = r.ContentLength
	}
	err := x.fill(http.MaxBytesReader(x.w, r.Body, limit), size+1) // one more, to see the end
	var overLimit *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.Is(err, errBusy):
		x.closeAfter()
		x.fail(http.StatusServiceUnavailable, refusedMemory, "too many large bodies at once")
	case tooLarge || errors.As(err, &overLimit):
		x.failSize()
	default:
		x.fail(http.StatusBadRequest, refusedBody, "body could not be read")
	}
	return false
}

// fill reads to the end, which comes before size bytes.
func (x *exchange) fill(r io.Reader, size int64) error {
	b := x.body
	for {
		if len(b.data) == cap(b.data) {
			if err := x.grow(size); err != nil {
				return err
			}
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow makes room for more of a body of a size. Over smallBody it asks for memory, and sets the deadline of large
// bodies.
func (x *exchange) grow(size int64) error {
	b := x.body
	next := int64(smallBody)
	if now := int64(cap(b.data)); now >= smallBody {
		next = max(min(largeGrowth*now, size), now+1)
		if err := x.claim(next); err != nil {
			return err
		}
	}
	grown := make([]byte, len(b.data), next)
	copy(grown, b.data)
	b.data = grown
	return nil
}

// claim takes memory for a body of which so many bytes are held.
func (x *exchange) claim(total int64) error {
	b := x.body
	if b.deadline.IsZero() {
		b.deadline = time.Now().Add(x.Limits.LargeBodyTimeout)
		x.setReadDeadline(b.deadline)
	}
	err := x.memory.take(&b.claim, total-b.claim.held, 0)
	if err == nil || x.isAccess() {
		return err
	}
	began := time.Now()
	err = x.memory.take(&b.claim, total-b.claim.held, x.Limits.LargeBodyTimeout-b.waited)
	waited := time.Since(began)
	b.waited += waited
	b.deadline = b.deadline.Add(waited)
	x.setReadDeadline(b.deadline)
	return err
}

func (x *exchange) setReadDeadline(at time.Time) {
	// It fails for a recorder of a test, which never waits.
	_ = http.NewResponseController(x.w).SetReadDeadline(at)
}

// isAccess reports whether what has been received is of an access-request, which never waits.
func (x *exchange) isAccess() bool {
	_, ok := event.PartialAccess(x.body.data)
	return ok
}

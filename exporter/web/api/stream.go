package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/track"
)

// The stream /api/v1/stream sends server-sent events for the connections that match a search: the parameter q and its
// shorthands, as for /api/v1/connections without limit and cursor. The events of half a second are sent together; of a
// connection that changed several times, only the last state.
//
//	event: new       data: a Connection that has become known
//	event: changed   data: a Connection that has changed
//	event: finished  data: a Connection that is finished
//	event: missed    data: Missed
//
// A connection that begins to match later comes as changed or finished first. A comment is sent every 15 s without
// events. After "missed" a page reads the list again.

// Missed is the data of the event "missed": the client was too slow, or too much happened.
type Missed struct {
	// Count is how many changes were not sent.
	Count uint64 `json:"missed"`
}

const (
	// streamInterval is for how long changes are collected.
	streamInterval = 500 * time.Millisecond
	// maxStreams bounds the clients.
	maxStreams = 32
	// maxChanged bounds the connections that are collected, maxSent those of them that a client gets.
	maxChanged, maxSent = 2000, 200
	// streamQueue is how many intervals a slow client may be behind.
	streamQueue = 8
	// heartbeat is the interval of comments, streamWrite how long a client may take to read.
	heartbeat, streamWrite = 15 * time.Second, 10 * time.Second
)

// errStreams says that there are too many clients.
var errStreams = fmt.Errorf("too many streams: %d are open", maxStreams)

// changeKind is the last thing that happened to a connection; a later kind replaces an earlier one.
type changeKind uint8

const (
	isChanged changeKind = iota
	isNew
	isFinished
)

var changeNames = [...]string{isChanged: "changed", isNew: "new", isFinished: "finished"}

// hub is the sink that collects changes, and sends them to clients. While there are no clients, a fact costs it one load.
type hub struct {
	state Querier
	now   func() time.Time
	count atomic.Int32 // of clients

	mu      sync.Mutex
	changed map[*track.Connection]changeKind
	missed  uint64
	clients map[*client]struct{}
	// joined wakes run when the first client comes.
	joined chan struct{}
	// stopped is closed when run returns: it ends all streams.
	stopped chan struct{}
}

// client is one stream.
type client struct {
	query search.Query
	out   chan batch
	// missed counts changes that were not queued. It belongs to run.
	missed uint64
}

// batch is what a client gets at a time.
type batch struct {
	items  []change
	missed uint64
}

// change is a changed connection.
type change struct {
	kind   changeKind
	record history.Record
}

func newHub(state Querier, now func() time.Time) *hub {
	return &hub{
		state: state, now: now, changed: map[*track.Connection]changeKind{}, clients: map[*client]struct{}{}, joined: make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
}

// Take notes which connection a fact is about.
func (h *hub) Take(f track.Fact) {
	if h.count.Load() == 0 {
		return
	}
	switch f := f.(type) {
	case track.Started:
		h.note(f.C, isNew)
	case track.Adopted:
		h.note(f.C, isNew)
	case track.Stopped:
		h.note(f.C, isChanged)
	case track.Profiled:
		h.note(f.C, isChanged)
	case track.Ended:
		h.note(f.C, isChanged)
	case track.Finished:
		h.note(f.C, isFinished)
	}
}

func (h *hub) note(c *track.Connection, kind changeKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, known := h.changed[c]
	switch {
	case known:
		h.changed[c] = max(before, kind)
	case len(h.changed) < maxChanged:
		h.changed[c] = kind
	default:
		h.missed++
	}
}

// join adds a client.
func (h *hub) join(q search.Query) (*client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) >= maxStreams {
		return nil, errStreams
	}
	c := &client{query: q, out: make(chan batch, streamQueue)}
	h.clients[c] = struct{}{}
	h.count.Store(int32(len(h.clients)))
	select {
	case h.joined <- struct{}{}:
	default:
	}
	return c, nil
}

func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	h.count.Store(int32(len(h.clients)))
	if len(h.clients) == 0 {
		clear(h.changed)
	}
}

// run sends what has changed, until ctx is done.
func (h *hub) run(ctx context.Context) {
	defer close(h.stopped)
	ticker := time.NewTicker(streamInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if h.count.Load() == 0 {
			// Without clients nothing wakes the process.
			ticker.Stop()
			select {
			case <-ctx.Done():
				return
			case <-h.joined:
			}
			ticker.Reset(streamInterval)
			continue
		}
		h.send(ctx)
	}
}

// send sends the changes of an interval.
func (h *hub) send(ctx context.Context) {
	h.mu.Lock()
	changed, missed := h.changed, h.missed
	clients := make([]*client, 0, len(h.clients))
	for c := range h.clients {
		clients = append(clients, c)
	}
	if len(changed) > 0 {
		h.changed = make(map[*track.Connection]changeKind, len(changed))
	}
	h.missed = 0
	h.mu.Unlock()
	if len(changed) == 0 && missed == 0 {
		return
	}
	records, err := h.read(ctx, changed)
	if err != nil {
		missed += uint64(len(changed))
	}
	now := h.now().UnixNano()
	for _, c := range clients {
		c.send(records, missed, now)
		runtime.Gosched()
	}
}

// read copies the changed connections, the open ones in short queries of the pipeline.
func (h *hub) read(ctx context.Context, changed map[*track.Connection]changeKind) ([]change, error) {
	all := make([]change, 0, len(changed))
	var open []*track.Connection
	for c, kind := range changed {
		if kind == isFinished { // the tracker does not use it any more
			all = append(all, change{kind, history.Of(c)})
		} else {
			open = append(open, c)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for len(open) > 0 {
		step := open[:min(len(open), stepConnections)]
		open = open[len(step):]
		copies := make([]track.Connection, 0, len(step))
		if err := h.state.Query(ctx, func(*track.Tracker) {
			for _, c := range step {
				// One that has finished meanwhile is among the next changes.
				if c.State != track.StateClosed {
					copies = append(copies, c.Copy())
				} else {
					copies = append(copies, track.Connection{})
				}
			}
		}); err != nil {
			return nil, err
		}
		for i := range copies {
			if copies[i].State != 0 {
				all = append(all, change{changed[step[i]], history.Of(&copies[i])})
			}
		}
	}
	return all, nil
}

// send queues what matches. It never waits.
func (c *client) send(all []change, missed uint64, now int64) {
	b := batch{missed: c.missed + missed}
	needs := c.query.Needs()
	var s search.Subject
	for i := range all {
		all[i].record.SetSubject(&s, needs)
		switch {
		case !c.query.Match(&s, now):
		case len(b.items) < maxSent:
			b.items = append(b.items, all[i])
		default:
			b.missed++
		}
	}
	if len(b.items) == 0 && b.missed == 0 {
		return
	}
	select {
	case c.out <- b:
		c.missed = 0
	default:
		c.missed = b.missed + uint64(len(b.items))
	}
}

func (a *API) getStream(w http.ResponseWriter, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, &InputError{"query string", -1, err})
		return
	}
	for _, name := range []string{"limit", "cursor", "format"} {
		if values.Has(name) {
			writeError(w, &InputError{name, -1, errUnknown})
			return
		}
	}
	q, err := ParseConnectionQuery(values)
	if err != nil {
		writeError(w, err)
		return
	}
	c, err := a.stream.join(q.query)
	if err != nil {
		writeError(w, err)
		return
	}
	defer a.stream.leave(c)
	s := stream{w: w, control: http.NewResponseController(w), traceURL: a.TraceURL}
	if err := s.begin(); err == nil {
		s.copy(r.Context(), c.out, a.stream.stopped)
	}
}

// stream is a response of server-sent events.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	traceURL string
}

func (s *stream) begin() error {
	// Only writers of tests have no deadlines. The deadline for the request would end the stream.
	_ = s.control.SetReadDeadline(time.Time{})
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
	return s.write([]byte("retry: 3000\n\n"))
}

// copy sends batches until the client is gone or the exporter stops.
func (s *stream) copy(ctx context.Context, batches <-chan batch, stopped <-chan struct{}) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		var text []byte
		select {
		case <-ctx.Done():
			return
		case <-stopped:
			return
		case <-ticker.C:
			text = []byte(": alive\n\n")
		case b := <-batches:
			ticker.Reset(heartbeat)
			text = s.encode(b)
		}
		if s.write(text) != nil {
			return
		}
	}
}

func (s *stream) encode(b batch) (text []byte) {
	for i := range b.items {
		if i%yieldItems == 0 {
			runtime.Gosched()
		}
		text = appendEvent(text, changeNames[b.items[i].kind], show(&b.items[i].record, s.traceURL))
	}
	if b.missed > 0 {
		text = appendEvent(text, "missed", Missed{b.missed})
	}
	return text
}

func appendEvent(text []byte, name string, data any) []byte {
	encoded, err := json.Marshal(data) // without line breaks
	if err != nil {
		return text
	}
	return fmt.Appendf(text, "event: %s\ndata: %s\n\n", name, encoded)
}

func (s *stream) write(text []byte) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

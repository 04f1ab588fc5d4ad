package api

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/track"
)

const (
	// stepConnections is how many open connections one query of the pipeline looks at, which takes it 0.05 to 0.2 ms. The
	// pipeline handles events between queries, for at least as long.
	stepConnections = 400
	maxPause        = time.Millisecond
	// searchBudget is for how long a call searches; a cursor continues.
	searchBudget = 200 * time.Millisecond
	// historyTimeout is for the history: for other searches in it, and for the disk.
	historyTimeout = time.Second
	// maxPageBytes ends a page early: a connection can have 128 KiB of requests and signatures.
	maxPageBytes = 1 << 20
	// yieldEntries is after how many entries of the history, less than a microsecond each, a search yields to other
	// goroutines. With few processors, events would otherwise wait for it.
	yieldEntries = 32
)

// found is a connection of a page, and the position behind it.
type found struct {
	record history.Record
	at     position
}

// results are the connections of a page.
type results struct {
	limit    int
	items    []found
	bytes    int
	next     position
	more     bool
	searched time.Time
	// now is the time to which relative times refer, in Unix ns.
	now int64
	// incomplete says why finished connections are missing.
	incomplete error
}

// full reports whether there is no room for another connection.
func (r *results) full() bool { return len(r.items) >= r.limit }

// add adds a connection, and reports whether there was room.
func (r *results) add(record history.Record, at position) bool {
	size := sizeOf(&record)
	if r.full() || len(r.items) > 0 && r.bytes+size > maxPageBytes {
		return false
	}
	r.bytes += size
	r.items = append(r.items, found{record, at})
	return true
}

// sizeOf is about how many bytes a connection has in JSON.
func sizeOf(r *history.Record) int {
	size := 600 + len(r.Label) + len(r.SNI)
	for _, list := range [][]string{r.Requests, r.Signatures, r.JA4H} {
		for _, text := range list {
			size += len(text) + 16
		}
	}
	return size
}

// Connections returns a page of the connections that match. It returns after some 200 ms at the latest, with what it has
// found until then, unless it has to wait for other calls.
func (a *API) Connections(ctx context.Context, q ConnectionQuery) (ConnectionPage, error) {
	if q.limit == 0 {
		q.limit = defaultLimit
	}
	return limited(ctx, a, func(ctx context.Context) (ConnectionPage, error) {
		r, err := a.search(ctx, q)
		if err != nil {
			return ConnectionPage{}, err
		}
		page := ConnectionPage{Connections: make([]Connection, 0, len(r.items))}
		for i := range r.items {
			page.Connections = append(page.Connections, a.show(&r.items[i].record))
		}
		if r.more {
			page.Cursor, page.SearchedTo = r.next.encode(), r.searched
		}
		if r.incomplete != nil {
			page.Incomplete = r.incomplete.Error()
		}
		return page, nil
	})
}

// search finds the connections of a page.
func (a *API) search(ctx context.Context, q ConnectionQuery) (results, error) {
	began := time.Now()
	r := results{limit: q.limit, next: q.at, now: a.Now().UnixNano()}
	if q.at.before == 0 {
		r.next.before = math.MaxUint64
		if q.query.MayBe(search.Open) || q.query.MayBe(search.Unknown) || q.query.MayBe(search.Closing) {
			r.next = q.at
			if err := a.searchLive(ctx, q.query, &r, began); err != nil || r.next.before == 0 {
				return r, err
			}
		}
	}
	if !q.query.MayBe(search.Finished) {
		r.more = false
		return r, nil
	}
	if time.Since(began) >= searchBudget {
		r.more = true
		return r, nil
	}
	return a.searchFinished(ctx, q.query, r, began)
}

// searchLive reads connections from the tracker, in short queries. When it is through, it sets r.next.before.
func (a *API) searchLive(ctx context.Context, q search.Query, r *results, began time.Time) error {
	needs, source := q.Needs(), q.Source()
	// Allocate here, and not while events wait.
	copies, subject := make([]track.Connection, 0, min(r.limit, stepConnections)), new(search.Subject)
	for {
		room := min(r.limit-len(r.items), stepConnections)
		copies = copies[:0]
		full := false
		var took time.Duration
		var next uint64
		var more bool
		if !acquire(ctx, a.live) {
			return ErrBusy
		}
		err := a.State.Query(ctx, func(t *track.Tracker) {
			start := time.Now()
			next, more = t.Scan(r.next.live, source, stepConnections, func(c *track.Connection) bool {
				subject.SetConnection(c, needs)
				if !q.Match(subject, r.now) {
					return true
				}
				if full = len(copies) == room; !full {
					copies = append(copies, c.Copy())
				}
				return !full
			})
			took = time.Since(start)
		})
		if more && err == nil {
			time.Sleep(min(took, maxPause))
		}
		<-a.live
		if err != nil {
			return err
		}
		for i := range copies {
			if !r.add(history.Of(&copies[i]), position{live: copies[i].Serial()}) {
				full = true
				break
			}
		}
		switch {
		case full && len(r.items) > 0:
			r.next, r.more = r.items[len(r.items)-1].at, true
			return nil
		case !more:
			r.next = position{before: math.MaxUint64}
			return a.committed(ctx)
		}
		r.next.live = next
		if r.full() || time.Since(began) >= searchBudget {
			r.more = true
			return nil
		}
	}
}

// committed waits until the history has everything that finished before the last query: an entry is committed with the
// batch of events that it is from, and the next query is in another batch.
func (a *API) committed(ctx context.Context) error {
	return a.State.Query(ctx, func(*track.Tracker) {})
}

// searchFinished reads connections from the history. It does not wait for a disk that does not answer: the page then has
// what was found before.
func (a *API) searchFinished(ctx context.Context, q search.Query, r results, began time.Time) (results, error) {
	without := r
	without.more, without.incomplete = false, ErrNoHistory
	with, err := fromHistory(ctx, a, func(ctx context.Context) (results, error) {
		err := a.scanHistory(ctx, q, &r, began)
		return r, err
	})
	if errors.Is(err, ErrNoHistory) {
		return without, nil
	}
	return with, err
}

// fromHistory runs read, which may hang with the disk, one call at a time. It returns ErrNoHistory if that takes longer
// than historyTimeout; read goes on then until the disk answers.
func fromHistory[T any](ctx context.Context, a *API, read func(context.Context) (T, error)) (result T, err error) {
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if !acquire(ctx, a.finished) {
		return result, ErrNoHistory
	}
	type outcome struct {
		result T
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-a.finished }()
		result, err := read(ctx)
		done <- outcome{result, err}
	}()
	select {
	case o := <-done:
		return o.result, o.err
	case <-ctx.Done():
		return result, ErrNoHistory
	}
}

func (a *API) scanHistory(ctx context.Context, q search.Query, r *results, began time.Time) error {
	needs := q.Needs()
	since, bounded := q.Since(r.now)
	budget, subject, looked := time.Now().Add(max(searchBudget-time.Since(began), searchBudget/10)), new(search.Subject), 0
	r.more = false
	return a.History.History(r.next.before, func(number uint64, stored time.Time, entry []byte) bool {
		if bounded && stored.UnixNano() < since-int64(time.Millisecond) {
			return false
		}
		if looked++; looked%yieldEntries == 0 {
			runtime.Gosched()
			if time.Now().After(budget) || ctx.Err() != nil {
				r.more = true
				return false
			}
		}
		if !history.IsLate(entry) && a.Reader.Subject(entry, needs, subject) && q.Match(subject, r.now) {
			if record, err := a.Reader.Record(entry); err == nil && !r.add(record, position{before: number}) {
				r.more = true
				return false
			}
		}
		r.next, r.searched = position{before: number}, stored
		return true
	})
}

// Connection returns a connection by its Name.
func (a *API) Connection(ctx context.Context, source, name string) (ConnectionDetail, error) {
	return limited(ctx, a, func(ctx context.Context) (ConnectionDetail, error) {
		var copied *track.Connection
		err := a.State.Query(ctx, func(t *track.Tracker) {
			if c, ok := t.Connection(source, name); ok {
				live := c.Copy()
				copied = &live
			}
		})
		if err != nil {
			return ConnectionDetail{}, err
		}
		if copied != nil {
			r := history.Of(copied)
			return ConnectionDetail{a.show(&r), timelineOf(&r, nil)}, nil
		}
		return a.finishedConnection(ctx, source, name)
	})
}

func (a *API) finishedConnection(ctx context.Context, source, name string) (ConnectionDetail, error) {
	if err := a.committed(ctx); err != nil {
		return ConnectionDetail{}, err
	}
	records, err := fromHistory(ctx, a, func(context.Context) (records []history.Record, err error) {
		err = a.History.HistoryOf(source, name, func(entry []byte) {
			if r, err := a.Reader.Record(entry); err == nil && r.Source == source && r.Name() == name {
				records = append(records, r)
			}
		})
		return records, err
	})
	if err != nil {
		return ConnectionDetail{}, err
	}
	return a.detail(records)
}

// detail merges the entries of a connection, the newest first.
func (a *API) detail(records []history.Record) (ConnectionDetail, error) {
	var late []history.Record
	for i := range records {
		if records[i].Late {
			late = append(late, records[i])
			continue
		}
		whole := records[i]
		timeline := timelineOf(&whole, late)
		for j := range late {
			whole.Merge(&late[j])
		}
		return ConnectionDetail{a.show(&whole), timeline}, nil
	}
	return ConnectionDetail{}, ErrNotFound
}

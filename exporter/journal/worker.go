package journal

import "time"

// worker does the disk work of one log or queue, in a goroutine of its own, so that a disk that hangs
// hangs only that. Whoever has the turn may give it a task, and owns what tasks work on whenever the
// worker is idle.
type worker struct {
	limit time.Duration
	// turn is full while someone has it. It is a channel and not a mutex so that a synctest bubble
	// sees who waits for it.
	turn chan struct{}

	// The rest belongs to who has the turn.
	timer *time.Timer
	// late means that the task of a caller who has gone is still being done.
	late   bool
	closed bool

	tasks   chan func() error
	results chan error
	ended   chan struct{}
}

func newWorker(limit time.Duration) *worker {
	if limit <= 0 {
		limit = DefaultStallLimit
	}
	w := &worker{
		limit: limit, turn: make(chan struct{}, 1), timer: time.NewTimer(limit),
		// There is room for what is late and for the last task: neither side ever waits to send.
		tasks: make(chan func() error, 1), results: make(chan error, 2), ended: make(chan struct{}),
	}
	w.timer.Stop()
	go w.work()
	return w
}

func (w *worker) work() {
	defer close(w.ended)
	for task := range w.tasks {
		w.results <- task()
	}
}

// take waits for the turn. It fails, without the turn, with ErrClosed, and with ErrStalled while the
// worker is still at something that it was given up for.
func (w *worker) take() error {
	w.turn <- struct{}{}
	err := w.idle()
	if err != nil {
		w.give()
	}
	return err
}

// give gives the turn back.
func (w *worker) give() { <-w.turn }

func (w *worker) idle() error {
	if w.closed {
		return ErrClosed
	}
	if w.late {
		select {
		case <-w.results:
			w.late = false
		default:
			return ErrStalled
		}
	}
	return nil
}

// run has a task done, for which the caller must have the turn. It fails with the error of the task, or
// with ErrStalled: then whatever the task works on is the worker's until take succeeds again.
func (w *worker) run(task func() error) error {
	w.tasks <- task
	w.timer.Reset(w.limit)
	select {
	case err := <-w.results:
		w.timer.Stop()
		return err
	case <-w.timer.C:
		w.late = true
		return ErrStalled
	}
}

// close has a last task done, after whatever is late, and ends the worker. It needs no turn.
func (w *worker) close(last func() error) error {
	w.turn <- struct{}{}
	defer w.give()
	if w.closed {
		return ErrClosed
	}
	late := w.late
	w.closed = true
	w.tasks <- last
	close(w.tasks)
	w.timer.Reset(w.limit)
	defer w.timer.Stop()
	select {
	case <-w.ended:
	case <-w.timer.C:
		return ErrStalled
	}
	if late {
		<-w.results
	}
	return <-w.results
}

package access

import "time"

const (
	// stride is the number of entries between two readings of the clock: some 50 µs of work.
	stride = 64
	// workSlice is the least time of work between two pauses.
	workSlice = 500 * time.Microsecond
	// maxPause bounds a pause. If other goroutines delay the work, a pause in proportion would be too long. It is twice
	// the pause after a workSlice with a share of 0.2.
	maxPause = 4 * time.Millisecond
)

// pacer limits work to a share of one processor. The worker calls pause often. It is not safe for concurrent use.
type pacer struct {
	// share is greater than 0 and at most 1; 1 is work without pauses.
	share float64
	began time.Time
}

func newPacer(share float64) *pacer { return &pacer{share: share, began: time.Now()} }

func (p *pacer) pause() {
	if p.share >= 1 {
		return
	}
	worked := time.Since(p.began)
	if worked < workSlice {
		return
	}
	time.Sleep(min(time.Duration(float64(worked)*(1/p.share-1)), maxPause))
	p.began = time.Now()
}

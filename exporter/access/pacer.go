package access

import "time"

const (
	// stride is after how many entries the clock is looked at: some 50 µs of work.
	stride = 64
	// workSlice is for how long loading works at least between two pauses.
	workSlice = 500 * time.Microsecond
	// maxPause bounds a pause: work takes long when others have the processor, which is no reason to pause for
	// longer still. It is twice what follows a slice with a share of a fifth.
	maxPause = 4 * time.Millisecond
)

// pacer holds work to a share of the time of one processor: whoever does it calls pause often. It is used
// by one goroutine.
type pacer struct {
	// share is over 0 and up to 1; 1 is work without pauses.
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

package fleet

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// WriteSummary writes the totals as tables of text.
func (r *Report) WriteSummary(out io.Writer) error {
	t := &r.Total
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	took := r.Ended.Sub(r.Started)
	fmt.Fprintf(w, "%d proxies, %d connections, %d restarts, %d neighbors in %v\n\n",
		len(r.Sources), t.Connections, t.Restarts, t.NeighborsNew, took.Round(time.Millisecond))
	fmt.Fprintln(w, "action\tevents\tacknowledged\tfailed\tdropped\tdeliveries\tacknowledged\tretries\taborted\tfailures\t")
	for _, action := range slices.Sorted(maps.Keys(t.Actions)) {
		n := t.Actions[action]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", action, n.Events, n.AcknowledgedEvents, n.FailedEvents, n.Dropped+n.Discarded,
			n.Deliveries, n.AcknowledgedDeliveries, n.Retries, n.Aborted, n.Failures)
	}
	fmt.Fprintf(w, "\n%d connections blocked because their access-request failed, %d with a reused id, %d with a sinkhole; %d planned stops\n",
		t.Blocked, t.ReusedIDs, t.Sinkholed, t.PlannedStops)
	printCounts(w, "verdict of access-request", t.Verdicts)
	printCounts(w, "expected end of connection", t.Expected)
	printCounts(w, "transport of acknowledged starts", t.Transports)
	printCounts(w, "policy of acknowledged stops", t.Policies)
	if len(r.Garbage) > 0 {
		fmt.Fprint(w, "\ngarbage\tsent\tno answer\tstatus\t\n")
		for _, kind := range slices.Sorted(maps.Keys(r.Garbage)) {
			g := r.Garbage[kind]
			fmt.Fprintf(w, "%s\t%d\t%d\t%v\t\n", kind, g.Sent, g.Failed, g.Status)
		}
	}
	return w.Flush()
}

func printCounts[K cmp.Ordered](w io.Writer, title string, counts map[K]int) {
	if len(counts) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tnumber\t\n", title)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(w, "%v\t%d\t\n", k, counts[k])
	}
}

// WriteFile writes the report to a file, as JSON.
func (r *Report) WriteFile(name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return err
	}
	return w.Flush()
}

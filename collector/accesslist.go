package collector

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/access"
)

// accessLists exposes the size and age of the lists in force. A scrape shows the lists of one call of use.
type accessLists struct {
	lists             atomic.Pointer[[]accessList]
	entries, modified *prometheus.Desc
}

// accessList is a list file that access rules name.
type accessList struct {
	file     string
	entries  int
	modified time.Time
}

func newAccessLists(r prometheus.Registerer) *accessLists {
	a := &accessLists{
		entries: prometheus.NewDesc("smithproxy_exporter_access_list_entries",
			"Number of distinct networks and addresses on the list.", []string{"file"}, nil),
		modified: prometheus.NewDesc("smithproxy_exporter_access_list_modified_timestamp_seconds",
			"Modification time of the list in force as a Unix timestamp.", []string{"file"}, nil),
	}
	a.lists.Store(&[]accessList{})
	r.MustRegister(a)
	return a
}

// UseAccessLists replaces the lists in force by those of a Set.
func (e *Exporter) UseAccessLists(set *access.Set) {
	var lists []accessList
	for _, l := range set.Lists() {
		lists = append(lists, accessList{l.Path, l.Len(), l.Modified})
	}
	e.accessLists.use(lists)
}

func (a *accessLists) use(lists []accessList) { a.lists.Store(&lists) }

// Describe implements prometheus.Collector.
func (a *accessLists) Describe(descs chan<- *prometheus.Desc) {
	descs <- a.entries
	descs <- a.modified
}

// Collect implements prometheus.Collector.
func (a *accessLists) Collect(metrics chan<- prometheus.Metric) {
	for _, l := range *a.lists.Load() {
		file := strings.ToValidUTF8(l.file, "\uFFFD")
		metrics <- prometheus.MustNewConstMetric(a.entries, prometheus.GaugeValue, float64(l.entries), file)
		metrics <- prometheus.MustNewConstMetric(a.modified, prometheus.GaugeValue, float64(l.modified.UnixNano())/1e9, file)
	}
}

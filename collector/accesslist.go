package collector

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// AccessLists exposes the size and age of the lists in force. A scrape shows the lists of one call of Use, which
// may be called from any goroutine.
type AccessLists struct {
	lists             atomic.Pointer[[]AccessList]
	entries, modified *prometheus.Desc
}

// AccessList is a list file that access rules name.
type AccessList struct {
	File     string
	Entries  int
	Modified time.Time
}

// NewAccessLists returns the metrics of no lists, registered with r.
func NewAccessLists(r prometheus.Registerer) *AccessLists {
	a := &AccessLists{
		entries: prometheus.NewDesc("smithproxy_exporter_access_list_entries",
			"Number of distinct networks and addresses on the list.", []string{"file"}, nil),
		modified: prometheus.NewDesc("smithproxy_exporter_access_list_modified_timestamp_seconds",
			"Modification time of the list in force as a Unix timestamp.", []string{"file"}, nil),
	}
	a.lists.Store(&[]AccessList{})
	r.MustRegister(a)
	return a
}

// Use replaces the lists in force.
func (a *AccessLists) Use(lists []AccessList) { a.lists.Store(&lists) }

// Describe implements prometheus.Collector.
func (a *AccessLists) Describe(descs chan<- *prometheus.Desc) {
	descs <- a.entries
	descs <- a.modified
}

// Collect implements prometheus.Collector.
func (a *AccessLists) Collect(metrics chan<- prometheus.Metric) {
	for _, l := range *a.lists.Load() {
		file := strings.ToValidUTF8(l.File, "\uFFFD")
		metrics <- prometheus.MustNewConstMetric(a.entries, prometheus.GaugeValue, float64(l.Entries), file)
		metrics <- prometheus.MustNewConstMetric(a.modified, prometheus.GaugeValue, float64(l.Modified.UnixNano())/1e9, file)
	}
}

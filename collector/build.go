package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
)

// newBuildInfo returns the metric of the version, with the labels of client_golang's collector of that name and the time of
// the commit, RFC 3339.
func newBuildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "smithproxy_exporter_build_info",
		Help: "A metric with a constant '1' value labeled by version, revision, branch, goversion from which smithproxy_exporter was built, " +
			"the goos and goarch for the build, and the time of the commit.",
		ConstLabels: prometheus.Labels{
			"version": version.Version, "revision": version.GetRevision(), "branch": version.Branch, "date": version.BuildDate,
			"goversion": version.GoVersion, "goos": version.GoOS, "goarch": version.GoArch, "tags": version.GetTags(),
		},
	}, func() float64 { return 1 })
}

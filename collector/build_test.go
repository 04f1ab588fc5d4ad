package collector

import (
	"testing"

	"github.com/prometheus/common/version"
)

func TestBuildInfo(t *testing.T) {
	defer func(v, r, d string) { version.Version, version.Revision, version.BuildDate = v, r, d }(version.Version, version.Revision, version.BuildDate)
	version.Version, version.Revision, version.BuildDate = "1.2.3", "abc", "2026-11-24T15:12:21Z"
	families, err := NewRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "smithproxy_exporter_build_info" {
			continue
		}
		labels := map[string]string{}
		for _, pair := range family.GetMetric()[0].GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		for name, want := range map[string]string{"version": "1.2.3", "revision": "abc", "date": "2026-11-24T15:12:21Z"} {
			if labels[name] != want {
				t.Errorf("label %s is %q, want %q", name, labels[name], want)
			}
		}
		return
	}
	t.Error("there is no smithproxy_exporter_build_info")
}

package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"

	"smithproxy_exporter/cmd/internal/fleet"
)

func parse(t *testing.T, args ...string) *options {
	t.Helper()
	app := kingpin.New("smithproxy_sim", "")
	o := addFlags(app)
	if _, err := app.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFlagsHaveTheDefaultsOfTheFleet(t *testing.T) {
	const url = "http://127.0.0.1:1/webhook/x"
	want := fleet.DefaultConfig()
	want.URL = url
	if got := parse(t, "--url="+url).config(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFlags(t *testing.T) {
	o := parse(t, "--url=http://h/x", "--faults", "--fault.abort=0.5", "--report.connections=false", "--max-speed",
		"--form=mixed", "--generation=ptr", "--ssh-share=0.25", "--ping-interval=3s", "--seed=9", "--name-prefix=p", "--quiet")
	cfg := o.config()
	if cfg.Faults.Abort != 0.5 || cfg.Faults.Duplicate == 0 || cfg.ReportConnections || !cfg.MaxSpeed ||
		cfg.Form != fleet.FormMixed || cfg.Generation != fleet.GenerationPTR || cfg.SSHShare != 0.25 || cfg.PingInterval != 3*time.Second || cfg.Seed != 9 || cfg.NamePrefix != "p" || !o.quiet {
		t.Errorf("%+v", cfg)
	}
}

func TestRunWritesItsReport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "report.json")
	o := parse(t, "--url="+server.URL+"/webhook/x", "--max-speed", "--connections=5", "--duration-max=1ms", "--drain=10ms",
		"--last-ping-gap=1ms", "--quiet", "--report.json="+file)
	if err := run(o, promslog.NewNopLogger()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report fleet.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if report.Total.Connections != 5 || len(report.Connections) != 5 || len(report.Sources) != 3 {
		t.Errorf("%s", data)
	}
	var out bytes.Buffer
	if err := report.WriteSummary(&out); err != nil || !strings.Contains(out.String(), "connection-start") {
		t.Errorf("%v, %s", err, out.String())
	}
}

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/test/namespace"
)

// composeDir has the files of the demonstration.
const composeDir = root + "/deploy/compose"

// composed is as much of compose.yaml as is run here.
type composed struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
}

type service struct {
	Image       string            `yaml:"image"`
	Entrypoint  []string          `yaml:"entrypoint"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Ports       []string          `yaml:"ports"`
}

// TestCompose runs the servers of deploy/compose without containers: the same commands, variables and configuration files. Names
// of services are addresses on the loopback of a network namespace, where all of them have their own ports.
//
// Jaeger takes the place of Tempo, on the same address. Grafana does not run; what it is given is checked.
func TestCompose(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(composeDir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c composed
	if err := yaml.Unmarshal(content, &c); err != nil {
		t.Fatal(err)
	}
	if !namespace.Enter(t, slices.Sorted(maps.Keys(c.Services))...) {
		return // the test has run in a process of its own
	}
	c.grafana(t)
	programs := build(t)
	s := &servers{programs: programs, exporter: "exporter:10932", prometheus: "prometheus:9090", jaegerQuery: "tempo:16686"}
	s.startJaeger(t, "tempo:4317")
	binaries := map[string]string{
		"exporter": programs.exporter, "simulator": programs.simulator, "collector": programs.collector,
		"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager",
	}
	volumes := map[string]string{}
	for name := range c.Volumes {
		volumes[name] = t.TempDir()
	}
	began := time.Now()
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		switch binary, ok := binaries[name]; {
		case ok:
			s.compose(t, name, binary, c.Services[name], volumes)
		case name != "tempo" && name != "grafana":
			t.Errorf("service %s is not run by this test", name)
		}
	}
	for _, url := range []string{"http://exporter:10932/-/ready", "http://prometheus:9090/-/ready", "http://alertmanager:9093/-/ready", "http://collector:13133/"} {
		eventually(t, time.Minute, url, answers(url), s.processes...)
	}
	eventually(t, 2*time.Minute, "a trace", func() error {
		_, err := s.find("/api/traces?service=smithproxy&limit=1")
		return err
	}, s.processes...)
	t.Logf("the first trace was there %v after the start", time.Since(began).Round(time.Second))
	eventually(t, time.Minute, "all targets are up", s.targetsUp, s.processes...)
	eventually(t, time.Minute, "all rules are evaluated", s.rulesHealthy, s.processes...)
	s.has(t, `count(smithproxy_up == 1) == 3`)
	eventually(t, time.Minute, "Prometheus knows Alertmanager", func() error {
		var reply struct {
			Data struct {
				ActiveAlertmanagers []struct{ URL string }
			}
		}
		if err := get("http://"+s.prometheus+"/api/v1/alertmanagers", &reply); err != nil {
			return err
		}
		if n := len(reply.Data.ActiveAlertmanagers); n != 1 {
			return fmt.Errorf("%d are active", n)
		}
		return nil
	}, s.processes...)
}

// compose starts a service, with its mounts as links in a directory, and paths of mounts replaced in arguments and variables.
func (s *servers) compose(t *testing.T, name, binary string, svc service, volumes map[string]string) {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for _, volume := range svc.Volumes {
		source, target, ok := strings.Cut(volume, ":")
		target, _, _ = strings.Cut(target, ":")
		if !ok || !strings.HasPrefix(target, "/") {
			t.Fatalf("%s: mount %q", name, volume)
		}
		if strings.HasPrefix(source, ".") {
			source = absolute(t, filepath.Join(composeDir, source))
		} else if source = volumes[source]; source == "" {
			t.Fatalf("%s: there is no volume for %q", name, volume)
		}
		if _, err := os.Stat(source); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		link := filepath.Join(dir, target)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(source, link); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, target, link)
	}
	mounted := strings.NewReplacer(paths...)
	args := append(slices.Clone(svc.Entrypoint[min(1, len(svc.Entrypoint)):]), svc.Command...)
	if name == "exporter" {
		args = append([]string{"--storage.path=/var/lib/smithproxy_exporter"}, args...) // from the Dockerfile
	}
	for i, arg := range args {
		args[i] = mounted.Replace(arg)
	}
	var env []string
	for key, value := range svc.Environment {
		env = append(env, key+"="+mounted.Replace(value))
	}
	s.start(t, name, binary, env, args...)
}

// targetsUp fails unless Prometheus scrapes all targets.
func (s *servers) targetsUp() error {
	var reply struct {
		Data struct {
			ActiveTargets []struct{ ScrapePool, Health, LastError string }
		}
	}
	if err := get("http://"+s.prometheus+"/api/v1/targets", &reply); err != nil {
		return err
	}
	if len(reply.Data.ActiveTargets) == 0 {
		return errors.New("there are no targets")
	}
	for _, target := range reply.Data.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%s is %s: %s", target.ScrapePool, target.Health, target.LastError)
		}
	}
	return nil
}

// grafana checks what Grafana is given: dashboards where the provisioning looks for them, and data sources with the uids that
// dashboards and exemplars use, at ports of services that exist.
func (c composed) grafana(t *testing.T) {
	mounts := map[string]string{}
	for _, volume := range c.Services["grafana"].Volumes {
		source, target, _ := strings.Cut(volume, ":")
		target, _, _ = strings.Cut(target, ":")
		mounts[target] = filepath.Join(composeDir, source)
	}
	var dashboards struct {
		Providers []struct {
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	readYAML(t, mounts["/etc/grafana/provisioning/dashboards/smithproxy.yaml"], &dashboards)
	for _, p := range dashboards.Providers {
		files, err := filepath.Glob(filepath.Join(mounts[p.Options.Path], "*.json"))
		if err != nil || len(files) == 0 {
			t.Errorf("no dashboards are mounted at %s: %v", p.Options.Path, err)
		}
	}
	shipped := dataSources(t, filepath.Join(root, "dashboards", "provisioning", "datasources.yaml"))
	given := dataSources(t, mounts["/etc/grafana/provisioning/datasources/smithproxy.yaml"])
	for _, kind := range []string{"prometheus", "tempo"} {
		if given[kind].UID == "" || given[kind].UID != shipped[kind].UID {
			t.Errorf("the uid of %s is %q, and %q in what is shipped", kind, given[kind].UID, shipped[kind].UID)
		}
		if want := map[string]string{"prometheus": "http://prometheus:9090", "tempo": "http://tempo:3200"}[kind]; given[kind].URL != want {
			t.Errorf("the URL of %s is %q, want %q", kind, given[kind].URL, want)
		}
	}
}

type dataSource struct {
	UID  string `yaml:"uid"`
	Type string `yaml:"type"`
	URL  string `yaml:"url"`
}

// dataSources returns the data sources of a provisioning file by type.
func dataSources(t *testing.T, path string) map[string]dataSource {
	t.Helper()
	var file struct {
		DataSources []dataSource `yaml:"datasources"`
	}
	readYAML(t, path, &file)
	byType := map[string]dataSource{}
	for _, d := range file.DataSources {
		byType[d.Type] = d
	}
	return byType
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

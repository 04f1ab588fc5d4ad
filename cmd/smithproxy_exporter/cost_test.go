package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/test/loopback"
)

var cost = flag.Bool("cost", false, "run TestCost, which measures and takes a while")

// Rounds of so many connections, three events each, in turn; the first round of each is not counted.
const (
	costRounds      = 6
	costConnections = 4000
	costClients     = 4
)

// TestCost measures the CPU time that the exporter spends on an event, everything on and a new TCP
// connection for each, against a net/http handler that only reads the body: two processes, side by
// side. It reports, and judges only that nothing was refused.
func TestCost(t *testing.T) {
	if !*cost {
		t.Skip("run by make cost")
	}
	backend := newReceiver(t)
	binary := buildBinary(t)
	webhook, web, empty := loopback.Reserve(t), loopback.Reserve(t), loopback.Reserve(t)
	configuration := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(configuration, []byte("webhook: {secrets: [{secret: "+secret+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exporter := process(t, webhook, exec.Command(binary, "--config.file="+configuration,
		"--webhook.listen-address="+webhook, "--web.listen-address="+web, "--otlp.endpoint=http://"+backend.address,
		"--storage.path="+t.TempDir(), "--log.level=warn"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), baselineVariable+"="+empty)
	baseline := process(t, empty, command)

	var ours, theirs, ratios []float64
	for round := range costRounds {
		bodies := costBodies(t, round)
		a := perEvent(t, exporter, webhook, bodies)
		b := perEvent(t, baseline, empty, bodies)
		t.Logf("round %d: exporter %.1f µs, empty handler %.1f µs an event, ratio %.2f", round, a, b, a/b)
		if round > 0 {
			ours, theirs, ratios = append(ours, a), append(theirs, b), append(ratios, a/b)
		}
	}
	t.Logf("median of %d rounds of %d events: exporter %.1f µs, empty handler %.1f µs an event, ratio %.2f; %d spans received",
		len(ratios), 3*costConnections, median(ours), median(theirs), median(ratios), len(backend.all()))
}

// costBodies are start, stop and info of the captured load, under ids of their own.
func costBodies(t *testing.T, round int) [][]byte {
	requests, err := capture.Read(filepath.Join("..", "..", "exporter", "testdata", "captures", "load-statistics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var bodies [][]byte
	for i := 0; len(bodies) < 3*costConnections; i++ {
		// Another boot of the proxy for each time through the capture would be a restart; other ids
		// are enough.
		again := strconv.Itoa(round) + strconv.Itoa(i/len(requests))
		body := bytes.Replace(requests[i%len(requests)].Body, []byte("-OID-"), []byte("-OID-"+again), 1)
		bodies = append(bodies, body)
	}
	return bodies
}

// perEvent sends the bodies and returns the CPU time that the process spent on each, in µs.
func perEvent(t *testing.T, p *os.Process, address string, bodies [][]byte) float64 {
	before := cpuTime(t, p)
	var clients sync.WaitGroup
	failed := make(chan error, costClients)
	for i := range costClients {
		clients.Go(func() {
			for j := i; j < len(bodies); j += costClients {
				if err := deliver(address, bodies[j]); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	clients.Wait()
	close(failed)
	for err := range failed {
		t.Fatal(err)
	}
	return float64((cpuTime(t, p) - before).Microseconds()) / float64(len(bodies))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/exporter/capture"
)

var cost = flag.Bool("cost", false, "run TestCost, which measures and takes a while")

// baselineVariable makes this test binary serve the handler that the exporter is compared with.
const baselineVariable = "COST_BASELINE_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(baselineVariable); address != "" {
		http.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		})
		fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
		os.Exit(1)
	}
	if disk := os.Getenv(diskVariable); disk != "" {
		fmt.Fprintln(os.Stderr, serveDisk(disk))
		os.Exit(1)
	}
	if n, err := strconv.ParseInt(os.Getenv(operationVariable), 10, 64); err == nil {
		os.Exit(crashAtOperation(n))
	}
	os.Exit(m.Run())
}

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
	binary := filepath.Join(t.TempDir(), "smithproxy_exporter")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	webhook, web, empty := freeAddress(t), freeAddress(t), freeAddress(t)
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

// deliver sends one webhook over a connection of its own, and closes it after the answer.
func deliver(address string, body []byte) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	return exchange(conn, address, body)
}

func exchange(conn net.Conn, address string, body []byte) error {
	request := fmt.Appendf(nil, "POST /webhook/%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		secret, address, len(body))
	if _, err := conn.Write(append(request, body...)); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 20")) {
		return fmt.Errorf("answered %q", answer[:n])
	}
	return nil
}

// process starts a command and waits until it accepts connections.
func process(t *testing.T, address string, command *exec.Cmd) *os.Process {
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		_ = command.Wait() // It was killed.
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return command.Process
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", command, err)
		}
	}
}

func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// cpuTime is the user and system time of a process, which Linux counts in hundredths of a second.
func cpuTime(t *testing.T, p *os.Process) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// After the command's name in parentheses: state is the first field, utime and stime the 12th
	// and 13th (proc_pid_stat(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

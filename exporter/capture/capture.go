// Package capture reads requests that were recorded from a running smithproxy, for tests.
package capture

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Request is one recorded webhook.
type Request struct {
	// At is when it came, after the first line of the capture.
	At time.Duration
	// Body is verbatim.
	Body []byte
	// Answer is the body that the recording receiver answered, "" when it broke the connection.
	Answer string
}

type line struct {
	Seconds float64 `json:"t"`
	Body    *string `json:"body"`
	Answer  struct {
		Body string `json:"body"`
	} `json:"answer"`
}

// Read returns the requests in a file of one JSON object a line. Lines that only remark on the
// recording are left out.
func Read(path string) ([]Request, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer file.Close()
	var requests []Request
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("capture %s: %w", path, err)
		}
		if l.Body == nil {
			continue
		}
		requests = append(requests, Request{
			At:   time.Duration(l.Seconds * float64(time.Second)).Round(time.Microsecond),
			Body: []byte(*l.Body), Answer: l.Answer.Body,
		})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("capture %s: %w", path, err)
	}
	return requests, nil
}

// Files returns the captures in a folder, sorted by name. None is an error: a test that reads none
// shows nothing.
func Files(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no captures in %s", dir)
	}
	return files, err
}

package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// errAborted is the error of a try that is aborted on purpose.
var errAborted = errors.New("aborted in the middle of the body")

// readers has unused buffers for answers: there are thousands a second.
var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// doPlain uses HTTP/1.1. It writes the request itself, because net/http either keeps a connection or announces that it
// will close it, and libcurl does neither.
func (x *exchanger) doPlain(ctx context.Context, r request) (answer, error) {
	conn, err := x.dialer.DialContext(ctx, "tcp", x.address)
	if err != nil {
		return answer{}, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	in := readers.Get().(*bufio.Reader)
	in.Reset(conn)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()

	expect := x.expects && len(r.body) > expectAbove && !r.abort
	head := x.head(r, expect)
	a := answer{sent: time.Now()}
	if r.abort {
		if _, err := conn.Write(append(head, r.body[:len(r.body)/2]...)); err != nil {
			return answer{}, fmt.Errorf("writing half a request: %w", err)
		}
		return answer{}, errAborted
	}
	var writeErr error
	if expect {
		if _, err := conn.Write(head); err != nil {
			return answer{}, fmt.Errorf("writing the header: %w", err)
		}
		if early, err := awaitContinue(ctx, conn, in); err != nil {
			return answer{}, err
		} else if early {
			return readAnswer(in, r.method, a)
		}
		_, writeErr = conn.Write(r.body)
	} else {
		_, writeErr = conn.Write(append(head, r.body...)) // one segment, mostly
	}
	// A receiver may answer and close before it has read everything. The answer is valid then.
	a, err = readAnswer(in, r.method, a)
	if err != nil && writeErr != nil {
		return answer{}, fmt.Errorf("writing the request: %w", writeErr)
	}
	return a, err
}

// head returns the request line and the header like libcurl's.
func (x *exchanger) head(r request, expect bool) []byte {
	size := 256 + len(x.url.Host) + len(r.path)
	if !expect {
		size += len(r.body) // which is to be appended
	}
	b := make([]byte, 0, size)
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, r.path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, x.url.Host...)
	b = append(b, "\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.body)), 10)
	if expect {
		b = append(b, "\r\nExpect: 100-continue"...)
	}
	return append(b, "\r\n\r\n"...)
}

// awaitContinue waits up to expectWait for 100 Continue, and reports whether a final answer was received instead. If
// neither was, the body is sent.
func awaitContinue(ctx context.Context, conn net.Conn, in *bufio.Reader) (early bool, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(expectWait)); err != nil {
		return false, fmt.Errorf("waiting for 100 Continue: %w", err)
	}
	start, err := in.Peek(len("HTTP/1.1 100"))
	if ctx.Err() == nil {
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return false, fmt.Errorf("waiting for 100 Continue: %w", err)
		}
	}
	if ctx.Err() != nil {
		return false, fmt.Errorf("waiting for 100 Continue: %w", ctx.Err())
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("waiting for 100 Continue: %w", err)
	}
	return string(start[len("HTTP/1.1 "):]) != "100", nil
}

// readAnswer reads the final answer into a.
func readAnswer(in *bufio.Reader, method string, a answer) (answer, error) {
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return answer{}, fmt.Errorf("reading the answer: %w", err)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
		if err != nil {
			return answer{}, fmt.Errorf("reading the answer's body: %w", err)
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		a.status, a.body, a.answered = resp.StatusCode, body, time.Now()
		return a, nil
	}
}

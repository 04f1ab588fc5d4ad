package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"smithproxy_exporter/docs"
	"smithproxy_exporter/exporter/track"
)

const (
	// writeTimeout bounds how long a client takes to read the response.
	writeTimeout = 30 * time.Second
	// maxTryBytes bounds the body of a TryRequest.
	maxTryBytes = 64 << 10
	// yieldItems is after how many connections, 10 to 20 µs each, rendering yields to other goroutines. With few
	// processors, events would otherwise wait for a whole page.
	yieldItems = 16
)

func (a *API) getOverview(w http.ResponseWriter, r *http.Request) {
	answer(w, r, a.Overview, noParameters(r))
}
func (a *API) getAccess(w http.ResponseWriter, r *http.Request) {
	answer(w, r, a.Access, noParameters(r))
}
func (a *API) getStatus(w http.ResponseWriter, r *http.Request) {
	answer(w, r, a.Status, noParameters(r))
}
func (a *API) getSetup(w http.ResponseWriter, r *http.Request) {
	answer(w, r, a.Setup, noParameters(r))
}

func (a *API) getConnection(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (ConnectionDetail, error) {
		return a.Connection(ctx, r.PathValue("source"), r.PathValue("name"))
	}, noParameters(r))
}

func (a *API) getTop(w http.ResponseWriter, r *http.Request) {
	q, err := ParseTopQuery(r.URL.Query())
	answer(w, r, func(ctx context.Context) (Top, error) { return a.Top(ctx, q) }, err)
}

// ParseTopQuery parses the parameters of /api/v1/top. Errors are of type *InputError.
func ParseTopQuery(values url.Values) (q TopQuery, err error) {
	for name, texts := range values {
		if len(texts) > 1 {
			return TopQuery{}, &InputError{name, -1, errRepeated}
		}
		switch name {
		case "dimension":
			q.Dimension = texts[0]
		case "window":
			q.Window = texts[0]
		case "order":
			q.Order = texts[0]
		case "limit":
			if texts[0] == "" {
				continue
			}
			if q.Limit, err = strconv.Atoi(texts[0]); err != nil {
				return TopQuery{}, &InputError{name, -1, errors.New("must be a number")}
			}
		default:
			return TopQuery{}, &InputError{name, -1, errUnknown}
		}
	}
	return q, nil
}

func (a *API) postTry(w http.ResponseWriter, r *http.Request) {
	q, err := parseTry(w, r)
	answer(w, r, func(ctx context.Context) (TryResult, error) { return a.Try(ctx, q) }, err)
}

// parseTry reads a TryRequest from a JSON body or a form.
func parseTry(w http.ResponseWriter, r *http.Request) (q TryRequest, err error) {
	body := http.MaxBytesReader(w, r.Body, maxTryBytes)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	raw, err := io.ReadAll(body)
	if err != nil {
		return q, &InputError{"body", -1, err}
	}
	if kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return q, &InputError{"body", -1, err}
		}
		return TryRequest{form.Get("source"), form.Get("session"), form.Get("policy"), form.Get("at")}, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return q, &InputError{"body", -1, err}
	}
	return q, nil
}

func (a *API) postSecret(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	answer(w, r, func(context.Context) (SetupSecret, error) { return a.Secret(r) }, noParameters(r))
}

func (a *API) getConnections(w http.ResponseWriter, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, &InputError{"query string", -1, err})
		return
	}
	q, err := ParseConnectionQuery(values)
	if err != nil {
		writeError(w, err)
		return
	}
	page, err := a.Connections(r.Context(), q)
	if err != nil {
		writeError(w, err)
		return
	}
	if values.Get("format") == "csv" {
		writeCSV(w, r, page)
		return
	}
	body, err := page.render()
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, http.StatusOK, "application/json", body)
}

// render returns the page as JSON.
func (p *ConnectionPage) render() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n  \"connections\": [")
	separator := "\n    "
	for i := range p.Connections {
		if i%yieldItems == 0 {
			runtime.Gosched()
		}
		text, err := json.MarshalIndent(&p.Connections[i], "    ", "  ")
		if err != nil {
			return nil, err
		}
		b.WriteString(separator)
		b.Write(text)
		separator = ",\n    "
	}
	if len(p.Connections) > 0 {
		b.WriteString("\n  ")
	}
	rest := *p
	rest.Connections = nil
	fields, err := json.MarshalIndent(struct {
		Cursor     string    `json:"next_cursor,omitempty"`
		SearchedTo time.Time `json:"searched_to,omitzero"`
		Incomplete string    `json:"incomplete,omitempty"`
	}{rest.Cursor, rest.SearchedTo, rest.Incomplete}, "", "  ")
	if err != nil {
		return nil, err
	}
	b.WriteString("]")
	if len(fields) > len("{}") {
		b.WriteString(",\n" + string(fields[len("{\n"):]))
	} else {
		b.WriteString("\n}")
	}
	b.WriteString("\n")
	return b.Bytes(), nil
}

func (a *API) getRunbook(w http.ResponseWriter, r *http.Request) {
	text, ok := Runbook(r.PathValue("name"))
	if !ok {
		writeError(w, ErrNotFound)
		return
	}
	write(w, http.StatusOK, "text/markdown; charset=utf-8", []byte(text))
}

// Runbook returns a section of docs/alerts.md, as Markdown; ok is false if there is none with the name.
func Runbook(name string) (text string, ok bool) {
	begin := "\n## " + name + "\n"
	page := string(docs.Alerts)
	start := strings.Index(page, begin)
	if start < 0 || name == "" || strings.Contains(name, "\n") {
		return "", false
	}
	text = page[start+1:]
	if end := strings.Index(text[1:], "\n## "); end >= 0 {
		text = text[:end+2]
	}
	return text, true
}

func (a *API) getOpenAPI(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, "application/yaml", docs.OpenAPI)
}

// noParameters returns an *InputError for a request that has parameters.
func noParameters(r *http.Request) error {
	for name := range r.URL.Query() {
		return &InputError{name, -1, errUnknown}
	}
	return nil
}

// answer responds with what read returns, as JSON, or with err if that is not nil. The response is complete before its
// first byte is written, so that a slow client holds nothing but its bytes.
func answer[T any](w http.ResponseWriter, r *http.Request, read func(context.Context) (T, error), err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	result, err := read(r.Context())
	if err != nil {
		writeError(w, err)
		return
	}
	body, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		writeError(w, err)
		return
	}
	write(w, http.StatusOK, "application/json", append(body, '\n'))
}

// problem is the body of an error response.
type problem struct {
	Error string `json:"error"`
	// Field is the parameter or the field of the body that is wrong, Position where its mistake begins, in bytes.
	Field    string `json:"field,omitempty"`
	Position *int   `json:"position,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	status, p := http.StatusServiceUnavailable, problem{Error: err.Error()}
	input, isInput := errors.AsType[*InputError](err)
	switch {
	case isInput:
		status, p.Field = http.StatusBadRequest, input.Field
		if input.Position >= 0 {
			p.Position = &input.Position
		}
	case errors.Is(err, ErrNotFound), errors.Is(err, track.ErrUnknownProxy):
		status = http.StatusNotFound
	case errors.Is(err, ErrForbidden), errors.Is(err, errForgetDisabled):
		status = http.StatusForbidden
	case errors.Is(err, track.ErrProxySpoke):
		status = http.StatusConflict
	default:
		w.Header().Set("Retry-After", "1")
	}
	body, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		panic(err) // A string can be encoded.
	}
	write(w, status, "application/json", append(body, '\n'))
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	// Only writers of tests have no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // An error means that the client is gone.
}

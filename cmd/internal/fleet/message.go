package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Action is what a message is about.
type Action string

// The actions smithproxy knows.
const (
	ActionPing     Action = "ping"
	ActionNeighbor Action = "neighbor"
	ActionAccess   Action = "access-request"
	ActionStart    Action = "connection-start"
	ActionStop     Action = "connection-stop"
	ActionInfo     Action = "connection-info"
	ActionContent  Action = "connection-content"
)

// message is a request's body. Keys are sorted and floats have a point, as in
// what smithproxy sends.
type message struct {
	Action      Action   `json:"action"`
	Address     string   `json:"address,omitempty"`
	Addresses   []string `json:"addresses,omitempty"`
	Details     any      `json:"details,omitempty"`
	ID          string   `json:"id,omitempty"`
	Instance    string   `json:"instance,omitempty"`
	Proxies     any      `json:"proxies,omitempty"`
	ProxiesPlus any      `json:"proxies-plus,omitempty"`
	Source      string   `json:"source"`
	State       string   `json:"state,omitempty"`
	Type        string   `json:"type"`
}

// number is a float as smithproxy writes it: 0.0, and null when there is none.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	b := strconv.AppendFloat(nil, f, 'g', -1, 64)
	if !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

type infoOf struct {
	Info any `json:"info"`
}

type sessionInfo struct {
	Session string `json:"session"`
}

type stopInfo struct {
	BytesDown    uint64   `json:"bytes_down"`
	BytesUp      uint64   `json:"bytes_up"`
	JA4CH        *string  `json:"ja4_ch,omitempty"`
	JA4IgnoreSNI *bool    `json:"ja4_ch_ignore_sni,omitempty"`
	JA4SH        *string  `json:"ja4_sh,omitempty"`
	L7           *l7Info  `json:"l7,omitempty"`
	Policy       int      `json:"policy"`
	Session      string   `json:"session"`
	TLS          *tlsInfo `json:"tls,omitempty"`
}

type l7Info struct {
	App        string   `json:"app"`
	Details    []string `json:"details"`
	JA4H       []string `json:"ja4h,omitempty"`
	Signatures []string `json:"signatures,omitempty"`
}

type tlsInfo struct {
	SNI string `json:"sni"`
}

type accessDetails struct {
	BytesSide string `json:"bytes_side,omitempty"`
	BytesSize *int   `json:"bytes_size,omitempty"`
	Policy    int    `json:"policy"`
	Require   string `json:"require,omitempty"`
	Session   string `json:"session"`
	State     string `json:"state,omitempty"`
}

type infoDetails struct {
	Access     any             `json:"access-request,omitempty"`
	Sinkhole   *sinkholeInfo   `json:"sinkhole,omitempty"`
	Statistics *statisticsInfo `json:"statistics,omitempty"`
}

// accessEcho carries what the receiver answered to access-request.
type accessEcho struct {
	Response json.RawMessage `json:"access-response"`
	Session  string          `json:"session,omitempty"`
}

// sinkholeInfo is what a sink feature swallowed, left from the client and right
// from the server.
type sinkholeInfo struct {
	ReplacementSize int  `json:"replacement_size"`
	SinkLeft        bool `json:"sink_left"`
	SinkRight       bool `json:"sink_right"`
	SunkenLeft      int  `json:"sunken_left"`
	SunkenRight     int  `json:"sunken_right"`
}

type statisticsInfo struct {
	Entropy struct {
		Left  sideEntropy `json:"left"`
		Right sideEntropy `json:"right"`
	} `json:"entropy"`
	Flow struct {
		Rates   []rateBucket `json:"aggregate_rates"`
		Skew    number       `json:"skew"`
		SkewAll number       `json:"skew_all"`
	} `json:"flow"`
	Info *protocolInfo `json:"info,omitempty"`
}

type sideEntropy struct {
	Bytes    uint64 `json:"bytes_accounted"`
	Entropy  number `json:"entropy"`
	TopByte  int    `json:"top_byte"`
	TopCount uint64 `json:"top_byte_frequency"`
	TopRatio number `json:"top_byte_ratio"`
}

// rateBucket is one second of a flow.
type rateBucket struct {
	Down     uint64 `json:"aggBD"`
	Up       uint64 `json:"aggBU"`
	RateDown number `json:"aggRD"`
	RateUp   number `json:"aggRU"`
	Index    int    `json:"interval_index"`
}

type protocolInfo struct {
	Protocol string `json:"protocol"`
	Session  string `json:"session"`
}

type contentInfo struct {
	Content string `json:"content"`
	Session string `json:"session"`
	Side    string `json:"side"`
}

// encode writes a message. Angle brackets stay as they are, as in what
// smithproxy sends.
func encode(m message) []byte {
	if m.Type == "" {
		m.Type = "proxy"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		// Everything in a message can be encoded; an echo is checked before it
		// gets here. So this is a mistake in this package.
		panic(fmt.Sprintf("encoding a message: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// listOr is a list under a key that is always there, with its own form when it
// is empty.
func listOr(empty string, list []string) any {
	if len(list) == 0 {
		return json.RawMessage(empty)
	}
	return list
}

func (s *script) startMessage(source, id string) []byte {
	return encode(message{
		Action: ActionStart, Source: source, ID: id,
		Details: infoOf{sessionInfo{s.startLabel()}},
	})
}

func (s *script) accessMessage(form Form, source, id string) []byte {
	policy := -1 // not matched yet
	if s.mode != Transparent {
		policy = s.policy
	}
	m := message{Action: ActionAccess, Source: source, ID: id}
	if form == FormHOWTO {
		m.Details = accessDetails{Policy: policy, Session: s.accessLabel()}
		return encode(m)
	}
	m.ID = s.accessLabel()
	m.Details = accessDetails{
		BytesSide: "L", BytesSize: new(int), Policy: policy,
		Require: "origin-info", Session: s.accessLabel(), State: "init",
	}
	return encode(m)
}

func (s *script) stopMessage(form Form, source, id string) []byte {
	info := stopInfo{BytesDown: s.down, BytesUp: s.up, Policy: s.policy, Session: s.stopLabel()}
	if form != FormHOWTO {
		info.JA4CH, info.JA4SH, info.JA4IgnoreSNI = &s.ja4ch, &s.ja4sh, &s.ja4IgnoreSNI
	}
	if s.app != "" {
		info.L7 = &l7Info{App: s.app, Details: s.details, JA4H: s.ja4h, Signatures: s.signatures}
	}
	if s.tls {
		info.TLS = &tlsInfo{s.sni}
	}
	return encode(message{Action: ActionStop, Source: source, ID: id, Details: infoOf{info}})
}

// infoMessage is what the policy features collected: the echo of the answer to
// access-request, if one was asked, and the statistics.
func (s *script) infoMessage(form Form, source, id string, echo json.RawMessage, denied bool) []byte {
	session := s.stopLabel()
	if denied {
		session = s.accessLabel()
	}
	var d infoDetails
	if s.asks {
		if form == FormHOWTO {
			d.Access = accessEcho{Response: echo}
		} else {
			d.Access = infoOf{accessEcho{Response: echo, Session: session}}
		}
	}
	if s.sinks() && !denied {
		d.Sinkhole = s.sinkhole.message()
	}
	if s.hasStatistics() && !denied {
		d.Statistics = s.statisticsOf()
		if form != FormHOWTO {
			d.Statistics.Info = &protocolInfo{Protocol: s.protocol(), Session: session}
		}
	}
	return encode(message{Action: ActionInfo, Source: source, ID: id, Details: d})
}

// protocol is the name the statistics have for the app.
func (s *script) protocol() string {
	switch s.app {
	case "http1":
		return "http1"
	case "http2":
		return "http1+http2"
	}
	return ""
}

func (s *script) statisticsOf() *statisticsInfo {
	st := &statisticsInfo{}
	st.Entropy.Left, st.Entropy.Right = s.entropyUp.message(), s.entropyDown.message()
	skew := number(s.skew())
	if s.skewNull {
		skew = number(math.NaN())
	}
	st.Flow.Skew, st.Flow.SkewAll = skew, skew
	bucket := rateBucket{Down: s.down, Up: s.up}
	if s.down > 0 {
		bucket.RateDown = 1
	}
	if s.up > 0 {
		bucket.RateUp = -1
	}
	st.Flow.Rates = []rateBucket{bucket}
	if seconds := int(s.duration.Seconds()); seconds > 0 && s.down > 1 {
		// Sparse: the first second and the last.
		last := rateBucket{Down: s.down / 2, RateDown: 1, Index: seconds}
		st.Flow.Rates[0].Down -= last.Down
		st.Flow.Rates = append(st.Flow.Rates, last)
	}
	return st
}

func (e sample) message() sideEntropy {
	ratio := number(e.topRatio)
	if e.undefined {
		ratio = number(math.NaN())
	}
	return sideEntropy{
		Bytes: e.bytes, Entropy: number(e.entropy),
		TopByte: e.topByte, TopCount: e.topCount, TopRatio: ratio,
	}
}

func (h *Sinkhole) message() *sinkholeInfo {
	return &sinkholeInfo{
		ReplacementSize: h.ReplacementSize, SinkLeft: h.Left, SinkRight: h.Right,
		SunkenLeft: h.SunkenLeft, SunkenRight: h.SunkenRight,
	}
}

// contentMessage carries payload, which is drawn from the size alone: nobody is
// to look at it.
func (s *script) contentMessage(source, id string, c content) []byte {
	payload := make([]byte, c.size)
	r := rand.New(rand.NewPCG(uint64(c.size), uint64(s.client.Port())))
	for i := range payload {
		payload[i] = byte(r.Uint32())
	}
	return encode(message{
		Action: ActionContent, Source: source, ID: id,
		Details: infoOf{contentInfo{base64.StdEncoding.EncodeToString(payload), s.stopLabel(), c.side}},
	})
}

package fleet

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
)

// encode encodes a message. Like smithproxy, it does not escape angle brackets.
func encode(m message) []byte {
	if m.Type == "" {
		m.Type = "proxy"
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		// Everything in a message can be encoded, and an echo is checked before. So this is a bug of this package.
		panic(fmt.Sprintf("encoding a message: %v", err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// listOr returns the list, or the JSON of an empty list.
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

// infoMessage returns a connection-info with the results of the policy features: the echo of the answer to the
// access-request, the statistics and the sinkhole. That of a denied connection has only the echo.
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

// protocol returns the name of the app in the statistics.
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

// contentMessage returns a connection-content whose payload depends only on its size and the client's port.
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

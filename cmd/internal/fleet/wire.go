package fleet

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Action is the kind of a message.
type Action string

// The actions of smithproxy.
const (
	ActionPing     Action = "ping"
	ActionNeighbor Action = "neighbor"
	ActionAccess   Action = "access-request"
	ActionStart    Action = "connection-start"
	ActionStop     Action = "connection-stop"
	ActionInfo     Action = "connection-info"
	ActionContent  Action = "connection-content"
)

// message is the body of a request. Like smithproxy's, its keys are sorted, and floats have a decimal point.
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

// number is a float as smithproxy encodes it: 0.0, and null for NaN.
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

// accessEcho has the receiver's answer to an access-request.
type accessEcho struct {
	Response json.RawMessage `json:"access-response"`
	Session  string          `json:"session,omitempty"`
}

// sinkholeInfo has the results of a sink feature, left for the client's payload and right for the server's.
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

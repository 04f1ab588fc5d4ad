package event

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// message has the fields of all wire forms, so that a body is decoded in one pass. No name has different types in two
// actions.
type message struct {
	Action   string `json:"action"`
	Type     string `json:"type"`
	Source   string `json:"source"`
	ID       string `json:"id"`
	Instance string `json:"instance"`
	// Null and absent have different meanings.
	Proxies     list     `json:"proxies"`
	ProxiesPlus list     `json:"proxies-plus"`
	Address     string   `json:"address"`
	Addresses   []string `json:"addresses"`
	State       string   `json:"state"`
	Details     *details `json:"details"`
}

type details struct {
	Info       *info       `json:"info"`
	Statistics *statistics `json:"statistics"`
	// In the HOWTO form the data of a feature is not inside another info.
	Access *struct {
		echo
		Info *echo `json:"info"`
	} `json:"access-request"`
	// An access-request has these at this level.
	Session  string    `json:"session"`
	Policy   *int      `json:"policy"`
	Sinkhole *sinkhole `json:"sinkhole"`
}

type sinkhole struct {
	Left            bool   `json:"sink_left"`
	Right           bool   `json:"sink_right"`
	SunkenLeft      uint64 `json:"sunken_left"`
	SunkenRight     uint64 `json:"sunken_right"`
	ReplacementSize uint64 `json:"replacement_size"`
}

type echo struct {
	Session  string         `json:"session"`
	Response jsontext.Value `json:"access-response"`
}

type info struct {
	Session   string  `json:"session"`
	Policy    *int    `json:"policy"`
	BytesUp   *uint64 `json:"bytes_up"`
	BytesDown *uint64 `json:"bytes_down"`
	JA4Client string  `json:"ja4_ch"`
	JA4Server string  `json:"ja4_sh"`
	IgnoreSNI *bool   `json:"ja4_ch_ignore_sni"`
	TLS       *struct {
		SNI string `json:"sni"`
	} `json:"tls"`
	L7 *struct {
		App        string   `json:"app"`
		Details    []string `json:"details"`
		Signatures []string `json:"signatures"`
		JA4HTTP    []string `json:"ja4h"`
	} `json:"l7"`
	Side    string      `json:"side"`
	Content payloadSize `json:"content"`
}

type statistics struct {
	Info struct {
		Session string `json:"session"`
	} `json:"info"`
	Entropy struct {
		Left  *sample `json:"left"`
		Right *sample `json:"right"`
	} `json:"entropy"`
	Flow struct {
		Skew *float64 `json:"skew"`
	} `json:"flow"`
}

type sample struct {
	Entropy *float64 `json:"entropy"`
	Sampled *uint64  `json:"bytes_accounted"`
}

// payloadSize is the length in bytes of the data in a base64 string.
type payloadSize int

func (n *payloadSize) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	if len(raw) < 2 || raw[0] != '"' {
		return fmt.Errorf("%w: content is no string", ErrType)
	}
	// A solidus of the alphabet can come escaped, so neither the backslash nor the padding counts.
	digits := len(raw) - 2 - bytes.Count(raw, []byte{'\\'}) - bytes.Count(raw, []byte{'='})
	*n = payloadSize(max(0, digits) * 3 / 4)
	return nil
}

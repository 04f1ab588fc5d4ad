package api

import "time"

// Status is the state of the exporter itself.
type Status struct {
	Version   string    `json:"version"`
	Revision  string    `json:"revision,omitempty"`
	GoVersion string    `json:"go_version"`
	Started   time.Time `json:"started"`
	Ready     bool      `json:"ready"`
	// Config is the configuration in force as YAML, with secrets masked.
	Config     string        `json:"config"`
	ConfigFile string        `json:"config_file,omitempty"`
	Reload     Reload        `json:"reload"`
	Storage    Storage       `json:"storage"`
	History    HistoryStatus `json:"history"`
	Queue      Queue         `json:"queue"`
	Listeners  []Listener    `json:"listeners"`
	Lists      []AccessList  `json:"lists"`
	// Proxies and Connections are how many are tracked.
	Proxies     int `json:"proxies"`
	Connections int `json:"connections"`
}

// Reload is the state of configuration reloads.
type Reload struct {
	// Enabled reports whether POST /-/reload is allowed.
	Enabled bool `json:"enabled"`
	// Last is when the configuration was loaded successfully.
	Last time.Time `json:"last,omitzero"`
	// Failed reports whether a later attempt failed, and Error why.
	Failed bool   `json:"failed"`
	Error  string `json:"error,omitempty"`
}

// Storage is the state of the store.
type Storage struct {
	Path string `json:"path"`
	// Bytes is its size on disk, MaxBytes its bound.
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"max_bytes"`
	// Behind is set while the store lacks changes because the disk fails.
	Behind bool `json:"behind"`
}

// HistoryStatus is the state of the finished connections in the store.
type HistoryStatus struct {
	Enabled bool `json:"enabled"`
	// Connections is how many there are; about Bytes bytes.
	Connections int64     `json:"connections"`
	Bytes       int64     `json:"bytes"`
	MaxBytes    int64     `json:"max_bytes"`
	MaxAge      float64   `json:"max_age_seconds"`
	Oldest      time.Time `json:"oldest,omitzero"`
}

// Queue is the state of the spans that wait to be sent.
type Queue struct {
	// Enabled reports whether there is an OTLP endpoint.
	Enabled bool  `json:"enabled"`
	Spans   int   `json:"spans"`
	Bytes   int64 `json:"bytes"`
	// Oldest is when the oldest waiting span was queued; absent if none waits.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Listener is an address on which the exporter listens.
type Listener struct {
	// Name is webhook or web.
	Name    string `json:"name"`
	Address string `json:"address"`
	TLS     bool   `json:"tls"`
	// Connections is how many are open; absent if that is not known.
	Connections *int `json:"connections,omitempty"`
}

// Setup is what a new proxy needs to know.
type Setup struct {
	// URL is the webhook's without the secret: it ends with "/webhook/".
	URL string `json:"url"`
	// Proxies is how many proxies were ever seen, Pinged whether one of them has pinged.
	Proxies int  `json:"proxies"`
	Pinged  bool `json:"pinged"`
}

// SetupSecret is the secret that is appended to Setup.URL.
type SetupSecret struct {
	Secret string `json:"secret"`
	URL    string `json:"url"`
}

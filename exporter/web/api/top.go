package api

import "time"

// TopDimensions are the dimensions of Top, TopWindows its windows, and TopOrders its orders; the first of each is the
// default.
var (
	TopDimensions = []string{"client", "server", "sni", "app"}
	TopWindows    = []string{"5m", "1h", "24h"}
	TopOrders     = []string{"bytes", "connections"}
)

// TopQuery selects a table. Zero fields are the defaults.
type TopQuery struct {
	Dimension, Window, Order string
	// Limit is the greatest number of rows without the overflow; 0 is 20.
	Limit int
}

// Top is a table of the values with the most traffic.
type Top struct {
	Dimension string `json:"dimension"`
	Window    string `json:"window"`
	Order     string `json:"order"`
	// From is when counting began: the exporter's start, or the beginning of the window.
	From time.Time `json:"from"`
	Rows []TopRow  `json:"rows"`
	// Total is everything, Other what no row has: values without a counter of their own, and those beyond the limit.
	Total TopRow `json:"total"`
	Other TopRow `json:"other"`
}

// TopRow is a value and its traffic.
type TopRow struct {
	// Value is "_other" in Top.Other, "" in Top.Total.
	Value       string `json:"value"`
	Connections uint64 `json:"connections"`
	BytesUp     uint64 `json:"bytes_up"`
	BytesDown   uint64 `json:"bytes_down"`
}

// Bytes returns the bytes in both directions.
func (r TopRow) Bytes() uint64 { return r.BytesUp + r.BytesDown }

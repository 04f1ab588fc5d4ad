package main

import (
	"log/slog"

	"smithproxy_exporter/exporter/track"
)

// crowd is a sink that logs that there are more sources than may be: once, and again after one of the
// proxies was forgotten. How many events it concerns is in a metric.
type crowd struct {
	logger *slog.Logger
	logged bool
}

// Take is called by the pipeline.
func (c *crowd) Take(f track.Fact) {
	switch f := f.(type) {
	case track.Untracked:
		if !c.logged {
			c.logged = true
			c.logger.Warn("There are more sources than proxies.max: their events are answered, and lead to nothing else", "source", f.Source)
		}
	case track.ProxyForgotten:
		c.logged = false
	}
}

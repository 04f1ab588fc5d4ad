package main

import (
	"log/slog"

	"smithproxy_exporter/exporter/track"
)

// crowd is a sink that logs that there are more sources than may be: once, for whoever invents them must not
// fill the log. How many events it concerns is in a metric.
type crowd struct {
	logger *slog.Logger
	logged bool
}

// Take is called by the pipeline.
func (c *crowd) Take(f track.Fact) {
	if f, ok := f.(track.Untracked); ok && !c.logged {
		c.logged = true
		c.logger.Warn("There are more sources than proxies.max: their events are answered, and lead to nothing else", "first", f.Source)
	}
}

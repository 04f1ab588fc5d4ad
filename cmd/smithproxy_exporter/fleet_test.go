package main

import "smithproxy_exporter/cmd/internal/fleet"

// fleetOf is the fleet of a generation that a test begins with.
func fleetOf(generation fleet.Generation) fleet.Config {
	cfg := fleet.DefaultConfig()
	cfg.Generation = generation
	cfg.QUICShare = 0.03
	return cfg
}

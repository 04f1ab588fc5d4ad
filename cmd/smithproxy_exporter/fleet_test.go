package main

import "smithproxy_exporter/cmd/internal/fleet"

// fleetGeneration is the generation of smithproxy that every test with a fleet plays.
const fleetGeneration = fleet.Generation2025

// fleetConfig is the fleet that a test begins with. The exporter does not yet know connections that lists
// never hold, nor planned stops.
func fleetConfig() fleet.Config {
	cfg := fleet.DefaultConfig()
	cfg.Generation = fleetGeneration
	cfg.LegacyExpectations = true
	cfg.SOCKSUDPShare = 0
	return cfg
}

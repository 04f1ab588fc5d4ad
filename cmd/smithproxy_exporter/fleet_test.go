package main

import "smithproxy_exporter/cmd/internal/fleet"

// fleetOf is the fleet of a generation that a test begins with. The streams of a QUIC connection share its label, so that
// an access-request that is delivered again, as an older proxy does, looks like that of another stream.
func fleetOf(generation fleet.Generation) fleet.Config {
	cfg := fleet.DefaultConfig()
	cfg.Generation = generation
	if generation == fleet.Generation2026 {
		cfg.QUICShare = 0.03
	}
	return cfg
}

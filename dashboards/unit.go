package dashboards

// Units that Grafana has no name for.
const (
	connectionsPerSecond = "suffix: conn/s"
	bitsPerByte          = "suffix: bit/B"
)

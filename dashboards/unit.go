package dashboards

// Units without a name in Grafana.
const (
	connectionsPerSecond = "suffix: conn/s"
	bitsPerByte          = "suffix: bit/B"
)

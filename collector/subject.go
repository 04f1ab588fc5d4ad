package collector

import "smithproxy_exporter/exporter/track"

// subject returns the proxy that a fact is about, "" for a fact that no series of a proxy comes of.
// spoke is false for what becomes known by the mere passing of time.
func subject(f track.Fact) (source string, spoke bool) {
	switch f := f.(type) {
	case track.Received:
		return f.Source, true
	case track.Duplicate:
		return f.Source, true
	case track.ProxyAppeared:
		return f.Source, true
	case track.Restored:
		return f.Source, true
	case track.Pinged:
		return f.Source, true
	case track.InstanceChanged:
		return f.Source, true
	case track.NeighborSeen:
		return f.Source, true
	case track.ContentSeen:
		return f.Source, true
	case track.TakenOver:
		return f.C.Source, true
	case track.Opened:
		return f.C.Source, true
	case track.Stopped:
		return f.C.Source, true
	case track.Profiled:
		return f.C.Source, true
	case track.Closed:
		return f.C.Source, true
	case track.Late:
		return f.C.Source, true
	case track.Recounted:
		return f.D.Source, true
	case track.Decided:
		return f.D.Source, true
	case track.ProxyForgotten:
		return f.Source, false
	case track.ProxySilent:
		return f.Source, false
	case track.NeighborsAlive:
		return f.Source, false
	case track.ConnectionsActive:
		return f.Source, false
	}
	return "", false
}

package collector

import "smithproxy_exporter/exporter/track"

// sourceOf returns the source of the proxy that a fact is about, "" for facts that change no series of a proxy.
// spoke reports whether the fact follows from an event of the proxy, and not from time or a restored state.
func sourceOf(f track.Fact) (source string, spoke bool) {
	switch f := f.(type) {
	case track.Received:
		if f.Outcome == track.Untracked {
			return "", false
		}
		return f.Source, true
	case track.ProxyAppeared:
		return f.Source, true
	case track.ProxyRestarted:
		return f.Source, true
	case track.NeighborSeen:
		return f.Source, !f.Restored
	case track.ContentSeen:
		return f.Source, true
	case track.Adopted:
		return f.C.Source, true
	case track.Started:
		return f.C.Source, true
	case track.Stopped:
		return f.C.Source, true
	case track.Profiled:
		return f.C.Source, true
	case track.Ended:
		return f.C.Source, true
	case track.Finished:
		return f.C.Source, true
	case track.Late:
		return f.C.Source, true
	case track.Decided:
		return f.D.Source, true
	case track.ProxyForgotten:
		return f.Source, false
	case track.ProxyStatus:
		return f.Source, false
	}
	return "", false
}

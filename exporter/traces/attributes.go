package traces

import (
	"cmp"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/track"
)

// The attributes that the semantic conventions have no stable name for.
const (
	keyConnection     attribute.Key = "smithproxy.connection.id"
	keyOrdinal        attribute.Key = "smithproxy.connection.ordinal"
	keyInstance       attribute.Key = "smithproxy.instance.id"
	keySession        attribute.Key = "smithproxy.session"
	keyPolicy         attribute.Key = "smithproxy.policy"
	keyBytesUp        attribute.Key = "smithproxy.bytes.up"
	keyBytesDown      attribute.Key = "smithproxy.bytes.down"
	keySignatures     attribute.Key = "smithproxy.signatures"
	keyEntropyUp      attribute.Key = "smithproxy.entropy.up"
	keyEntropyDown    attribute.Key = "smithproxy.entropy.down"
	keySkew           attribute.Key = "smithproxy.flow.skew"
	keyVerdict        attribute.Key = "smithproxy.access.verdict"
	keyRule           attribute.Key = "smithproxy.access.rule"
	keyDecision       attribute.Key = "smithproxy.access.decision"
	keyDryRun         attribute.Key = "smithproxy.access.dry_run"
	keyDryRunRule     attribute.Key = "smithproxy.access.dry_run_rule"
	keyReason         attribute.Key = "smithproxy.close.reason"
	keyStartEstimated attribute.Key = "smithproxy.start.estimated"
	keyEndEstimated   attribute.Key = "smithproxy.end.estimated"
	keyDropped        attribute.Key = "smithproxy.l7.dropped"
	keyJA4Client      attribute.Key = "smithproxy.tls.client.ja4"
	keyJA4Server      attribute.Key = "smithproxy.tls.server.ja4s"
	keyJA4IgnoreSNI   attribute.Key = "smithproxy.tls.client.ja4_ignore_sni"
	keyJA4HTTP        attribute.Key = "smithproxy.http.ja4h"
	keyNetwork        attribute.Key = "smithproxy.client.network"
	keyASN            attribute.Key = "smithproxy.server.as.number"
	keyOrganization   attribute.Key = "smithproxy.server.as.organization"
	keySinkLeft       attribute.Key = "smithproxy.sinkhole.client"
	keySinkRight      attribute.Key = "smithproxy.sinkhole.server"
	keySunkenLeft     attribute.Key = "smithproxy.sinkhole.bytes.up"
	keySunkenRight    attribute.Key = "smithproxy.sinkhole.bytes.down"
	keyReplacement    attribute.Key = "smithproxy.sinkhole.replacement.size"
)

// attributes is a list of attributes. Unknown values are left out.
type attributes []attribute.KeyValue

func (a *attributes) add(kv ...attribute.KeyValue) { *a = append(*a, kv...) }

func (a *attributes) text(key attribute.Key, value string) {
	if value != "" {
		a.add(key.String(value))
	}
}

func (s *Sink) connectionAttributes(c *track.Connection) attributes {
	a := make(attributes, 0, 32)
	a.add(keyConnection.String(c.ID))
	if c.N > 1 {
		a.add(keyOrdinal.Int(int(c.N)))
	}
	a.text(keyInstance, c.Instance())
	a.text(keySession, c.Label)
	a.text(keyReason, string(c.Reason()))
	if policy := c.Policy(); policy != event.PolicyUnknown || c.Stop != nil && c.Stop.Policy != nil {
		a.policy(policy)
	}
	session := c.Session()
	a.add(s.sessionAttributes(session, sniOf(c))...)
	if session.Transport() == event.TLS || c.Stop != nil && c.Stop.TLS {
		a.add(semconv.TLSEstablished(true))
	}
	if c.Stop != nil {
		a.stop(c)
	}
	if st := c.Statistics; st != nil {
		a.statistics(st)
	}
	if sink := c.Sinkhole; sink != nil {
		a.add(keySinkLeft.Bool(sink.Left), keySinkRight.Bool(sink.Right), keySunkenLeft.Int64(int64(sink.SunkenLeft)),
			keySunkenRight.Int64(int64(sink.SunkenRight)), keyReplacement.Int64(int64(sink.ReplacementSize)))
	}
	if verdict, rule, ok := c.Verdict(); ok {
		a.add(keyVerdict.String(string(verdict)))
		a.text(keyRule, rule)
	}
	if c.Decision != nil {
		a.dryRun(c.Decision)
	}
	return a
}

// dryRun adds the dry-run rule that would have rejected the connection, if there is one.
func (a *attributes) dryRun(d *track.Decision) {
	if d.DryRunRule != "" {
		a.add(keyDryRun.Bool(true), keyDryRunRule.String(d.DryRunRule))
	}
}

// policy adds the index of the policy, or the string "implicit" if no policy matched and the connection was let through.
func (a *attributes) policy(policy int) {
	if policy == event.PolicyImplicit {
		a.add(keyPolicy.String(event.PolicyText(policy)))
		return
	}
	a.add(keyPolicy.Int(policy))
}

func (a *attributes) stop(c *track.Connection) {
	s := c.Stop
	a.protocol(s.App)
	a.text(keyJA4Client, s.JA4Client)
	a.text(keyJA4Server, s.JA4Server)
	if s.JA4Client != "" && s.JA4IgnoreSNI != nil {
		a.add(keyJA4IgnoreSNI.Bool(*s.JA4IgnoreSNI))
	}
	if len(s.JA4HTTP) > 0 {
		a.add(keyJA4HTTP.StringSlice(s.JA4HTTP))
	}
	// Attributes are signed; no connection transfers 8 EiB.
	a.add(keyBytesUp.Int64(int64(s.BytesUp)), keyBytesDown.Int64(int64(s.BytesDown)))
	if len(s.Signatures) > 0 {
		a.add(keySignatures.StringSlice(s.Signatures))
	}
	if dropped := c.DetailsListed - len(s.Details); dropped > 0 {
		a.add(keyDropped.Int(dropped))
	}
}

// protocol adds the protocol in the terms of the conventions: http2 is version 2 of http. http1 can be 1.0 or 1.1.
func (a *attributes) protocol(app string) {
	switch app {
	case "":
	case "http1":
		a.add(semconv.NetworkProtocolName("http"))
	case "http2", "http3":
		a.add(semconv.NetworkProtocolName("http"), semconv.NetworkProtocolVersion(app[len("http"):]))
	default:
		a.add(semconv.NetworkProtocolName(strings.ToLower(app)))
	}
}

func (a *attributes) statistics(st *event.Statistics) {
	if st.Up != nil {
		a.add(keyEntropyUp.Float64(st.Up.Bits))
	}
	if st.Down != nil {
		a.add(keyEntropyDown.Float64(st.Down.Bits))
	}
	if st.Skew != nil {
		a.add(keySkew.Float64(*st.Skew))
	}
}

func sniOf(c *track.Connection) string {
	if c.Stop == nil {
		return ""
	}
	return c.Stop.SNI
}

// serverAddress returns the name that the client requested, or else the address of the server.
func serverAddress(s event.Session, sni string) string { return cmp.Or(sni, s.Server.Host) }

// sessionAttributes returns the attributes of both sides, with the client's network and the server's place.
func (s *Sink) sessionAttributes(session event.Session, sni string) []attribute.KeyValue {
	a := addressAttributes(session, sni)
	a.text(keyNetwork, s.network(session.Client.Host))
	if s.places != nil {
		if addr, ok := session.Server.Addr(); ok {
			a.place(s.places.Place(addr))
		}
	}
	return a
}

// place adds where the server is.
func (a *attributes) place(p geo.Place) {
	a.text(semconv.GeoContinentCodeKey, p.Continent)
	a.text(semconv.GeoCountryISOCodeKey, p.Country)
	a.text(semconv.GeoRegionISOCodeKey, p.Region)
	a.text(semconv.GeoLocalityNameKey, p.City)
	if p.ASN != 0 {
		a.add(keyASN.Int64(int64(p.ASN)))
	}
	a.text(keyOrganization, p.Organization)
}

// addressAttributes returns the attributes of both sides. server.address is the name that the client requested, if any;
// the address of the connection is the peer's.
func addressAttributes(s event.Session, sni string) attributes {
	var a attributes
	if s.Client.Known() {
		a.add(semconv.ClientAddress(s.Client.Host), semconv.ClientPort(int(s.Client.Port)))
	}
	if server := serverAddress(s, sni); server != "" {
		a.add(semconv.ServerAddress(server))
	}
	if s.Server.Known() {
		a.add(semconv.ServerPort(int(s.Server.Port)),
			semconv.NetworkPeerAddress(s.Server.Host), semconv.NetworkPeerPort(int(s.Server.Port)))
	}
	switch s.Transport() {
	case event.TCP, event.TLS, event.SSH:
		a.add(semconv.NetworkTransportTCP)
	case event.QUIC:
		a.add(semconv.NetworkTransportQUIC)
	case event.UDP:
		a.add(semconv.NetworkTransportUDP)
	case event.Unix:
		a.add(semconv.NetworkTransportUnix)
	}
	if kv, ok := networkType(s); ok {
		a.add(kv)
	}
	return a
}

// networkType returns the family of the server's address, or of the client's if the server is unknown. The sides can
// differ.
func networkType(s event.Session) (kv attribute.KeyValue, ok bool) {
	side := s.Server
	if !side.Known() {
		side = s.Client
	}
	addr, ok := side.Addr()
	switch {
	case !ok:
		return kv, false
	case addr.Unmap().Is4():
		return semconv.NetworkTypeIPv4, true
	default:
		return semconv.NetworkTypeIPv6, true
	}
}

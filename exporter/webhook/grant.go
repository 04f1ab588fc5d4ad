package webhook

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"net/netip"

	"smithproxy_exporter/exporter/access"
)

// grant is what a secret or a client certificate speaks for.
type grant struct {
	all     bool
	globs   []access.Glob
	sources access.Names // compiled globs
}

// add lets the grant speak for more sources; nil stands for all.
func (g *grant) add(sources []access.Glob) {
	g.all = g.all || sources == nil
	g.globs = append(g.globs, sources...)
	g.sources = access.NewNames(g.globs)
}

func (g *grant) speaksFor(source string) bool { return g.all || g.sources.Match(source) }

// keyBytes and a generated secret fit into one block of SHA-256.
const keyBytes = 16

// admission is who is let in. It never changes.
type admission struct {
	// secrets are found by their hashes under a key of this process. Nobody outside can compute such a hash, so how
	// long the look-up takes says nothing about a secret.
	key     [keyBytes]byte
	secrets map[[sha256.Size]byte]*grant
	// certificates are the grants of client certificates by name; nil lets every verified certificate in.
	certificates map[string]*grant
	// allow are the networks of clients; nil allows all.
	allow *access.Networks
}

// newAdmission returns the admission of a configuration. secrets are those of c.Secrets, read.
func newAdmission(c Config, secrets []string) *admission {
	a := &admission{secrets: map[[sha256.Size]byte]*grant{}}
	rand.Read(a.key[:])
	for i, secret := range secrets {
		var sources []access.Glob
		if i < len(c.Secrets) {
			sources = c.Secrets[i].Sources
		}
		grantOf(a.secrets, a.hash(secret)).add(sources)
	}
	if c.TLS != nil && c.TLS.Clients != nil {
		a.certificates = map[string]*grant{}
		for _, client := range c.TLS.Clients {
			grantOf(a.certificates, client.Name).add(client.Sources)
		}
	}
	if c.Allow != nil {
		networks := access.NewNetworks(c.Allow)
		a.allow = &networks
	}
	return a
}

func grantOf[K comparable](grants map[K]*grant, key K) *grant {
	g, ok := grants[key]
	if !ok {
		g = new(grant)
		grants[key] = g
	}
	return g
}

func (a *admission) hash(secret string) [sha256.Size]byte {
	var block [keyBytes + 64]byte
	copy(block[:], a.key[:])
	return sha256.Sum256(append(block[:keyBytes], secret...))
}

// secret returns the grant of a secret, nil for a wrong one.
func (a *admission) secret(candidate string) *grant { return a.secrets[a.hash(candidate)] }

// certificate returns the grants of the names of a client certificate. ok is false if it has none, and grants is nil
// if certificates are not told apart.
func (a *admission) certificate(c *x509.Certificate) (grants []*grant, ok bool) {
	if a.certificates == nil {
		return nil, true
	}
	for _, name := range append([]string{c.Subject.CommonName}, c.DNSNames...) {
		if g := a.certificates[name]; g != nil {
			grants = append(grants, g)
		}
	}
	return grants, len(grants) > 0
}

// admits reports whether clients of an address may connect. An invalid address, that of a Unix socket, may.
func (a *admission) admits(addr netip.Addr) bool {
	return a.allow == nil || !addr.IsValid() || a.allow.Contains(addr)
}

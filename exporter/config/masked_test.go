package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/exporter/config"
)

// What Masked shows is the configuration: loaded again it is the same but for secrets, and no secret is in it.
func TestMasked(t *testing.T) {
	for _, name := range []string{"valid.yml", "access.yml"} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			text, err := c.Masked()
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"Aa0-._~", "Bearer token"} {
				if strings.Contains(text, secret) {
					t.Errorf("%q is shown:\n%s", secret, text)
				}
			}
			for i := range c.Webhook.Secrets {
				if c.Webhook.Secrets[i].Secret != "" {
					c.Webhook.Secrets[i].Secret = "secret"
				}
			}
			for name := range c.OTLP.Headers {
				c.OTLP.Headers[name] = "<secret>"
			}
			path := filepath.Join(t.TempDir(), "config.yml")
			// A mask is no valid secret.
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "secret: <secret>", "secret: secret")), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := config.Load(path)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			// Relative paths have become relative to another directory.
			dir := filepath.Dir(path)
			for i := range again.Webhook.Secrets {
				again.Webhook.Secrets[i].SecretFile = strings.TrimPrefix(again.Webhook.Secrets[i].SecretFile, dir+"/")
			}
			if tls := again.Webhook.TLS; tls != nil {
				for _, file := range []*string{&tls.CertFile, &tls.KeyFile, &tls.ClientCAFile} {
					*file = strings.TrimPrefix(*file, dir+"/")
				}
			}
			for i := range again.Access.Rules {
				for _, files := range [][]string{again.Access.Rules[i].ClientFile, again.Access.Rules[i].ServerFile} {
					for j := range files {
						files[j] = strings.TrimPrefix(files[j], dir+"/")
					}
				}
			}
			for i := range again.GeoIP.Files {
				again.GeoIP.Files[i] = strings.TrimPrefix(again.GeoIP.Files[i], dir+"/")
			}
			if diff := cmp.Diff(c, again, cmpopts.IgnoreFields(config.Config{}, "Positions"), cmp.Comparer(sameNetwork)); diff != "" {
				t.Errorf("-configured +shown:\n%s\n%s", diff, text)
			}
		})
	}
}

func TestMaskedHidesPasswordsInURLs(t *testing.T) {
	c := config.Default()
	c.OTLP.Endpoint = "https://user:hidden@otlp.example.com"
	text, err := c.Masked()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "hidden") || !strings.Contains(text, "otlp.example.com") {
		t.Errorf("the endpoint is shown as\n%s", text)
	}
}

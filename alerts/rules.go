// Package alerts has the recording and alert rules that Prometheus loads.
package alerts

import (
	_ "embed" // for the rules

	"go.yaml.in/yaml/v3"
)

//go:embed smithproxy.rules.yml
var file []byte

// Rule is a recording rule or an alert.
type Rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Rules returns the rules of smithproxy.rules.yml in their order.
func Rules() ([]Rule, error) {
	var parsed struct {
		Groups []struct {
			Rules []Rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(file, &parsed); err != nil {
		return nil, err
	}
	var rules []Rule
	for _, g := range parsed.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules, nil
}

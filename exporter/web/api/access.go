package api

import "time"

// Access is the state of the access rules.
type Access struct {
	// Rules are in the order in which they are tried; the last one, "default", stands for the defaults.
	Rules []Rule       `json:"rules"`
	Lists []AccessList `json:"lists"`
	// Recent are the latest decisions, the latest first.
	Recent []Decision `json:"recent"`
	// DryRun reports whether all rules and defaults are dry-run.
	DryRun bool `json:"dry_run"`
}

// Rule is an access rule and what it decided since the exporter started.
type Rule struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	DryRun  bool   `json:"dry_run,omitempty"`
	// Conditions are the fields of the rule as they are configured, such as "client: 10.0.0.0/8".
	Conditions []string `json:"conditions,omitempty"`
	// Hits are its decisions. DryRunHits are the connections that it would have rejected.
	Hits       uint64 `json:"hits"`
	DryRunHits uint64 `json:"dry_run_hits"`
	// LastHit is absent if it did not decide or match yet.
	LastHit time.Time `json:"last_hit,omitzero"`
}

// AccessList is a list file of the access rules.
type AccessList struct {
	Path string `json:"path"`
	// Entries is the number of distinct networks and addresses.
	Entries  int       `json:"entries"`
	Modified time.Time `json:"modified"`
}

// Decision is an answered access-request.
type Decision struct {
	At      time.Time `json:"at"`
	Source  string    `json:"source"`
	ID      string    `json:"decision"`
	Client  string    `json:"client_address,omitempty"`
	Server  string    `json:"server_address,omitempty"`
	Port    uint16    `json:"server_port,omitempty"`
	Session string    `json:"session"`
	Policy  string    `json:"policy,omitempty"`
	Verdict string    `json:"verdict"`
	Rule    string    `json:"rule"`
	// DryRunRule is the dry-run rule that would have rejected the connection.
	DryRunRule string `json:"dry_run_rule,omitempty"`
}

// TryRequest is an access-request to be tried. Its fields are those of the command access-check.
type TryRequest struct {
	Source  string `json:"source"`
	Session string `json:"session"`
	// Policy is a number, -1 or "" if it is unknown, or implicit.
	Policy string `json:"policy,omitempty"`
	// At is a time in RFC 3339 for schedules; "" is now.
	At string `json:"at,omitempty"`
}

// TryResult is how the rules answer a TryRequest, and why.
type TryResult struct {
	At time.Time `json:"at"`
	// Client, Server, Port, Transport and Policy are the request as it was understood; absent if unknown.
	Client     string `json:"client_address,omitempty"`
	ClientPort uint16 `json:"client_port,omitempty"`
	Server     string `json:"server_address,omitempty"`
	Port       uint16 `json:"server_port,omitempty"`
	Transport  string `json:"transport,omitempty"`
	Policy     string `json:"policy,omitempty"`
	Verdict    string `json:"verdict"`
	Rule       string `json:"rule"`
	DryRunRule string `json:"dry_run_rule,omitempty"`
	// Passed are the rules above the one that decided, in order.
	Passed []PassedRule `json:"passed"`
}

// PassedRule is a rule that did not decide.
type PassedRule struct {
	Rule    string `json:"rule"`
	Verdict string `json:"verdict"`
	// Mismatches are the fields that did not match. A dry-run rule that matched has none.
	Mismatches []Mismatch `json:"mismatches"`
}

// Mismatch is a field that did not match, and why.
type Mismatch struct {
	Field string `json:"field"`
	Why   string `json:"why"`
}

// InputError is an error in the request of a user: the API answers it with 400.
type InputError struct {
	// Field is the parameter or field.
	Field string
	// Position is the byte in the value at which it begins, -1 if it is the whole value.
	Position int
	Err      error
}

func (e *InputError) Error() string { return e.Field + ": " + e.Err.Error() }

func (e *InputError) Unwrap() error { return e.Err }

// Command generate writes the generated part of the documentation of the metrics.
package main

import (
	"flag"
	"fmt"
	"os"

	"smithproxy_exporter/collector"
)

func main() {
	path := flag.String("file", "docs/metrics.md", "The document.")
	flag.Parse()
	if err := update(*path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func update(path string) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := collector.Document(before)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, after, 0o644)
}

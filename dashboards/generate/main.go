// Command generate writes the JSON of the dashboards.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"smithproxy_exporter/dashboards"
)

func main() {
	dir := flag.String("dir", "dashboards/grafana", "Folder of the JSON files.")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write also removes files that no dashboard generates any more.
func write(dir string) error {
	files, err := dashboards.Files()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if _, ok := files[filepath.Base(path)]; !ok {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

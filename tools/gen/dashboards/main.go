// Command dashboards writes Grafana's dashboards, of which the JSON is too long to be edited by hand.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER FOLDER-OF-THE-PLUGINS-CHART")
		os.Exit(2)
	}
	own, chart := os.Args[1], os.Args[2]
	for file, d := range map[string]dashboard{
		filepath.Join(own, "fleet.json"): fleet(), filepath.Join(own, "stream.json"): stream(),
		filepath.Join(own, "backfills.json"): backfills(), filepath.Join(own, "operator.json"): operator(),
		filepath.Join(chart, "v1.json"): plugin(),
	} {
		if err := write(file, d); err != nil {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
			os.Exit(1)
		}
	}
}

func write(file string, d dashboard) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return fmt.Errorf("write %s as JSON: %w", d.Title, err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the dashboard %s: %w", d.Title, err)
	}
	return nil
}

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
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER")
		os.Exit(2)
	}
	for name, d := range map[string]dashboard{
		"fleet": fleet(), "stream": stream(), "backfills": backfills(), "operator": operator(),
	} {
		if err := write(filepath.Join(os.Args[1], name+".json"), d); err != nil {
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

// Command dashboards draws a dashboard with the data of a Prometheus:
//
//	go run . -dashboard ../../config/grafana/fleet.json -prometheus http://localhost:9090 -since 24h -out fleet.png
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"image/png"
	"os"
	"strings"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
	"github.com/arcane-streaming/arcane-operator/test/dashboards/picture"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run() error {
	file := flag.String("dashboard", "", "the dashboard's JSON")
	url := flag.String("prometheus", "http://localhost:9090", "where Prometheus answers")
	end := flag.String("end", "", "the end of the window, as 2006-01-02T15:04:05Z; now when left out")
	since := flag.Duration("since", 24*time.Hour, "the length of the window")
	out := flag.String("out", "", "the PNG to write")
	vars := map[string]string{}
	flag.Func("var", "a value of a variable, as name=value; may be given again for others", func(text string) error {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q is not name=value", text)
		}
		vars[name] = value
		return nil
	})
	flag.Parse()
	to := time.Now()
	if *end != "" {
		var err error
		if to, err = time.Parse(time.RFC3339, *end); err != nil {
			return fmt.Errorf("the end of the window: %w", err)
		}
	}
	d, err := board.Load(*file)
	if err != nil {
		return err
	}
	drawn, err := picture.Render(context.Background(), d, *url, vars, to.Add(-*since).UTC(), to.UTC())
	if err != nil {
		return fmt.Errorf("draw %s: %w", *file, err)
	}
	return write(*out, func(w *bufio.Writer) error { return png.Encode(w, drawn) })
}

func write(name string, encode func(*bufio.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	if err := encode(w); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}

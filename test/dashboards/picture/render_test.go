package picture

// This file draws dashboards with the answers of a server of its own.

import (
	"encoding/json"
	"image"
	"image/color"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

// prometheus answers every query over a window with one series, value 2 in the first half of the window and 6 in the second, and
// notes what it was asked.
func prometheus(t *testing.T, from, to time.Time, asked *[]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		*asked = append(*asked, r.Form.Get("query"))
		var points [][2]any
		for at := from; !at.After(to); at = at.Add(15 * time.Second) {
			value := "2"
			if at.Sub(from) >= to.Sub(from)/2 {
				value = "6"
			}
			points = append(points, [2]any{at.Unix(), value})
		}
		series := map[string]any{"metric": map[string]string{"stream": "orders"}, "values": points}
		answer := map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": []any{series}}}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const page = `{
	"title": "One", "templating": {"list": [
		{"name": "stream", "label": "Stream", "type": "query", "definition": "label_values(up, stream)"}
	]},
	"panels": [{
		"type": "state-timeline", "title": "Phase", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 5},
		"fieldConfig": {"defaults": {"mappings": [{"type": "value", "options": {
			"2": {"text": "Failed", "color": "#FF0000"}, "6": {"text": "Running", "color": "#0000FF"}
		}}]}},
		"targets": [{"expr": "up{stream=\"$stream\"}[$__interval]", "legendFormat": "{{stream}}", "range": true}]
	}]
}`

// parts is how much of a picture's left and right half is of about a colour.
func parts(drawn image.Image, like color.RGBA) (left, right float64) {
	count, half := [2]int{}, drawn.Bounds().Dx()/2
	for x := range drawn.Bounds().Dx() {
		for y := range drawn.Bounds().Dy() {
			if drawn.At(x, y) == like {
				count[x/half]++
			}
		}
	}
	all := float64(half * drawn.Bounds().Dy())
	return float64(count[0]) / all, float64(count[1]) / all
}

func TestATimelineIsDrawnFromTheAnswers(t *testing.T) {
	var d board.Dashboard
	if err := json.Unmarshal([]byte(page), &d); err != nil {
		t.Fatal(err)
	}
	var asked []string
	from := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	to := from.Add(time.Hour)
	drawn, err := Render(t.Context(), d, prometheus(t, from, to, &asked), map[string]string{"stream": "orders"}, from, to)
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0] != `up{stream="orders"}[15s]` {
		t.Errorf("asked %q", asked)
	}
	if left, right := parts(drawn, over(parse("#FF0000"), 0.85)); left < 0.1 || right > 0.02 {
		t.Errorf("the first state fills %.3f of the left half and %.3f of the right one", left, right)
	}
	if left, right := parts(drawn, over(parse("#0000FF"), 0.85)); right < 0.1 || left > 0.02 {
		t.Errorf("the second state fills %.3f of the left half and %.3f of the right one", left, right)
	}
}

func TestUnknownVariablesAndPanelsAreErrors(t *testing.T) {
	var d board.Dashboard
	if err := json.Unmarshal([]byte(page), &d); err != nil {
		t.Fatal(err)
	}
	var asked []string
	from := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	url := prometheus(t, from, from.Add(time.Hour), &asked)
	if _, err := Render(t.Context(), d, url, map[string]string{"strem": "orders"}, from, from.Add(time.Hour)); err == nil {
		t.Error("a variable that there is not was taken")
	}
	d.Panels[0].Type = "piechart"
	if _, err := Render(t.Context(), d, url, map[string]string{"stream": "orders"}, from, from.Add(time.Hour)); err == nil {
		t.Error("a panel that cannot be drawn was left out without a word")
	}
}

func TestNumbersInTheirUnits(t *testing.T) {
	whole := 0
	for _, c := range []struct {
		unit   string
		value  float64
		digits *int
		want   string
	}{
		{"none", 17, nil, "17"},
		{"none", 1.0034, &whole, "1"},
		{"s", 0, nil, "0 s"},
		{"s", 0.0123, nil, "12.3 ms"},
		{"s", 3600, nil, "1 hour"},
		{"s", 15000, nil, "4.17 hours"},
		{"percentunit", 0.333, nil, "33.3 %"},
		{"bytes", 64 << 20, nil, "64 MiB"},
		{"Bps", 1500, nil, "1.5 kB/s"},
		{"ops", 0.025, nil, "0.025 ops/s"},
		{"rowsps", 2500, nil, "2.5K rows/s"},
	} {
		if got := inUnit(c.unit, c.value, c.digits); got != c.want {
			t.Errorf("%g in %s is %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}

package picture

// This file finds the colour and the text of a value, as Grafana does: override, mapping, threshold, palette.

import (
	"encoding/json"
	"image/color"
	"strconv"
	"strings"

	"github.com/arcane-streaming/arcane-operator/test/dashboards/board"
)

// palette is the beginning of Grafana's classic one.
var palette = []string{
	"#56A64B", "#EAB839", "#5794F2", "#FF780A", "#E02F44", "#A352CC", "#6ED0E0", "#705DA0", "#BA43A9", "#508642", "#CCA300", "#447EBC",
}

func parse(hex string) color.RGBA {
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		// A name of Grafana's own: the dashboards here name colours by number, a test holds them to it.
		return faint
	}
	return color.RGBA{uint8(n >> 16 & 0xff), uint8(n >> 8 & 0xff), uint8(n & 0xff), 0xff}
}

// over is the colour with what is left of it over white.
func over(c color.RGBA, opacity float64) color.RGBA {
	mix := func(v uint8) uint8 { return uint8(float64(v)*opacity + 255*(1-opacity)) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// colourOf is the colour of the i-th series of a panel at a value.
func colourOf(p board.Panel, i int, name string, value float64) color.RGBA {
	chosen := p.FieldConfig.Defaults.Color
	for _, o := range p.FieldConfig.Overrides {
		if o.Matcher.Options != name {
			continue
		}
		for _, property := range o.Properties {
			if property.ID == "color" {
				// The board's own test refuses what cannot be read.
				_ = json.Unmarshal(property.Value, &chosen)
			}
		}
	}
	if mapped, ok := mappingOf(p, value); ok && mapped.Color != "" {
		return parse(mapped.Color)
	}
	switch chosen.Mode {
	case "fixed":
		return parse(chosen.FixedColor)
	case "shades":
		return over(parse(chosen.FixedColor), 1/(1+0.35*float64(i)))
	case "thresholds":
		return threshold(p, value)
	default:
		return parse(palette[i%len(palette)])
	}
}

func threshold(p board.Panel, value float64) color.RGBA {
	found := faint
	for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
		if step.Value == nil || value >= *step.Value {
			found = parse(step.Color)
		}
	}
	return found
}

func mappingOf(p board.Panel, value float64) (board.Mapped, bool) {
	key := strconv.FormatFloat(value, 'g', -1, 64)
	for _, m := range p.FieldConfig.Defaults.Mappings {
		if mapped, ok := m.Options[key]; ok {
			return mapped, true
		}
	}
	return board.Mapped{}, false
}

// textOf is the value as it is shown.
func textOf(p board.Panel, value float64) string {
	if mapped, ok := mappingOf(p, value); ok && mapped.Text != "" {
		return mapped.Text
	}
	return inUnit(p.FieldConfig.Defaults.Unit, value, p.FieldConfig.Defaults.Decimals)
}

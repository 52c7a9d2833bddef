package picture

// This file writes numbers in Grafana's units.

import (
	"math"
	"strconv"
	"strings"
)

type scale struct {
	factor float64
	name   string
}

var (
	durations = []scale{
		{86400 * 365.25, "years"}, {86400 * 7, "weeks"}, {86400, "days"}, {3600, "hours"}, {60, "mins"}, {1, "s"}, {1e-3, "ms"}, {1e-6, "µs"},
	}
	thousands = []scale{{1e9, "G"}, {1e6, "M"}, {1e3, "K"}, {1, ""}}
	binaries  = []scale{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}}
	decimals  = []scale{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}
)

// perSecond are the units of rates with the word behind the number.
var perSecond = map[string]string{"ops": "ops/s", "reqps": "req/s", "rowsps": "rows/s"}

// KnowsUnit says whether values of a unit can be written.
func KnowsUnit(unit string) bool {
	switch unit {
	case "none", "s", "percentunit", "bytes", "Bps":
		return true
	}
	return perSecond[unit] != ""
}

// inUnit writes a value in its unit; digits behind the point as told, else as few as tell it well.
func inUnit(unit string, value float64, digits *int) string {
	switch unit {
	case "percentunit":
		return number(value*100, digits) + " %"
	case "s":
		return scaled(value, durations, digits, " ")
	case "bytes":
		return scaled(value, binaries, digits, " ")
	case "Bps":
		return scaled(value, decimals, digits, " ") + "/s"
	case "none":
		return number(value, digits)
	}
	return scaled(value, thousands, digits, "") + " " + perSecond[unit]
}

func scaled(value float64, scales []scale, digits *int, space string) string {
	if value == 0 {
		for _, s := range scales {
			if s.factor == 1 {
				return strings.TrimSpace("0" + space + s.name)
			}
		}
	}
	for i, s := range scales {
		if math.Abs(value) >= s.factor*0.9999 || i == len(scales)-1 {
			text := number(value/s.factor, digits)
			if text == "1" && len(s.name) > 2 {
				return text + space + strings.TrimSuffix(s.name, "s")
			}
			return strings.TrimSpace(text + space + s.name)
		}
	}
	return ""
}

func number(value float64, digits *int) string {
	if digits != nil {
		return strconv.FormatFloat(value, 'f', *digits, 64)
	}
	places := 0
	switch size := math.Abs(value); {
	case size == 0 || size >= 100:
	case size >= 10:
		places = 1
	case size >= 0.1:
		places = 2
	default:
		places = 3
	}
	text := strconv.FormatFloat(value, 'f', places, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

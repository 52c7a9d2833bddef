package picture

// This file finds the marks of axes.

import (
	"math"
	"time"
)

// valueMarks are about n round values from 0 or below up to at least most; durations are round in their own way.
func valueMarks(least, most float64, n int, unit string) []float64 {
	if most <= least {
		most = least + 1
	}
	step := roundUp((most-least)/float64(n), unit)
	if unit == "none" {
		step = math.Max(step, 1)
	}
	var marks []float64
	for i := math.Floor(least / step); ; i++ {
		marks = append(marks, i*step)
		if i*step >= most*0.9999 {
			return marks
		}
	}
}

func roundUp(raw float64, unit string) float64 {
	if unit == "s" && raw >= 1 {
		for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400} {
			if s >= raw {
				return s
			}
		}
		return math.Ceil(raw/86400) * 86400
	}
	if unit == "bytes" && raw >= 1024 {
		base := math.Pow(1024, math.Floor(math.Log(raw)/math.Log(1024)))
		return base * roundUp(raw/base, "")
	}
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range []float64{1, 2, 2.5, 5, 10} {
		if f*power >= raw*0.9999 {
			return f * power
		}
	}
	return 10 * power
}

// timeMarks are up to n round moments of a window.
func timeMarks(from, to time.Time, n int) []time.Time {
	step := 24 * time.Hour
	for _, s := range []time.Duration{
		time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if to.Sub(from) <= s*time.Duration(n) {
			step = s
			break
		}
	}
	var marks []time.Time
	for at := from.Truncate(step).Add(step); !at.After(to); at = at.Add(step) {
		marks = append(marks, at)
	}
	return marks
}

func timeText(marks []time.Time, at time.Time) string {
	if len(marks) > 1 && marks[1].Sub(marks[0]) < time.Minute {
		return at.Format("15:04:05")
	}
	return at.Format("15:04")
}

package telemetry

// This file says which streams have series of their own.

import (
	"fmt"
	"slices"
	"strings"
)

// PerStream is a choice of streams.
type PerStream string

// The choices.
const (
	// PerStreamAll are all streams.
	PerStreamAll PerStream = "all"
	// PerStreamUnhealthy are those that are not Ready, or are Stalled.
	PerStreamUnhealthy PerStream = "unhealthy"
	// PerStreamNone is no stream.
	PerStreamNone PerStream = "none"
)

var choices = []PerStream{PerStreamAll, PerStreamUnhealthy, PerStreamNone}

// UnmarshalText reads a choice.
func (p *PerStream) UnmarshalText(text []byte) error {
	if !slices.Contains(choices, PerStream(text)) {
		return fmt.Errorf("%q is none of %s", text, strings.Join(texts(choices), ", "))
	}
	*p = PerStream(text)
	return nil
}

// MarshalText writes it.
func (p PerStream) MarshalText() ([]byte, error) { return []byte(p), nil }

// tells whether a stream in this state has series of its own.
func (p PerStream) tells(ready, stalled bool) bool {
	switch p {
	case PerStreamNone:
		return false
	case PerStreamUnhealthy:
		return !ready || stalled
	case PerStreamAll:
	}
	return true
}

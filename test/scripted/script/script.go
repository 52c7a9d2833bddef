// Package script says what a scripted plugin does: the language in which a
// stream's spec sets run time, exit code and SIGTERM behaviour of its pods. The
// plugin itself follows it on real nodes, and the player where there is no node,
// so that one story can be told on both.
package script

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// Forever is the RunFor of a run that ends only when it is told to.
const Forever = Duration(-1)

// Duration reads as "2s" or "forever" in a stream's spec.
type Duration time.Duration

// MarshalJSON writes the form that UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d == Forever {
		return json.Marshal("forever")
	}
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads "forever" or what time.ParseDuration reads.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("a duration is a text such as 2s: %w", err)
	}
	if text == "forever" {
		*d = Forever
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("a duration is forever or a text such as 2s: %w", err)
	}
	if parsed < 0 {
		return fmt.Errorf("duration %s is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

// Source is the object at spec.source of a stream of the scripted plugin.
type Source struct {
	// Backfill is what its backfills do. A request's payload overrides its fields.
	Backfill Run `json:"backfill"`
	// Stream is what its streaming jobs do.
	Stream Run `json:"stream"`
}

// Run is what one pod does.
type Run struct {
	// RunFor is how long it works before it ends by itself.
	RunFor Duration `json:"runFor"`
	// ExitCode of that end.
	ExitCode int `json:"exitCode"`
	// Panic, where set, takes the place of the exit: the process panics with this text.
	Panic string `json:"panic,omitempty"`
	// Message is left as the termination message.
	Message string `json:"message,omitempty"`
	// OnSigterm is what SIGTERM causes.
	OnSigterm Signal `json:"onSigterm"`
}

// Signal is what SIGTERM causes.
type Signal struct {
	// Ignore lets the run go on until it is killed.
	Ignore bool `json:"ignore,omitempty"`
	// After is how long winding up takes.
	After Duration `json:"after"`
	// ExitCode after winding up.
	ExitCode int `json:"exitCode"`
}

// Default is a plugin that behaves: a backfill of a second that says when it was
// cut short, and a stream that runs until it is told to end.
func Default() Source {
	return Source{
		Backfill: Run{RunFor: Duration(time.Second), OnSigterm: Signal{ExitCode: 143}},
		Stream:   Run{RunFor: Forever},
	}
}

// FromEnvironment reads what the operator hands to a pod. Fields that the spec
// leaves out are those of Default.
func FromEnvironment(lookup func(name string) string) (Run, error) {
	spec := struct {
		Source Source `json:"source"`
	}{Source: Default()}
	if err := json.Unmarshal([]byte(lookup(streamingv1.EnvSpec)), &spec); err != nil {
		return Run{}, fmt.Errorf("read %s: %w", streamingv1.EnvSpec, err)
	}
	switch mode := lookup(streamingv1.EnvBackfill); mode {
	case "false":
		return spec.Source.Stream, nil
	case "true":
	default:
		return Run{}, fmt.Errorf("%s is %q, want true or false", streamingv1.EnvBackfill, mode)
	}
	run := spec.Source.Backfill
	override := strings.TrimSpace(lookup(streamingv1.EnvOverride))
	if override == "" {
		return run, nil
	}
	if err := json.Unmarshal([]byte(override), &run); err != nil {
		return Run{}, fmt.Errorf("read %s: %w", streamingv1.EnvOverride, err)
	}
	return run, nil
}

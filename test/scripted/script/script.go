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
	// Message is left as the termination message, however it ends.
	Message string `json:"message,omitempty"`
	// Mark is added to the termination message as a line of its own where the run has done its work and exits 0.
	Mark string `json:"mark,omitempty"`
	// Fill is what it writes before it works.
	Fill Fill `json:"fill,omitzero"`
	// OnSigterm is what SIGTERM causes.
	OnSigterm Signal `json:"onSigterm"`
}

// Signal is what SIGTERM causes.
type Signal struct {
	// Ignore lets the run go on until it is killed.
	Ignore bool `json:"ignore,omitempty"`
	// After is how long winding up takes.
	After Duration `json:"after"`
	// Finish lets it do the rest of its work while it winds up: SIGTERM has hastened it and has not cut it short.
	Finish bool `json:"finish,omitempty"`
	// ExitCode after winding up.
	ExitCode int `json:"exitCode"`
}

// Fill is a file of so many mebibytes, more than a limit allows.
type Fill struct {
	Path      string `json:"path"`
	Mebibytes int    `json:"mebibytes"`
}

// EnvBeside is the environment variable that holds the Run of a container beside the plugin's. The operator hands the
// stream's spec to all containers alike.
const EnvBeside = "SCRIPT_BESIDE"

// CutShort is the line of the termination message of a run that SIGTERM ended before its work was done, whatever its exit
// code. So whoever sees the pod knows the truth, also where nothing else of the pod shows it.
const CutShort = "SIGTERM ended this run before its work was done"

// LastWords are the termination message of a run that has finished, or was cut short, and exits with a code.
func (r Run) LastWords(code int, finished bool) string {
	var words []string
	if r.Message != "" {
		words = append(words, r.Message)
	}
	switch {
	case !finished:
		words = append(words, CutShort)
	case r.Mark != "" && code == 0:
		words = append(words, r.Mark)
	}
	return strings.Join(words, "\n")
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
	if beside := lookup(EnvBeside); beside != "" {
		var run Run
		if err := json.Unmarshal([]byte(beside), &run); err != nil {
			return Run{}, fmt.Errorf("read %s: %w", EnvBeside, err)
		}
		return run, nil
	}
	spec := struct {
		Source Source `json:"source"`
	}{Source: Default()}
	if err := json.Unmarshal([]byte(lookup(streamingv1.EnvSpec)), &spec); err != nil {
		return Run{}, fmt.Errorf("read %s: %w", streamingv1.EnvSpec, err)
	}
	mode := lookup(streamingv1.EnvBackfill)
	if mode != "true" && mode != "false" {
		return Run{}, fmt.Errorf("%s is %q, want true or false", streamingv1.EnvBackfill, mode)
	}
	if mode == "false" {
		return spec.Source.Stream, nil
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

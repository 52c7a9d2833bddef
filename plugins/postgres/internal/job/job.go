// Package job reads what the operator tells a job: the STREAMCONTEXT__ environment.
package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

// The environment of a stream's job.
const (
	EnvStreamID        = "STREAMCONTEXT__STREAM_ID"
	EnvStreamNamespace = "STREAMCONTEXT__STREAM_NAMESPACE"
	EnvStreamUID       = "STREAMCONTEXT__STREAM_UID"
	EnvSpec            = "STREAMCONTEXT__SPEC"
	EnvBackfill        = "STREAMCONTEXT__BACKFILL"
	EnvBackfillID      = "STREAMCONTEXT__BACKFILL_ID"
	EnvBackfillUID     = "STREAMCONTEXT__BACKFILL_UID"
	EnvOverride        = "STREAMCONTEXT__OVERRIDE"
	EnvRun             = "STREAMCONTEXT__RUN"
)

// Job is one job of one stream.
type Job struct {
	Stream Stream
	// Run grows with every job of the stream; zero in scheduled runs, whose environment is static.
	Run int64
	// Backfill is nil in a streaming job.
	Backfill *Backfill
	Spec     spec.Spec
}

// Stream says whose job it is. A name may come again after a deletion, a UID does not.
type Stream struct {
	Namespace string
	Name      string
	UID       string
}

// Backfill is one request for a backfill.
type Backfill struct {
	// Key names the backfill's output and is the same again on every retry.
	Key string
	// ID is the request's name, for people.
	ID string
	// Scheduled: no streaming job follows, so this one carries the changes as well.
	Scheduled bool
	// Part overrides the size of parts for this one backfill.
	Part spec.Part
}

// Lookup is os.LookupEnv, or a test's.
type Lookup func(name string) (string, bool)

// Read reads the environment of a job.
func Read(lookup Lookup) (Job, error) {
	var job Job
	var err error
	if job.Stream, err = ReadStream(lookup); err != nil {
		return Job{}, err
	}
	if job.Spec, err = readSpec(lookup); err != nil {
		return Job{}, err
	}
	if run, found := lookup(EnvRun); found && run != "" {
		if job.Run, err = strconv.ParseInt(run, 10, 64); err != nil {
			return Job{}, exit.Configf("%s: %q is no number", EnvRun, run)
		}
	}
	backfill, err := required(lookup, EnvBackfill)
	if err != nil {
		return Job{}, err
	}
	switch strings.ToLower(backfill) {
	case "false":
	case "true":
		if job.Backfill, err = readBackfill(lookup); err != nil {
			return Job{}, err
		}
	default:
		return Job{}, exit.Configf("%s: %q is neither true nor false", EnvBackfill, backfill)
	}
	return job, nil
}

// nameForm keeps what becomes a part of paths and of SQL names within what both take as it is.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`)

// ReadStream reads whose job it is.
func ReadStream(lookup Lookup) (Stream, error) {
	var stream Stream
	fields := []struct {
		env   string
		value *string
	}{
		{EnvStreamNamespace, &stream.Namespace},
		{EnvStreamID, &stream.Name},
		{EnvStreamUID, &stream.UID},
	}
	for _, field := range fields {
		value, err := required(lookup, field.env)
		if err != nil {
			return Stream{}, err
		}
		if !nameForm.MatchString(value) {
			return Stream{}, exit.Configf("%s: %q is no name of letters, digits, dots and dashes", field.env, value)
		}
		*field.value = value
	}
	return stream, nil
}

func readSpec(lookup Lookup) (spec.Spec, error) {
	text, err := required(lookup, EnvSpec)
	if err != nil {
		return spec.Spec{}, err
	}
	return spec.Read([]byte(text))
}

func readBackfill(lookup Lookup) (*Backfill, error) {
	id, err := required(lookup, EnvBackfillID)
	if err != nil {
		return nil, err
	}
	backfill := &Backfill{ID: id, Key: id, Scheduled: true}
	// A run of a CronJob has no request and thus no UID; its own name is unique in time.
	if uid, found := lookup(EnvBackfillUID); found && uid != "" {
		backfill.Key, backfill.Scheduled = uid, false
	}
	if !nameForm.MatchString(backfill.Key) {
		return nil, exit.Configf("%s: %q is no name of letters, digits, dots and dashes", EnvBackfillUID, backfill.Key)
	}
	payload, found := lookup(EnvOverride)
	if !found || payload == "" {
		return backfill, nil
	}
	// The payload is a free object: other tools may keep their own words in it.
	var override struct {
		Part spec.Part `json:"part"`
	}
	if err := json.Unmarshal([]byte(payload), &override); err != nil {
		return nil, exit.Configf("payload of the BackfillRequest: want {part: {maxRows, maxBytes}}: %w", err)
	}
	if override.Part.MaxRows < 0 || override.Part.MaxBytes < 0 {
		return nil, exit.Configf("payload of the BackfillRequest: part.maxRows and part.maxBytes must be above zero")
	}
	backfill.Part = override.Part
	return backfill, nil
}

func required(lookup Lookup, name string) (string, error) {
	value, found := lookup(name)
	if !found || value == "" {
		return "", exit.Configf("environment variable %s is missing: this program is started by the Arcane operator, as a stream's job", name)
	}
	return value, nil
}

// uuidForm is what Kubernetes makes; anything else is hashed into what a slot may be called.
var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// SlotName is the name of the stream's replication slot and of its publication:
// both follow from the UID, so that no two streams ever share one.
func (s Stream) SlotName() string {
	if uuidForm.MatchString(s.UID) {
		return "arcane_" + strings.ReplaceAll(s.UID, "-", "_")
	}
	sum := sha256.Sum256([]byte(s.UID))
	return "arcane_" + hex.EncodeToString(sum[:16])
}

// Directory is where all of the stream's files are, below the bucket and the prefix.
func (s Stream) Directory(prefix string) string {
	directory := s.Namespace + "/" + s.Name + "-" + s.UID
	if prefix != "" {
		directory = prefix + "/" + directory
	}
	return directory
}

// FromObject reads stream and spec from the JSON of a Stream, as kubectl prints it.
func FromObject(data []byte) (Job, error) {
	var object struct {
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
			UID       string `json:"uid"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return Job{}, exit.Configf("read the Stream: %w", err)
	}
	return Read(func(name string) (string, bool) {
		value, found := map[string]string{
			EnvStreamID:        object.Metadata.Name,
			EnvStreamNamespace: object.Metadata.Namespace,
			EnvStreamUID:       object.Metadata.UID,
			EnvSpec:            string(object.Spec),
			EnvBackfill:        "false",
		}[name]
		return value, found
	})
}

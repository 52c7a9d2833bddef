package spec

// This file reads a spec strictly: what is unknown, missing or secret is refused with its path.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// Read reads the JSON of a Stream's whole spec. Fields beside source and sink are the operator's.
func Read(data []byte) (Spec, error) {
	var parts struct {
		Source json.RawMessage `json:"source"`
		Sink   json.RawMessage `json:"sink"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return Spec{}, exit.Configf("spec: not a JSON object: %w", err)
	}
	var spec Spec
	if err := readObject("spec.source", parts.Source, &spec.Source); err != nil {
		return Spec{}, err
	}
	if err := readObject("spec.sink", parts.Sink, &spec.Sink); err != nil {
		return Spec{}, err
	}
	spec.setDefaults()
	return spec, spec.validate()
}

func readObject(path string, data json.RawMessage, into any) error {
	if len(data) == 0 {
		return exit.Configf("%s: is missing", path)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return exit.Configf("%s: not JSON: %w", path, err)
	}
	if err := refuseSecrets(path, tree); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return exit.Configf("%s: %w", path, err)
	}
	return nil
}

// secretKey matches names of fields that can only be meant for a secret.
var secretKey = regexp.MustCompile(`(?i)^(.*passw(or)?d|pgpass.*|.*secret.*|.*token|.*(access|account|api|private|ssl|shared)_?key.*|connection_?string|dsn)$`)

// refuseSecrets looks for secrets before anything else reads the spec. Its
// message names the field and never the value: the message ends in logs, in
// the stream's status and in events.
func refuseSecrets(path string, node any) error {
	switch value := node.(type) {
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if secretKey.MatchString(key) {
				return exit.Configf("%s.%s: a spec holds no secrets; put it into a Secret and name that in spec.source.credentials", path, key)
			}
			if err := refuseSecrets(path+"."+key, value[key]); err != nil {
				return err
			}
		}
	case []any:
		for index, item := range value {
			if err := refuseSecrets(fmt.Sprintf("%s[%d]", path, index), item); err != nil {
				return err
			}
		}
	case string:
		if holdsSecret(value) {
			return exit.Configf("%s: holds a secret; put it into a Secret and name that in spec.source.credentials", path)
		}
	}
	return nil
}

// secretValue matches the ways in which a password is hidden in another text: libpq's keywords, URL parameters.
var secretValue = regexp.MustCompile(`(?i)(passw(or)?d|secret|token|access_?key[^=]*|account_?key|sig)\s*=`)

func holdsSecret(text string) bool {
	if secretValue.MatchString(text) {
		return true
	}
	if !strings.Contains(text, "://") {
		return false
	}
	parsed, err := url.Parse(text)
	return err == nil && parsed.User != nil
}

func (s *Spec) setDefaults() {
	setDefault(&s.Source.Port, 5432)
	setDefault(&s.Source.Schema, "public")
	setDefault(&s.Source.SSLMode, "prefer")
	setDefault(&s.Sink.Format, Parquet)
	setDefault(&s.Sink.Decimals, DecimalsNative)
	setDefault(&s.Sink.Batch.MaxRows, 10_000)
	setDefault(&s.Sink.Batch.MaxBytes, 16<<20)
	setDefault(&s.Sink.Batch.MaxAge, Duration(10*time.Second))
	setDefault(&s.Sink.Part.MaxRows, 100_000)
	setDefault(&s.Sink.Part.MaxBytes, 32<<20)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var (
	sslModes   = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
	prefixForm = regexp.MustCompile(`^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$`)
	bucketForm = regexp.MustCompile(`^[a-z0-9]+://`)
)

func (s *Spec) validate() error {
	required := []struct{ path, value string }{
		{"spec.source.host", s.Source.Host},
		{"spec.source.database", s.Source.Database},
		{"spec.source.table", s.Source.Table},
		{"spec.sink.bucket", s.Sink.Bucket},
	}
	for _, field := range required {
		if field.value == "" {
			return exit.Configf("%s: is missing", field.path)
		}
	}
	switch {
	case !slices.Contains(sslModes, s.Source.SSLMode):
		return exit.Configf("spec.source.sslMode: %q is none of %s", s.Source.SSLMode, strings.Join(sslModes, ", "))
	case !bucketForm.MatchString(s.Sink.Bucket):
		return exit.Configf("spec.sink.bucket: %q is no URL such as file:///sink or s3://name?region=eu-central-1", s.Sink.Bucket)
	case !prefixForm.MatchString(s.Sink.Prefix) || slices.Contains(strings.Split(s.Sink.Prefix, "/"), ".."):
		return exit.Configf("spec.sink.prefix: %q is no path of letters, digits and _ . = -, without a slash at its ends", s.Sink.Prefix)
	case s.Sink.Format != Parquet && s.Sink.Format != JSONL:
		return exit.Configf("spec.sink.format: %q is neither parquet nor jsonl", s.Sink.Format)
	case s.Sink.Decimals != DecimalsNative && s.Sink.Decimals != DecimalsText:
		return exit.Configf("spec.sink.decimals: %q is neither native nor text", s.Sink.Decimals)
	case s.Sink.Batch.MaxRows < 1 || s.Sink.Batch.MaxBytes < 1 || s.Sink.Batch.MaxAge <= 0:
		return exit.Configf("spec.sink.batch: maxRows, maxBytes and maxAge must be above zero")
	case s.Sink.Part.MaxRows < 1 || s.Sink.Part.MaxBytes < 1:
		return exit.Configf("spec.sink.part: maxRows and maxBytes must be above zero")
	}
	return nil
}

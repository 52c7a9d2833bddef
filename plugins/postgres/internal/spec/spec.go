// Package spec is what a user writes below source and sink of a Stream.
package spec

import (
	"encoding/json"
	"fmt"
	"time"
)

// Spec is the part of a Stream's spec that this plugin reads.
type Spec struct {
	Source Source `json:"source"`
	Sink   Sink   `json:"sink"`
}

// Source says which table is read, and where.
type Source struct {
	Host     string `json:"host"`
	Port     uint16 `json:"port,omitempty"`
	Database string `json:"database"`
	// User may also come from the environment, as PGUSER.
	User    string `json:"user,omitempty"`
	Schema  string `json:"schema,omitempty"`
	Table   string `json:"table"`
	SSLMode string `json:"sslMode,omitempty"`
	// Publication names one that exists already; empty: the plugin keeps its own.
	Publication string `json:"publication,omitempty"`
	// Credentials names the Secret whose keys become environment variables. The plugin itself reads only those.
	Credentials *SecretName `json:"credentials,omitempty"`
}

// SecretName names a Secret in the stream's namespace.
type SecretName struct {
	Name string `json:"name"`
}

// Sink says where files are written, and how they are cut.
type Sink struct {
	// Bucket is a URL that gocloud.dev/blob understands: file://, s3://, gs://, azblob://.
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix,omitempty"`
	Format Format `json:"format,omitempty"`
	// Decimals chooses the Parquet type of numeric(p,s).
	Decimals Decimals `json:"decimals,omitempty"`
	Batch    Batch    `json:"batch,omitempty"`
	Part     Part     `json:"part,omitempty"`
}

// Format is the format of data files.
type Format string

// The formats.
const (
	Parquet Format = "parquet"
	JSONL   Format = "jsonl"
)

// Decimals says what becomes of numeric(p,s) in Parquet.
type Decimals string

// The ways to write numeric(p,s).
const (
	// DecimalsNative writes Parquet's DECIMAL, which has no NaN.
	DecimalsNative Decimals = "native"
	// DecimalsText writes PostgreSQL's own text.
	DecimalsText Decimals = "text"
)

// Batch limits a file of changes; whichever limit is met first ends it.
type Batch struct {
	MaxRows  int      `json:"maxRows,omitempty"`
	MaxBytes int      `json:"maxBytes,omitempty"`
	MaxAge   Duration `json:"maxAge,omitempty"`
}

// Part limits a part of a backfill; whichever limit is met first ends it.
type Part struct {
	MaxRows  int `json:"maxRows,omitempty"`
	MaxBytes int `json:"maxBytes,omitempty"`
}

// Duration is written as Go and Kubernetes write it: 10s, 1m30s.
type Duration time.Duration

// UnmarshalJSON reads a duration.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a text such as 10s: %w", err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("read a duration: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalJSON writes a duration as it is read.
func (d Duration) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(time.Duration(d).String())
	if err != nil {
		return nil, fmt.Errorf("write a duration: %w", err)
	}
	return data, nil
}

package spec

// This file reads specs: what is left out, and what is refused.

import (
	"strings"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, err := Read([]byte(`{"suspended": false, "streamClass": "postgres",
		"source": {"host": "db", "database": "shop", "table": "orders", "credentials": {"name": "db"}},
		"sink": {"bucket": "file:///sink", "batch": {"maxAge": "1m30s"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Spec{
		Source: Source{Host: "db", Port: 5432, Database: "shop", Schema: "public", Table: "orders", SSLMode: "prefer", Credentials: got.Source.Credentials},
		Sink: Sink{
			Bucket: "file:///sink", Format: Parquet, Decimals: DecimalsNative,
			Batch: Batch{MaxRows: 10_000, MaxBytes: 16 << 20, MaxAge: Duration(90 * time.Second)},
			Part:  Part{MaxRows: 100_000, MaxBytes: 32 << 20},
		},
	}
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestSecretsAndMistakesAreRefusedByName(t *testing.T) {
	t.Parallel()
	const source, sink = `{"host": "h", "database": "d", "table": "t"`, `{"bucket": "s3://b"`
	tests := []struct{ source, sink, says string }{
		{source + `, "password": "canary"}`, sink + `}`, "spec.source.password: "},
		{source + `, "PGPASSWORD": "canary"}`, sink + `}`, "spec.source.PGPASSWORD: "},
		{source + `, "sslKey": "canary"}`, sink + `}`, "spec.source.sslKey: "},
		{source + `, "credentials": {"name": "x", "token": "canary"}}`, sink + `}`, "spec.source.credentials.token: "},
		{`{"host": "h password=canary", "database": "d", "table": "t"}`, sink + `}`, "spec.source.host: holds a secret"},
		{source + `}`, `{"bucket": "s3://key:canary@b"}`, "spec.sink.bucket: holds a secret"},
		{source + `}`, `{"bucket": "azblob://b?sig=canary"}`, "spec.sink.bucket: holds a secret"},
		{source + `}`, sink + `, "accessKeyId": "canary"}`, "spec.sink.accessKeyId: "},
		{source + `, "tabel": "x"}`, sink + `}`, `unknown field "tabel"`},
		{`{"host": "h", "database": "d"}`, sink + `}`, "spec.source.table: is missing"},
		{source + `, "sslMode": "on"}`, sink + `}`, "spec.source.sslMode"},
		{source + `, "port": 70000}`, sink + `}`, "spec.source"},
		{source + `}`, `{"bucket": "/sink"}`, "spec.sink.bucket"},
		{source + `}`, sink + `, "prefix": "a/../b"}`, "spec.sink.prefix"},
		{source + `}`, sink + `, "prefix": "a/"}`, "spec.sink.prefix"},
		{source + `}`, sink + `, "format": "csv"}`, "spec.sink.format"},
		{source + `}`, sink + `, "batch": {"maxAge": "soon"}}`, "spec.sink"},
		{source + `}`, sink + `, "batch": {"maxRows": -1}}`, "spec.sink.batch"},
		{source + `}`, sink + `, "part": {"maxBytes": -1}}`, "spec.sink.part"},
	}
	for _, test := range tests {
		_, err := Read([]byte(`{"source": ` + test.source + `, "sink": ` + test.sink + `}`))
		if exit.Code(err) != exit.Config || !strings.Contains(err.Error(), test.says) {
			t.Errorf("source %s, sink %s: %v; want exit %d about %q", test.source, test.sink, err, exit.Config, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the message shows the secret: %v", err)
		}
	}
	for _, text := range []string{`[]`, `{}`, `{"source": {"host": "h"}}`, `not json`} {
		if _, err := Read([]byte(text)); exit.Code(err) != exit.Config {
			t.Errorf("%s: %v; want exit %d", text, err, exit.Config)
		}
	}
}

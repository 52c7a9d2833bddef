package validation

// This file measures what a Stream of 10 kB costs at admission, without the API calls around it.

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

// tenKB is the good world with a spec of 10 kB: in a few long texts, as a query
// is, or in many small fields.
func tenKB(b *testing.B, many bool) (*world, StreamSurroundings) {
	b.Helper()
	w := good(b)
	source := `{"table":"orders","credentials":{"name":"pg"},"query":"` + strings.Repeat("select 1, ", 980) + `"}`
	if many {
		columns := make([]string, 280)
		for i := range columns {
			columns[i] = fmt.Sprintf(`{"name":"column_%03d","type":"int"}`, i)
		}
		source = `{"table":"orders","credentials":{"name":"pg"},"columns":[` + strings.Join(columns, ",") + `]}`
	}
	w.stream.Spec.Source = raw(source)
	raw, err := json.Marshal(w.stream.Spec)
	if err != nil || len(raw) < 9_900 || len(raw) > 10_400 {
		b.Fatalf("%d bytes, %v", len(raw), err)
	}
	around := w.ofStream()
	around.Schema = definition.SchemaOf(w.class)
	return w, around
}

func BenchmarkStream(b *testing.B) {
	for name, many := range map[string]bool{"texts": false, "fields": true} {
		w, around := tenKB(b, many)
		old := w.stream.DeepCopy()
		old.Status.Job = &v1.JobRecord{Mode: v1.ModeStream}
		old.Spec.Sink = raw(`{"url":"file:///other"}`)
		b.Run(name+"/create", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				DefaultStream(w.stream, true, around)
				if _, errs := Stream(nil, w.stream, around); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
		})
		b.Run(name+"/update", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if warnings, errs := Stream(old, w.stream, around); len(errs) > 0 || len(warnings) != 1 {
					b.Fatal(warnings, errs)
				}
			}
		})
	}
}

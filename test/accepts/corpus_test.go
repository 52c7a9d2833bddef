package accepts

// This file asks the same of what the fuzz targets of internal/validation begin with.

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/validation"
)

// corpus is the objects in a fuzz target's corpus, by file.
func corpus[T any](t *testing.T, target string) map[string]*T {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../internal/validation/testdata/fuzz", target, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus of %s: %v", target, err)
	}
	all := map[string]*T{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			quoted, found := strings.CutPrefix(strings.TrimSpace(line), "[]byte(")
			if !found {
				continue
			}
			text, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
			if err != nil {
				t.Fatal(err)
			}
			object := new(T)
			if json.Unmarshal([]byte(text), object) == nil {
				all[filepath.Base(file)] = object
			}
		}
	}
	return all
}

func TestCorpusOfTemplates(t *testing.T) {
	for name, template := range corpus[v1.StreamingJobTemplate](t, "FuzzTemplate") {
		t.Run(name, func(t *testing.T) {
			template.Namespace, template.Name = "sales", "std"
			admitted(t, template)
		})
	}
}

func TestCorpusOfStreams(t *testing.T) {
	around := validation.StreamSurroundings{Class: plainClass(), Template: plainTemplate("std"), BackfillTemplate: plainTemplate("big")}
	for name, s := range corpus[v1.Stream](t, "FuzzStream") {
		t.Run(name, func(t *testing.T) {
			s.Namespace, s.Spec.StreamClass = "sales", "postgres"
			if len(utilvalidation.IsDNS1123Subdomain(s.Name)) > 0 {
				// The API server takes no other.
				s.Name = "orders"
			}
			validation.DefaultStream(s, true, around)
			if !accepted(validation.Stream(nil, s, around)) {
				return
			}
			for _, j := range validation.StreamJobs(s, around) {
				taken(t, "the Job of the dry run", refusals(t, j))
			}
		})
	}
}

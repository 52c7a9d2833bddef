package validation

// This file tests that what this repository tells its users to apply is right.

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// shipped are the objects of ours in some folders.
type shipped struct {
	classes   []*v1.StreamClass
	templates []*v1.StreamingJobTemplate
	streams   []*v1.Stream
	requests  []*v1.BackfillRequest
}

// read adds those of a folder, strictly: a misspelt field would be left out without a word.
func (all *shipped) read(t *testing.T, folder string) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(content, []byte("\n---\n")) {
			if err := all.add(document); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}

func (all *shipped) add(document []byte) error {
	meta := metav1.TypeMeta{}
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	var into any
	switch meta.Kind {
	case v1.KindStreamClass:
		all.classes = append(all.classes, &v1.StreamClass{})
		into = all.classes[len(all.classes)-1]
	case v1.KindStreamingJobTemplate:
		all.templates = append(all.templates, &v1.StreamingJobTemplate{})
		into = all.templates[len(all.templates)-1]
	case v1.KindStream:
		all.streams = append(all.streams, &v1.Stream{})
		into = all.streams[len(all.streams)-1]
	case v1.KindBackfillRequest:
		all.requests = append(all.requests, &v1.BackfillRequest{})
		into = all.requests[len(all.requests)-1]
	default:
		return nil
	}
	return yaml.UnmarshalStrict(document, into)
}

// TestWhatIsShipped: samples, the plugins' manifests, and the demo's; all of it is
// accepted without a warning.
func TestWhatIsShipped(t *testing.T) {
	for name, folders := range map[string][]string{
		"samples": {"../../config/samples"},
		"plugin":  {"../../plugins/postgres/config", "../../plugins/postgres/config/samples", "../../test/demo"},
	} {
		all := &shipped{}
		for _, folder := range folders {
			all.read(t, folder)
		}
		if len(all.classes) != 1 || len(all.templates) == 0 || len(all.streams) == 0 || len(all.requests) == 0 {
			t.Fatalf("%s: %d classes, %d templates, %d streams, %d requests", name, len(all.classes), len(all.templates), len(all.streams), len(all.requests))
		}
		good := func(what string, got said) {
			if len(got.errs)+len(got.warnings) > 0 {
				t.Errorf("%s: %s: %q", name, what, got)
			}
		}
		class := all.classes[0]
		good(class.Name, told(Class(nil, class, ClassSurroundings{})))
		users := []TemplateUser{{Stream: &v1.Stream{}, Class: class}}
		for _, template := range all.templates {
			good(template.Name, told(Template(nil, template, TemplateSurroundings{Users: users})))
		}
		template := all.templates[0]
		for _, s := range all.streams {
			around := StreamSurroundings{Class: class, Template: template, BackfillTemplate: template}
			DefaultStream(s, true, around)
			good(s.Name, told(Stream(nil, s, around)))
		}
		for _, q := range all.requests {
			good(q.Name, told(Request(nil, q, RequestSurroundings{Stream: all.streams[0], Class: class, Template: template})))
		}
	}
}

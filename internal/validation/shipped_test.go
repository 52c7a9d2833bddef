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

// TestWhatIsShipped: samples, and the classes and templates of the plugins.
func TestWhatIsShipped(t *testing.T) {
	for _, folder := range []string{"../../config/samples", "../../plugins/postgres/config"} {
		var classes []*v1.StreamClass
		var templates []*v1.StreamingJobTemplate
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
				meta := metav1.TypeMeta{}
				if err := yaml.Unmarshal(document, &meta); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				switch meta.Kind {
				case v1.KindStreamClass:
					classes = append(classes, &v1.StreamClass{})
					err = yaml.UnmarshalStrict(document, classes[len(classes)-1])
				case v1.KindStreamingJobTemplate:
					templates = append(templates, &v1.StreamingJobTemplate{})
					err = yaml.UnmarshalStrict(document, templates[len(templates)-1])
				}
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
			}
		}
		if len(classes) != 1 || len(templates) == 0 {
			t.Fatalf("%s: %d classes, %d templates", folder, len(classes), len(templates))
		}
		if got := told(Class(nil, classes[0], ClassSurroundings{})); len(got.errs)+len(got.warnings) > 0 {
			t.Errorf("%s: %s: %q", folder, classes[0].Name, got)
		}
		users := []TemplateUser{{Stream: &v1.Stream{}, Class: classes[0]}}
		for _, template := range templates {
			if got := told(Template(nil, template, TemplateSurroundings{Users: users})); len(got.errs)+len(got.warnings) > 0 {
				t.Errorf("%s: %s: %q", folder, template.Name, got)
			}
		}
	}
}

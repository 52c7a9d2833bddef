package cli

// This file holds the StreamClass to the mark that the program writes: with another one no backfill would ever be believed.

import (
	"os"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestTheClassDeclaresTheMarkThatIsWritten(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../config/class.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var class struct {
		Spec struct {
			Completion struct {
				Mark    string `yaml:"mark"`
				Message string `yaml:"terminationMessage"`
			} `yaml:"completion"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(data, &class); err != nil {
		t.Fatal(err)
	}
	declared := class.Spec.Completion
	if declared.Message == "" {
		// The API's default.
		declared.Message = "completed"
	}
	if declared.Mark != "TerminationMessage" || declared.Message != mark {
		t.Errorf("the class declares %+v, and the program writes %q", declared, mark)
	}
}

package install

// This file tests what is found out about the machine before a server is started.

import (
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// A file of process ids that a killed server left names nobody, or somebody else.
func TestLeftOverProcessFileNamesNobody(t *testing.T) {
	d := &Database{folder: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(d.folder, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", "1\n", "999999999\n", "half"} {
		if err := os.WriteFile(filepath.Join(d.folder, "data", "postmaster.pid"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if pid, err := d.process(); pid != 0 || err != nil {
			t.Errorf("with %q: process %d, %v", content, pid, err)
		}
	}
	if err := d.Stop(t.Context()); err != nil {
		t.Errorf("stop where nothing runs: %v", err)
	}
}

func TestSlotIsNamedAsThePluginNamesIt(t *testing.T) {
	s := &streamingv1.Stream{ObjectMeta: metav1.ObjectMeta{UID: "965e6bb2-4025-4c87-b6d9-3f23ee756bdf"}}
	if got, want := Slot(s), "arcane_965e6bb2_4025_4c87_b6d9_3f23ee756bdf"; got != want {
		t.Errorf("Slot = %q, want %q", got, want)
	}
}

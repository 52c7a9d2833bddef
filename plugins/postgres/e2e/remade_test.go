package e2e

// This file looks at a table that is made anew all the time.

import (
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

// TestATableThatIsMadeAnewMeanwhileIsDescribed: dropped and created in one
// transaction it is always there, and always with its key.
func TestATableThatIsMadeAnewMeanwhileIsDescribed(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple)
	from := source.Source{Spec: spec.Source{Schema: "public", Table: "t", Database: s.database}}
	stop := make(chan struct{})
	changer := connect(t, server.URL(s.database))
	changed := make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				changed <- nil
				return
			default:
			}
			if _, err := changer.Exec(t.Context(), `DROP TABLE t; `+simple); err != nil {
				changed <- err
				return
			}
		}
	}()
	for range 1000 {
		found, err := from.Describe(t.Context(), s.db)
		if err != nil || len(found.KeyOrder) != 1 {
			t.Errorf("key %v, %v", found.KeyOrder, err)
			break
		}
	}
	close(stop)
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
}

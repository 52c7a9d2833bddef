package view

// Tests of which changes are read from which files.

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/sink"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

func openSink(t *testing.T) *sink.Sink {
	t.Helper()
	files, err := sink.Open(t.Context(), "file://"+t.TempDir(), "ns/stream-uid", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	return files
}

// put writes a file with changes at these places, three to each LSN.
func put(t *testing.T, files *sink.Sink, epoch int, places ...layout.Place) {
	t.Helper()
	changes := make([]table.Change, len(places))
	for index, place := range places {
		row := []table.Cell{table.TextCell(fmt.Sprint(place.LSN)), table.TextCell("1"), table.TextCell("x")}
		changes[index] = table.Change{LSN: place.LSN, Seq: place.Seq, Op: table.Insert, Cells: row}
	}
	data, err := rowfile.EncodeChanges(spec.JSONL, *oldSchema, rowfile.Origin{}, changes)
	if err != nil {
		t.Fatal(err)
	}
	file := layout.ChangeFile{Epoch: epoch, First: places[0], Last: places[len(places)-1], Schema: oldSchema.ID(), Format: spec.JSONL}
	if err := files.Put(t.Context(), file.Key(), data); err != nil {
		t.Fatal(err)
	}
}

func TestOverlappingFilesGiveEachChangeOnce(t *testing.T) {
	t.Parallel()
	files := openSink(t)
	if err := files.PutJSON(t.Context(), layout.SchemaKey(oldSchema.ID()), oldSchema); err != nil {
		t.Fatal(err)
	}
	far := uint64(7) << 32
	all := []layout.Place{{LSN: 10, Seq: 0}, {LSN: 10, Seq: 1}, {LSN: 20, Seq: 0}, {LSN: 30, Seq: 0}, {LSN: 30, Seq: 1}, {LSN: far, Seq: 0}}
	put(t, files, 1, all[:3]...)
	put(t, files, 1, all[:2]...)
	put(t, files, 1, all[1:5]...)
	put(t, files, 1, all[2:4]...)
	put(t, files, 1, all[5])
	put(t, files, 2, layout.Place{LSN: 15, Seq: 0})
	if err := files.Put(t.Context(), layout.SegmentKey(1, 10)+"notes.txt", []byte("of somebody else")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		from, until uint64
		want        []layout.Place
	}{
		{0, ^uint64(0), all},
		{10, 31, all[:5]},
		{11, 30, all[2:3]},
		{20, 20, nil},
		{31, ^uint64(0), all[5:]},
	}
	for _, test := range tests {
		var got []layout.Place
		err := NewReader(files).EachChange(t.Context(), 1, test.from, test.until, func(_ *table.Schema, change table.Change) error {
			got = append(got, layout.Place{LSN: change.LSN, Seq: change.Seq})
			return nil
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("from %d until %d: %v, %v; want %v", test.from, test.until, got, err, test.want)
		}
	}
}

func TestTheLatestBackfillCounts(t *testing.T) {
	t.Parallel()
	files := openSink(t)
	if manifest, err := NewReader(files).Latest(t.Context()); err != nil || manifest != nil {
		t.Errorf("without a backfill: %+v, %v", manifest, err)
	}
	for _, manifest := range []layout.Manifest{
		{BackfillID: "old", Epoch: 1, EndLSN: 500},
		{BackfillID: "new", Epoch: 2, EndLSN: 90},
		{BackfillID: "earlier", Epoch: 2, EndLSN: 80},
	} {
		if err := files.PutJSON(t.Context(), layout.ManifestKey(manifest.BackfillID), manifest); err != nil {
			t.Fatal(err)
		}
	}
	if manifest, err := NewReader(files).Latest(t.Context()); err != nil || manifest.BackfillID != "new" {
		t.Errorf("the latest is %+v, %v", manifest, err)
	}
}

func TestAPartThatLacksRowsIsAnError(t *testing.T) {
	t.Parallel()
	files := openSink(t)
	rows := [][]table.Cell{{table.TextCell("1"), table.TextCell("1"), table.TextCell("x")}}
	data, err := rowfile.EncodeRows(spec.JSONL, *oldSchema, rowfile.Origin{}, rows)
	if err != nil {
		t.Fatal(err)
	}
	part := layout.Part{File: "backfill/b/part", Format: spec.JSONL, Schema: oldSchema.ID(), Rows: 2}
	for key, err := range map[string]error{
		"schema": files.PutJSON(t.Context(), layout.SchemaKey(oldSchema.ID()), oldSchema),
		"part":   files.Put(t.Context(), part.File, data),
	} {
		if err != nil {
			t.Fatal(key, err)
		}
	}
	manifest := &layout.Manifest{Key: []string{"id"}, Epoch: 1, Parts: []layout.Part{part}}
	if view, err := NewReader(files).Build(t.Context(), manifest, 100); err == nil {
		t.Errorf("a part with one row of two was taken: %d rows", view.Len())
	}
	manifest.Parts[0].Rows = 1
	if view, err := NewReader(files).Build(t.Context(), manifest, 100); err != nil || view.Len() != 1 {
		t.Errorf("a whole part was not taken: %v", err)
	}
	manifest.EndLSN = 200
	if _, err := NewReader(files).Build(t.Context(), manifest, 100); err == nil {
		t.Error("a view was built at a place before the backfill's end")
	}
}

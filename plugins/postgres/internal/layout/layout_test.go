package layout

// This file tests that names of files say what is in them.

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesOfChangesComeBackAndSort(t *testing.T) {
	t.Parallel()
	files := []ChangeFile{
		{Epoch: 1, First: Place{1 << 31, 0}, Last: Place{1 << 33, 12}, Schema: "0123456789ab", Format: "jsonl"},
		{Epoch: 1, First: Place{1 << 33, 13}, Last: Place{1 << 33, 99_999}, Schema: "0123456789ab", Format: "parquet"},
		{Epoch: 1, First: Place{1<<33 + 1, 0}, Last: Place{1 << 63, 1 << 40}, Schema: "0123456789ab", Format: "parquet"},
		{Epoch: 12, First: Place{5, 0}, Last: Place{5, 0}, Schema: "0123456789ab", Format: "parquet"},
	}
	var keys []string
	for _, file := range files {
		back, ours := ParseChangeFile(file.Key())
		if !ours || back != file {
			t.Errorf("%s comes back as %+v, %t; want %+v", file.Key(), back, ours, file)
		}
		if !strings.HasPrefix(file.Key(), SegmentKey(file.Epoch, file.First.LSN)) {
			t.Errorf("%s is not in the segment %s", file.Key(), SegmentKey(file.Epoch, file.First.LSN))
		}
		keys = append(keys, file.Key())
	}
	if !slices.IsSorted(keys) {
		t.Errorf("names do not sort by place: %v", keys)
	}
	for _, key := range []string{"changes/x", "changes/000001/00000000/.tmp", "slot.json"} {
		if file, ours := ParseChangeFile(key); ours {
			t.Errorf("%s is taken for a file of changes: %+v", key, file)
		}
	}
}

func TestManifestsAreToldFromOtherFiles(t *testing.T) {
	t.Parallel()
	if !IsManifest(ManifestKey("3f2a")) {
		t.Error("a manifest is not known as one")
	}
	for _, key := range []string{StartKey("3f2a"), "backfill/3f2a/x/manifest.json", "manifest.json"} {
		if IsManifest(key) {
			t.Errorf("%s is taken for a manifest", key)
		}
	}
}

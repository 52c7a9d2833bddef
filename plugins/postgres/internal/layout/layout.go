// Package layout names the files of a stream and says what the small ones among them hold.
//
//	slot.json                                  which slot the changes come from (Epoch)
//	schemas/<schema>.json                      columns of the files that carry this schema in their names
//	backfill/<request UID>/start.json          where the backfill's changes begin (Start)
//	backfill/<request UID>/part-NNNNNN.json    a finished part (Part); the data is in the file that it names
//	backfill/<request UID>/manifest.json       written last: the backfill is complete (Manifest)
//	changes/<epoch>/<4 GiB of WAL>/<first>-<last>-<schema>.<format>
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

// LSN is a place in the write-ahead log; in files it is written as PostgreSQL writes it.
type LSN uint64

// String is PostgreSQL's way to write it.
func (l LSN) String() string { return pglogrepl.LSN(l).String() }

// MarshalJSON writes PostgreSQL's text.
func (l LSN) MarshalJSON() ([]byte, error) { return []byte(`"` + l.String() + `"`), nil }

// UnmarshalJSON reads PostgreSQL's text.
func (l *LSN) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("read an LSN: %w", err)
	}
	parsed, err := ParseLSN(text)
	*l = parsed
	return err
}

// ParseLSN reads PostgreSQL's text.
func ParseLSN(text string) (LSN, error) {
	parsed, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return 0, fmt.Errorf("read an LSN: %w", err)
	}
	return LSN(parsed), nil
}

// EpochKey is where the Epoch is kept.
const EpochKey = "slot.json"

// Epoch is an unbroken run of changes: one replication slot of one table, from
// its creation to its loss. Changes of two epochs never stand in one folder,
// because their LSNs need not follow each other.
type Epoch struct {
	Number      int    `json:"epoch"`
	Slot        string `json:"slot"`
	Publication string `json:"publication"`
	// System, DatabaseOID and RelationOID tell a restored or re-created source from the one before.
	System      string `json:"systemIdentifier"`
	DatabaseOID uint32 `json:"databaseOID"`
	RelationOID uint32 `json:"relationOID"`
	Relation    string `json:"relation"`
	// Ready is set after the slot has been created: before, there is nothing to lose.
	Ready     bool      `json:"ready"`
	StartLSN  LSN       `json:"startLSN"`
	Run       int64     `json:"run"`
	CreatedAt time.Time `json:"createdAt"`
	// PublicationState tells whether the publication is as it was, and was so all the time.
	PublicationState string `json:"publicationState,omitempty"`
	// Owed: changes before this epoch are lost, and a backfill that begins in it has to make up for them.
	Owed bool `json:"owed,omitempty"`
	// Lost says why changes of this epoch are lost, where the source does not show it.
	Lost string `json:"lost,omitempty"`
	// Left is where the last reader confirmed the slot; zero while one reads, and after one that was killed.
	Left LSN `json:"leftLSN,omitempty"`
}

// SameSource reports whether two epochs read the same table of the same database through the same slot.
func (e Epoch) SameSource(other Epoch) bool {
	return e.Slot == other.Slot && e.Publication == other.Publication && e.System == other.System &&
		e.DatabaseOID == other.DatabaseOID && e.RelationOID == other.RelationOID
}

// Start says where a backfill began. Parts are worth something only together with it.
type Start struct {
	Epoch int `json:"epoch"`
	// LSN: every change from here on is, or will be, in the files of changes.
	LSN LSN `json:"startLSN"`
	// Schema of all parts: a table that changes its columns meanwhile is read anew.
	Schema string `json:"schema"`
	// Reading is how the parts follow each other, and the numbers of their columns.
	Reading string `json:"reading,omitempty"`
	Run     int64  `json:"run"`
}

// Part is a finished part of a backfill.
type Part struct {
	Number int         `json:"number"`
	File   string      `json:"file"`
	Format spec.Format `json:"format"`
	Schema string      `json:"schema"`
	Rows   int         `json:"rows"`
	Bytes  int         `json:"bytes"`
	// LastKey is where the next part goes on: PostgreSQL's texts, in the order of the key's index.
	LastKey []string `json:"lastKey,omitempty"`
	// Last: nothing follows this part.
	Last bool  `json:"last,omitempty"`
	Run  int64 `json:"run"`
}

// Manifest says that a backfill is complete, and how a reader puts the table together.
type Manifest struct {
	Version     int    `json:"version"`
	Namespace   string `json:"namespace"`
	Stream      string `json:"stream"`
	UID         string `json:"uid"`
	BackfillID  string `json:"backfillID"`
	BackfillUID string `json:"backfillUID,omitempty"`
	Run         int64  `json:"run"`

	Epoch    int      `json:"epoch"`
	Slot     string   `json:"slot"`
	System   string   `json:"systemIdentifier"`
	Database string   `json:"database"`
	Relation string   `json:"relation"`
	Key      []string `json:"key"`

	// StartLSN is where a reader begins with the changes; EndLSN is the first
	// place at which parts and changes together are the table.
	StartLSN LSN `json:"startLSN"`
	EndLSN   LSN `json:"endLSN"`
	// Parts are upserted in their order, then the changes from StartLSN to
	// EndLSN, then Settled, then all further changes.
	Parts   []Part `json:"parts"`
	Settled []Part `json:"settled,omitempty"`

	Rows        int       `json:"rows"`
	Bytes       int       `json:"bytes"`
	CompletedAt time.Time `json:"completedAt"`
}

// BackfillsKey is the folder of all backfills.
const BackfillsKey = "backfill/"

// BackfillKey is the folder of one backfill.
func BackfillKey(backfill string) string { return BackfillsKey + backfill + "/" }

// StartKey is where the Start is kept.
func StartKey(backfill string) string { return BackfillKey(backfill) + "start.json" }

// ManifestKey is where the Manifest is kept.
func ManifestKey(backfill string) string { return BackfillKey(backfill) + manifestName }

const manifestName = "manifest.json"

var manifestForm = regexp.MustCompile(`^` + BackfillsKey + `([^/]+)/` + manifestName + `$`)

// IsManifest reports whether a key is that of a manifest.
func IsManifest(key string) bool { return manifestForm.MatchString(key) }

// PartKey is where a Part is kept.
func PartKey(backfill string, number int) string {
	return fmt.Sprintf("%spart-%06d.json", BackfillKey(backfill), number)
}

// PartFile names the data of a part. The run and the nonce keep two writers
// apart: the part's own file is written once, so only one of them is believed.
func PartFile(backfill string, number int, run int64, nonce string, format spec.Format) string {
	return fmt.Sprintf("%spart-%06d-%d-%s.%s", BackfillKey(backfill), number, run, nonce, format)
}

// SettledFile names the data of the rows that are read once more at the end.
func SettledFile(backfill string, run int64, nonce string, format spec.Format) string {
	return fmt.Sprintf("%ssettled-%d-%s.%s", BackfillKey(backfill), run, nonce, format)
}

// SchemaKey is where a schema is kept.
func SchemaKey(id string) string { return "schemas/" + id + ".json" }

// Place is a change's place in the order of all changes.
type Place struct {
	LSN uint64
	Seq int64
}

// Before reports whether p comes before other.
func (p Place) Before(other Place) bool {
	return p.LSN < other.LSN || (p.LSN == other.LSN && p.Seq < other.Seq)
}

// ChangeFile is a file of changes, as its name says it. It holds every change
// of the table from First to Last; files that overlap hold the same changes.
type ChangeFile struct {
	Epoch  int
	First  Place
	Last   Place
	Schema string
	Format spec.Format
}

// ChangesKey is the folder of an epoch's changes.
func ChangesKey(epoch int) string { return fmt.Sprintf("%s%06d/", AllChangesKey, epoch) }

// AllChangesKey is the folder of all epochs' changes.
const AllChangesKey = "changes/"

// SegmentKey is the folder of the changes that begin in the same 4 GiB of WAL:
// it keeps folders small and lets a restart look at the last one only.
func SegmentKey(epoch int, lsn uint64) string {
	return fmt.Sprintf("%s%08X/", ChangesKey(epoch), lsn>>32)
}

// Key names the file. A replay of the same changes overwrites it with the same content.
func (f ChangeFile) Key() string {
	return fmt.Sprintf("%s%016X.%010d-%016X.%010d-%s.%s", SegmentKey(f.Epoch, f.First.LSN),
		f.First.LSN, f.First.Seq, f.Last.LSN, f.Last.Seq, f.Schema, f.Format)
}

var changeForm = regexp.MustCompile(`^changes/(\d+)/[0-9A-F]+/([0-9A-F]{16})\.(\d+)-([0-9A-F]{16})\.(\d+)-([0-9a-f]+)\.(parquet|jsonl)$`)

// ParseChangeFile reads the name of a file of changes; false where it is none.
func ParseChangeFile(key string) (ChangeFile, bool) {
	parts := changeForm.FindStringSubmatch(key)
	if parts == nil {
		return ChangeFile{}, false
	}
	file := ChangeFile{Schema: parts[6], Format: spec.Format(parts[7])}
	var errs [5]error
	file.Epoch, errs[0] = strconv.Atoi(parts[1])
	file.First.LSN, errs[1] = strconv.ParseUint(parts[2], 16, 64)
	file.First.Seq, errs[2] = strconv.ParseInt(parts[3], 10, 64)
	file.Last.LSN, errs[3] = strconv.ParseUint(parts[4], 16, 64)
	file.Last.Seq, errs[4] = strconv.ParseInt(parts[5], 10, 64)
	return file, errors.Join(errs[:]...) == nil
}

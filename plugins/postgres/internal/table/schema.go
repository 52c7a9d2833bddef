// Package table is what a table's rows are made of: columns, cells, and what PostgreSQL's text of each means.
package table

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"unsafe"
)

// Schema is the shape of a table's rows at one moment.
type Schema struct {
	// Relation is the table's name with its schema, as PostgreSQL quotes it.
	Relation string   `json:"relation"`
	Columns  []Column `json:"columns"`
}

// Column is one column of a table.
type Column struct {
	Name string `json:"name"`
	// Type is PostgreSQL's name for it, such as numeric(10,2).
	Type string `json:"type"`
	// Kind is how it is written to files.
	Kind Kind `json:"kind"`
	// Element is the kind of an array's elements.
	Element Kind `json:"element,omitempty"`
	// Precision and Scale of a Decimal.
	Precision int `json:"precision,omitempty"`
	Scale     int `json:"scale,omitempty"`
	// Key columns identify a row.
	Key bool `json:"key,omitempty"`
}

// ID names a schema by its content: two files with the same ID have the same columns.
func (s Schema) ID() string {
	// A struct of texts and numbers can always be written.
	data, _ := json.Marshal(s) //nolint:errchkjson // see above
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

// KeyColumns are the indexes of the columns that identify a row.
func (s Schema) KeyColumns() []int {
	var indexes []int
	for index, column := range s.Columns {
		if column.Key {
			indexes = append(indexes, index)
		}
	}
	return indexes
}

// Index finds a column by its name; -1 where there is none.
func (s Schema) Index(name string) int {
	return slices.IndexFunc(s.Columns, func(column Column) bool { return column.Name == name })
}

// Difference lists the columns that a schema has and another has not, with their types.
func (s Schema) Difference(other Schema) []string {
	columns := []string{}
	for _, column := range s.Columns {
		index := other.Index(column.Name)
		if index < 0 || other.Columns[index].Type != column.Type {
			columns = append(columns, column.Name+" "+column.Type)
		}
	}
	return columns
}

// State says what is known about a cell.
type State uint8

// The states of a cell.
const (
	// Null is SQL's NULL.
	Null State = iota
	// Value has a text.
	Value
	// Unchanged is an out-of-line value that an update left alone and PostgreSQL therefore did not log.
	Unchanged
)

// Cell is the content of one column in one row: PostgreSQL's text, or none.
type Cell struct {
	State State
	Text  string
}

// TextCell is a cell with a value.
func TextCell(text string) Cell { return Cell{State: Value, Text: text} }

// Op is what a change does to a row.
type Op string

// The kinds of changes.
const (
	Insert   Op = "insert"
	Update   Op = "update"
	Delete   Op = "delete"
	Truncate Op = "truncate"
)

// Change is one change of one row, or a truncate.
type Change struct {
	// LSN is where the transaction's commit record begins. Transactions are ordered by it.
	LSN uint64
	// Seq orders the changes of one transaction.
	Seq int64
	// CommitMicros is the time of the commit, in microseconds since 1970.
	CommitMicros int64
	Op           Op
	// OldKey is the row's former key where an update changed it: one cell per key column.
	OldKey []Cell
	// Cells has one cell per column. A delete fills the key columns only, a truncate none.
	Cells []Cell
}

// After reports whether a change comes after the place (lsn, seq).
func (c Change) After(lsn uint64, seq int64) bool {
	return c.LSN > lsn || (c.LSN == lsn && c.Seq > seq)
}

// rowSize and cellSize are what a row takes in memory beside its texts: a column
// that is NULL in every row takes no less than a short text.
const (
	rowSize  = int(unsafe.Sizeof([]Cell{}))
	cellSize = int(unsafe.Sizeof(Cell{}))
)

// Size is what a row takes in memory.
func Size(cells []Cell) int {
	size := rowSize
	for _, cell := range cells {
		size += cellSize + len(cell.Text)
	}
	return size
}

// KeyText joins key cells to one text that no other key has.
func KeyText(cells []Cell) string {
	var size int
	for _, cell := range cells {
		size += len(cell.Text) + 6
	}
	text := make([]byte, 0, size)
	for _, cell := range cells {
		// The length in front keeps ("a","bc") and ("ab","c") apart.
		text = appendLength(text, len(cell.Text))
		text = append(text, cell.Text...)
	}
	return string(text)
}

func appendLength(text []byte, length int) []byte {
	for length >= 0x80 {
		text = append(text, byte(length&0x7f)|0x80)
		length >>= 7
	}
	return append(text, byte(length&0x7f))
}

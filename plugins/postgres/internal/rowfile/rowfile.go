// Package rowfile writes rows and changes to the bytes of a file, and reads them back.
package rowfile

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// The columns that a file of changes has in front of the table's own.
const (
	ColumnLSN        = "_arcane_lsn"
	ColumnSeq        = "_arcane_seq"
	ColumnCommitTime = "_arcane_commit_time"
	ColumnOp         = "_arcane_op"
	ColumnOldKey     = "_arcane_old_key"
	ColumnUnchanged  = "_arcane_unchanged"
)

// Reserved lists the names that a table's column cannot have.
func Reserved() []string {
	return []string{ColumnLSN, ColumnSeq, ColumnCommitTime, ColumnOp, ColumnOldKey, ColumnUnchanged}
}

// Origin says where a file comes from; it is kept in the file where the format has a place for it.
type Origin struct {
	Stream string
	Run    int64
}

// EncodeRows writes rows of a table.
func EncodeRows(format spec.Format, schema table.Schema, origin Origin, rows [][]table.Cell) ([]byte, error) {
	if format == spec.JSONL {
		return encodeLines(len(rows), func(line []byte, index int) ([]byte, error) {
			return appendRow(line, schema, rows[index])
		})
	}
	return encodeParquetRows(schema, origin, rows)
}

// DecodeRows reads what EncodeRows wrote. Texts come back in their canonical form.
func DecodeRows(format spec.Format, schema table.Schema, data []byte) ([][]table.Cell, error) {
	if format == spec.JSONL {
		return decodeLines(data, func(line []byte) ([]table.Cell, error) {
			return readRow(schema, line)
		})
	}
	return decodeParquetRows(schema, data)
}

// EncodeChanges writes changes of one schema.
func EncodeChanges(format spec.Format, schema table.Schema, origin Origin, changes []table.Change) ([]byte, error) {
	if format == spec.JSONL {
		return encodeLines(len(changes), func(line []byte, index int) ([]byte, error) {
			return appendChange(line, schema, changes[index])
		})
	}
	return encodeParquetChanges(schema, origin, changes)
}

// DecodeChanges reads what EncodeChanges wrote.
func DecodeChanges(format spec.Format, schema table.Schema, data []byte) ([]table.Change, error) {
	if format == spec.JSONL {
		return decodeLines(data, func(line []byte) (table.Change, error) {
			return readChange(schema, line)
		})
	}
	return decodeParquetChanges(schema, data)
}

// unfit is the error for a value that the file's format has no place for. It
// does not show the value: the text ends in logs and in the stream's status.
func unfit(column table.Column, err error) error {
	var number *strconv.NumError
	if errors.As(err, &number) {
		err = number.Err
	}
	return exit.Configf("column %q (%s) has a value that cannot be written: %w", column.Name, column.Type, err)
}

func damaged(column table.Column, err error) error {
	return fmt.Errorf("read column %q (%s): %w", column.Name, column.Type, err)
}

package rowfile

// This file writes and reads JSON lines.

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

func encodeLines(count int, appendLine func(line []byte, index int) ([]byte, error)) ([]byte, error) {
	var data []byte
	for index := range count {
		var err error
		if data, err = appendLine(data, index); err != nil {
			return nil, err
		}
		data = append(data, '\n')
	}
	return data, nil
}

func decodeLines[T any](data []byte, read func(line []byte) (T, error)) ([]T, error) {
	var items []T
	for number := 1; len(data) > 0; number++ {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return nil, fmt.Errorf("line %d has no end: the file is cut short", number)
		}
		item, err := read(data[:end])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		items = append(items, item)
		data = data[end+1:]
	}
	return items, nil
}

func appendRow(line []byte, schema table.Schema, cells []table.Cell) ([]byte, error) {
	return appendObject(line, schema.Columns, cells)
}

// appendObject leaves out what is unchanged: null would say something else.
func appendObject(line []byte, columns []table.Column, cells []table.Cell) ([]byte, error) {
	line = append(line, '{')
	first := true
	for index, column := range columns {
		cell := cells[index]
		if cell.State == table.Unchanged {
			continue
		}
		if !first {
			line = append(line, ',')
		}
		first = false
		line = append(table.AppendQuoted(line, column.Name), ':')
		if cell.State == table.Null {
			line = append(line, "null"...)
			continue
		}
		var err error
		if line, err = appendValue(line, column, cell.Text); err != nil {
			return nil, unfit(column, err)
		}
	}
	return append(line, '}'), nil
}

func appendValue(line []byte, column table.Column, text string) ([]byte, error) {
	switch column.Kind {
	case table.Bool:
		return strconv.AppendBool(line, text == "t"), nil
	case table.Int16, table.Int32, table.Int64:
		return append(line, text...), nil
	case table.Float32, table.Float64:
		canonical, err := column.Canonical(text)
		if err != nil {
			return nil, fmt.Errorf("write a float: %w", err)
		}
		if table.IsNumber(canonical) {
			return append(line, canonical...), nil
		}
		return table.AppendQuoted(line, canonical), nil
	case table.Bytes:
		data, err := parseBytes(text)
		if err != nil {
			return nil, err
		}
		return table.AppendQuoted(line, base64.StdEncoding.EncodeToString(data)), nil
	case table.Array:
		data, err := table.ArrayJSON(column.Element, text)
		if err != nil {
			return nil, fmt.Errorf("write an array: %w", err)
		}
		return append(line, data...), nil
	default:
		return table.AppendQuoted(line, text), nil
	}
}

func parseBytes(text string) ([]byte, error) {
	digits, found := strings.CutPrefix(text, `\x`)
	if !found {
		return nil, errors.New("bytea is not in hex")
	}
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("read bytea: %w", err)
	}
	return data, nil
}

func readRow(schema table.Schema, line []byte) ([]table.Cell, error) {
	return readObject(schema.Columns, line)
}

func readObject(columns []table.Column, data []byte) ([]table.Cell, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("read an object: %w", err)
	}
	cells := make([]table.Cell, len(columns))
	for index, column := range columns {
		raw, found := values[column.Name]
		if !found {
			cells[index].State = table.Unchanged
			continue
		}
		if string(raw) == "null" {
			continue
		}
		text, err := readValue(column, raw)
		if err != nil {
			return nil, damaged(column, err)
		}
		cells[index] = table.TextCell(text)
	}
	return cells, nil
}

func readValue(column table.Column, raw json.RawMessage) (string, error) {
	switch column.Kind {
	case table.Int16, table.Int32, table.Int64, table.Array:
		return string(raw), nil
	case table.Bool:
		return string(raw[:1]), nil
	case table.Float32, table.Float64:
		if raw[0] != '"' {
			return string(raw), nil
		}
	default:
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("want a text: %w", err)
	}
	if column.Kind == table.Bytes {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("want base64: %w", err)
		}
		return `\x` + hex.EncodeToString(data), nil
	}
	return text, nil
}

// appendChange writes {"_arcane_lsn":…,"_arcane_op":…,…} with the row's own columns after it.
func appendChange(line []byte, schema table.Schema, change table.Change) ([]byte, error) {
	line = strconv.AppendUint(append(line, `{"`+ColumnLSN+`":`...), change.LSN, 10)
	line = strconv.AppendInt(append(line, `,"`+ColumnSeq+`":`...), change.Seq, 10)
	line = table.AppendQuoted(append(line, `,"`+ColumnCommitTime+`":`...), table.FormatTimestamp(change.CommitMicros, true))
	line = table.AppendQuoted(append(line, `,"`+ColumnOp+`":`...), string(change.Op))
	if change.OldKey != nil {
		key, err := encodeKey(schema, change.OldKey)
		if err != nil {
			return nil, err
		}
		line = append(append(line, `,"`+ColumnOldKey+`":`...), key...)
	}
	if unchanged := encodeUnchanged(schema, change.Cells); unchanged != nil {
		line = append(append(line, `,"`+ColumnUnchanged+`":`...), unchanged...)
	}
	columns, cells := writtenCells(schema, change)
	if len(columns) == 0 {
		return append(line, '}'), nil
	}
	row, err := appendObject(nil, columns, cells)
	if err != nil {
		return nil, err
	}
	// The two objects become one: a row without a column cannot be here, a key has at least one.
	line = append(line, ',')
	return append(line, row[1:]...), nil
}

// writtenCells are the cells that a change carries: a delete knows the key only, a truncate no row at all.
func writtenCells(schema table.Schema, change table.Change) ([]table.Column, []table.Cell) {
	switch change.Op {
	case table.Truncate:
		return nil, nil
	case table.Delete:
		var columns []table.Column
		var cells []table.Cell
		for _, index := range schema.KeyColumns() {
			columns = append(columns, schema.Columns[index])
			cells = append(cells, change.Cells[index])
		}
		return columns, cells
	default:
		return schema.Columns, change.Cells
	}
}

func readChange(schema table.Schema, line []byte) (table.Change, error) {
	var head struct {
		LSN        uint64          `json:"_arcane_lsn"`
		Seq        int64           `json:"_arcane_seq"`
		CommitTime string          `json:"_arcane_commit_time"`
		Op         table.Op        `json:"_arcane_op"`
		OldKey     json.RawMessage `json:"_arcane_old_key"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return table.Change{}, fmt.Errorf("read a change: %w", err)
	}
	micros, err := table.ParseTimestamp(head.CommitTime)
	if err != nil {
		return table.Change{}, fmt.Errorf("read the commit time: %w", err)
	}
	change := table.Change{LSN: head.LSN, Seq: head.Seq, CommitMicros: micros, Op: head.Op}
	if head.OldKey != nil {
		if change.OldKey, err = decodeKey(schema, head.OldKey); err != nil {
			return table.Change{}, err
		}
	}
	if change.Cells, err = readObject(schema.Columns, line); err != nil {
		return table.Change{}, err
	}
	if change.Op == table.Delete || change.Op == table.Truncate {
		// Absent here means that the change does not know the column, not that it left it alone.
		for index := range change.Cells {
			if change.Cells[index].State == table.Unchanged {
				change.Cells[index].State = table.Null
			}
		}
	}
	return change, nil
}

func keyColumns(schema table.Schema) []table.Column {
	var columns []table.Column
	for _, index := range schema.KeyColumns() {
		columns = append(columns, schema.Columns[index])
	}
	return columns
}

func encodeKey(schema table.Schema, cells []table.Cell) ([]byte, error) {
	return appendObject(nil, keyColumns(schema), cells)
}

func decodeKey(schema table.Schema, data []byte) ([]table.Cell, error) {
	return readObject(keyColumns(schema), data)
}

// encodeUnchanged lists the columns whose values an update left alone; nil where there are none.
func encodeUnchanged(schema table.Schema, cells []table.Cell) []byte {
	var list []byte
	for index, cell := range cells {
		if cell.State != table.Unchanged {
			continue
		}
		separator := byte(',')
		if list == nil {
			separator = '['
		}
		list = table.AppendQuoted(append(list, separator), schema.Columns[index].Name)
	}
	if list == nil {
		return nil
	}
	return append(list, ']')
}

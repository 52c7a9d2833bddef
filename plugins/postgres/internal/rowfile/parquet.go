package rowfile

// This file writes and reads Parquet.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// orderedGroup keeps the table's order of columns; parquet.Group sorts them by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g *orderedGroup) Fields() []parquet.Field { return g.fields }

// GoType has no use here, because rows are written value by value. The embedded
// group would build a struct, and two columns "a" and "A" have no such struct.
func (g *orderedGroup) GoType() reflect.Type { return reflect.TypeFor[struct{}]() }

type column struct {
	parquet.Node
	name string
}

func (c *column) Name() string                      { return c.name }
func (c *column) Value(reflect.Value) reflect.Value { return reflect.Value{} }

func (g *orderedGroup) add(name string, node parquet.Node) {
	g.Group[name] = node
	g.fields = append(g.fields, &column{Node: node, name: name})
}

// rowSchema: every column is optional, because a change need not carry all of them.
func rowSchema(schema table.Schema, root *orderedGroup) *parquet.Schema {
	for _, column := range schema.Columns {
		root.add(column.Name, parquet.Optional(node(column)))
	}
	return parquet.NewSchema("row", root)
}

func changeRoot() *orderedGroup {
	root := &orderedGroup{Group: parquet.Group{}}
	root.add(ColumnLSN, parquet.Int(64))
	root.add(ColumnSeq, parquet.Int(64))
	root.add(ColumnCommitTime, parquet.TimestampAdjusted(parquet.Microsecond, true))
	root.add(ColumnOp, parquet.String())
	root.add(ColumnOldKey, parquet.Optional(parquet.JSON()))
	root.add(ColumnUnchanged, parquet.Optional(parquet.JSON()))
	return root
}

// headColumns is how many columns changeRoot makes.
const headColumns = 6

func encodeParquetRows(schema table.Schema, origin Origin, rows [][]table.Cell) ([]byte, error) {
	root := &orderedGroup{Group: parquet.Group{}}
	return encodeParquet(schema, rowSchema(schema, root), origin, len(rows), func(index int) (parquet.Row, error) {
		return appendCells(make(parquet.Row, 0, len(schema.Columns)), 0, schema, rows[index])
	})
}

func encodeParquetChanges(schema table.Schema, origin Origin, changes []table.Change) ([]byte, error) {
	fileSchema := rowSchema(schema, changeRoot())
	return encodeParquet(schema, fileSchema, origin, len(changes), func(index int) (parquet.Row, error) {
		change := changes[index]
		row := make(parquet.Row, 0, headColumns+len(schema.Columns))
		row = append(row,
			parquet.Int64Value(int64(change.LSN)).Level(0, 0, 0), //nolint:gosec // 2^63 bytes of WAL
			parquet.Int64Value(change.Seq).Level(0, 0, 1),
			parquet.Int64Value(change.CommitMicros).Level(0, 0, 2),
			parquet.ByteArrayValue([]byte(change.Op)).Level(0, 0, 3),
		)
		var key []byte
		if change.OldKey != nil {
			var err error
			if key, err = encodeKey(schema, change.OldKey); err != nil {
				return nil, err
			}
		}
		row = append(row, optionalBytes(key, 4), optionalBytes(encodeUnchanged(schema, change.Cells), 5))
		cells := change.Cells
		if cells == nil {
			cells = make([]table.Cell, len(schema.Columns))
		}
		return appendCells(row, headColumns, schema, cells)
	})
}

func optionalBytes(data []byte, index int) parquet.Value {
	if data == nil {
		return parquet.NullValue().Level(0, 0, index)
	}
	return parquet.ByteArrayValue(data).Level(0, 1, index)
}

func appendCells(row parquet.Row, offset int, schema table.Schema, cells []table.Cell) (parquet.Row, error) {
	for index, column := range schema.Columns {
		if cells[index].State != table.Value {
			row = append(row, parquet.NullValue().Level(0, 0, offset+index))
			continue
		}
		value, err := encodeValue(column, cells[index].Text)
		if err != nil {
			return nil, unfit(column, err)
		}
		row = append(row, value.Level(0, 1, offset+index))
	}
	return row, nil
}

func encodeParquet(schema table.Schema, fileSchema *parquet.Schema, origin Origin, count int, row func(int) (parquet.Row, error)) ([]byte, error) {
	description, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	var buffer bytes.Buffer
	writer := parquet.NewGenericWriter[any](&buffer, fileSchema,
		parquet.Compression(&snappy.Codec{}),
		parquet.KeyValueMetadata("arcane.schema", string(description)),
		parquet.KeyValueMetadata("arcane.stream", origin.Stream),
		parquet.KeyValueMetadata("arcane.run", strconv.FormatInt(origin.Run, 10)),
	)
	for index := range count {
		values, err := row(index)
		if err != nil {
			return nil, err
		}
		if _, err := writer.WriteRows([]parquet.Row{values}); err != nil {
			return nil, fmt.Errorf("write a Parquet row: %w", err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("finish a Parquet file: %w", err)
	}
	return buffer.Bytes(), nil
}

func decodeParquetRows(schema table.Schema, data []byte) ([][]table.Cell, error) {
	var rows [][]table.Cell
	err := eachParquetRow(data, func(row parquet.Row) error {
		cells, err := decodeCells(schema, row)
		rows = append(rows, cells)
		return err
	})
	return rows, err
}

func decodeParquetChanges(schema table.Schema, data []byte) ([]table.Change, error) {
	var changes []table.Change
	err := eachParquetRow(data, func(row parquet.Row) error {
		if len(row) != headColumns+len(schema.Columns) {
			return fmt.Errorf("row has %d columns, its schema %d", len(row), headColumns+len(schema.Columns))
		}
		change, err := decodeChange(schema, row)
		changes = append(changes, change)
		return err
	})
	return changes, err
}

func decodeChange(schema table.Schema, row parquet.Row) (table.Change, error) {
	change := table.Change{
		LSN:          uint64(row[0].Int64()), //nolint:gosec // written from a uint64
		Seq:          row[1].Int64(),
		CommitMicros: row[2].Int64(),
		Op:           table.Op(row[3].String()),
	}
	var err error
	if !row[4].IsNull() {
		if change.OldKey, err = decodeKey(schema, row[4].ByteArray()); err != nil {
			return change, err
		}
	}
	if change.Cells, err = decodeCells(schema, row[headColumns:]); err != nil || row[5].IsNull() {
		return change, err
	}
	var unchanged []string
	if err := json.Unmarshal(row[5].ByteArray(), &unchanged); err != nil {
		return change, fmt.Errorf("read %s: %w", ColumnUnchanged, err)
	}
	for _, name := range unchanged {
		change.Cells[schema.Index(name)].State = table.Unchanged
	}
	return change, nil
}

func decodeCells(schema table.Schema, row parquet.Row) ([]table.Cell, error) {
	if len(row) != len(schema.Columns) {
		return nil, fmt.Errorf("row has %d columns, its schema %d", len(row), len(schema.Columns))
	}
	cells := make([]table.Cell, len(row))
	for index, value := range row {
		if value.IsNull() {
			continue
		}
		text, err := decodeValue(schema.Columns[index], value)
		if err != nil {
			return nil, damaged(schema.Columns[index], err)
		}
		cells[index] = table.TextCell(text)
	}
	return cells, nil
}

func eachParquetRow(data []byte, visit func(parquet.Row) error) error {
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("open a Parquet file: %w", err)
	}
	for _, group := range file.RowGroups() {
		if err := eachRowOfGroup(group, visit); err != nil {
			return err
		}
	}
	return nil
}

func eachRowOfGroup(group parquet.RowGroup, visit func(parquet.Row) error) (err error) {
	rows := group.Rows()
	defer func() { err = errors.Join(err, rows.Close()) }()
	buffer := make([]parquet.Row, 256)
	for {
		count, readErr := rows.ReadRows(buffer)
		for _, row := range buffer[:count] {
			if err := visit(row); err != nil {
				return err
			}
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("read Parquet rows: %w", readErr)
		}
	}
}

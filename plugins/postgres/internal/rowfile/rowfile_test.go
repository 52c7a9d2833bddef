package rowfile

// This file reads back what was written, in each format.

import (
	"reflect"
	"strings"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// wide has a column of every kind, and names that formats and struct fields like to confuse.
func wide() table.Schema {
	return table.Schema{Relation: `public."Wide"`, Columns: []table.Column{
		{Name: "id", Type: "bigint", Kind: table.Int64, Key: true},
		{Name: "tenant", Type: "text", Kind: table.Text, Key: true},
		{Name: "ID", Type: "boolean", Kind: table.Bool},
		{Name: "a.b", Type: "smallint", Kind: table.Int16},
		{Name: "æ 日\"", Type: "integer", Kind: table.Int32},
		{Name: "f4", Type: "real", Kind: table.Float32},
		{Name: "f8", Type: "double precision", Kind: table.Float64},
		{Name: "small", Type: "numeric(18,3)", Kind: table.Decimal, Precision: 18, Scale: 3},
		{Name: "large", Type: "numeric(38,5)", Kind: table.Decimal, Precision: 38, Scale: 5},
		{Name: "d", Type: "date", Kind: table.Date},
		{Name: "t", Type: "time", Kind: table.Time},
		{Name: "ts", Type: "timestamp", Kind: table.Timestamp},
		{Name: "tz", Type: "timestamptz", Kind: table.TimestampTZ},
		{Name: "u", Type: "uuid", Kind: table.UUID},
		{Name: "b", Type: "bytea", Kind: table.Bytes},
		{Name: "j", Type: "json", Kind: table.JSON},
		{Name: "list", Type: "integer[]", Kind: table.Array, Element: table.Int32},
	}}
}

func cells(texts ...string) []table.Cell {
	row := make([]table.Cell, len(texts))
	for index, text := range texts {
		switch text {
		case "<null>":
		case "<unchanged>":
			row[index].State = table.Unchanged
		default:
			row[index] = table.TextCell(text)
		}
	}
	return row
}

func wideRows() [][]table.Cell {
	null := strings.Split("1,x"+strings.Repeat(",<null>", 15), ",")
	return [][]table.Cell{
		cells("-9223372036854775808", "", "t", "-32768", "2147483647", "1.1754944e-38", "-0", "-0.001",
			"-123456789012345678901234567890123.45678", "0044-03-15 BC", "24:00:00", "infinity",
			"2024-02-29 12:34:56.789+00", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", `\x`, `{"a": null,`+"\n"+`"a": 1e400}`, "[[1,2],[3,null]]"),
		cells("2", "line\nbreak \" \\ \x00æ", "f", "0", "0", "NaN", "-Infinity", "0.000",
			"99999999999999999999999999999999.99999", "infinity", "00:00:00.000001", "1970-01-01 00:00:00", "-infinity",
			"00000000-0000-0000-0000-000000000000", `\x00ff0a`, "null", `"[0:1]={1,2}"`),
		cells(null...),
	}
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	for _, format := range []spec.Format{spec.Parquet, spec.JSONL} {
		rows := wideRows()
		// The list column is given as PostgreSQL writes it and comes back in its canonical form.
		rows[0][16], rows[1][16] = table.TextCell("{{1,2},{3,NULL}}"), table.TextCell("[0:1]={1,2}")
		data, err := EncodeRows(format, wide(), Origin{Stream: "a/b", Run: 7}, rows)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		back, err := DecodeRows(format, wide(), data)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		compareRows(t, string(format), back, wideRows())
	}
}

func compareRows(t *testing.T, what string, got, want [][]table.Cell) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for index := range want {
		for column := range want[index] {
			if got[index][column] != want[index][column] {
				t.Errorf("%s: row %d, column %q: %+v, want %+v", what, index, wide().Columns[column].Name, got[index][column], want[index][column])
			}
		}
	}
}

func TestChangesComeBack(t *testing.T) {
	t.Parallel()
	rows := wideRows()
	update := append([]table.Cell(nil), rows[1]...)
	update[15], update[14] = table.Cell{State: table.Unchanged}, table.Cell{State: table.Unchanged}
	update[16], update[6] = table.Cell{}, table.TextCell("2.5")
	deleted := make([]table.Cell, len(update))
	deleted[0], deleted[1] = table.TextCell("3"), table.TextCell("x")
	changes := []table.Change{
		{LSN: 1 << 40, Seq: 0, CommitMicros: 1_700_000_000_123_456, Op: table.Insert, Cells: rows[2]},
		{LSN: 1 << 40, Seq: 1, CommitMicros: 1_700_000_000_123_456, Op: table.Update, Cells: update, OldKey: cells("1", "æ\"")},
		{LSN: 1<<40 + 8, Seq: 0, CommitMicros: 0, Op: table.Delete, Cells: deleted},
		{LSN: 1<<40 + 9, Seq: 0, CommitMicros: -1, Op: table.Truncate, Cells: make([]table.Cell, len(update))},
	}
	for _, format := range []spec.Format{spec.Parquet, spec.JSONL} {
		data, err := EncodeChanges(format, wide(), Origin{}, changes)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		back, err := DecodeChanges(format, wide(), data)
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		for index := range changes {
			if !reflect.DeepEqual(back[index], changes[index]) {
				t.Errorf("%s: change %d comes back as\n%+v, want\n%+v", format, index, back[index], changes[index])
			}
		}
	}
}

func TestAFileCutShortIsAnError(t *testing.T) {
	t.Parallel()
	for _, format := range []spec.Format{spec.Parquet, spec.JSONL} {
		rows := wideRows()
		rows[0][16], rows[1][16] = table.Cell{}, table.Cell{}
		data, err := EncodeRows(format, wide(), Origin{}, rows)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeRows(format, wide(), data[:len(data)-3]); err == nil {
			t.Errorf("%s: a file without its end reads as %d rows", format, len(back))
		}
	}
}

func TestWhatParquetCannotHoldIsTheUsersToDecide(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why    string
		column table.Column
		text   string
	}{
		{"NaN in a DECIMAL", table.Column{Name: "x", Type: "numeric(5,2)", Kind: table.Decimal, Precision: 5, Scale: 2}, "NaN"},
		{"a time beyond 64 bits", table.Column{Name: "x", Type: "timestamp", Kind: table.Timestamp}, "294276-12-31 00:00:00"},
	}
	for _, test := range tests {
		schema := table.Schema{Columns: []table.Column{test.column}}
		_, err := EncodeRows(spec.Parquet, schema, Origin{}, [][]table.Cell{{table.TextCell(test.text)}})
		if exit.Code(err) != exit.Config || !strings.Contains(err.Error(), `column "x"`) {
			t.Errorf("%s: %v (exit %d), want exit %d and the column", test.why, err, exit.Code(err), exit.Config)
		}
	}
}

// TestARefusedValueIsNotShown: the message ends in logs and in the stream's status.
func TestARefusedValueIsNotShown(t *testing.T) {
	t.Parallel()
	for kind, value := range map[table.Kind]string{
		table.Int32: "424242x", table.Float64: "424242x", table.Date: "424242-xx-01", table.Time: "42:42:42x", table.Timestamp: "294276-12-31 00:42:42",
		table.TimestampTZ: "424242", table.Bytes: "424242", table.Array: "{424242", table.UUID: "424242x",
	} {
		schema := table.Schema{Columns: []table.Column{{Name: "secret", Kind: kind}}}
		_, err := EncodeRows(spec.Parquet, schema, Origin{}, [][]table.Cell{{table.TextCell(value)}})
		if exit.Code(err) != exit.Config || strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

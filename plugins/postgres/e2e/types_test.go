package e2e

// The type map's round trip: what a file gives back is, read by PostgreSQL, the value that the table has.

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// typeCase is a column with values that are hard for its type.
type typeCase struct {
	name, definition string
	// parquet is what the column must be in Parquet.
	parquet string
	values  []string
}

var typeCases = []typeCase{
	{"bool", "boolean", "BOOLEAN", []string{"true", "false"}},
	{"i2", "smallint", "INT(16,true)", []string{"-32768", "32767"}},
	{"i4", "integer", "INT(32,true)", []string{"-2147483648", "2147483647"}},
	{"i8", "bigint", "INT(64,true)", []string{"-9223372036854775808", "9223372036854775807"}},
	{"oid", "oid", "INT(64,true)", []string{"4294967295"}},
	{"f4", "real", "FLOAT", []string{"3.4028235e+38", "1e-45", "0.1", "-0", "NaN", "Infinity", "-Infinity"}},
	{"f8", "double precision", "DOUBLE", []string{"1.7976931348623157e+308", "5e-324", "0.1", "123456789012345680", "-0", "NaN", "-Infinity"}},
	{"dec", "numeric(12,3)", "DECIMAL(12,3)", []string{"123456789.012", "-0.001", "0"}},
	{"dec38", "numeric(38,10)", "DECIMAL(38,10)", []string{"1234567890123456789012345678.0123456789", "-9999999999999999999999999999.9999999999"}},
	{"num", "numeric", "STRING", []string{"NaN", "Infinity", "0.000000000000000000000000000000000000001", "1e100"}},
	{"wide", "numeric(50,2)", "STRING", []string{"123456789012345678901234567890123456789012345678.99"}},
	{"rounded", "numeric(5,-2)", "STRING", []string{"1234567"}},
	{"txt", "text", "STRING", []string{"", "a\"b\\c\n\t", "æøå 日本 🙂", "null"}},
	{"vc", "varchar(10)", "STRING", []string{"x "}},
	{"ch", "char(5)", "STRING", []string{"ab"}},
	{"quoted", `"char"`, "STRING", []string{"x"}},
	{"d", "date", "DATE", []string{"2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "99999-12-31"}},
	{"tm", "time", "TIME(isAdjustedToUTC=false,unit=MICROS)", []string{"00:00:00", "24:00:00", "12:34:56.000001"}},
	{"ttz", "timetz", "STRING", []string{"12:34:56.5+05:30"}},
	{"ts", "timestamp", "TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)", []string{"2024-02-29 12:34:56.789", "4713-01-01 00:00:00 BC", "infinity", "-infinity"}},
	{"tsz", "timestamptz", "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", []string{"2024-02-29 12:34:56.789+05:45", "0001-01-01 00:00:00+00", "infinity"}},
	{"iv", "interval", "STRING", []string{"1 year 2 mons -3 days 04:05:06.789", "-1 day", "0"}},
	{"uuid", "uuid", "UUID", []string{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}},
	{"bin", "bytea", "BYTE_ARRAY", []string{`\x`, `\x00ff5c78`}},
	{"js", "json", "JSON", []string{"{\"b\":  1,\n \"a\": null, \"a\": 2}", "null", "1e400"}},
	{"jsb", "jsonb", "JSON", []string{`{"a": [1, "x", null]}`, "null", `"text"`}},
	{"en", "mood", "STRING", []string{"so so", "happy"}},
	{"dom", "percent", "INT(32,true)", []string{"100"}},
	{"domdec", "price", "DECIMAL(10,2)", []string{"19.99"}},
	{"comp", "point3", "STRING", []string{`(1,"a b",)`}},
	{"rng", "int4range", "STRING", []string{"[1,10)", "empty"}},
	{"inet", "inet", "STRING", []string{"10.0.0.1/8", "::1"}},
	{"mac", "macaddr", "STRING", []string{"08:00:2b:01:02:03"}},
	{"bits", "bit varying(8)", "STRING", []string{"10101"}},
	{"money", "money", "STRING", []string{"-12.34"}},
	{"xml", "xml", "STRING", []string{"<a b=\"c\">d</a>"}},
	{"pt", "point", "STRING", []string{"(1.5,-2)"}},
	{"tsv", "tsvector", "STRING", []string{"'fat':2 'rat':3A"}},
	{"arr", "integer[]", "JSON", []string{"{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={5,6}"}},
	{"tarr", "text[]", "JSON", []string{`{a,"b c",NULL,"NULL","","q\"\\"}`}},
	{"farr", "float8[]", "JSON", []string{"{1.5,NaN,Infinity,1e300}"}},
	{"barr", "boolean[]", "JSON", []string{"{t,f,NULL}"}},
	{"narr", "numeric(10,2)[]", "JSON", []string{"{1.10,2.00}"}},
	{"tsarr", "timestamptz[]", "JSON", []string{`{"2024-01-01 00:00:00+00",infinity}`}},
	{"earr", "mood[]", "JSON", []string{`{"so so",happy}`}},
	{"jarr", "jsonb[]", "JSON", []string{`{"{\"a\": 1}"}`}},
	{"boxes", "box[]", "STRING", []string{"{(1,1),(0,0);(3,3),(2,2)}"}},
}

// typeTable is a table with one row for each value, and one of NULLs.
func typeTable() []string {
	statements := []string{
		`CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy')`,
		`CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100)`,
		`CREATE DOMAIN price AS numeric(10,2)`,
		`CREATE TYPE point3 AS (x int, name text, z float8)`,
	}
	columns := []string{"id serial PRIMARY KEY", "generated bigint GENERATED ALWAYS AS (i8 / 2) STORED"}
	for _, test := range typeCases {
		columns = append(columns, test.name+" "+test.definition)
	}
	return append(statements, "CREATE TABLE t ("+strings.Join(columns, ", ")+")")
}

func (s *stream) insertTypes() {
	s.t.Helper()
	s.exec(`INSERT INTO t DEFAULT VALUES`)
	for _, test := range typeCases {
		for _, value := range test.values {
			s.exec(`INSERT INTO t (` + test.name + `) VALUES ('` + strings.ReplaceAll(value, "'", "''") + `')`)
		}
	}
}

// TestTypesRoundTrip takes every value through a backfill and through streaming.
// verify compares in the form that files give back; the test itself gives the
// texts of the files back to PostgreSQL and lets that compare.
func TestTypesRoundTrip(t *testing.T) {
	t.Parallel()
	inBothFormats(t, func(s *stream) {
		s.insertTypes()
		s.backfill("b1")
		job := s.start("")
		s.insertTypes()
		s.verify()
		job.terminate()
		job.want(0)
		if s.target["format"] == "parquet" {
			s.checkParquetTypes()
			return
		}
		s.checkJSONTypes()
	}, typeTable()...)
}

// checkParquetTypes compares the columns of a file with the type map.
func (s *stream) checkParquetTypes() {
	s.t.Helper()
	data := []byte(s.content(s.manifest("b1").Parts[0].File))
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		s.t.Fatal(err)
	}
	fields := file.Schema().Fields()
	for index, test := range typeCases {
		field := fields[index+1]
		if got := field.Type().String(); field.Name() != test.name || got != test.parquet || !field.Optional() {
			s.t.Errorf("column %d is %s %s (optional: %t), want %s %s", index+1, field.Name(), got, field.Optional(), test.name, test.parquet)
		}
	}
}

// checkJSONTypes gives each value of each line to PostgreSQL as that type's own text.
func (s *stream) checkJSONTypes() {
	s.t.Helper()
	compared := 0
	part := s.content(s.manifest("b1").Parts[0].File)
	for _, line := range strings.Split(strings.TrimSuffix(part+s.changes(), "\n"), "\n") {
		var values map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		if _, found := values["generated"]; found {
			s.t.Error("a generated column is in the file")
		}
		for _, test := range typeCases {
			if strings.HasSuffix(test.definition, "[]") {
				continue // compared as JSON by the unit test of arrays
			}
			text := plainText(test, values[test.name])
			same := s.query(`SELECT (`+test.name+`::text IS NOT DISTINCT FROM $2::text::`+test.definition+`::text)::text FROM t WHERE id = $1::text::int`, string(values["id"]), text)
			if same != "true" {
				s.t.Errorf("row %s, column %s: the file has %s, the table %q", values["id"], test.name, values[test.name],
					s.query(`SELECT `+test.name+`::text FROM t WHERE id = $1::text::int`, string(values["id"])))
			}
			compared++
		}
	}
	if compared < 1000 {
		s.t.Errorf("only %d values were compared", compared)
	}
}

// plainText is a JSON value as PostgreSQL reads it; nil for NULL.
func plainText(test typeCase, raw json.RawMessage) *string {
	if string(raw) == "null" {
		return nil
	}
	text := string(raw)
	if raw[0] == '"' {
		if test.name == "bin" {
			var data []byte
			_ = json.Unmarshal(raw, &data) // base64
			text = `\x` + hexText(data)
		} else {
			_ = json.Unmarshal(raw, &text)
		}
	}
	return &text
}

func hexText(data []byte) string {
	const digits = "0123456789abcdef"
	var text strings.Builder
	for _, char := range data {
		text.WriteByte(digits[char>>4])
		text.WriteByte(digits[char&15])
	}
	return text.String()
}

func TestDecimalsAsTextHoldNaN(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, `CREATE TABLE t (id int PRIMARY KEY, x numeric(5,2))`, `INSERT INTO t VALUES (1, 'NaN')`)
	p := s.start("b1")
	p.want(20)
	if words := p.lastWords(); !strings.Contains(words, `column "x" (numeric(5,2))`) || !strings.Contains(words, "spec.sink.decimals") {
		t.Errorf("the termination message is %q", words)
	}
	s.target["decimals"] = "text"
	s.backfill("b1")
	job := s.start("")
	s.exec(`INSERT INTO t VALUES (2, 1.5)`)
	s.verify()
	job.terminate()
	job.want(0)
}

// TestFilesAreWholeAndReadable: no temporary file is left, and others may read.
func TestFilesAreWholeAndReadable(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, simple, `INSERT INTO t VALUES (1, 1)`)
	if err := os.MkdirAll(filepath.Join(s.directory(), ".tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.directory(), ".tmp", "left-by-a-kill"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.backfill("b1")
	if left := s.files(".tmp"); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	for _, file := range s.files("backfill") {
		info, err := os.Stat(filepath.Join(s.directory(), filepath.FromSlash(file)))
		if err != nil || info.Mode().Perm() != 0o644 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}

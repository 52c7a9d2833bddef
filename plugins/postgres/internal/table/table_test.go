package table

// This file tests that values are read as PostgreSQL means them.

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		days int32
	}{
		{"1970-01-01", 0},
		{"1969-12-31", -1},
		{"2000-02-29", 11016},
		{"2024-12-31", 20088},
		{"0001-01-01", -719162},
		{"0001-12-31 BC", -719163},
		{"4713-01-01 BC", -2440550},
		{"99999-12-31", 35804721},
		{"infinity", math.MaxInt32},
		{"-infinity", math.MinInt32},
	}
	for _, test := range tests {
		days, err := ParseDate(test.text)
		if err != nil || days != test.days {
			t.Errorf("ParseDate(%q) = %d, %v; want %d", test.text, days, err, test.days)
		}
		if text := FormatDate(test.days); text != test.text {
			t.Errorf("FormatDate(%d) = %q; want %q", test.days, text, test.text)
		}
	}
}

func TestDatesAgreeWithGo(t *testing.T) {
	t.Parallel()
	for days := int64(-200_000); days < 200_000; days += 7 {
		want := time.Unix(days*86_400, 0).UTC()
		year, month, day := dateOf(days)
		if int(year) != want.Year() || month != int64(want.Month()) || int(day) != want.Day() {
			t.Fatalf("dateOf(%d) = %d-%d-%d; want %s", days, year, month, day, want)
		}
		if back := daysOf(year, month, day); back != days {
			t.Fatalf("daysOf(dateOf(%d)) = %d", days, back)
		}
	}
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text   string
		micros int64
		zone   bool
	}{
		{"1970-01-01 00:00:00", 0, false},
		{"1969-12-31 23:59:59.999999", -1, false},
		{"2024-02-29 12:34:56.5+00", 1709210096500000, true},
		{"0044-03-15 12:00:00+00 BC", -63517780800000000, true},
		{"infinity", math.MaxInt64, true},
		{"-infinity", math.MinInt64, false},
	}
	for _, test := range tests {
		micros, err := ParseTimestamp(test.text)
		if err != nil || micros != test.micros {
			t.Errorf("ParseTimestamp(%q) = %d, %v; want %d", test.text, micros, err, test.micros)
		}
		if text := FormatTimestamp(test.micros, test.zone); text != test.text {
			t.Errorf("FormatTimestamp(%d) = %q; want %q", test.micros, text, test.text)
		}
	}
	for _, text := range []string{"", "2024-01-01", "2024-01-01T00:00:00", "x 00:00:00", "294276-12-31 23:59:59.999999"} {
		if micros, err := ParseTimestamp(text); err == nil {
			t.Errorf("ParseTimestamp(%q) = %d, want an error", text, micros)
		}
	}
}

func TestArrayJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		element    Kind
		text, want string
	}{
		{Int32, "{}", "[]"},
		{Int32, "{1,NULL,-3}", "[1,null,-3]"},
		{Int32, "{{1,2},{3,4}}", "[[1,2],[3,4]]"},
		{Int32, "[0:1]={1,2}", `"[0:1]={1,2}"`},
		{Bool, "{t,f,NULL}", "[true,false,null]"},
		{Float64, "{1.5,NaN,-Infinity,1e+300}", `[1.5,"NaN","-Infinity",1e+300]`},
		{Text, `{a,"b c","","NULL","q\"\\","{x,y}"}`, `["a","b c","","NULL","q\"\\","{x,y}"]`},
		{Text, "{\"line\nbreak\"}", `["line\nbreak"]`},
		{JSON, `{"{\"a\": 1}"}`, `["{\"a\": 1}"]`},
	}
	for _, test := range tests {
		got, err := ArrayJSON(test.element, test.text)
		if err != nil || string(got) != test.want {
			t.Errorf("ArrayJSON(%s, %q) = %s, %v; want %s", test.element, test.text, got, err, test.want)
		}
		if !json.Valid(got) {
			t.Errorf("ArrayJSON(%s, %q) = %s, which is not JSON", test.element, test.text, got)
		}
	}
	for _, text := range []string{"", "{", "{1", "{1,2", `{"a`, `{"a\`, "{1}x", "1,2"} {
		if got, err := ArrayJSON(Int32, text); err == nil {
			t.Errorf("ArrayJSON(%q) = %s, want an error", text, got)
		}
	}
}

func TestAppendQuotedIsReadBackByJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f", "æøå 日本 🙂", "</script>\u2028"} {
		var back string
		if err := json.Unmarshal(AppendQuoted(nil, text), &back); err != nil || back != text {
			t.Errorf("%q comes back as %q, %v", text, back, err)
		}
	}
}

func TestKeyTextTellsKeysApart(t *testing.T) {
	t.Parallel()
	a := KeyText([]Cell{TextCell("a"), TextCell("bc")})
	b := KeyText([]Cell{TextCell("ab"), TextCell("c")})
	if a == b {
		t.Errorf("two keys have one text: %q", a)
	}
}

func TestDecimalsOfTheModifier(t *testing.T) {
	t.Parallel()
	tests := []struct {
		why                    string
		modifier               int32
		native                 bool
		kind                   Kind
		precision, scaleDigits int
	}{
		{"numeric(10,2)", 10<<16 | 2 + 4, true, Decimal, 10, 2},
		{"numeric(38,0)", 38<<16 + 4, true, Decimal, 38, 0},
		{"numeric(39,0) is too wide for Parquet's readers", 39<<16 + 4, true, Text, 0, 0},
		{"numeric without limits", -1, true, Text, 0, 0},
		{"numeric(5,-2) has a negative scale", 5<<16 | (-2 & 0x7ff) + 4, true, Text, 0, 0},
		{"the user asked for text", 10<<16 | 2 + 4, false, Text, 0, 0},
	}
	for _, test := range tests {
		column := OfType(oidNumeric, test.modifier, test.native)
		want := Column{Kind: test.kind, Precision: test.precision, Scale: test.scaleDigits}
		if column != want {
			t.Errorf("%s: %+v; want %+v", test.why, column, want)
		}
	}
}

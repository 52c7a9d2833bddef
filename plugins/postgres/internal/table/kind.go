package table

// This file maps PostgreSQL's types to the kinds that files know.

// Kind is a way to write a column to a file. The README's type map lists what each becomes.
type Kind string

// The kinds.
const (
	Bool        Kind = "bool"
	Int16       Kind = "int16"
	Int32       Kind = "int32"
	Int64       Kind = "int64"
	Float32     Kind = "float32"
	Float64     Kind = "float64"
	Decimal     Kind = "decimal"
	Date        Kind = "date"
	Time        Kind = "time"
	Timestamp   Kind = "timestamp"
	TimestampTZ Kind = "timestamptz"
	UUID        Kind = "uuid"
	Bytes       Kind = "bytes"
	JSON        Kind = "json"
	Array       Kind = "array"
	Text        Kind = "text"
)

// OIDs of PostgreSQL's own types: they are the same in every database since they were invented.
const (
	oidBool        = 16
	oidBytea       = 17
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

var kinds = map[uint32]Kind{
	oidBool:        Bool,
	oidBytea:       Bytes,
	oidInt8:        Int64,
	oidInt2:        Int16,
	oidInt4:        Int32,
	oidOID:         Int64,
	oidJSON:        JSON,
	oidJSONB:       JSON,
	oidFloat4:      Float32,
	oidFloat8:      Float64,
	oidDate:        Date,
	oidTime:        Time,
	oidTimestamp:   Timestamp,
	oidTimestampTZ: TimestampTZ,
	oidUUID:        UUID,
}

// maxPrecision is the largest DECIMAL that Parquet's readers agree on: 16 bytes.
const maxPrecision = 38

// OfType is how a column of a base type is written, yet without a name. Whatever
// has no kind of its own is written as PostgreSQL's text, so that no type is refused.
func OfType(oid uint32, modifier int32, nativeDecimals bool) Column {
	if kind, known := kinds[oid]; known {
		return Column{Kind: kind}
	}
	if oid != oidNumeric || !nativeDecimals || modifier < 4 {
		return Column{Kind: Text}
	}
	// PostgreSQL packs both into the modifier, the scale as eleven bits with a sign.
	packed := modifier - 4
	precision := int(packed>>16) & 0xffff
	scale := int((packed&0x7ff)^1024) - 1024
	if precision > maxPrecision || scale < 0 || scale > precision {
		return Column{Kind: Text}
	}
	return Column{Kind: Decimal, Precision: precision, Scale: scale}
}

// ArrayOf is how an array is written whose elements are written like that.
func ArrayOf(element Column) Column {
	// Numbers with a fixed scale lose their trailing zeros in many JSON readers.
	if element.Kind == Decimal {
		element.Kind = Text
	}
	return Column{Kind: Array, Element: element.Kind}
}

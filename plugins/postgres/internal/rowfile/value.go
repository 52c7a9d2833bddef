package rowfile

// This file maps single values between PostgreSQL's text and Parquet.

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// decimalBytes is the width of a DECIMAL too wide for 64 bits.
const decimalBytes = 16

// smallPrecision is the widest DECIMAL that 64 bits hold.
const smallPrecision = 18

func node(column table.Column) parquet.Node {
	switch column.Kind {
	case table.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case table.Int16:
		return parquet.Int(16)
	case table.Int32:
		return parquet.Int(32)
	case table.Int64:
		return parquet.Int(64)
	case table.Float32:
		return parquet.Leaf(parquet.FloatType)
	case table.Float64:
		return parquet.Leaf(parquet.DoubleType)
	case table.Decimal:
		if column.Precision <= smallPrecision {
			return parquet.Decimal(column.Scale, column.Precision, parquet.Int64Type)
		}
		return parquet.Decimal(column.Scale, column.Precision, parquet.FixedLenByteArrayType(decimalBytes))
	case table.Date:
		return parquet.Date()
	case table.Time:
		return parquet.TimeAdjusted(parquet.Microsecond, false)
	case table.Timestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, false)
	case table.TimestampTZ:
		return parquet.TimestampAdjusted(parquet.Microsecond, true)
	case table.UUID:
		return parquet.UUID()
	case table.Bytes:
		return parquet.Leaf(parquet.ByteArrayType)
	case table.JSON, table.Array:
		return parquet.JSON()
	case table.Text:
	}
	return parquet.String()
}

func encodeValue(column table.Column, text string) (parquet.Value, error) {
	switch column.Kind {
	case table.Bool:
		return parquet.BooleanValue(text == "t"), nil
	case table.Int16, table.Int32:
		number, err := strconv.ParseInt(text, 10, 32)
		return parquet.Int32Value(int32(number)), err
	case table.Int64:
		number, err := strconv.ParseInt(text, 10, 64)
		return parquet.Int64Value(number), err
	case table.Float32:
		number, err := strconv.ParseFloat(text, 32)
		return parquet.FloatValue(float32(number)), err
	case table.Float64:
		number, err := strconv.ParseFloat(text, 64)
		return parquet.DoubleValue(number), err
	case table.Decimal:
		return encodeDecimal(column, text)
	case table.Date:
		days, err := table.ParseDate(text)
		return parquet.Int32Value(days), err
	case table.Time:
		micros, err := table.ParseTime(text)
		return parquet.Int64Value(micros), err
	case table.Timestamp, table.TimestampTZ:
		micros, err := table.ParseTimestamp(text)
		return parquet.Int64Value(micros), err
	case table.UUID:
		data, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
		return parquet.FixedLenByteArrayValue(data), err
	case table.Bytes:
		data, err := parseBytes(text)
		return parquet.ByteArrayValue(data), err
	case table.Array:
		data, err := table.ArrayJSON(column.Element, text)
		return parquet.ByteArrayValue(data), err
	case table.JSON, table.Text:
	}
	return parquet.ByteArrayValue([]byte(text)), nil
}

func decodeValue(column table.Column, value parquet.Value) (string, error) {
	switch column.Kind {
	case table.Bool:
		return strconv.FormatBool(value.Boolean())[:1], nil
	case table.Int16, table.Int32:
		return strconv.FormatInt(int64(value.Int32()), 10), nil
	case table.Int64:
		return strconv.FormatInt(value.Int64(), 10), nil
	case table.Float32:
		return table.FormatFloat(float64(value.Float()), 32), nil
	case table.Float64:
		return table.FormatFloat(value.Double(), 64), nil
	case table.Decimal:
		return decodeDecimal(column, value), nil
	case table.Date:
		return table.FormatDate(value.Int32()), nil
	case table.Time:
		return table.FormatTime(value.Int64()), nil
	case table.Timestamp, table.TimestampTZ:
		return table.FormatTimestamp(value.Int64(), column.Kind == table.TimestampTZ), nil
	case table.UUID:
		data := value.ByteArray()
		if len(data) != 16 {
			return "", fmt.Errorf("a UUID of %d bytes", len(data))
		}
		return fmt.Sprintf("%x-%x-%x-%x-%x", data[:4], data[4:6], data[6:8], data[8:10], data[10:]), nil
	case table.Bytes:
		return `\x` + hex.EncodeToString(value.ByteArray()), nil
	case table.JSON, table.Array, table.Text:
	}
	return string(value.ByteArray()), nil
}

func encodeDecimal(column table.Column, text string) (parquet.Value, error) {
	if text == "NaN" {
		return parquet.Value{}, errors.New("a Parquet DECIMAL has no NaN; set spec.sink.decimals to text")
	}
	// PostgreSQL prints a numeric(p,s) with all of its s decimals.
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) != column.Scale {
		return parquet.Value{}, fmt.Errorf("want %d decimals, have %d", column.Scale, len(decimals))
	}
	number, valid := new(big.Int).SetString(whole+decimals, 10)
	if !valid {
		return parquet.Value{}, errors.New("not a decimal number")
	}
	if column.Precision <= smallPrecision {
		return parquet.Int64Value(number.Int64()), nil
	}
	if number.Sign() < 0 {
		number.Add(number, twoTo128())
	}
	return parquet.FixedLenByteArrayValue(number.FillBytes(make([]byte, decimalBytes))), nil
}

func twoTo128() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 8*decimalBytes) }

func decodeDecimal(column table.Column, value parquet.Value) string {
	number := new(big.Int)
	if column.Precision <= smallPrecision {
		number.SetInt64(value.Int64())
	} else {
		number.SetBytes(value.ByteArray())
		if number.Bit(8*decimalBytes-1) == 1 {
			number.Sub(number, twoTo128())
		}
	}
	digits := new(big.Int).Abs(number).String()
	if missing := column.Scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if column.Scale > 0 {
		point := len(digits) - column.Scale
		digits = digits[:point] + "." + digits[point:]
	}
	if number.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

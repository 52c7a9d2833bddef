package table

// This file gives PostgreSQL's texts one canonical form, in which a cell read from a file and one read from the table are equal or not.

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Canonical is the form in which files give a text back.
func (c Column) Canonical(text string) (string, error) {
	switch c.Kind {
	case Float32:
		return canonicalFloat(text, 32)
	case Float64:
		return canonicalFloat(text, 64)
	case Array:
		data, err := ArrayJSON(c.Element, text)
		return string(data), err
	default:
		return text, nil
	}
}

func canonicalFloat(text string, bits int) (string, error) {
	number, err := strconv.ParseFloat(text, bits)
	if err != nil {
		return "", fmt.Errorf("read a float: %w", err)
	}
	return FormatFloat(number, bits), nil
}

// FormatFloat is the canonical text of a float: the shortest that reads back the
// same, and PostgreSQL's own words for infinity.
func FormatFloat(number float64, bits int) string {
	if math.IsInf(number, 0) {
		return strings.TrimPrefix(strconv.FormatFloat(number, 'f', -1, bits), "+") + "inity"
	}
	return strconv.FormatFloat(number, 'g', -1, bits)
}

// IsNumber reports whether JSON can hold a float's text as a number: it knows no NaN and no infinity.
func IsNumber(text string) bool {
	return text != "" && !strings.ContainsAny(text, "NnIi")
}

// AppendQuoted appends text as a JSON string. Nothing but what must be is escaped.
func AppendQuoted(line []byte, text string) []byte {
	const hexDigits = "0123456789abcdef"
	line = append(line, '"')
	start := 0
	for index := range len(text) {
		char := text[index]
		if char >= 0x20 && char != '"' && char != '\\' {
			continue
		}
		line = append(line, text[start:index]...)
		start = index + 1
		switch char {
		case '"', '\\':
			line = append(line, '\\', char)
		case '\n':
			line = append(line, '\\', 'n')
		case '\t':
			line = append(line, '\\', 't')
		default:
			line = append(line, '\\', 'u', '0', '0', hexDigits[char>>4], hexDigits[char&0xf])
		}
	}
	line = append(line, text[start:]...)
	return append(line, '"')
}

// ArrayJSON turns PostgreSQL's text of an array into a JSON array, nested where
// it has more dimensions. An array whose first index is not 1 has no such form
// and becomes a JSON string with PostgreSQL's text.
func ArrayJSON(element Kind, text string) ([]byte, error) {
	if strings.HasPrefix(text, "[") {
		return AppendQuoted(nil, text), nil
	}
	reader := arrayReader{text: text, element: element, out: make([]byte, 0, len(text)+16)}
	if err := reader.array(); err != nil {
		return nil, err
	}
	if reader.at != len(text) {
		return nil, errors.New("array: something follows its end")
	}
	return reader.out, nil
}

type arrayReader struct {
	text    string
	at      int
	element Kind
	out     []byte
}

func (r *arrayReader) take(char byte) bool {
	if r.at < len(r.text) && r.text[r.at] == char {
		r.at++
		return true
	}
	return false
}

func (r *arrayReader) array() error {
	if !r.take('{') {
		return fmt.Errorf("array: no brace at %d", r.at)
	}
	r.out = append(r.out, '[')
	if r.take('}') {
		r.out = append(r.out, ']')
		return nil
	}
	for {
		if err := r.item(); err != nil {
			return err
		}
		if r.take('}') {
			r.out = append(r.out, ']')
			return nil
		}
		if !r.take(',') {
			return fmt.Errorf("array: neither comma nor brace at %d", r.at)
		}
		r.out = append(r.out, ',')
	}
}

func (r *arrayReader) item() error {
	if r.at < len(r.text) && r.text[r.at] == '{' {
		return r.array()
	}
	if r.take('"') {
		return r.quoted()
	}
	end := strings.IndexAny(r.text[r.at:], ",}")
	if end < 0 {
		return errors.New("array: no end")
	}
	item := r.text[r.at : r.at+end]
	r.at += end
	if item == "NULL" {
		r.out = append(r.out, "null"...)
		return nil
	}
	r.out = appendScalar(r.out, r.element, item)
	return nil
}

func (r *arrayReader) quoted() error {
	var item []byte
	for r.at < len(r.text) {
		char := r.text[r.at]
		r.at++
		switch char {
		case '"':
			r.out = appendScalar(r.out, r.element, string(item))
			return nil
		case '\\':
			if r.at == len(r.text) {
				return errors.New("array: no end")
			}
			item = append(item, r.text[r.at])
			r.at++
		default:
			item = append(item, char)
		}
	}
	return errors.New("array: no end")
}

// appendScalar appends a value of the kinds that JSON has a word for as that word, all others as a string.
func appendScalar(line []byte, kind Kind, text string) []byte {
	switch kind {
	case Bool:
		return strconv.AppendBool(line, text == "t")
	case Int16, Int32, Int64:
		return append(line, text...)
	case Float32, Float64:
		if IsNumber(text) {
			return append(line, text...)
		}
		return AppendQuoted(line, text)
	default:
		return AppendQuoted(line, text)
	}
}

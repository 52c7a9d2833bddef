package definition

// This file walks JSON where it stands, without reading it into a tree.

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// canonical tells that text is JSON of which nothing could be written otherwise: no
// space, no escapes, and the keys in order, each once, as the API server writes
// them. Of numbers another spelling is another number here. It may be false for
// what is as good.
func canonical(text []byte) bool {
	return json.Valid(text) && bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text) && ordered(text, 0)
}

// ordered wants valid JSON without escapes. Each level is read once more than the
// one around it, so there is an end to how deep it looks.
func ordered(value []byte, depth int) bool {
	if depth > 16 || bytes.IndexByte([]byte(blank), value[0]) >= 0 || bytes.IndexByte([]byte(blank), value[len(value)-1]) >= 0 {
		return false
	}
	length := 2
	switch value[0] {
	case '{':
		var last []byte
		for key, member := range members(value) {
			if length > 2 && bytes.Compare(last, key) >= 0 || !ordered(member, depth+1) {
				return false
			}
			last = key
			length += len(key) + len(`"":,`) + len(member)
		}
	case '[':
		for element := range elements(value) {
			if !ordered(element, depth+1) {
				return false
			}
			length += len(element) + len(`,`)
		}
	default:
		return true
	}
	// The last one has no comma after it; all that is not counted is space.
	return len(value) == max(2, length-1)
}

// Every function below wants JSON that is valid, without space around it.

// members are the keys of an object and their values, in the order in which they
// are written. A key is as it is written between its quotes.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for rest := inside(object); len(rest) > 0; {
			end := lengthOf(rest)
			key := rest[1 : end-1]
			// The colon follows.
			rest = bytes.TrimLeft(rest[end:], blank)[1:]
			rest = bytes.TrimLeft(rest, blank)
			end = lengthOf(rest)
			if !yield(key, rest[:end]) {
				return
			}
			rest = afterComma(rest[end:])
		}
	}
}

// elements are the values of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func(value []byte) bool) {
		for rest := inside(array); len(rest) > 0; {
			end := lengthOf(rest)
			if !yield(rest[:end]) {
				return
			}
			rest = afterComma(rest[end:])
		}
	}
}

// blank is the space that JSON knows.
const blank = " \t\r\n"

// inside is what stands between the brackets.
func inside(value []byte) []byte { return bytes.Trim(value[1:len(value)-1], blank) }

func afterComma(rest []byte) []byte {
	rest = bytes.TrimLeft(rest, blank)
	if len(rest) == 0 {
		return nil
	}
	return bytes.TrimLeft(rest[1:], blank)
}

// lengthOf is the length of the value that text begins with.
func lengthOf(text []byte) int {
	switch text[0] {
	case '"':
		return lengthOfString(text)
	case '{', '[':
		depth := 0
		for i := 0; i < len(text); i++ {
			switch text[i] {
			case '"':
				i += lengthOfString(text[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	default:
		if i := bytes.IndexAny(text, ",]}"+blank); i >= 0 {
			return i
		}
	}
	return len(text)
}

// lengthOfString ends at the first quote that no backslash takes away.
func lengthOfString(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// literal is a string's text where it stands as it means: without escapes.
func literal(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	text = value[1 : len(value)-1]
	return text, bytes.IndexByte(text, '\\') < 0 && utf8.Valid(text)
}

package definition

// This file accepts at a glance what a class's schema plainly allows.

import (
	"math"
	"regexp"
	"strconv"
	"unicode/utf8"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// shape is a schema of plain keywords. It only ever accepts: what it does not, and
// a schema with any other keyword, is for the library, which also knows the words
// for a refusal. (The library makes a set of validators for each value that it
// meets: thirty thousand allocations for a spec of 10 kB.)
type shape struct {
	kind string

	members map[string]*shape
	// others is the shape of members that are not named; nil where anything goes.
	others *shape
	// closed: there are no others.
	closed bool
	// required holds a bit for each member that must be there; its place is in bits.
	required uint64
	bits     map[string]int

	elements *shape
	// fewest and most elements or characters.
	fewest, most int64
	pattern      *regexp.Regexp
	choices      []string
	least, top   float64
}

// exact is the largest integer that a float64 holds like all below it.
const exact = 1 << 53

// shapeOf is nil where the schema is more than plain.
func shapeOf(s *structural.Structural) *shape {
	if s == nil || s.Nullable || s.XEmbeddedResource || s.XIntOrString || s.XListType != nil || s.XMapType != nil {
		return nil
	}
	p := &shape{kind: s.Type, most: math.MaxInt64, least: math.Inf(-1), top: math.Inf(1)}
	if s.ValueValidation != nil && !p.limit(s.ValueValidation) {
		return nil
	}
	switch s.Type {
	case "object":
		return p.object(s)
	case "array":
		if s.Items != nil {
			if p.elements = shapeOf(s.Items); p.elements == nil {
				return nil
			}
		}
		return p
	case "integer":
		// The library refuses every value where a limit is no integer itself.
		if limit := func(f float64) bool { return math.IsInf(f, 0) || f == math.Trunc(f) && math.Abs(f) < exact }; !limit(p.least) || !limit(p.top) {
			return nil
		}
		return p
	case "string", "boolean", "number":
		return p
	default:
		return nil
	}
}

// limit takes the limits over; false where there is one that it does not know.
func (p *shape) limit(v *structural.ValueValidation) bool {
	if v.Format != "" || v.ExclusiveMaximum || v.ExclusiveMinimum || v.UniqueItems || v.MultipleOf != nil ||
		v.MaxProperties != nil || v.MinProperties != nil || v.AllOf != nil || v.OneOf != nil || v.AnyOf != nil || v.Not != nil {
		return false
	}
	for _, choice := range v.Enum {
		text, ok := choice.Object.(string)
		if !ok || p.kind != "string" {
			return false
		}
		p.choices = append(p.choices, text)
	}
	fewest, most := v.MinLength, v.MaxLength
	if p.kind == "array" {
		fewest, most = v.MinItems, v.MaxItems
	}
	if fewest != nil {
		p.fewest = *fewest
	}
	if most != nil {
		p.most = *most
	}
	if v.Minimum != nil {
		p.least = *v.Minimum
	}
	if v.Maximum != nil {
		p.top = *v.Maximum
	}
	if v.Pattern != "" {
		var err error
		if p.pattern, err = regexp.Compile(v.Pattern); err != nil {
			return false
		}
	}
	return p.require(v.Required)
}

func (p *shape) require(names []string) bool {
	if len(names) > 64 {
		return false
	}
	p.bits = make(map[string]int, len(names))
	for i, name := range names {
		p.bits[name] = i
	}
	for _, i := range p.bits {
		p.required |= 1 << i
	}
	return true
}

func (p *shape) object(s *structural.Structural) *shape {
	p.members = make(map[string]*shape, len(s.Properties))
	for name := range s.Properties {
		member := s.Properties[name]
		if p.members[name] = shapeOf(&member); p.members[name] == nil {
			return nil
		}
	}
	switch others := s.AdditionalProperties; {
	case others == nil:
	case others.Structural != nil:
		if p.others = shapeOf(others.Structural); p.others == nil {
			return nil
		}
	default:
		p.closed = !others.Bool
	}
	return p
}

// accepts wants valid JSON without space around it.
func (p *shape) accepts(value []byte) bool {
	if len(value) == 0 {
		return false
	}
	switch p.kind {
	case "object":
		return value[0] == '{' && p.acceptsObject(value)
	case "array":
		return value[0] == '[' && p.acceptsArray(value)
	case "string":
		return p.acceptsString(value)
	case "boolean":
		return value[0] == 't' || value[0] == 'f'
	default:
		return p.acceptsNumber(value)
	}
}

func (p *shape) acceptsObject(value []byte) bool {
	seen := uint64(0)
	for key, member := range members(value) {
		ok, bit := p.acceptsMember(key, member)
		if !ok {
			return false
		}
		seen |= bit
	}
	return seen&p.required == p.required
}

// acceptsMember also tells which of the required ones it is.
func (p *shape) acceptsMember(key, value []byte) (ok bool, bit uint64) {
	for _, c := range key {
		// An escape, or no UTF-8: the key may be another one than it looks like.
		if c == '\\' || c >= utf8.RuneSelf {
			return false, 0
		}
	}
	if i, required := p.bits[string(key)]; required {
		bit = 1 << i
	}
	member, named := p.members[string(key)]
	if !named {
		if p.closed {
			return false, 0
		}
		if member = p.others; member == nil {
			return true, bit
		}
	}
	return member.accepts(value), bit
}

func (p *shape) acceptsArray(value []byte) bool {
	count := int64(0)
	for element := range elements(value) {
		if p.elements != nil && !p.elements.accepts(element) {
			return false
		}
		count++
	}
	return count >= p.fewest && count <= p.most
}

func (p *shape) acceptsString(value []byte) bool {
	if value[0] != '"' {
		return false
	}
	if p.fewest == 0 && p.most == math.MaxInt64 && p.pattern == nil && p.choices == nil {
		return true
	}
	text, ok := literal(value)
	if !ok {
		return false
	}
	if p.choices != nil && !p.chosen(text) {
		return false
	}
	length := int64(utf8.RuneCount(text))
	return length >= p.fewest && length <= p.most && (p.pattern == nil || p.pattern.Match(text))
}

func (p *shape) chosen(text []byte) bool {
	for _, choice := range p.choices {
		if string(text) == choice {
			return true
		}
	}
	return false
}

// acceptsNumber takes integers only, also where a fraction would do: how the
// library compares the others with a limit is its own business.
func (p *shape) acceptsNumber(value []byte) bool {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return err == nil && n > -exact && n < exact && float64(n) >= p.least && float64(n) <= p.top
}

package source

// This file finds out what a column's type is made of, domains and arrays included.

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// Attribute is a column as PostgreSQL's catalog and its replication protocol name it.
type Attribute struct {
	Name     string
	TypeOID  uint32
	Modifier int32
	Key      bool
	// Number is the catalog's; the replication protocol does not tell it.
	Number int16
}

// Types looks types up once.
type Types struct {
	conn           *pgx.Conn
	nativeDecimals bool
	known          map[typeID]table.Column
}

type typeID struct {
	oid      uint32
	modifier int32
}

// NewTypes returns a Types that asks over conn.
func NewTypes(conn *pgx.Conn, nativeDecimals bool) *Types {
	return &Types{conn: conn, nativeDecimals: nativeDecimals, known: map[typeID]table.Column{}}
}

// Column says how an attribute is written.
func (t *Types) Column(ctx context.Context, attribute Attribute) (table.Column, error) {
	id := typeID{attribute.TypeOID, attribute.Modifier}
	column, known := t.known[id]
	if !known {
		var name string
		if err := t.conn.QueryRow(ctx, `SELECT format_type($1, $2)`, id.oid, id.modifier).Scan(&name); err != nil {
			return column, Judge("name a type", err)
		}
		var err error
		if column, err = t.resolve(ctx, id); err != nil {
			return column, err
		}
		column.Type = name
		t.known[id] = column
	}
	column.Name, column.Key = attribute.Name, attribute.Key
	// A key is also given back to PostgreSQL, which reads arrays in its own form only.
	if column.Key && column.Kind == table.Array {
		column.Kind, column.Element = table.Text, ""
	}
	return column, nil
}

func (t *Types) resolve(ctx context.Context, id typeID) (table.Column, error) {
	var entry struct {
		kind, category, delimiter string
		base, element             uint32
		baseModifier              int32
		length                    int16
	}
	err := t.conn.QueryRow(ctx, `
		SELECT typtype::text, typcategory::text, typdelim::text, typbasetype, typelem, typtypmod, typlen
		FROM pg_type WHERE oid = $1`, id.oid).
		Scan(&entry.kind, &entry.category, &entry.delimiter, &entry.base, &entry.element, &entry.baseModifier, &entry.length)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// The type was dropped since the change was logged. Its text can still be written.
		return table.Column{Kind: table.Text}, nil
	case err != nil:
		return table.Column{}, Judge(fmt.Sprintf("look type %d up", id.oid), err)
	case entry.kind == "d":
		return t.resolve(ctx, typeID{entry.base, entry.baseModifier})
	// Fixed-length types of category A are old vectors of the catalog, with a text form of their own.
	case entry.category == "A" && entry.element != 0 && entry.length == -1 && entry.delimiter == ",":
		element, err := t.resolve(ctx, typeID{entry.element, id.modifier})
		return table.ArrayOf(element), err
	}
	return table.OfType(id.oid, id.modifier, t.nativeDecimals), nil
}

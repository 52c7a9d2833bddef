package source

// This file looks a table up in the catalog: columns, key, and whether it can be followed at all.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/rowfile"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// Table is the source's table at one moment.
type Table struct {
	OID    uint32
	Schema table.Schema
	// KeyOrder are the key's columns in the order of its index, by which the table is read.
	KeyOrder []int
	// KeyCasts are their types and collations, as SQL casts a text to them.
	KeyCasts []string
	// KeySchemas have the operators that compare them.
	KeySchemas []string
	// Numbers are PostgreSQL's of the columns: one that was dropped and added again under its name has another.
	Numbers []int16
	// Toasted: values may be stored out of line, and updates that leave them alone do not log them.
	Toasted bool
}

// Reading names what a table's parts have in common beside their schema: the order of
// the key, for behind a key is another place in another order, and the columns
// themselves.
func (t Table) Reading() string {
	columns := make([]string, len(t.KeyOrder))
	for place, index := range t.KeyOrder {
		columns[place] = Quote(t.Schema.Columns[index].Name) + " " + t.KeyCasts[place]
	}
	return fmt.Sprintf("%s of columns %v", strings.Join(columns, ", "), t.Numbers)
}

// Replica identities, as pg_class.relreplident and pgoutput write them.
const (
	IdentityFull    = 'f'
	IdentityIndex   = 'i'
	IdentityNothing = 'n'
)

type relation struct {
	oid         uint32
	kind        string
	persistence string
	identity    string
	toast       bool
}

// Describe looks the table up. A table that cannot be followed is the user's to
// change. It takes several reads: where the table was dropped and made anew between
// them, what they found is of neither, and the new one is described instead.
func (s Source) Describe(ctx context.Context, conn *pgx.Conn) (Table, error) {
	found, err := s.lookUp(ctx, conn)
	for err == nil {
		described, wrong := s.describe(ctx, conn, found)
		if wrong == nil {
			return described, nil
		}
		before := found.oid
		if found, err = s.lookUp(ctx, conn); err == nil && found.oid == before {
			return Table{}, wrong
		}
	}
	return Table{}, err
}

// CheckReadable refuses a table that the role may not read, or not read whole. A
// backfill asks before it makes a slot, which would fill the source's disk for nothing.
func (s Source) CheckReadable(ctx context.Context, conn *pgx.Conn, found Table) error {
	var may, hidden bool
	var role string
	err := conn.QueryRow(ctx, `
		SELECT quote_ident(current_user), has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(oid, 'SELECT'), row_security_active(oid)
		FROM pg_class WHERE oid = $1`, found.OID).Scan(&role, &may, &hidden)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return exit.Transientf("table %s went while it was looked at", s.Relation())
	case err != nil:
		return Judge("look at the rights", err)
	case !may:
		return exit.Configf("role %s may not read table %s; GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s TO %s", role, s.Relation(), Quote(s.Spec.Schema), role, s.Relation(), role)
	case hidden:
		return exit.Configf("table %s has row-level security, which would hide rows from the backfill; ALTER ROLE %s BYPASSRLS", s.Relation(), role)
	}
	return nil
}

// describe reads the key and the columns of a table that was found.
func (s Source) describe(ctx context.Context, conn *pgx.Conn, found relation) (Table, error) {
	described := Table{OID: found.oid, Toasted: found.toast}
	described.Schema.Relation = s.Relation()
	keys, err := s.keys(ctx, conn, found)
	if err != nil {
		return Table{}, err
	}
	types := NewTypes(conn, s.NativeDecimals)
	attributes, err := s.attributes(ctx, conn, found.oid)
	if err != nil {
		return Table{}, err
	}
	for _, attribute := range attributes {
		attribute.Key = slices.ContainsFunc(keys, func(key keyColumn) bool { return key.Name == attribute.Name })
		column, err := types.Column(ctx, attribute)
		if err != nil {
			return Table{}, err
		}
		described.Schema.Columns = append(described.Schema.Columns, column)
		described.Numbers = append(described.Numbers, attribute.Number)
	}
	for _, key := range keys {
		index := described.Schema.Index(key.Name)
		if index < 0 {
			return Table{}, exit.Configf("table %s: its key has the generated column %q, which PostgreSQL does not replicate; choose another key with ALTER TABLE … REPLICA IDENTITY USING INDEX", s.Relation(), key.Name)
		}
		described.KeyOrder = append(described.KeyOrder, index)
		cast := described.Schema.Columns[index].Type
		if key.Collation != nil {
			cast += " COLLATE " + *key.Collation
		}
		described.KeyCasts = append(described.KeyCasts, cast)
		described.KeySchemas = append(described.KeySchemas, key.OperatorSchema)
	}
	return described, CheckNames(described.Schema)
}

// CheckNames refuses columns whose names files need for themselves.
func CheckNames(schema table.Schema) error {
	for _, column := range schema.Columns {
		if slices.Contains(rowfile.Reserved(), strings.ToLower(column.Name)) {
			return exit.Configf("table %s: column %q has a name that this plugin writes itself; rename it", schema.Relation, column.Name)
		}
	}
	return nil
}

func (s Source) lookUp(ctx context.Context, conn *pgx.Conn) (relation, error) {
	var found relation
	err := conn.QueryRow(ctx, `
		SELECT c.oid, c.relkind::text, c.relpersistence::text, c.relreplident::text, c.reltoastrelid <> 0
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = $2`, s.Spec.Schema, s.Spec.Table).
		Scan(&found.oid, &found.kind, &found.persistence, &found.identity, &found.toast)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return found, exit.Configf("table %s does not exist in database %q (spec.source.schema, spec.source.table)", s.Relation(), s.Spec.Database)
	case err != nil:
		return found, Judge("look the table up", err)
	case found.kind == "p":
		return found, exit.Configf("table %s is partitioned; make one Stream for each of its partitions", s.Relation())
	case found.kind != "r":
		return found, exit.Configf("%s is no table (pg_class.relkind %s); only tables have changes to follow", s.Relation(), found.kind)
	case found.persistence != "p":
		return found, exit.Configf("table %s is unlogged or temporary: its changes are not in the write-ahead log; ALTER TABLE … SET LOGGED", s.Relation())
	case found.identity == string(IdentityNothing):
		return found, exit.Configf("table %s has REPLICA IDENTITY NOTHING: published, its updates and deletes would fail; ALTER TABLE … REPLICA IDENTITY DEFAULT", s.Relation())
	}
	return found, nil
}

// keyColumn is a column of the key, and how its values are put in order.
type keyColumn struct {
	Name string
	// Collation is the column's own, quoted; nil where its type has none.
	Collation *string
	// OperatorSchema has the operators of its index. Extensions have theirs anywhere.
	OperatorSchema string
}

// keys are the columns by which changes name a row: the index of the
// replica identity where the user chose one, else the primary key.
func (s Source) keys(ctx context.Context, conn *pgx.Conn, of relation) ([]keyColumn, error) {
	rows, err := conn.Query(ctx, `
		SELECT a.attname, quote_ident(cn.nspname) || '.' || quote_ident(c.collname), n.nspname
		FROM pg_index i
		CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k(attnum, class, place)
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
		LEFT JOIN pg_collation c ON c.oid = a.attcollation
		LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace
		JOIN pg_opclass o ON o.oid = k.class
		JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype AND m.amopstrategy = $3
		JOIN pg_operator p ON p.oid = m.amopopr
		JOIN pg_namespace n ON n.oid = p.oprnamespace
		WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indimmediate AND k.place <= i.indnkeyatts
		  AND CASE WHEN $2 THEN i.indisreplident ELSE i.indisprimary END
		ORDER BY k.place`, of.oid, of.identity == string(IdentityIndex), strategyGreater)
	if err != nil {
		return nil, Judge("look the key up", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keyColumn])
	if err != nil {
		return nil, Judge("look the key up", err)
	}
	if len(keys) == 0 {
		return nil, exit.Configf("table %s has no primary key (or a deferrable one), and without a key its updates and deletes cannot be followed; add a primary key, or name a unique index with ALTER TABLE … REPLICA IDENTITY USING INDEX", s.Relation())
	}
	return keys, nil
}

// strategyGreater is the number of ">" in a B-tree, as all unique indexes are.
const strategyGreater = 5

// attributes leaves out generated columns, because PostgreSQL does not replicate them.
func (s Source) attributes(ctx context.Context, conn *pgx.Conn, oid uint32) ([]Attribute, error) {
	rows, err := conn.Query(ctx, `
		SELECT attname, atttypid, atttypmod, attnum FROM pg_attribute
		WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
		ORDER BY attnum`, oid)
	if err != nil {
		return nil, Judge("look the columns up", err)
	}
	attributes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Attribute, error) {
		var attribute Attribute
		err := row.Scan(&attribute.Name, &attribute.TypeOID, &attribute.Modifier, &attribute.Number)
		return attribute, err //nolint:wrapcheck // judged below
	})
	if err != nil {
		return nil, Judge("look the columns up", err)
	}
	return attributes, nil
}

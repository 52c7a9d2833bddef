package source

// This file looks after the publication: what of the table's changes PostgreSQL gives away.

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// Publication is the name of the publication that the stream uses: the user's, or one of its own.
func (s Source) Publication(own string) string {
	if s.Spec.Publication != "" {
		return s.Spec.Publication
	}
	return own
}

// Published is what a publication gives away of a table.
type Published struct {
	// Whole: all changes of all rows, with all columns.
	Whole bool
	// State is another after each change of the publication, or of the table's place
	// in it. A publication that was changed, and changed back, has left changes out.
	State string
}

// Published looks what the publication gives away of the table; the zero value where there is none.
func (s Source) Published(ctx context.Context, conn *pgx.Conn, publication string, oid uint32) (Published, error) {
	published, err := s.published(ctx, conn, publication, oid)
	if err != nil || published.Whole {
		return published, err
	}
	// PostgreSQL looks some of it up at another moment than the rest: while a column
	// goes, it may seem to be left out.
	return s.published(ctx, conn, publication, oid)
}

// publishedQuery has places for what PostgreSQL knows since version 15: schemas, filters, lists of columns.
const publishedQuery = `
	SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND EXISTS (
	         SELECT FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename
	         JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
	         WHERE t.pubname = p.pubname AND c.oid = $2 %s),
	       concat_ws('/', p.oid::text || '.' || p.xmin::text,
	         (SELECT r.oid::text || '.' || r.xmin::text FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = $2) %s)
	FROM pg_publication p WHERE p.pubname = $1`

const (
	wholeRows = `AND t.rowfilter IS NULL AND NOT EXISTS (SELECT FROM pg_attribute a
	         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attname <> ALL (t.attnames))`
	schemaState = `, (SELECT s.oid::text || '.' || s.xmin::text FROM pg_publication_namespace s
	          JOIN pg_class c ON c.relnamespace = s.pnnspid WHERE s.pnpubid = p.oid AND c.oid = $2)`
)

func (s Source) published(ctx context.Context, conn *pgx.Conn, publication string, oid uint32) (Published, error) {
	var published Published
	query := fmt.Sprintf(publishedQuery, "", "")
	if hasFilters(conn) {
		query = fmt.Sprintf(publishedQuery, wholeRows, schemaState)
	}
	err := conn.QueryRow(ctx, query, publication, oid).Scan(&published.Whole, &published.State)
	if errors.Is(err, pgx.ErrNoRows) {
		return Published{}, nil
	}
	if err != nil {
		return Published{}, Judge("look the publication up", err)
	}
	return published, nil
}

// hasFilters reports whether a publication can leave out rows and columns: since version 15.
func hasFilters(conn *pgx.Conn) bool { return conn.PgConn().ParameterStatus("server_version") >= "15" }

// EnsurePublication makes the stream's own publication give away the table, and
// nothing else. A publication of the user's is only judged.
func (s Source) EnsurePublication(ctx context.Context, conn *pgx.Conn, own string, found Table) error {
	if s.Spec.Publication != "" {
		return s.checkPublication(ctx, conn, found)
	}
	// Always made anew: whatever is there, nobody knows what has become of it, and a
	// sink that still knows the former one sees that its slot serves another now.
	for _, statement := range []string{
		"DROP PUBLICATION IF EXISTS " + Quote(own),
		"CREATE PUBLICATION " + Quote(own) + " FOR TABLE ONLY " + s.Relation(),
	} {
		_, err := conn.Exec(ctx, statement)
		if hasCode(err, codeNoPrivilege) {
			return exit.Configf("create the publication: %w; let an administrator make one for the table, and name it in spec.source.publication", err)
		}
		if hasCode(err, codeDuplicateObject) {
			return exit.Transientf("another process creates publication %s: %w", own, err)
		}
		if err != nil {
			return Judge("create the publication", err)
		}
	}
	return nil
}

func (s Source) checkPublication(ctx context.Context, conn *pgx.Conn, found Table) error {
	name := s.Spec.Publication
	published, err := s.Published(ctx, conn, name, found.OID)
	if err != nil || published.Whole {
		return err
	}
	if published.State != "" && hasFilters(conn) {
		if err := s.explainPublication(ctx, conn, found); err != nil {
			return err
		}
	}
	return exit.Configf("spec.source.publication: %q does not exist, or does not publish inserts, updates, deletes and truncates of %s", name, s.Relation())
}

// explainPublication says which rows or columns a publication leaves out.
func (s Source) explainPublication(ctx context.Context, conn *pgx.Conn, found Table) error {
	name := s.Spec.Publication
	var columns []string
	var filter *string
	err := conn.QueryRow(ctx, `
		SELECT attnames::text[], rowfilter FROM pg_publication_tables
		WHERE pubname = $1 AND schemaname = $2 AND tablename = $3`, name, s.Spec.Schema, s.Spec.Table).Scan(&columns, &filter)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return Judge("look the publication up", err)
	}
	if filter != nil {
		return exit.Configf("spec.source.publication: %q publishes only some rows of %s (%s); a stream follows all of them", name, s.Relation(), *filter)
	}
	for _, column := range found.Schema.Columns {
		if !slices.Contains(columns, column.Name) {
			return exit.Configf("spec.source.publication: %q leaves out column %q of %s; a stream follows all of them", name, column.Name, s.Relation())
		}
	}
	return nil
}

// DropPublication removes the stream's own publication; none is fine.
func (s Source) DropPublication(ctx context.Context, conn *pgx.Conn, own string) error {
	if _, err := conn.Exec(ctx, "DROP PUBLICATION IF EXISTS "+Quote(own)); err != nil {
		return Judge("drop the publication", err)
	}
	return nil
}

package source

// This file looks after the publication: what of the table's changes PostgreSQL gives away.

import (
	"context"
	"errors"
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

// Publishes reports whether the publication gives away all changes of the table.
func (s Source) Publishes(ctx context.Context, conn *pgx.Conn, publication string, oid uint32) (bool, error) {
	var complete bool
	err := conn.QueryRow(ctx, `
		SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate
		  AND EXISTS (SELECT FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename
		              JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
		              WHERE t.pubname = p.pubname AND c.oid = $2)
		FROM pg_publication p WHERE p.pubname = $1`, publication, oid).Scan(&complete)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, Judge("look the publication up", err)
	}
	return complete, nil
}

// EnsurePublication makes the stream's own publication give away the table, and
// nothing else. A publication of the user's is only judged.
func (s Source) EnsurePublication(ctx context.Context, conn *pgx.Conn, own string, found Table) error {
	if s.Spec.Publication != "" {
		return s.checkPublication(ctx, conn, found)
	}
	publishes, err := s.Publishes(ctx, conn, own, found.OID)
	if err != nil || publishes {
		return err
	}
	// Dropped rather than altered: whatever it is, it is not what this stream made.
	for _, statement := range []string{
		"DROP PUBLICATION IF EXISTS " + Quote(own),
		"CREATE PUBLICATION " + Quote(own) + " FOR TABLE ONLY " + s.Relation(),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return Judge("create the publication", err)
		}
	}
	return nil
}

func (s Source) checkPublication(ctx context.Context, conn *pgx.Conn, found Table) error {
	name := s.Spec.Publication
	publishes, err := s.Publishes(ctx, conn, name, found.OID)
	if err != nil {
		return err
	}
	if !publishes {
		return exit.Configf("spec.source.publication: %q does not exist, or does not publish inserts, updates, deletes and truncates of %s", name, s.Relation())
	}
	if conn.PgConn().ParameterStatus("server_version") < "15" {
		return nil
	}
	var columns []string
	var filter *string
	err = conn.QueryRow(ctx, `
		SELECT attnames::text[], rowfilter FROM pg_publication_tables
		WHERE pubname = $1 AND schemaname = $2 AND tablename = $3`, name, s.Spec.Schema, s.Spec.Table).Scan(&columns, &filter)
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

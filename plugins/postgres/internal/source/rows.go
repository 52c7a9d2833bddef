package source

// This file reads rows, all as PostgreSQL's texts, exactly as replication sends them.

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// ErrSchemaChanged is returned by ReadChunk where the table no longer has the columns it had.
var ErrSchemaChanged = errors.New("the table's columns have changed")

// Visit is called for every row; it returns false when it wants no more.
type Visit func(row []table.Cell) (more bool, err error)

// fetch asks for as many rows at a time as make about a MiB, because the reader may
// want no more in the middle of them, and the rest were read for nothing.
type fetch struct {
	rows, bytes int
}

const (
	firstRows  = 10
	mostRows   = 1000
	fetchBytes = 1 << 20
)

// next is how many rows to ask for after what was fetched.
func (f fetch) next() int {
	if f.rows == 0 {
		return firstRows
	}
	return max(1, min(2*f.rows, mostRows, f.rows*fetchBytes/max(1, f.bytes)))
}

// InTransaction runs f in a read-only transaction with one snapshot.
func InTransaction(ctx context.Context, conn *pgx.Conn, f func(pgx.Tx) error) (err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Judge("begin a transaction", err)
	}
	defer func() {
		if rollbackErr := tx.Rollback(ctx); rollbackErr != nil && err == nil {
			err = Judge("end a transaction", rollbackErr)
		}
	}()
	return f(tx)
}

// ReadChunk reads rows in the key's order, behind the key after (from the
// beginning where that is nil), up to limit rows. The table's columns are
// locked meanwhile and must be those of want. The wait for that lock ends with waiting.
func (s Source) ReadChunk(ctx, waiting context.Context, conn *pgx.Conn, want Table, after []string, limit int, visit Visit) error {
	return InTransaction(ctx, conn, func(tx pgx.Tx) error {
		// The lock comes before the snapshot, so that the snapshot sees the table as the lock holds it.
		if _, err := tx.Exec(waiting, "LOCK TABLE ONLY "+s.Relation()+" IN ACCESS SHARE MODE"); err != nil {
			return Judge("lock the table's columns", err)
		}
		found, err := s.Describe(ctx, conn)
		if err != nil {
			return err
		}
		if found.OID != want.OID || found.Schema.ID() != want.Schema.ID() || found.Reading() != want.Reading() {
			return ErrSchemaChanged
		}
		if err := findOperators(ctx, tx, want); err != nil {
			return err
		}
		where, order := s.keyCondition(want, len(after) > 0), strings.Join(keyList(want), ", ")
		statement := fmt.Sprintf("SELECT %s FROM ONLY %s%s ORDER BY %s LIMIT %d", columnList(want.Schema), s.Relation(), where, order, limit)
		return s.readCursor(ctx, tx, statement, textParameters(after), visit)
	})
}

// ReadAll reads every row within a transaction of the caller's.
func (s Source) ReadAll(ctx context.Context, tx pgx.Tx, of Table, visit Visit) error {
	statement := fmt.Sprintf("SELECT %s FROM ONLY %s", columnList(of.Schema), s.Relation())
	return s.readCursor(ctx, tx, statement, nil, visit)
}

// ReadKeys reads the rows with these keys within a transaction of the caller's.
// Keys are texts in the order of the key's index.
func (s Source) ReadKeys(ctx context.Context, tx pgx.Tx, of Table, keys [][]string, visit Visit) error {
	if err := findOperators(ctx, tx, of); err != nil {
		return err
	}
	var parameters [][]byte
	tuples := make([]string, len(keys))
	for index, key := range keys {
		places := make([]string, len(key))
		for place, text := range key {
			parameters = append(parameters, []byte(text))
			places[place] = fmt.Sprintf("$%d::%s", len(parameters), of.KeyCasts[place])
		}
		tuples[index] = "(" + strings.Join(places, ", ") + ")"
	}
	statement := fmt.Sprintf("SELECT %s FROM ONLY %s WHERE (%s) IN (%s)",
		columnList(of.Schema), s.Relation(), strings.Join(keyList(of), ", "), strings.Join(tuples, ", "))
	return s.readCursor(ctx, tx, statement, parameters, visit)
}

// findOperators makes PostgreSQL compare keys as their index does. It looks operators
// up by name, and does not say that it missed the type's own: a citext is then
// compared as text, and what its order has between two parts would be passed over.
func findOperators(ctx context.Context, tx pgx.Tx, of Table) error {
	path := []string{"pg_catalog"}
	for _, schema := range of.KeySchemas {
		path = append(path, Quote(schema))
	}
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = "+strings.Join(path, ", ")); err != nil {
		return Judge("name the schemas of the key's operators", err)
	}
	return nil
}

func columnList(schema table.Schema) string {
	names := make([]string, len(schema.Columns))
	for index, column := range schema.Columns {
		names[index] = Quote(column.Name)
	}
	return strings.Join(names, ", ")
}

func keyList(of Table) []string {
	names := make([]string, len(of.KeyOrder))
	for index, column := range of.KeyOrder {
		names[index] = Quote(of.Schema.Columns[column].Name)
	}
	return names
}

// keyCondition compares whole keys, which an index on the same columns answers in order.
func (s Source) keyCondition(of Table, behind bool) string {
	if !behind {
		return ""
	}
	places := make([]string, len(of.KeyCasts))
	for index, cast := range of.KeyCasts {
		places[index] = fmt.Sprintf("$%d::%s", index+1, cast)
	}
	return fmt.Sprintf(" WHERE (%s) > (%s)", strings.Join(keyList(of), ", "), strings.Join(places, ", "))
}

func textParameters(texts []string) [][]byte {
	parameters := make([][]byte, len(texts))
	for index, text := range texts {
		parameters[index] = []byte(text)
	}
	return parameters
}

// readCursor fetches a few rows at a time, so that neither side holds all of them.
func (s Source) readCursor(ctx context.Context, tx pgx.Tx, statement string, parameters [][]byte, visit Visit) error {
	conn := tx.Conn().PgConn()
	declare := conn.ExecParams(ctx, "DECLARE arcane_rows NO SCROLL CURSOR FOR "+statement, parameters, nil, nil, nil)
	if _, err := declare.Close(); err != nil {
		return Judge("read the table", err)
	}
	for fetched, more := (fetch{}), true; more; {
		want := fetched.next()
		var err error
		if fetched, more, err = fetchSome(ctx, conn, want, visit); err != nil {
			return err
		}
		more = more && fetched.rows == want
	}
	if _, err := tx.Exec(ctx, "CLOSE arcane_rows"); err != nil {
		return Judge("read the table", err)
	}
	return nil
}

func fetchSome(ctx context.Context, conn *pgconn.PgConn, want int, visit Visit) (fetched fetch, more bool, err error) {
	// No result formats: everything as text.
	reader := conn.ExecParams(ctx, fmt.Sprintf("FETCH %d FROM arcane_rows", want), nil, nil, nil, nil)
	more = true
	for reader.NextRow() {
		fetched.rows++
		if !more || err != nil {
			continue
		}
		cells := textCells(reader.Values())
		fetched.bytes += table.Size(cells)
		more, err = visit(cells)
	}
	if _, closeErr := reader.Close(); closeErr != nil {
		return fetched, false, Judge("read the table", closeErr)
	}
	return fetched, more, err
}

func textCells(values [][]byte) []table.Cell {
	cells := make([]table.Cell, len(values))
	for index, value := range values {
		if value != nil {
			cells[index] = table.TextCell(string(value))
		}
	}
	return cells
}

// snapshotSlot names the temporary slot of one process: two at once must not meet.
func snapshotSlot(conn *pgconn.PgConn) string { return fmt.Sprintf("arcane_snapshot_%d", conn.PID()) }

// Snapshot runs f in a transaction that sees exactly what was committed before
// the LSN that f is given. Only the creation of a logical slot tells both; the
// slot is temporary and needs one to spare on the source.
func (s Source) Snapshot(ctx context.Context, conn *pgx.Conn, f func(lsn uint64, tx pgx.Tx) error) (err error) {
	replication, err := s.ConnectReplication(ctx)
	if err != nil {
		return err
	}
	// Closing the connection drops the slot.
	defer func() {
		if closeErr := replication.Close(ctx); closeErr != nil && err == nil {
			err = Judge("close a connection", closeErr)
		}
	}()
	slot, err := createSnapshotSlot(ctx, replication)
	if err != nil {
		return err
	}
	return InTransaction(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+slot.snapshot+"'"); err != nil {
			return Judge("take the slot's snapshot", err)
		}
		return f(slot.lsn, tx)
	})
}

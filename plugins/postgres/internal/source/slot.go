package source

// This file looks after the replication slot: PostgreSQL's memory of how far the stream has read.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
)

// plugin is the only output plugin that every PostgreSQL has.
const plugin = "pgoutput"

// Slot is a replication slot as PostgreSQL shows it.
type Slot struct {
	Active    bool
	Lost      bool
	Confirmed layout.LSN
}

// FindSlot looks a slot up; nil where there is none.
func (s Source) FindSlot(ctx context.Context, conn *pgx.Conn, name string) (*Slot, error) {
	var slot Slot
	var output, database, confirmed string
	err := conn.QueryRow(ctx, `
		SELECT coalesce(plugin, ''), coalesce(database, ''), active, coalesce(wal_status, '') = 'lost', coalesce(confirmed_flush_lsn::text, '')
		FROM pg_replication_slots WHERE slot_name = $1`, name).
		Scan(&output, &database, &slot.Active, &slot.Lost, &confirmed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // "none" is an answer
	case err != nil:
		return nil, Judge("look the slot up", err)
	case output != plugin || database != s.Spec.Database:
		return nil, exit.Configf("slot %s belongs to database %q and plugin %q; it is not this stream's, drop or rename it", name, database, output)
	case confirmed == "":
		return nil, exit.Transientf("slot %s is being created by another process", name)
	}
	slot.Confirmed, err = layout.ParseLSN(confirmed)
	return &slot, err
}

// CreateSlot creates the slot. From the place that it returns, no change is lost.
// PostgreSQL waits here for every transaction that is writing at the moment.
func (s Source) CreateSlot(ctx context.Context, conn *pgx.Conn, name string) (layout.LSN, error) {
	var text string
	err := conn.QueryRow(ctx, `SELECT lsn::text FROM pg_create_logical_replication_slot($1, $2)`, name, plugin).Scan(&text)
	if hasCode(err, codeDuplicateObject) {
		return 0, exit.Transientf("slot %s is being created by another process: %w", name, err)
	}
	if err != nil {
		return 0, Judge("create the slot", err)
	}
	return layout.ParseLSN(text)
}

// DropSlot removes a slot; none is fine. One in use stays, and that is an error.
func (s Source) DropSlot(ctx context.Context, conn *pgx.Conn, name string) error {
	slot, err := s.FindSlot(ctx, conn, name)
	if err != nil || slot == nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_drop_replication_slot($1)`, name); err != nil && !hasCode(err, codeUndefinedObject) {
		return Judge("drop slot "+name, err)
	}
	return nil
}

// Server says which server this is and whether it can replicate.
func (s Source) Server(ctx context.Context, conn *pgx.Conn) (system string, databaseOID uint32, err error) {
	if err := s.checkServer(ctx, conn); err != nil {
		return "", 0, err
	}
	if err := conn.QueryRow(ctx, `SELECT oid FROM pg_database WHERE datname = current_database()`).Scan(&databaseOID); err != nil {
		return "", 0, Judge("look the database up", err)
	}
	replication, err := s.ConnectReplication(ctx)
	if err != nil {
		return "", 0, err
	}
	if system, err = s.Identify(ctx, replication); err != nil {
		return "", 0, errors.Join(err, replication.Close(ctx))
	}
	if err := replication.Close(ctx); err != nil {
		return "", 0, Judge("close a connection", err)
	}
	return system, databaseOID, nil
}

// Identify returns the number that a server has for itself and its standbys.
func (s Source) Identify(ctx context.Context, replication *pgconn.PgConn) (system string, err error) {
	identity, err := pglogrepl.IdentifySystem(ctx, replication)
	if err != nil {
		return "", Judge("identify the server", err)
	}
	return identity.SystemID, nil
}

// AwaitPrimary refuses a standby for the moment. A stream that was in the middle of
// its work meets one while another server takes over.
func (s Source) AwaitPrimary(ctx context.Context, conn *pgx.Conn) error {
	var recovering bool
	if err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&recovering); err != nil {
		return Judge("look whether the source is the primary", err)
	}
	if recovering {
		return exit.Transientf("the source is a standby now; a stream needs the primary")
	}
	return nil
}

// oldestVersion is the oldest release that this plugin is made for.
const oldestVersion = 140_000

func (s Source) checkServer(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var walLevel, encoding string
	var recovering bool
	err := conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('wal_level'), current_setting('server_encoding'), pg_is_in_recovery()`).
		Scan(&version, &walLevel, &encoding, &recovering)
	switch {
	case err != nil:
		return Judge("look at the server's settings", err)
	case version < oldestVersion:
		return exit.Configf("the source is PostgreSQL %d; this plugin needs 14 or newer", version/10_000)
	case walLevel != "logical":
		return exit.Configf("the source has wal_level = %s; set wal_level = logical and restart PostgreSQL", walLevel)
	case encoding == "SQL_ASCII":
		return exit.Configf("the source's database has the encoding SQL_ASCII, in which texts mean nothing to others; it needs one such as UTF8")
	case recovering:
		return exit.Configf("the source is a standby; a stream needs the primary")
	}
	return nil
}

// CurrentLSN is the end of the write-ahead log: whatever has been committed is before it.
func (s Source) CurrentLSN(ctx context.Context, conn *pgx.Conn) (layout.LSN, error) {
	var text string
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&text); err != nil {
		return 0, Judge("look at the source's position", err)
	}
	return layout.ParseLSN(text)
}

// FlushedLSN is the end of what the source has made durable of its log: as far as a slot can follow it.
func (s Source) FlushedLSN(ctx context.Context, conn *pgx.Conn) (layout.LSN, error) {
	var text string
	if err := conn.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text`).Scan(&text); err != nil {
		return 0, Judge("look at the source's position", err)
	}
	return layout.ParseLSN(text)
}

// Mark writes a message into the log that changes no data. A slot follows the log
// only as far as there are records, and a quiet server writes its next one only
// after some fifteen seconds; whoever waits for a place writes one behind it.
func (s Source) Mark(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, `SELECT pg_logical_emit_message(true, 'arcane', 'mark')`); err != nil {
		return Judge("write a message to the log", err)
	}
	return nil
}

// runningWriters are the transactions of this database that have written
// something and have not ended: each holds a lock on its own number until others
// can see what it did. A snapshot would not do: it does not tell the newest of them.
const runningWriters = `
	SELECT l.transactionid::text FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
	WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted
	  AND (l.pid IS NULL OR a.datname = current_database())`

// AwaitWriters waits until every transaction that is writing now has ended.
//
// A commit is in the log, and thus before the slot's position, a moment before
// others can see it; with synchronous replication that moment may be long. A
// backfill that read the table within it would miss a row whose change is not
// replayed either. After this wait, everything that was committed before the
// slot's position is visible.
func (s Source) AwaitWriters(ctx context.Context, conn *pgx.Conn, waiting func(transactions int)) error {
	var before []string
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		running, err := s.writers(ctx, conn)
		if err != nil {
			return err
		}
		if before == nil {
			before = running
		}
		before = slices.DeleteFunc(before, func(transaction string) bool { return !slices.Contains(running, transaction) })
		if len(before) == 0 {
			return nil
		}
		if pause >= time.Second {
			waiting(len(before))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for running transactions: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

func (s Source) writers(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, runningWriters)
	if err != nil {
		return nil, Judge("look at running transactions", err)
	}
	transactions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, Judge("look at running transactions", err)
	}
	return transactions, nil
}

type exportedSnapshot struct {
	lsn      uint64
	snapshot string
}

func createSnapshotSlot(ctx context.Context, conn *pgconn.PgConn) (exportedSnapshot, error) {
	result, err := pglogrepl.CreateReplicationSlot(ctx, conn, snapshotSlot(conn), plugin, pglogrepl.CreateReplicationSlotOptions{
		Temporary:      true,
		SnapshotAction: "EXPORT_SNAPSHOT",
		Mode:           pglogrepl.LogicalReplication,
	})
	if err != nil {
		return exportedSnapshot{}, Judge("create a temporary slot for a snapshot", err)
	}
	lsn, err := layout.ParseLSN(result.ConsistentPoint)
	if err != nil {
		return exportedSnapshot{}, err
	}
	if result.SnapshotName == "" {
		return exportedSnapshot{}, exit.Transientf("PostgreSQL gave no snapshot with the temporary slot")
	}
	return exportedSnapshot{lsn: uint64(lsn), snapshot: result.SnapshotName}, nil
}

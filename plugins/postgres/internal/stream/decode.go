package stream

// This file turns pgoutput's messages into changes.

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/epoch"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/layout"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/table"
)

// decoder follows one session's messages.
type decoder struct {
	source  source.Source
	types   *source.Types
	oid     uint32
	key     []string
	durable layout.Place
	// awaited: the last durable change is not confirmed and has to be sent again.
	awaited bool

	schema table.Schema
	// schemaID is empty until the table's shape has been heard of.
	schemaID string

	// The transaction that is being received.
	open   bool
	lsn    uint64
	micros int64
	seq    int64
	// end is behind the last transaction that was received whole.
	end uint64
}

func newDecoder(conn *pgx.Conn, from source.Source, at epoch.Position, durable layout.Place) *decoder {
	d := &decoder{
		source:  from,
		types:   source.NewTypes(conn, from.NativeDecimals),
		oid:     at.RelationOID,
		durable: durable,
		awaited: durable.Seq >= 0 && durable.LSN >= uint64(at.Confirmed),
	}
	for _, index := range at.Table.KeyOrder {
		d.key = append(d.key, at.Table.Schema.Columns[index].Name)
	}
	return d
}

// decode reads one message; the change is nil where it brought none of the table's.
func (d *decoder) decode(ctx context.Context, data []byte) (*table.Change, error) {
	message, err := pglogrepl.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read a message of pgoutput: %w", err)
	}
	switch message := message.(type) {
	case *pglogrepl.RelationMessage:
		if message.RelationID == d.oid {
			return nil, d.relation(ctx, message)
		}
	case *pglogrepl.BeginMessage:
		d.open, d.seq = true, 0
		d.lsn, d.micros = uint64(message.FinalLSN), message.CommitTime.UnixMicro()
	case *pglogrepl.CommitMessage:
		d.open = false
		d.end = uint64(message.TransactionEndLSN)
		return nil, d.passed(d.end)
	case *pglogrepl.InsertMessage:
		if message.RelationID == d.oid {
			return d.change(table.Insert, nil, 0, message.Tuple)
		}
	case *pglogrepl.UpdateMessage:
		if message.RelationID == d.oid {
			return d.change(table.Update, message.OldTuple, message.OldTupleType, message.NewTuple)
		}
	case *pglogrepl.DeleteMessage:
		if message.RelationID == d.oid {
			return d.remove(message.OldTuple)
		}
	case *pglogrepl.TruncateMessage:
		if slices.Contains(message.RelationIDs, d.oid) {
			return d.next(table.Change{Op: table.Truncate, Cells: make([]table.Cell, len(d.schema.Columns))})
		}
	}
	return nil, nil //nolint:nilnil // no change is an answer
}

// relation hears of the table's columns: before the first change, and again after each ALTER TABLE.
func (d *decoder) relation(ctx context.Context, message *pglogrepl.RelationMessage) error {
	full := message.ReplicaIdentity == source.IdentityFull
	schema := table.Schema{Relation: source.Quote(message.Namespace, message.RelationName)}
	var hasKey bool
	for _, column := range message.Columns {
		// With REPLICA IDENTITY FULL every column is marked as a part of the key.
		key := column.Flags&1 == 1
		if full {
			key = slices.Contains(d.key, column.Name)
		}
		hasKey = hasKey || key
		written, err := d.types.Column(ctx, source.Attribute{Name: column.Name, TypeOID: column.DataType, Modifier: column.TypeModifier, Key: key})
		if err != nil {
			return err
		}
		schema.Columns = append(schema.Columns, written)
	}
	if !hasKey {
		return exit.Configf("table %s lost its primary key while it was followed: add one again, run this plugin's cleanup for the stream, and make a BackfillRequest", schema.Relation)
	}
	d.schema, d.schemaID = schema, schema.ID()
	if err := source.CheckNames(schema); err != nil {
		return exit.Configf("%w, run this plugin's cleanup for the stream, and make a BackfillRequest: changes with that name are in the log", err)
	}
	return nil
}

// next gives a change its place. A change that is in a file already is not given again.
func (d *decoder) next(change table.Change) (*table.Change, error) {
	if d.schemaID == "" {
		return nil, fmt.Errorf("a %s came before the table's columns", change.Op)
	}
	change.LSN, change.Seq, change.CommitMicros = d.lsn, d.seq, d.micros
	d.seq++
	if d.awaited && d.durable == (layout.Place{LSN: change.LSN, Seq: change.Seq}) {
		d.awaited = false
	}
	if d.awaited && change.After(d.durable.LSN, d.durable.Seq) {
		return nil, d.forgotten()
	}
	if !change.After(d.durable.LSN, d.durable.Seq) {
		return nil, nil //nolint:nilnil // no change is an answer
	}
	return &change, nil
}

// passed hears that everything before a place has been sent.
func (d *decoder) passed(position uint64) error {
	if d.awaited && position > d.durable.LSN {
		return d.forgotten()
	}
	return nil
}

// forgotten: the sink has a change that the source has not. Whatever the source has
// written at such places since would be taken for what is in a file already.
func (d *decoder) forgotten() error {
	return exit.Gapf("the source was put back to a state from before: the sink has a change from %s that the source's log has not; a backfill has to bring the two together", layout.LSN(d.durable.LSN))
}

func (d *decoder) change(op table.Op, oldTuple *pglogrepl.TupleData, oldType uint8, newTuple *pglogrepl.TupleData) (*table.Change, error) {
	cells, err := d.cells(newTuple)
	if err != nil {
		return nil, err
	}
	change := table.Change{Op: op, Cells: cells}
	if oldTuple == nil {
		return d.next(change)
	}
	old, err := d.cells(oldTuple)
	if err != nil {
		return nil, err
	}
	// The old row brings what the new one leaves out: all columns with REPLICA
	// IDENTITY FULL, else a key that is stored out of line.
	for index, column := range d.schema.Columns {
		if cells[index].State == table.Unchanged && (oldType == pglogrepl.UpdateMessageTupleTypeOld || column.Key) {
			cells[index] = old[index]
		}
	}
	keys := d.schema.KeyColumns()
	oldKey := make([]table.Cell, len(keys))
	moved := false
	for place, index := range keys {
		oldKey[place] = old[index]
		moved = moved || old[index] != cells[index]
	}
	if moved {
		change.OldKey = oldKey
	}
	return d.next(change)
}

func (d *decoder) remove(oldTuple *pglogrepl.TupleData) (*table.Change, error) {
	old, err := d.cells(oldTuple)
	if err != nil {
		return nil, err
	}
	cells := make([]table.Cell, len(old))
	for _, index := range d.schema.KeyColumns() {
		cells[index] = old[index]
	}
	return d.next(table.Change{Op: table.Delete, Cells: cells})
}

func (d *decoder) cells(tuple *pglogrepl.TupleData) ([]table.Cell, error) {
	if tuple == nil || len(tuple.Columns) != len(d.schema.Columns) {
		return nil, fmt.Errorf("table %s: a row does not have the columns that were announced", d.schema.Relation)
	}
	cells := make([]table.Cell, len(tuple.Columns))
	for index, column := range tuple.Columns {
		switch column.DataType {
		case pglogrepl.TupleDataTypeText:
			cells[index] = table.TextCell(string(column.Data))
		case pglogrepl.TupleDataTypeToast:
			cells[index].State = table.Unchanged
		case pglogrepl.TupleDataTypeNull:
		default:
			return nil, fmt.Errorf("table %s: a value of the unknown form %q", d.schema.Relation, column.DataType)
		}
	}
	return cells, nil
}

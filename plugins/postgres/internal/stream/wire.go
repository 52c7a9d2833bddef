package stream

// This file speaks the replication protocol on one connection.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/source"
)

// wire is a replication connection. Only one goroutine uses it at a time.
type wire struct {
	conn *pgconn.PgConn
	slot string
	// serverEnd is the newest end of the source's log that was heard of.
	serverEnd uint64
}

// start begins at the slot's confirmed position, which only PostgreSQL knows for sure.
func (w *wire) start(ctx context.Context, slot, publication string) error {
	w.slot = slot
	err := pglogrepl.StartReplication(ctx, w.conn, slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication,
		PluginArgs: []string{
			"proto_version '1'",
			"publication_names '" + quoteName(publication) + "'",
		},
	})
	return source.JudgeSlot(slot, err)
}

// quoteName writes a name into a list of names that is itself a text in SQL.
func quoteName(name string) string {
	var text []byte
	for _, char := range []byte(source.Quote(name)) {
		if char == '\'' {
			text = append(text, char)
		}
		text = append(text, char)
	}
	return string(text)
}

// received is what one message of the server brought.
type received struct {
	// data is a message of pgoutput; it is valid until the next receive.
	data []byte
	// position is set by a keepalive: everything before it has been sent.
	position uint64
	// answer: the server wants to hear from us now.
	answer bool
}

// errQuiet: nothing came before the deadline.
var errQuiet = errors.New("nothing received")

// receive waits for the next message until ctx ends.
func (w *wire) receive(ctx context.Context) (received, error) {
	message, err := w.conn.ReceiveMessage(ctx)
	if err != nil {
		if pgconn.Timeout(err) || (ctx.Err() != nil && !w.conn.IsClosed()) {
			return received{}, errQuiet
		}
		return received{}, source.JudgeSlot(w.slot, err)
	}
	switch message := message.(type) {
	case *pgproto3.CopyData:
		return w.read(message.Data)
	case *pgproto3.ErrorResponse:
		return received{}, source.JudgeSlot(w.slot, pgconn.ErrorResponseToPgError(message))
	case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
		return received{}, nil
	case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
		return received{}, exit.Transientf("slot %s: the source ended the replication; it is shutting down", w.slot)
	default:
		return received{}, fmt.Errorf("slot %s: unexpected message %T", w.slot, message)
	}
}

func (w *wire) read(data []byte) (received, error) {
	if len(data) == 0 {
		return received{}, fmt.Errorf("slot %s: empty message", w.slot)
	}
	switch data[0] {
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		keepalive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data[1:])
		if err != nil {
			return received{}, fmt.Errorf("read a keepalive: %w", err)
		}
		w.serverEnd = max(w.serverEnd, uint64(keepalive.ServerWALEnd))
		return received{position: uint64(keepalive.ServerWALEnd), answer: keepalive.ReplyRequested}, nil
	case pglogrepl.XLogDataByteID:
		log, err := pglogrepl.ParseXLogData(data[1:])
		if err != nil {
			return received{}, fmt.Errorf("read a change: %w", err)
		}
		w.serverEnd = max(w.serverEnd, uint64(log.ServerWALEnd))
		return received{data: log.WALData}, nil
	default:
		return received{}, fmt.Errorf("slot %s: unexpected message %q", w.slot, data[0])
	}
}

// confirm tells the server that everything before durable may be forgotten, and
// everything before received need not be sent again on this connection. It asks
// the server to tell its own position in return.
func (w *wire) confirm(ctx context.Context, received, durable uint64) error {
	err := pglogrepl.SendStandbyStatusUpdate(ctx, w.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: pglogrepl.LSN(received),
		WALFlushPosition: pglogrepl.LSN(durable),
		WALApplyPosition: pglogrepl.LSN(durable),
		ReplyRequested:   true,
	})
	return source.JudgeSlot(w.slot, err)
}

// finishTime is how long the server gets to say that it has read the last confirmation.
const finishTime = 5 * time.Second

// finish ends the replication. The server reads in order: once it answers, it
// knows the last confirmation. Where it does not in time, the next job is sent
// changes again that it finds in files.
func (w *wire) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	w.conn.Frontend().Send(&pgproto3.CopyDone{})
	if err := w.conn.Frontend().Flush(); err != nil {
		return source.JudgeSlot(w.slot, err)
	}
	for {
		message, err := w.conn.ReceiveMessage(ctx)
		if err != nil {
			return source.JudgeSlot(w.slot, err)
		}
		switch message := message.(type) {
		case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.ErrorResponse:
			return source.JudgeSlot(w.slot, pgconn.ErrorResponseToPgError(message))
		}
	}
}

// Package source speaks with PostgreSQL: connections, the table, its publication and its slot.
package source

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

// Source is a PostgreSQL database, not yet connected to.
type Source struct {
	Spec spec.Source
	// NativeDecimals: numeric(p,s) is written as a number rather than as text.
	NativeDecimals bool
	// Application is what PostgreSQL shows in pg_stat_activity.
	Application string
}

// sessionSettings fix the form of every text that PostgreSQL sends, on SQL and
// replication connections alike, so that a value reads the same by either way.
// The time-outs of a role's settings are meant for people, not for a backfill.
var sessionSettings = map[string]string{
	"client_encoding":    "UTF8",
	"DateStyle":          "ISO, YMD",
	"IntervalStyle":      "iso_8601",
	"TimeZone":           "UTC",
	"extra_float_digits": "1",
	"bytea_output":       "hex",
	"xmloption":          "content",
	"lc_monetary":        "C",
	// Names in values (regclass) and of types are written in full, wherever the role would look for them.
	"search_path":                         "pg_catalog",
	"quote_all_identifiers":               "off",
	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_in_transaction_session_timeout": "0",
	"idle_session_timeout":                "0",
	// Without effect on reading, and a publication has to be made.
	"default_transaction_read_only": "off",
	// What this program commits itself (a publication, a mark in the log) need not wait for a standby.
	"synchronous_commit": "local",
	// Row level security would hide rows from the backfill that replication shows: better an error.
	"row_security": "off",
}

func (s Source) config() (*pgx.ConnConfig, error) {
	settings := []string{
		"host=" + quoteSetting(s.Spec.Host),
		fmt.Sprintf("port=%d", s.Spec.Port),
		"dbname=" + quoteSetting(s.Spec.Database),
		"sslmode=" + s.Spec.SSLMode,
		fmt.Sprintf("connect_timeout=%d", connectTime/time.Second),
	}
	if s.Spec.User != "" {
		settings = append(settings, "user="+quoteSetting(s.Spec.User))
	}
	// What is missing here comes from the environment: PGUSER, PGPASSWORD, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY.
	config, err := pgx.ParseConfig(strings.Join(settings, " "))
	if err != nil {
		return nil, exit.Configf("spec.source: %w", err)
	}
	for name, value := range sessionSettings {
		config.RuntimeParams[name] = value
	}
	config.RuntimeParams["application_name"] = s.Application
	config.DialFunc = dialer.DialContext
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, newerSettings).ReadAll(); err != nil {
			return Judge("set the session up", err)
		}
		return nil
	}
	return config, nil
}

// connectTime is how long a server may take to answer at first.
const connectTime = 10 * time.Second

// dialer notices that the server is gone: by probes while it waits for an answer, and
// by what stays unacknowledged while it talks, as a stream does all the time.
var dialer = net.Dialer{
	Timeout:         connectTime,
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6},
	Control:         noticeSilence,
}

// newerSettings are those that older servers do not know, and would refuse a connection for.
const newerSettings = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'`

func quoteSetting(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// Connect opens a connection for SQL.
func (s Source) Connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, Judge("connect to the source", err)
	}
	return conn, nil
}

// ConnectReplication opens a connection for logical replication.
func (s Source) ConnectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["replication"] = "database"
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if hasCode(err, codeNoPrivilege) {
		return nil, exit.Configf("the role may not replicate: %w; ALTER ROLE %s REPLICATION (or what the provider has for it)", err, Quote(config.User))
	}
	if err != nil {
		return nil, Judge("connect to the source for replication", err)
	}
	return conn, nil
}

// Quote makes a name safe in SQL.
func Quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// Relation is the quoted name of the source's table.
func (s Source) Relation() string { return Quote(s.Spec.Schema, s.Spec.Table) }

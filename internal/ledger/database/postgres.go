package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is PostgreSQL, from version 12 on. The tables have a schema of their
// own, so that the app's migrations do not take them for theirs.
var postgres = engine{
	crons: "cronagent.crons", runs: "cronagent.runs", version: "cronagent.version",
	now:      "clock_timestamp()",
	stay:     "ON CONFLICT ({keys}) DO NOTHING",
	upsert:   "ON CONFLICT ({keys}) DO UPDATE SET",
	given:    func(column string) string { return "EXCLUDED." + column },
	numbered: true,
	fault:    postgresFault,
	create:   createPostgres,
}

// The codes are those of the appendix on errors of PostgreSQL's manual.
func postgresFault(err error) fault {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "42P01", "3F000": // undefined table, invalid schema
			return noTables
		case "40001", "40P01", // serialization failure, deadlock
			"25P03",                   // we were in a transaction, and did nothing, for too long
			"53300",                   // too many connections
			"57P01", "57P02", "57P03", // the server goes down, or comes up
			"55P03", "57014": // a lock or a statement took too long
			return passing
		}
		return final
	}
	if isNetwork(err) || pgconn.Timeout(err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, errClosed) {
		return passing
	}
	return final
}

// createLock is what agents lock that make the tables at the same time: a number
// that nobody else is likely to take.
const createLock = 7026370253

func createPostgres(ctx context.Context, conn *sql.Conn) error {
	return transact(ctx, conn, func() error { return createSchema(ctx, conn) })
}

func createSchema(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", createLock)); err != nil {
		return err
	}
	// To make a schema, even one that is there, takes a right that to use it does not.
	var there bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'cronagent')").Scan(&there); err != nil {
		return err
	}
	statements := []string{
		`CREATE TABLE IF NOT EXISTS cronagent.crons (
			id text PRIMARY KEY, scope text NOT NULL,
			project text NOT NULL, environment text NOT NULL, app text NOT NULL, cron text NOT NULL,
			watermark timestamptz, seq bigint NOT NULL, last_run text NOT NULL,
			paused_until timestamptz, pause_reason text NOT NULL, paused_at timestamptz,
			told text, untold integer NOT NULL
		) WITH (fillfactor = 70)`,
		`CREATE INDEX IF NOT EXISTS crons_untold ON cronagent.crons (scope) WHERE untold > 0`,
		`CREATE TABLE IF NOT EXISTS cronagent.runs (
			run_id text NOT NULL, cron_id text NOT NULL, scope text NOT NULL,
			state text NOT NULL, seq bigint, first_at timestamptz,
			due timestamptz, claimed_at timestamptz, settle bigint NOT NULL, operation text NOT NULL, attempts integer NOT NULL,
			token text NOT NULL, record json,
			PRIMARY KEY (run_id, cron_id)
		)`,
		`CREATE INDEX IF NOT EXISTS runs_by_cron ON cronagent.runs (cron_id, seq)`,
		// Almost every run has ended.
		`CREATE INDEX IF NOT EXISTS runs_unsettled ON cronagent.runs (scope, cron_id) WHERE state <> 'ended'`,
		`CREATE INDEX IF NOT EXISTS runs_unsettled_by_cron ON cronagent.runs (cron_id) WHERE state <> 'ended'`,
		`CREATE TABLE IF NOT EXISTS cronagent.version (version integer NOT NULL)`,
		fmt.Sprintf(`INSERT INTO cronagent.version SELECT %d WHERE NOT EXISTS (SELECT FROM cronagent.version)`, schemaVersion),
	}
	if !there {
		statements = append([]string{"CREATE SCHEMA cronagent"}, statements...)
	}
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// postgresConnector connects to a server. The password is in the configuration
// that it makes, which is printed nowhere.
func postgresConnector(c Config) (driver.Connector, error) {
	// Made of words of ours, so that neither the words of a name nor variables like
	// PGHOST decide, which are set for other programs; what it fills in is TLS as far as
	// the server offers it.
	config, err := pgconn.ParseConfig("host=localhost port=5432 user=x password=x database=x passfile=''" +
		" sslmode=prefer sslrootcert='' sslcert='' sslkey='' sslcertmode=disable sslnegotiation=postgres sslsni=1" +
		" connect_timeout=3 target_session_attrs=any min_protocol_version=3.0 max_protocol_version=3.0 channel_binding=prefer require_auth=''")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = c.Host, uint16(c.Port)
	config.User, config.Password, config.Database = c.User, c.Password, c.Name
	for _, fallback := range config.Fallbacks {
		fallback.Host, fallback.Port = config.Host, config.Port
	}
	config.ConnectTimeout = dialLimit
	milliseconds := strconv.FormatInt(statementLimit.Milliseconds(), 10)
	config.RuntimeParams = map[string]string{
		"application_name":                    "cronagent",
		"statement_timeout":                   milliseconds,
		"lock_timeout":                        milliseconds,
		"idle_in_transaction_session_timeout": milliseconds,
		// What the server's owner may have set otherwise: a claim that was acknowledged
		// must not go with a crash.
		"default_transaction_isolation": "read committed",
		"synchronous_commit":            "on",
		"TimeZone":                      "UTC",
		"DateStyle":                     "ISO, MDY",
	}
	return pgConnector{config}, nil
}

// What follows is a driver of database/sql for what is asked of it here. The one
// that comes with pgx can do everything, and makes the program larger by a quarter.
type pgConnector struct{ config *pgconn.Config }

func (c pgConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := pgconn.ConnectConfig(ctx, c.config)
	if err != nil {
		return nil, err
	}
	return &pgConn{conn}, nil
}

func (pgConnector) Driver() driver.Driver { return pgDriver{} }

type pgDriver struct{}

func (pgDriver) Open(string) (driver.Conn, error) { return nil, errors.ErrUnsupported }

var errClosed = errors.New("the connection was closed")

// pgConn implements the parts of a driver's connection that database/sql uses for
// statements which are not prepared.
type pgConn struct{ conn *pgconn.PgConn }

func (c *pgConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *pgConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

func (c *pgConn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.conn.Close(ctx)
}

// IsValid and ResetSession keep database/sql from using a connection that is known
// to be closed. That the server has closed it shows when it is used.
func (c *pgConn) IsValid() bool { return !c.conn.IsClosed() }

func (c *pgConn) ResetSession(context.Context) error {
	if c.conn.IsClosed() {
		return driver.ErrBadConn
	}
	return nil
}

func (c *pgConn) query(ctx context.Context, text string, args []driver.NamedValue) (*pgconn.Result, error) {
	if c.conn.IsClosed() {
		return nil, errClosed
	}
	values := make([][]byte, len(args))
	for i, arg := range args {
		switch value := arg.Value.(type) {
		case nil:
		case string:
			values[i] = []byte(value)
		case int64:
			values[i] = strconv.AppendInt(nil, value, 10)
		case time.Time:
			values[i] = value.UTC().AppendFormat(nil, time.RFC3339Nano)
		default:
			return nil, fmt.Errorf("a parameter of type %T", value)
		}
	}
	result := c.conn.ExecParams(ctx, text, values, nil, nil, nil).Read()
	return result, result.Err
}

func (c *pgConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.query(ctx, text, args)
	if err != nil {
		return nil, err
	}
	// A COMMIT of a transaction in which something went wrong is answered by ROLLBACK.
	if tag := result.CommandTag.String(); text == "COMMIT" && tag != text {
		return nil, fmt.Errorf("COMMIT was answered by %s", tag)
	}
	return driver.RowsAffected(result.CommandTag.RowsAffected()), nil
}

func (c *pgConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	result, err := c.query(ctx, text, args)
	if err != nil {
		return nil, err
	}
	return &pgRows{result, 0}, nil
}

// pgRows are the rows of a result that has been read whole.
type pgRows struct {
	*pgconn.Result
	next int
}

func (r *pgRows) Columns() []string {
	names := make([]string, len(r.FieldDescriptions))
	for i, field := range r.FieldDescriptions {
		names[i] = field.Name
	}
	return names
}

func (r *pgRows) Close() error { return nil }

// The types of which a value is more than text; the numbers are those of pg_type.
const (
	pgBool        = 16
	pgBigint      = 20
	pgInteger     = 23
	pgTimestamptz = 1184
)

func (r *pgRows) Next(values []driver.Value) (err error) {
	if r.next == len(r.Rows) {
		return io.EOF
	}
	for i, text := range r.Rows[r.next] {
		if text == nil {
			values[i] = nil
			continue
		}
		switch r.FieldDescriptions[i].DataTypeOID {
		case pgBool:
			values[i] = string(text) == "t"
		case pgBigint, pgInteger:
			values[i], err = strconv.ParseInt(string(text), 10, 64)
		case pgTimestamptz:
			values[i], err = time.Parse("2006-01-02 15:04:05.999999-07", string(text))
		default:
			values[i] = string(text)
		}
		if err != nil {
			return err
		}
	}
	r.next++
	return nil
}

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mariadb is MariaDB from version 10.5 on, and MySQL from 8.0 on. There is no
// schema beside the app's: the tables have a prefix.
var mariadb = engine{
	crons: "cronagent_crons", runs: "cronagent_runs", version: "cronagent_version",
	now:    "UTC_TIMESTAMP(6)",
	stay:   "ON DUPLICATE KEY UPDATE {keys} = {keys}",
	upsert: "ON DUPLICATE KEY UPDATE",
	given:  func(column string) string { return "VALUES(" + column + ")" },
	fault:  mysqlFault,
	create: createMySQL,
}

// The numbers are those of the server error reference of both.
func mysqlFault(err error) fault {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1146: // no such table
			return noTables
		case 1205, 1213, 1020, 1412, // a lock took too long, deadlock, the row or the table has changed
			1040, 1203, 1226, // too many connections, of all, of this user, of this hour
			1053, 1927, 1317, 1047, // the server goes down, the connection or the statement was ended, a node has lost its cluster
			1969, 3024, 4031: // a statement took too long, the connection was idle for too long
			return passing
		}
		return final
	}
	if isNetwork(err) || errors.Is(err, errBusy) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) {
		return passing
	}
	return final
}

// errBusy says that another agent makes the tables.
var errBusy = errors.New("another agent has been making them for seconds")

func createMySQL(ctx context.Context, conn *sql.Conn) error {
	// A statement that makes a table ends any transaction, so a lock by name keeps
	// others out; the version is written last.
	var got sql.NullInt64
	const name = "LEFT(CONCAT('cronagent ', DATABASE()), 64)" // it is the whole server's
	if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 4)").Scan(&got); err != nil {
		return err
	}
	if got.Int64 != 1 {
		return errBusy
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+name+")")
	const (
		id      = "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
		word    = "VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL"
		runID   = "VARBINARY(128) NOT NULL" // a text would be the same with spaces behind it
		options = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	)
	for _, statement := range []string{
		`CREATE TABLE IF NOT EXISTS cronagent_crons (
			id ` + id + ` PRIMARY KEY, scope ` + id + `,
			project TEXT NOT NULL, environment TEXT NOT NULL, app TEXT NOT NULL, cron TEXT NOT NULL,
			watermark DATETIME(6), seq BIGINT NOT NULL, last_run ` + runID + `,
			paused_until DATETIME(6), pause_reason TEXT NOT NULL, paused_at DATETIME(6),
			told MEDIUMTEXT, untold INTEGER NOT NULL, KEY untold (scope, untold)
		) ` + options,
		`CREATE TABLE IF NOT EXISTS cronagent_runs (
			run_id ` + runID + `, cron_id ` + id + `, scope ` + id + `,
			state ` + word + `, seq BIGINT, first_at DATETIME(6),
			due DATETIME(6), claimed_at DATETIME(6), settle BIGINT NOT NULL, operation TEXT NOT NULL, attempts INTEGER NOT NULL,
			token ` + id + `, record MEDIUMTEXT,
			PRIMARY KEY (run_id, cron_id), KEY by_cron (cron_id, seq), KEY unsettled (scope, state), KEY unsettled_by_cron (cron_id, state)
		) ` + options,
		`CREATE TABLE IF NOT EXISTS cronagent_version (version INTEGER NOT NULL PRIMARY KEY) ` + options,
		fmt.Sprintf(`INSERT INTO cronagent_version (version) SELECT %d FROM DUAL WHERE NOT EXISTS (SELECT * FROM cronagent_version)`, schemaVersion),
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// mysqlConnector connects to a server. The password is in the configuration that it
// makes, which is printed nowhere.
func mysqlConnector(c Config) (driver.Connector, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", c.address()
	config.User, config.Passwd, config.DBName = c.User, c.Password, c.Name
	config.TLSConfig = "preferred" // as far as the server offers it
	config.Loc, config.ParseTime = time.UTC, true
	// One round trip for a statement instead of three.
	config.InterpolateParams = true
	config.Timeout = dialLimit
	config.ReadTimeout, config.WriteTimeout = 2*callLimit, 2*callLimit // the context is faster
	config.Logger = &mysql.NopLogger{}                                 // what it has to say is in the errors
	connector, err := mysql.NewConnector(config)
	return mysqlSession{connector}, err
}

// mysqlSession sets up each connection.
type mysqlSession struct{ driver.Connector }

func (s mysqlSession) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	// Only MariaDB reads what stands behind M!; MySQL has no such limits for changes.
	seconds := int(statementLimit.Seconds())
	set := fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %d, wait_timeout = %d, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'"+
		" /*M! , max_statement_time = %d, idle_transaction_timeout = %d */", seconds, int(sessionLimit.Seconds()), seconds, seconds)
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		conn.Close()
		return nil, errors.ErrUnsupported
	}
	// Rows are locked, and not what is between them, so that those who make new ones are
	// not in each other's way. The variable for it has another name on each server.
	for _, statement := range []string{set, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"} {
		if _, err := execer.ExecContext(ctx, statement, nil); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

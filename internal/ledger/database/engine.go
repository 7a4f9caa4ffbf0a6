package database

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// engine is in what the servers differ.
type engine struct {
	crons, runs, version string // the tables
	// now is the server's time, to the microsecond.
	now string
	// What follows the values of an insert, for rows that are there already: stay
	// leaves them as they are, and behind upsert stand assignments, in which
	// given(column) is the new value.
	stay, upsert string
	given        func(column string) string
	// numbered says that parameters are written $1, $2 instead of ?.
	numbered bool
	fault    func(error) fault
	// create makes the tables and writes the version, if they are not there, on a
	// connection, and keeps others from doing the same.
	create func(ctx context.Context, conn *sql.Conn) error
}

// text is a statement with the tables' names for {crons}, {runs}, {version} and
// {now}, and with parameters as the server wants them.
func (e engine) text(statement string) string {
	statement = strings.NewReplacer("{crons}", e.crons, "{runs}", e.runs, "{version}", e.version, "{now}", e.now).Replace(statement)
	if !e.numbered {
		return statement
	}
	var text strings.Builder
	n := 0
	for _, r := range statement {
		if r != '?' {
			text.WriteRune(r)
			continue
		}
		n++
		text.WriteString("$" + strconv.Itoa(n))
	}
	return text.String()
}

// list is "(?, ?, ?)".
func list(n int) string { return "(" + strings.Repeat(", ?", n)[2:] + ")" }

// insert is a statement for rows of columns. Of a row that is there already, as the
// first key columns tell, the columns behind them get the new values; or, if it is
// to stay, none.
func (e engine) insert(table string, columns []string, key, rows int, stay bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "INSERT INTO %s (%s) VALUES %s", table, strings.Join(columns, ", "), list(len(columns)))
	text.WriteString(strings.Repeat(", "+list(len(columns)), rows-1))
	keys := strings.Join(columns[:key], ", ")
	if stay {
		text.WriteString(" " + strings.ReplaceAll(e.stay, "{keys}", keys))
		return e.text(text.String())
	}
	text.WriteString(" " + strings.ReplaceAll(e.upsert, "{keys}", keys))
	for i, column := range columns[key:] {
		if i > 0 {
			text.WriteString(",")
		}
		fmt.Fprintf(&text, " %s = %s", column, e.given(column))
	}
	return e.text(text.String())
}

// schemaVersion is that of the tables below. A change of them raises it, and
// brings what makes the new ones of the old.
const schemaVersion = 1

// VersionError says that the tables are of another version than ours.
type VersionError struct{ Found int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the ledger's tables have the version %d, which is newer than this cronagent knows, %d", e.Found, schemaVersion)
}

// setUp looks once whether the tables are there, and makes them if not.
func (l *Ledger) setUp(ctx context.Context) error {
	l.mu.Lock()
	ready, lost := l.ready, l.lost
	l.mu.Unlock()
	if ready {
		return nil
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	found, err := l.engine.found(ctx, conn)
	if err != nil {
		return err
	}
	// The version may be there, and another table not.
	missing := found == 0 || lost && found == schemaVersion
	if missing && l.looksOnly {
		return errNoTables
	}
	if missing {
		if err := l.engine.create(ctx, conn); err != nil {
			return fmt.Errorf("make the ledger's tables: %w", err)
		}
		if found, err = l.engine.found(ctx, conn); err != nil {
			return err
		}
	}
	if found != schemaVersion {
		return &VersionError{found}
	}
	l.mu.Lock()
	l.ready, l.lost = true, false
	l.mu.Unlock()
	if lost {
		l.Note("somebody had dropped the ledger's tables, and they were made anew; what they held is lost, but for the watermarks that this agent has seen")
	}
	return nil
}

// found is the version of the tables; 0 if there are none.
func (e engine) found(ctx context.Context, conn *sql.Conn) (version int, err error) {
	err = conn.QueryRowContext(ctx, e.text("SELECT version FROM {version}")).Scan(&version)
	if err == sql.ErrNoRows || err != nil && e.fault(err) == noTables {
		return 0, nil
	}
	return version, err
}

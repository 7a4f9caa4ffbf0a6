// Package database is the ledger that several containers share: in a PostgreSQL,
// MariaDB or MySQL database of the project, as one row for each cron, and one for
// each of its last runs. Who may act is settled there, by a lock on the cron's row
// and a comparison of its watermark, and when, by the database's clock. It knows
// nothing of schedules or of what a run does.
package database

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Engine is a kind of server, by the scheme that PLATFORM_RELATIONSHIPS has for it.
type Engine string

// The engines.
const (
	Postgres Engine = "pgsql"
	MySQL    Engine = "mysql" // MariaDB too
)

// Config says which database. Printed, it shows no password.
type Config struct {
	Engine Engine
	// Relationship is the name that the app has for the database.
	Relationship string
	Host         string
	Port         int
	User         string
	Password     string
	// Name is the database's own name.
	Name string
	// Output keeps the end of what commands printed in their records. Otherwise a
	// record has none: it is the application's, and may be anything.
	Output bool
	// Limit is how long a call may take, with all its tries. Zero: 5 seconds.
	Limit time.Duration
}

// String names the database for a person.
func (c Config) String() string {
	kind := "PostgreSQL"
	if c.Engine == MySQL {
		kind = "MariaDB/MySQL"
	}
	return fmt.Sprintf("%s, relationship %q (%s)", kind, c.Relationship, c.address())
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

func (c Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// The bounds of what a ledger takes of the server and of our time: a container's
// database has few connections, and nobody may be held up by one that hangs.
const (
	// callLimit bounds a call with all its tries. Whatever becomes of who asked, the
	// server ends a statement by itself after statementLimit, and a transaction in
	// which it is asked nothing, and lets go of what it locked.
	callLimit      = 5 * time.Second
	rowLimit       = time.Millisecond // and more for each cron that a change is about
	statementLimit = 5 * time.Second
	dialLimit      = 3 * time.Second

	maxConnections = 3
	maxIdle        = 2 * time.Second // enough for what is due each second
	maxAge         = 10 * time.Minute
	sessionLimit   = 20 * time.Second // after which MariaDB and MySQL end a connection that nobody uses
)

// Ledger is a ledger in a database. All its methods are safe for concurrent use.
type Ledger struct {
	// Notebook tells when the database was restored, or the tables were dropped.
	*ledger.Notebook

	db     *sql.DB
	engine engine
	name   string
	output bool
	// looksOnly says that no tables are to be made.
	looksOnly bool
	limit     time.Duration // callLimit

	busy    chan struct{} // holds a value while records are written
	records ledger.Batch[[]record]

	mu    sync.Mutex // guards what follows
	ready bool       // the tables are there, and of our version
	lost  bool       // they were there, and are not any more
	clock clock
	// seen are the latest watermarks that were read or written: a database that is
	// restored must not turn them back.
	seen map[ledger.Key]time.Time
}

var _ ledger.Ledger = (*Ledger)(nil)

// Open returns the ledger in a database. It connects when something is asked of it,
// makes its tables then if they are not there, and lets go of a connection that has
// not been used for some seconds. The caller calls Close.
func Open(c Config) (*Ledger, error) {
	l := &Ledger{Notebook: ledger.NewNotebook(), name: c.String(), output: c.Output, limit: cmp.Or(c.Limit, callLimit), busy: make(chan struct{}, 1), seen: map[ledger.Key]time.Time{}}
	switch c.Engine {
	case Postgres:
		connector, err := postgresConnector(c)
		if err != nil {
			return nil, err
		}
		l.db, l.engine = sql.OpenDB(connector), postgres
	case MySQL:
		connector, err := mysqlConnector(c)
		if err != nil {
			return nil, err
		}
		l.db, l.engine = sql.OpenDB(connector), mariadb
	default:
		return nil, fmt.Errorf("%q is no database that a ledger can be in", c.Engine)
	}
	l.db.SetMaxOpenConns(maxConnections)
	l.db.SetMaxIdleConns(1)
	l.db.SetConnMaxIdleTime(maxIdle)
	l.db.SetConnMaxLifetime(maxAge)
	return l, nil
}

// Name says for a person which database it is.
func (l *Ledger) Name() string { return l.name }

// Close lets go of the connections. Nothing is lost without it, since what was
// acknowledged is in the database.
func (l *Ledger) Close() error { return l.db.Close() }

// clock is the database's clock, as it was measured.
type clock struct {
	at       time.Time // by the database
	measured time.Time // when it was that, by ours; zero: never
}

// now goes on by how much time has passed since, and so does not care when somebody
// sets the machine's clock.
func (c clock) now() time.Time {
	if c.measured.IsZero() {
		return time.Now()
	}
	return c.at.Add(time.Since(c.measured))
}

// measure corrects the clock by an answer: what it says was so at some moment
// between asked and answered. Within that uncertainty what was known before stays,
// so that the clock does not tremble.
func (c *clock) measure(said, asked, answered time.Time) {
	earliest, latest := said, said.Add(answered.Sub(asked))
	at := said
	if !c.measured.IsZero() {
		at = c.at.Add(answered.Sub(c.measured))
	}
	switch {
	case at.Before(earliest):
		at = earliest
	case at.After(latest):
		at = latest
	}
	c.at, c.measured = at, answered
}

// Now implements ledger.Ledger. Before the database has told its time it is the
// machine's.
func (l *Ledger) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock.now().UTC()
}

func (l *Ledger) measure(said, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.measure(said, asked, time.Now())
}

// do asks something of the database, once its tables are there, and again as long
// as there is time for it if what went wrong may pass: the server restarts, or has
// no connection left, or two changes were in each other's way. So ask must be able to
// be repeated, even where it was done and only the answer was lost. Rows is how many
// it changes.
func (l *Ledger) do(ctx context.Context, rows int, ask func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, l.limit+time.Duration(rows)*rowLimit)
	defer cancel()
	began := time.Now()
	deadline, _ := limited.Deadline()
	over := func() bool { return limited.Err() != nil || !time.Now().Before(deadline) }
	var last error
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := l.setUp(limited)
		if err == nil {
			err = ask(limited)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(ctx.Err(), context.Canceled):
			return fmt.Errorf("ask the ledger: %w", ctx.Err())
		}
		fault := l.engine.fault(err)
		if fault == noTables {
			l.mu.Lock()
			l.lost, l.ready = l.lost || l.ready, false
			l.mu.Unlock()
		}
		if !over() {
			last = err
			if fault == final {
				return l.unreachable(err)
			}
			select {
			case <-time.After(rand.N(wait)):
			case <-limited.Done():
			}
		}
		if over() {
			// What was in the way is better told than that there was no more time.
			if last == nil {
				last = fmt.Errorf("no answer within %s", deadline.Sub(began).Round(10*time.Millisecond))
			}
			return l.unreachable(last)
		}
	}
}

// transact lets do ask things on a connection, all of which are done, or none, and
// all within ctx, which has a deadline. It is not database/sql's transaction since
// the COMMIT of that waits for as long as it takes.
func transact(ctx context.Context, conn *sql.Conn, do func() error) error {
	_, err := conn.ExecContext(ctx, "BEGIN")
	if err == nil {
		err = do()
	}
	if err == nil {
		// Who is told to stop by now is better off with knowing what came of it.
		deadline, _ := ctx.Deadline()
		ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
		defer cancel()
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		// Then the server does it when the connection ends.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// unreachable is the error for whoever asked. The drivers' errors hold no password.
func (l *Ledger) unreachable(err error) error {
	if _, ok := errors.AsType[*VersionError](err); ok || errors.Is(err, errNoTables) {
		return err
	}
	return &ledger.Unreachable{Ledger: l.name, Err: oneLine{err}}
}

// oneLine is an error without line breaks, and without what it says twice: a driver
// tells on lines of their own of each way that it tried.
type oneLine struct{ error }

func (e oneLine) Error() string {
	var lines []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

func (e oneLine) Unwrap() error { return e.error }

// fault is what an error of the database means for us.
type fault int

const (
	final    fault = iota // it will be the same the next time
	passing               // it may go better the next time
	noTables              // our tables are not there, or not any more
)

// isNetwork tells whether an error is about the way to the server.
func isNetwork(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok
}

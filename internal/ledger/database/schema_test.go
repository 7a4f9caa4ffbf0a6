package database_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// table is what a table is called on a server.
func table(server *dbtest.Server, name string) string {
	if server.Scheme == dbtest.Postgres {
		return "cronagent." + name
	}
	return "cronagent_" + name
}

// tables are those of ours that there are in a database.
func tables(t testing.TB, server *dbtest.Server, name string) int {
	t.Helper()
	query := "SELECT tablename FROM pg_tables WHERE schemaname = 'cronagent'"
	if server.Scheme == dbtest.MariaDB {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = '" + name + "'"
	}
	return len(rows(t, server, name, query))
}

func rows(t testing.TB, server *dbtest.Server, name, query string) [][]string {
	t.Helper()
	rows, err := server.Query(name, query)
	require.NoError(t, err)
	return rows
}

func drop(t testing.TB, server *dbtest.Server, name string, tables ...string) {
	t.Helper()
	for _, one := range tables {
		require.NoError(t, server.Exec(name, "DROP TABLE "+table(server, one)))
	}
}

func TestTablesAreMadeOnce(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		const ledgers = 24
		start := make(chan struct{})
		var all sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range ledgers {
			l := open(t, config)
			all.Go(func() {
				<-start
				claims, err := l.Claim(t.Context(), []ledger.Claim{minute(1)})
				assert.NoError(t, err)
				assert.Empty(t, l.Notes())
				mu.Lock()
				defer mu.Unlock()
				won += len(claims)
			})
		}
		close(start)
		all.Wait()
		assert.Equal(t, 1, won)
		assert.Equal(t, 3, tables(t, server, config.Name))
		assert.Equal(t, [][]string{{"1"}}, rows(t, server, config.Name, "SELECT version FROM "+table(server, "version")))
	})
}

// TestTablesOfAnotherVersion are left as they are, by who writes and who reads.
func TestTablesOfAnotherVersion(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		ledgertest.Wins(t, open(t, config), minute(1))
		require.NoError(t, server.Exec(config.Name, fmt.Sprintf("UPDATE %s SET version = 7", table(server, "version"))))
		before := rows(t, server, config.Name, "SELECT * FROM "+table(server, "crons"))

		want := &database.VersionError{Found: 7}
		l := open(t, config)
		_, err := l.Claim(t.Context(), []ledger.Claim{minute(2)})
		require.ErrorAs(t, err, &want)
		assert.ErrorContains(t, err, "version 7, which is newer than this cronagent knows, 1")
		_, err = l.Load(t.Context(), []ledger.Key{ledgertest.Backup})
		require.ErrorAs(t, err, &want)
		_, err = database.Read(t.Context(), config)
		require.ErrorAs(t, err, &want)
		assert.Equal(t, before, rows(t, server, config.Name, "SELECT * FROM "+table(server, "crons")))
		assert.Equal(t, [][]string{{"7"}}, rows(t, server, config.Name, "SELECT version FROM "+table(server, "version")))
	})
}

// TestTablesAreDropped under an open ledger, which remembers what was taken.
func TestTablesAreDropped(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		for name, dropped := range map[string][]string{
			"all":            {"crons", "runs", "version"},
			"all but one":    {"crons", "version"},
			"only the runs":  {"runs"},
			"only the crons": {"crons"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				config := fresh(t, server)
				l := open(t, config)
				ledgertest.Wins(t, l, minute(5))
				assert.Empty(t, l.Notes())

				drop(t, server, config.Name, dropped...)
				assert.Equal(t, minute(5).Due, ledgertest.Load(t, l, ledgertest.Backup).Watermark)
				assert.Contains(t, strings.Join(l.Notes(), "\n"), "dropped the ledger's tables")
				assert.Equal(t, minute(5).Due, ledgertest.Load(t, open(t, config), ledgertest.Backup).Watermark, "for others too")

				drop(t, server, config.Name, dropped...)
				assert.Empty(t, ledgertest.Wins(t, l, minute(5), minute(4)))
				assert.Contains(t, strings.Join(l.Notes(), "\n"), "dropped the ledger's tables")
				assert.Equal(t, []string{"backup-6"}, ledgertest.Wins(t, l, minute(6)))
				require.NoError(t, l.Record(t.Context(), ledgertest.Ended(minute(6), ledger.Fired)))
				assert.Empty(t, l.Notes())
			})
		}
	})
}

// TestDatabaseIsRestored to an earlier state. Whoever knows better sets it right, and
// says so once, whatever it asks first.
func TestDatabaseIsRestored(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		asks := map[string]func(t *testing.T, l *database.Ledger){
			"load":   func(t *testing.T, l *database.Ledger) { ledgertest.Load(t, l, ledgertest.Backup) },
			"claim":  func(t *testing.T, l *database.Ledger) { assert.Empty(t, ledgertest.Wins(t, l, minute(2))) },
			"record": func(t *testing.T, l *database.Ledger) { record(t, l, ledgertest.Ended(minute(3), ledger.Fired)) },
			"begin": func(t *testing.T, l *database.Ledger) {
				require.NoError(t, l.Begin(t.Context(), []ledger.Key{ledgertest.Backup}, ledgertest.Started))
			},
		}
		for name, ask := range asks {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				config := fresh(t, server)
				l := open(t, config)
				ledgertest.Wins(t, l, minute(1), ledgertest.Minute(ledgertest.Sweep, 1))
				for _, one := range []string{"crons", "runs"} {
					require.NoError(t, server.Exec(config.Name, fmt.Sprintf("CREATE TABLE old_%s AS SELECT * FROM %s", one, table(server, one))))
				}
				ledgertest.Wins(t, l, minute(2), minute(3))
				for _, one := range []string{"crons", "runs"} {
					require.NoError(t, server.Exec(config.Name, "DELETE FROM "+table(server, one)))
					require.NoError(t, server.Exec(config.Name, fmt.Sprintf("INSERT INTO %s SELECT * FROM old_%s", table(server, one), one)))
				}

				ask(t, l)
				notes := l.Notes()
				require.Len(t, notes, 1)
				assert.Contains(t, notes[0], "restored or emptied: the watermarks of 1 crons were behind")
				assert.Equal(t, minute(3).Due, ledgertest.Load(t, open(t, config), ledgertest.Backup).Watermark, "for others too")
				assert.Empty(t, ledgertest.Wins(t, l, minute(2), minute(3)))
				assert.Equal(t, minute(3).Due, ledgertest.Load(t, l, ledgertest.Backup).Watermark)
				assert.Empty(t, l.Notes())
			})
		}
	})
}

func record(t *testing.T, l ledger.Ledger, runs ...ledger.Run) {
	t.Helper()
	require.NoError(t, l.Record(t.Context(), runs...))
}

// TestNobodyCriesRestored while one goroutine claims and others read: what is read
// may be older than what was claimed meanwhile.
func TestNobodyCriesRestored(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		l := open(t, fresh(t, server))
		ledgertest.Wins(t, l, minute(0))
		done := make(chan struct{})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						ledgertest.Load(t, l, ledgertest.Backup)
					}
				}
			})
		}
		for n := range 150 {
			assert.Len(t, ledgertest.Wins(t, l, minute(1+n)), 1)
		}
		close(done)
		all.Wait()
		assert.Empty(t, l.Notes())
	})
}

// TestUserMayMakeNothing: the error says so, and nothing is needed where the tables
// are there already.
func TestUserMayMakeNothing(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		owner := open(t, config)
		config.User = ordinary(t, server, config.Name, false)
		l := open(t, config)
		began := time.Now()
		_, err := l.Claim(t.Context(), []ledger.Claim{minute(1)})
		unreachable(t, err, config)
		assert.Regexp(t, "make the ledger's tables: .*(permission|command) denied", err)
		assert.Less(t, time.Since(began), database.CallLimit, "it is not tried again")

		ledgertest.Wins(t, owner, minute(1))
		if server.Scheme == dbtest.Postgres {
			_, err := l.Claim(t.Context(), []ledger.Claim{minute(2)})
			unreachable(t, err, config)
			assert.ErrorContains(t, err, "permission denied for schema cronagent")
			require.NoError(t, server.Exec(config.Name, fmt.Sprintf("GRANT USAGE ON SCHEMA cronagent TO %s", config.User)))
			require.NoError(t, server.Exec(config.Name, fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA cronagent TO %s", config.User)))
		}
		assert.Empty(t, ledgertest.Wins(t, l, minute(1)))
		assert.Len(t, ledgertest.Wins(t, l, minute(2)), 1)
		record(t, l, ledgertest.Ended(minute(2), ledger.Fired))
	})
}

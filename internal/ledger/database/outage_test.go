package database_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// limit is that of the calls of some tests, which would take too long otherwise.
const limit = time.Second

// slack is how much longer something may take on a loaded machine; what nobody bounds
// would take for ever.
const slack = 10 * time.Second

// alone starts a server for one test, which breaks it.
func alone(t *testing.T, scheme string) *dbtest.Server {
	t.Helper()
	server, err := dbtest.Start(scheme)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

func TestServerIsDownForAWhile(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		server = alone(t, server.Scheme)
		config := fresh(t, server)
		l := open(t, config)
		require.Len(t, ledgertest.Wins(t, l, minute(1)), 1)
		server.Down()
		l.SetLimit(limit)
		began := time.Now()
		_, err := l.Claim(t.Context(), []ledger.Claim{minute(2)})
		unreachable(t, err, config)
		assert.ErrorContains(t, err, "refused")
		assert.Less(t, time.Since(began), limit+slack)

		// It comes back while somebody asks: a restart goes unnoticed.
		up := make(chan error)
		go func() { up <- server.Up() }()
		for {
			won, err := l.Claim(t.Context(), []ledger.Claim{minute(2)})
			if err == nil {
				assert.Len(t, won, 1)
				break
			}
			unreachable(t, err, config)
			require.Less(t, time.Since(began), time.Minute)
		}
		require.NoError(t, <-up)
		l.SetLimit(time.Minute)
		assert.Empty(t, ledgertest.Wins(t, l, minute(1), minute(2)))
	})
}

// TestServerIsKilledInAStorm: while several ledgers claim and record from several
// goroutines, the server dies and comes back. Nothing is won twice, and what was
// acknowledged is there.
func TestServerIsKilledInAStorm(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		server = alone(t, server.Scheme)
		config := fresh(t, server)
		const ledgers, goroutines, crons = 3, 3, 4
		var mu sync.Mutex
		won, recorded, failed := map[string]int{}, map[string]bool{}, 0
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		began := time.Now()
		var all sync.WaitGroup
		for range ledgers {
			l := open(t, config)
			for g := range goroutines {
				all.Go(func() {
					for ctx.Err() == nil {
						// Each a few milliseconds, so that all want the same.
						n := int(time.Since(began) / (5 * time.Millisecond))
						claim := ledgertest.Minute(ledger.Key{Project: "p", Cron: fmt.Sprint((g + n) % crons)}, n)
						claims, err := l.Claim(context.WithoutCancel(ctx), []ledger.Claim{claim})
						mu.Lock()
						if err != nil {
							failed++
						}
						for _, claim := range claims {
							won[claim.ID]++
						}
						mu.Unlock()
						for _, claim := range claims {
							if err := l.Record(context.WithoutCancel(ctx), ledgertest.Ended(claim, ledger.Fired)); err == nil {
								mu.Lock()
								recorded[claim.ID] = true
								mu.Unlock()
							}
						}
					}
				})
			}
		}
		enough := func(n int) {
			for {
				mu.Lock()
				have := len(won)
				mu.Unlock()
				if have >= n || t.Failed() {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		enough(50)
		server.Kill()
		require.NoError(t, server.Up())
		mu.Lock()
		before := len(won)
		mu.Unlock()
		enough(before + 50)
		stop()
		all.Wait()

		for id, n := range won {
			assert.Equal(t, 1, n, "%s was won by several", id)
		}
		l := open(t, config)
		there := map[string]bool{}
		for cron := range crons {
			key := ledger.Key{Project: "p", Cron: fmt.Sprint(cron)}
			runs, err := l.History(t.Context(), key, ledger.KeepRuns)
			require.NoError(t, err)
			require.Less(t, len(runs), ledger.KeepRuns, "so that none was pruned")
			for _, run := range runs {
				there[run.ID] = true
			}
			for _, claim := range ledgertest.Load(t, l, key).Open {
				there[claim.ID] = true
				assert.False(t, recorded[claim.ID], "%s was recorded, and is open", claim.ID)
			}
		}
		for id := range won {
			assert.True(t, there[id], "%s was won, and is not there", id)
		}
		t.Logf("%d won, %d recorded, %d calls failed", len(won), len(slices.Collect(maps.Keys(recorded))), failed)
	})
}

// ordinary makes a user who may use a database, and make schemas in it or not.
func ordinary(t testing.TB, server *dbtest.Server, name string, makes bool) string {
	t.Helper()
	user := name + "_user"
	if server.Scheme == dbtest.Postgres {
		require.NoError(t, server.Exec("", fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", user, dbtest.Password)))
		if makes {
			require.NoError(t, server.Exec("", fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", name, user)))
		}
		return user
	}
	rights := "SELECT, INSERT, UPDATE, DELETE"
	if makes {
		rights = "ALL"
	}
	require.NoError(t, server.Exec("", fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", user, dbtest.Password)))
	require.NoError(t, server.Exec("", fmt.Sprintf("GRANT %s ON %s.* TO '%s'@'%%'", rights, name, user)))
	return user
}

// TestServerHasNoConnectionLeft: others hold all of them for a while.
func TestServerHasNoConnectionLeft(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		server = alone(t, server.Scheme)
		config := fresh(t, server)
		config.User = ordinary(t, server, config.Name, true)
		l := open(t, config)
		l.SetLimit(limit)
		release, err := server.Fill(config.Name, config.User)
		require.NoError(t, err)
		t.Cleanup(release)
		began := time.Now()
		_, err = l.Claim(t.Context(), []ledger.Claim{minute(1)})
		unreachable(t, err, config)
		assert.Regexp(t, `(?i)too many|remaining connection slots`, err)
		assert.Less(t, time.Since(began), limit+slack)

		l.SetLimit(time.Minute) // the server takes its time to see that they are gone
		time.AfterFunc(limit/4, release)
		assert.Len(t, ledgertest.Wins(t, l, minute(1)), 1, "as soon as there is one")
	})
}

// TestConnectionsAreLetGoOf: a container's database has few.
func TestConnectionsAreLetGoOf(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		l := open(t, config)
		l.SetIdle(300 * time.Millisecond)
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() { ledgertest.Wins(t, l, minute(n)) })
		}
		most := 0
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		for busy := true; busy; {
			most = max(most, connections(t, server, config.Name))
			select {
			case <-done:
				busy = false
			default:
			}
		}
		assert.LessOrEqual(t, most, 3)
		assert.LessOrEqual(t, connections(t, server, config.Name), 3)
		require.Eventually(t, func() bool { return connections(t, server, config.Name) == 0 }, 10*time.Second, 50*time.Millisecond)
		assert.Len(t, ledgertest.Wins(t, l, minute(99)), 1, "and made again")
	})
}

// connections is how many there are to a database.
func connections(t testing.TB, server *dbtest.Server, name string) int {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = '" + name + "'"
	if server.Scheme == dbtest.MariaDB {
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = '" + name + "'"
	}
	rows, err := server.Query("", query)
	require.NoError(t, err)
	n, err := strconv.Atoi(rows[0][0])
	require.NoError(t, err)
	return n
}

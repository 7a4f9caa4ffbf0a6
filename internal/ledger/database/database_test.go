package database_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// servers are there for all tests of the package, each of which has a database of
// its own on them.
var servers []*dbtest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	for _, scheme := range []string{dbtest.Postgres, dbtest.MariaDB} {
		server, err := dbtest.Start(scheme)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer server.Close()
		servers = append(servers, server)
	}
	// What these tests do most is wait.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ours := goleak.IgnoreCurrent() // what waits for the servers
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(ours); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// onEach runs a test on every kind of server.
func onEach(t *testing.T, test func(t *testing.T, server *dbtest.Server)) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.Scheme, func(t *testing.T) {
			t.Parallel()
			test(t, server)
		})
	}
}

// fresh makes an empty database, and returns how to reach it.
func fresh(t testing.TB, server *dbtest.Server) database.Config {
	t.Helper()
	name, err := server.Database()
	require.NoError(t, err)
	return database.Config{
		Engine: database.Engine(server.Scheme), Relationship: "database", Host: "127.0.0.1", Port: server.Port,
		User: dbtest.User, Password: dbtest.Password, Name: name, Output: true,
		Limit: time.Minute, // how loaded this machine is, is no matter
	}
}

func open(t testing.TB, config database.Config) *database.Ledger {
	t.Helper()
	l, err := database.Open(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

func TestDatabaseIsALedger(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		ledgertest.Run(t, func(t testing.TB) func() ledger.Ledger {
			config := fresh(t, server)
			return func() ledger.Ledger { return open(t, config) }
		})
	})
}

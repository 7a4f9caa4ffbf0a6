package database_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

func read(t testing.TB, config database.Config) *database.Reader {
	t.Helper()
	reader, err := database.Read(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	return reader
}

// TestReaderOfNothing makes nothing.
func TestReaderOfNothing(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		reader := read(t, config)
		assert.Empty(t, reader.Keys(ledger.Key{}))
		assert.Equal(t, []ledger.State{{}, {}}, reader.Load([]ledger.Key{ledgertest.Backup, bare}))
		assert.Nil(t, reader.OwnPause(ledgertest.Backup))
		runs, err := reader.History(ledger.Key{}, 10)
		require.NoError(t, err)
		assert.Empty(t, runs)
		assert.Nil(t, reader.Written())
		assert.Equal(t, config.String(), reader.Name())
		assert.Zero(t, tables(t, server, config.Name))
	})
}

// TestReaderSaysWhatTheLedgerSays, after things at random.
func TestReaderSaysWhatTheLedgerSays(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		l := open(t, config)
		file, err := ledger.OpenFile(t.Context(), t.TempDir())
		require.NoError(t, err)
		t.Cleanup(func() { file.Close() })
		p := &pair{t: t, Rand: rand.New(rand.NewPCG(7, 0)), file: file, shared: []ledger.Ledger{l}, ids: map[ledger.Key][]string{}}
		for p.step = range 60 {
			p.act()
		}
		reader := read(t, config)
		unknown := ledger.Key{Project: bare.Project, Environment: bare.Environment, App: bare.App, Cron: "unknown"}
		keys := append([]ledger.Key{unknown}, every...)
		states, err := l.Load(t.Context(), keys)
		require.NoError(t, err)
		assert.Equal(t, states, reader.Load(keys))
		assert.ElementsMatch(t, every, reader.Keys(ledger.Key{}))
		assert.ElementsMatch(t, []ledger.Key{bare, ledgertest.Backup, ledgertest.Sweep}, reader.Keys(bare))
		assert.Equal(t, []ledger.Key{preview}, reader.Keys(preview))
		want, err := l.History(t.Context(), bare, 20)
		require.NoError(t, err)
		got, err := reader.History(bare, 20)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.NotEmpty(t, got)
	})
}

// TestReaderTellsPausesApart: the one of exactly this key, and the one that counts.
func TestReaderTellsPausesApart(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		l := open(t, config)
		pause := func(reason string, hours int, key ledger.Key) {
			require.NoError(t, l.Pause(t.Context(), []ledger.Key{key}, ledger.Pause{Until: time.Now().Add(time.Duration(hours) * time.Hour), Reason: reason}))
		}
		pause("general", 2, bare)
		pause("own", 1, ledgertest.Backup)
		reader := read(t, config)
		states := reader.Load([]ledger.Key{ledgertest.Backup, ledgertest.Sweep, preview})
		assert.Equal(t, "general", states[0].Pause.Reason)
		assert.Equal(t, "general", states[1].Pause.Reason, "a cron that the ledger does not know")
		assert.Nil(t, states[2].Pause)
		assert.Equal(t, "own", reader.OwnPause(ledgertest.Backup).Reason)
		assert.Nil(t, reader.OwnPause(ledgertest.Sweep))
		assert.Equal(t, "general", reader.OwnPause(bare).Reason)
		require.NoError(t, l.Pause(t.Context(), []ledger.Key{ledgertest.Backup}, ledger.Pause{}))
		assert.Nil(t, read(t, config).OwnPause(ledgertest.Backup))
		assert.Equal(t, "own", reader.OwnPause(ledgertest.Backup).Reason, "it is of one moment")
	})
}

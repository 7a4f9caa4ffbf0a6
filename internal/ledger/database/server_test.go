package database_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// TestClockIsTheServers: when things are due, were claimed and are overdue.
func TestClockIsTheServers(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		config.Output = false
		seconds := "SELECT extract(epoch FROM clock_timestamp())::numeric(20, 6)"
		if server.Scheme == dbtest.MariaDB {
			seconds = "SELECT UNIX_TIMESTAMP(NOW(6))"
		}
		now := func() time.Time {
			value, err := strconv.ParseFloat(rows(t, server, "", seconds)[0][0], 64)
			require.NoError(t, err)
			return time.UnixMicro(int64(value * 1e6))
		}
		asks := map[string]func(l ledger.Ledger) error{
			"load":      func(l ledger.Ledger) error { _, err := l.Load(t.Context(), []ledger.Key{ledgertest.Sweep}); return err },
			"unsettled": func(l ledger.Ledger) error { _, err := l.Unsettled(t.Context(), ledger.Key{Project: "p"}); return err },
			"begin": func(l ledger.Ledger) error {
				return l.Begin(t.Context(), []ledger.Key{ledgertest.Sweep}, ledgertest.Started)
			},
		}
		for name, ask := range asks {
			for _, shift := range []time.Duration{0, 90 * time.Second, -90 * time.Second} {
				l := open(t, config)
				l.ShiftClock(shift)
				require.NoError(t, ask(l)) // connects
				before := time.Now()
				require.NoError(t, ask(l))
				trip := time.Since(before)
				earliest := now().Add(shift)
				said := l.Now()
				latest := now().Add(shift)
				assert.False(t, said.Before(earliest.Add(-trip-time.Millisecond)), "%s %s: %s before %s", name, shift, said, earliest)
				assert.False(t, said.After(latest.Add(trip+time.Millisecond)), "%s %s: %s after %s", name, shift, said, latest)
			}
		}

		behind, right := open(t, config), open(t, config)
		behind.ShiftClock(-90 * time.Second)
		claim := minute(1)
		claim.Settle = time.Minute
		won, err := behind.Claim(t.Context(), []ledger.Claim{claim})
		require.NoError(t, err)
		assert.WithinDuration(t, now().Add(-90*time.Second), won[0].At, 10*time.Second)
		assert.Equal(t, won[0].At.UTC(), ledgertest.Load(t, right, ledgertest.Backup).Open[0].At)
		run := ledgertest.Ended(claim, ledger.Uncertain)
		run.Output = "not asked for"
		settled, err := behind.Settle(t.Context(), run)
		require.NoError(t, err)
		assert.Empty(t, settled, "not overdue by the clock that it was claimed by")
		settled, err = right.Settle(t.Context(), run)
		require.NoError(t, err)
		assert.Len(t, settled, 1)
		history, err := right.History(t.Context(), ledgertest.Backup, 1)
		require.NoError(t, err)
		assert.Empty(t, history[0].Output, "nobody asked for output")
		require.NoError(t, behind.Pause(t.Context(), []ledger.Key{ledgertest.Backup}, ledger.Pause{Until: time.Now().Add(time.Hour)}))
		assert.WithinDuration(t, now().Add(-90*time.Second), ledgertest.Load(t, right, ledgertest.Backup).Pause.At, 10*time.Second)
	})
}

// TestPasswordIsNowhere that anybody could print.
func TestPasswordIsNowhere(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		const secret = "s3cret-and-unmistakable"
		config := fresh(t, server)
		config.Password = secret
		l := open(t, config)
		wrong := l.Record(t.Context(), ledgertest.Ended(minute(1), ledger.Fired))
		unreachable(t, wrong, config)
		assert.Regexp(t, "(?i)password authentication failed|access denied", wrong)
		_, reading := database.Read(t.Context(), config)
		unreachable(t, reading, config)

		gone := config
		gone.Name = "not-there"
		_, missing := open(t, gone).Load(t.Context(), []ledger.Key{ledgertest.Backup})
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		free.Close()
		gone.Port = free.Addr().(*net.TCPAddr).Port
		refused := open(t, gone)
		refused.SetLimit(100 * time.Millisecond)
		_, down := refused.Load(t.Context(), []ledger.Key{ledgertest.Backup})
		odd := config
		odd.Engine = "redis"
		_, unknown := database.Open(odd)
		assert.Error(t, unknown)

		said := fmt.Sprint(l.Name(), l.Notes(), config)
		for _, one := range []any{config, &config, l, wrong, reading, missing, down, unknown, struct{ C database.Config }{config}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				said += fmt.Sprintf(verb, one)
			}
		}
		assert.NotContains(t, said, secret)
		assert.Contains(t, said, config.String())
	})
}

// TestPasswordIsEmpty, as PLATFORM_RELATIONSHIPS has it for most databases.
func TestPasswordIsEmpty(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		config.User, config.Password = "plain_"+config.Name, ""
		if server.Scheme == dbtest.Postgres {
			// This server asks for one, so that there is none must be clear.
			require.NoError(t, server.Exec("", "CREATE ROLE "+config.User+" LOGIN"))
			_, err := open(t, config).Load(t.Context(), []ledger.Key{ledgertest.Backup})
			unreachable(t, err, config)
			assert.ErrorContains(t, err, "password authentication failed")
		} else {
			require.NoError(t, server.Exec("", fmt.Sprintf("CREATE USER '%s'@'%%'", config.User)))
			require.NoError(t, server.Exec("", fmt.Sprintf("GRANT ALL ON %s.* TO '%s'@'%%'", config.Name, config.User)))
			assert.Len(t, ledgertest.Wins(t, open(t, config), minute(1)), 1)
		}
		config.User = ""
		_, err := open(t, config).Load(t.Context(), []ledger.Key{ledgertest.Backup})
		unreachable(t, err, config)
	})
}

package database_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// asked is a word as a server is asked for it, which is more than the word: MariaDB
// is told READ-COMMITTED when somebody connects.
func asked(server *dbtest.Server, word string) string {
	if server.Scheme == dbtest.Postgres {
		return "\x00" + word + "\x00"
	}
	return "\x03" + word
}

const commit = "COMMIT"

func minute(n int) ledger.Claim { return ledgertest.Minute(ledgertest.Backup, n) }

// through puts a proxy before the server of a configuration.
func through(t testing.TB, server *dbtest.Server, config *database.Config) *dbtest.Proxy {
	t.Helper()
	p, err := server.Through()
	require.NoError(t, err)
	t.Cleanup(p.Close)
	config.Port = p.Port
	return p
}

// TestClaimWhoseAnswerWasLost: who claimed it knows it nevertheless, and nobody else
// claims it.
func TestClaimWhoseAnswerWasLost(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		other := open(t, config)
		p := through(t, server, &config)
		l := open(t, config)
		require.NoError(t, l.Begin(t.Context(), []ledger.Key{ledgertest.Backup}, ledgertest.Started))

		missed := minute(2)
		missed.Run = new(ledgertest.Ended(missed, ledger.Missed))
		p.Once(dbtest.Lose, asked(server, commit), 1)
		assert.Equal(t, []string{"backup-1", "backup-2"}, ledgertest.Wins(t, l, minute(1), missed))
		assert.Empty(t, ledgertest.Wins(t, other, minute(1), missed))
		state := ledgertest.Load(t, other, ledgertest.Backup)
		require.Len(t, state.Open, 1)
		assert.Equal(t, "backup-1", state.Open[0].ID)
		assert.Equal(t, ledger.Missed, state.Last.Outcome)

		// Planned from a watermark that the lost call itself has moved.
		planned := minute(3)
		planned.From = minute(2).Due
		p.Once(dbtest.Lose, asked(server, commit), 1)
		assert.Equal(t, []string{"backup-3"}, ledgertest.Wins(t, l, planned))

		// What was handed back.
		require.NoError(t, l.Record(t.Context(), ledgertest.Ended(minute(1), ledger.Deferred)))
		p.Once(dbtest.Lose, asked(server, commit), 1)
		assert.Equal(t, []string{"backup-1"}, ledgertest.Wins(t, l, minute(1), minute(1)))
		assert.Empty(t, ledgertest.Wins(t, other, minute(1)))
	})
}

// TestClaimWhoseAnswerWasLostAndThatWasSettled: it is not ours any more if somebody
// has settled it before we could ask again.
func TestClaimWhoseAnswerWasLostAndThatWasSettled(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		claim := minute(1)
		claim.Settle = 0
		for name, settle := range map[string]func(other ledger.Ledger) error{
			"as one whose owner died": func(other ledger.Ledger) error {
				_, err := other.Settle(t.Context(), ledgertest.Ended(claim, ledger.Uncertain))
				return err
			},
			"as its own": func(other ledger.Ledger) error {
				return other.Record(t.Context(), ledgertest.Ended(claim, ledger.Uncertain))
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				config := fresh(t, server)
				other := open(t, config)
				p := through(t, server, &config)
				l := open(t, config)
				require.NoError(t, l.Begin(t.Context(), []ledger.Key{ledgertest.Backup}, ledgertest.Started))
				lost := false
				p.Judge(func(piece []byte) dbtest.Verdict {
					switch {
					case !lost && bytes.Contains(piece, []byte(asked(server, commit))):
						lost = true
						return dbtest.Lose
					case lost && len(ledgertest.Load(t, other, ledgertest.Backup).Open) == 1: // it was done, and we ask again
						assert.NoError(t, settle(other))
					}
					return dbtest.Pass
				})
				assert.Empty(t, ledgertest.Wins(t, l, claim))
				p.Pass()
				assert.Equal(t, ledger.Uncertain, ledgertest.Load(t, other, ledgertest.Backup).Last.Outcome)
			})
		}
	})
}

func TestRecordWhoseAnswerWasLost(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		p := through(t, server, &config)
		l := open(t, config)
		ledgertest.Wins(t, l, minute(1), minute(2), minute(3))
		for n := range 3 {
			run := ledgertest.Ended(minute(1+n), ledger.Fired)
			run.Pending = n == 0
			p.Once(dbtest.Lose, asked(server, commit), 1)
			require.NoError(t, l.Record(t.Context(), run))
		}
		runs, err := l.History(t.Context(), ledgertest.Backup, 10)
		require.NoError(t, err)
		assert.Equal(t, []string{"backup-1", "backup-2", "backup-3"}, idsOf(runs), "each once, in its place")

		// The end of an older one, which does not make it the newest.
		p.Once(dbtest.Lose, asked(server, commit), 1)
		require.NoError(t, l.Record(t.Context(), ledgertest.Ended(minute(1), ledger.Succeeded)))
		state := ledgertest.Load(t, l, ledgertest.Backup)
		assert.Empty(t, state.Pending)
		assert.Equal(t, "backup-3", state.Last.ID)
	})
}

// TestSettleWhoseAnswerWasLost: it is told who has settled it, or nobody would hear
// of it.
func TestSettleWhoseAnswerWasLost(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		other := open(t, config)
		p := through(t, server, &config)
		l := open(t, config)
		dead := minute(1)
		dead.Settle = 0
		ledgertest.Wins(t, l, dead, minute(2))
		p.Once(dbtest.Lose, asked(server, commit), 1)
		runs := []ledger.Run{ledgertest.Ended(dead, ledger.Uncertain), ledgertest.Ended(minute(2), ledger.Uncertain)}
		settled, err := l.Settle(t.Context(), runs...)
		require.NoError(t, err)
		assert.Equal(t, []string{"backup-1"}, idsOf(settled))
		settled, err = other.Settle(t.Context(), runs...)
		require.NoError(t, err)
		assert.Empty(t, settled)
	})
}

// TestConnectionIsCutAnywhere cuts the connection at each of the pieces of a claim in
// turn, once before it has arrived and once behind it.
func TestConnectionIsCutAnywhere(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		other := open(t, config)
		p := through(t, server, &config)
		l := open(t, config)
		claims := func(n int) []ledger.Claim {
			// Crons that are not known yet, so that rows are made.
			all := []ledger.Claim{minute(2 * n), minute(2*n + 1), minute(2 * n)}
			all[1].Run = new(ledgertest.Ended(all[1], ledger.Missed))
			all[2].Cron, all[2].ID = fmt.Sprintf("another %d", n), fmt.Sprintf("another-%d", n)
			return all
		}
		ledgertest.Wins(t, l, claims(0)...)
		pieces := p.Asked(func() { ledgertest.Wins(t, l, claims(1)...) })
		require.Greater(t, pieces, 4)
		n := 1
		connect := func() { ledgertest.Load(t, l, ledgertest.Backup) }
		for _, v := range []dbtest.Verdict{dbtest.Cut, dbtest.Lose} {
			for at := 1; at <= pieces; at++ {
				n++
				connect()
				p.Once(v, "", at)
				assert.Len(t, ledgertest.Wins(t, l, claims(n)...), 3, "at piece %d", at)
				p.Pass()
				assert.Empty(t, ledgertest.Wins(t, other, claims(n)...))
			}
		}

		// Whoever gives up at once has claimed all of it or nothing.
		whole, none := 0, 0
		for _, v := range []dbtest.Verdict{dbtest.Cut, dbtest.Lose} {
			for at := 1; at <= pieces; at++ {
				n++
				connect()
				ctx, cancel := context.WithCancel(t.Context())
				left := at
				p.Judge(func([]byte) dbtest.Verdict {
					if left--; left == 0 {
						cancel()
						return v
					}
					return dbtest.Pass
				})
				won, err := l.Claim(ctx, claims(n))
				cancel()
				p.Pass()
				if err == nil {
					// It was done before it was told to give up.
					assert.Len(t, won, 3)
				}
				switch left := len(ledgertest.Wins(t, other, claims(n)...)); left {
				case 0:
					whole++
				case 3:
					assert.Error(t, err, "two have won it")
					none++
				default:
					t.Errorf("at piece %d %d of 3 claims were left", at, left)
				}
			}
		}
		assert.Positive(t, whole)
		assert.Positive(t, none)
	})
}

// TestStopInTheMiddleOfACommit: who is told to stop then still learns what it has won,
// and can hand it back.
func TestStopInTheMiddleOfACommit(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		p := through(t, server, &config)
		l := open(t, config)
		ledgertest.Wins(t, l, minute(1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.Judge(func(piece []byte) dbtest.Verdict {
			if bytes.Contains(piece, []byte(asked(server, commit))) {
				cancel()
				time.Sleep(50 * time.Millisecond) // what gives up on it has done so by then
			}
			return dbtest.Pass
		})
		won, err := l.Claim(ctx, []ledger.Claim{minute(2)})
		require.NoError(t, err)
		assert.Len(t, won, 1)
		_, err = l.Claim(ctx, []ledger.Claim{minute(3)})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// TestServerHangs: an error within the limit, wherever it begins to hang, that says
// which database it is; and nothing is claimed.
func TestServerHangs(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		for name, where := range map[string]string{"at connecting": "", "at BEGIN": asked(server, "BEGIN"), "at the change": "UPDATE", "at COMMIT": asked(server, commit)} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				config := fresh(t, server)
				other := open(t, config)
				p := through(t, server, &config)
				l := open(t, config)
				limit := limit
				if where == asked(server, commit) {
					limit = database.CallLimit
				}
				require.NoError(t, other.Begin(t.Context(), []ledger.Key{ledgertest.Backup}, ledgertest.Started))
				if where != "" {
					_, err := l.Load(t.Context(), []ledger.Key{ledgertest.Backup}) // it has a connection
					require.NoError(t, err)
				}
				p.Once(dbtest.Stall, where, 1)
				l.SetLimit(limit)
				began := time.Now()
				_, err := l.Claim(t.Context(), []ledger.Claim{minute(1)})
				took := time.Since(began)
				l.SetLimit(time.Minute)
				unreachable(t, err, config)
				assert.Greater(t, took, limit/2)
				assert.Less(t, took, limit+slack)
				if where != "" {
					assert.ErrorContains(t, err, "no answer within ")
				}

				// The server lets go of what was locked, and nothing is claimed. What was
				// held up on the way is lost with its connection.
				p.End()
				p.Pass()
				assert.Equal(t, []string{"backup-1"}, ledgertest.Wins(t, l, minute(1)), "with the same ledger")
				assert.Empty(t, ledgertest.Wins(t, other, minute(1)))
			})
		}
	})
}

// unreachable checks the error of a ledger that cannot be asked.
func unreachable(t testing.TB, err error, config database.Config) {
	t.Helper()
	e, ok := errors.AsType[*ledger.Unreachable](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, config.String(), e.Ledger)
	assert.NotContains(t, err.Error(), dbtest.Password)
	assert.NotContains(t, err.Error(), "\n")
}

// TestStoppedAgentHoldsNobodyUp: one that is stopped in the middle of a change, with
// its connection open, holds a cron's row until the server has had enough of it.
func TestStoppedAgentHoldsNobodyUp(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		other := open(t, config)
		p := through(t, server, &config)
		l := open(t, config)
		ledgertest.Wins(t, l, minute(1))
		p.Once(dbtest.Stall, asked(server, commit), 1)
		l.SetLimit(database.CallLimit)
		stopped := make(chan error)
		go func() {
			_, err := l.Claim(t.Context(), []ledger.Claim{minute(2)})
			stopped <- err
		}()
		unreachable(t, <-stopped, config) // and the proxy does not tell the server
		began := time.Now()
		assert.Len(t, ledgertest.Wins(t, other, minute(2)), 1)
		assert.Less(t, time.Since(began), database.CallLimit+slack)
	})
}

// TestManyCronsHaveMoreTime: a change of thousands would never be done otherwise.
func TestManyCronsHaveMoreTime(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		p := through(t, server, &config)
		l := open(t, config)
		l.SetLimit(200 * time.Millisecond)
		keys := make([]ledger.Key, 1000)
		for n := range keys {
			keys[n] = ledger.Key{Project: "p", Cron: fmt.Sprint(n)}
		}
		p.Once(dbtest.Stall, "", 1)
		err := l.Begin(t.Context(), keys, ledgertest.Started)
		unreachable(t, err, config)
		assert.Regexp(t, `no answer within (1\.[2-9]|[2-9]|1\d)`, err)
	})
}

// TestCallerHasLessTime: a database that hangs or is down holds nobody up for longer
// than they have, and they are told what it is.
func TestCallerHasLessTime(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		const time200 = 200 * time.Millisecond
		try := func(t *testing.T, l *database.Ledger, config database.Config) {
			t.Helper()
			for name, do := range map[string]func(context.Context) error{
				"load":   func(ctx context.Context) error { _, err := l.Load(ctx, []ledger.Key{ledgertest.Backup}); return err },
				"record": func(ctx context.Context) error { return l.Record(ctx, ledgertest.Ended(minute(1), ledger.Fired)) },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), time200)
				began := time.Now()
				err := do(ctx)
				cancel()
				unreachable(t, err, config)
				assert.Less(t, time.Since(began), time200+slack, name)
			}
		}
		t.Run("it hangs", func(t *testing.T) {
			t.Parallel()
			config := fresh(t, server)
			p := through(t, server, &config)
			l := open(t, config)
			ledgertest.Wins(t, l, minute(0))
			p.Once(dbtest.Stall, "", 1)
			try(t, l, config)
		})
		t.Run("it is down", func(t *testing.T) {
			t.Parallel()
			config := fresh(t, server)
			free, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			config.Port = free.Addr().(*net.TCPAddr).Port
			free.Close()
			try(t, open(t, config), config)
		})
	})
}

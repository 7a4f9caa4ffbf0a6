package database_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// TestCopyOfProduction: a preview environment's database is a copy of production's,
// of which it inherits nothing.
func TestCopyOfProduction(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		l := open(t, fresh(t, server))
		claim := minute(3)
		ledgertest.Wins(t, l, claim, minute(4))
		record(t, l, ledgertest.Ended(claim, ledger.Deferred))
		general := ledger.Key{Project: claim.Project, Environment: claim.Environment, App: claim.App}
		require.NoError(t, l.Pause(t.Context(), []ledger.Key{claim.Key, general}, ledger.Pause{Until: time.Now().Add(time.Hour)}))
		for _, change := range []func(*ledger.Key){
			func(k *ledger.Key) { k.Project = "another" },
			func(k *ledger.Key) { k.Environment = "preview" },
			func(k *ledger.Key) { k.App = "another" },
			func(k *ledger.Key) { k.Cron = "another"; k.Environment = "another" },
			// As the same letters, otherwise divided.
			func(k *ledger.Key) { k.Environment, k.App = k.Environment+k.App[:1], k.App[1:] },
		} {
			key := claim.Key
			change(&key)
			assert.Equal(t, ledger.State{}, ledgertest.Load(t, l, key), key)
			scope := key
			scope.Cron = ""
			unsettled, err := l.Unsettled(t.Context(), scope)
			require.NoError(t, err)
			assert.Empty(t, unsettled)
			runs, err := l.History(t.Context(), scope, 10)
			require.NoError(t, err)
			assert.Empty(t, runs)

			// The same occurrence under the same ID is another one.
			theirs := claim
			theirs.Key = key
			assert.Len(t, ledgertest.Wins(t, l, theirs), 1, key)
			settled, err := l.Settle(t.Context(), ledgertest.Ended(theirs, ledger.Uncertain))
			require.NoError(t, err)
			assert.Empty(t, settled)
			record(t, l, ledgertest.Ended(theirs, ledger.Fired))
		}
		state := ledgertest.Load(t, l, claim.Key)
		assert.Len(t, state.HandedBack, 1)
		assert.Len(t, state.Open, 1)
	})
}

// names are such as servers might take for the same, or not take at all.
var names = []string{
	"", " ", "backup", "Backup", "BACKUP", "backup ", "backup  ", " backup", "backup\t", "bäckup", "ba\u0308ckup", "ß", "ss", "ẞ", "é", "e", "ı", "i", "I", "İ",
	`o'brien`, `"quoted"`, "`ticks`", `back\slash`, `back\\slash`, `\`, `'`, `''`, "a\nb", "?", "$1", "%s", "{crons}", ":name", "; DROP TABLE x", "/* */", "-- ",
	"🌙", "🌚", "日本", "\u202e", "\ufeff", "a\u200db", strings.Repeat("long ", 500), strings.Repeat("long ", 500) + "er",
}

func TestNamesAreToldApart(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		l := open(t, config)
		scope := ledger.Key{Project: "p", Environment: "it's", App: "app"}
		var keys []ledger.Key
		var claims []ledger.Claim
		for n, name := range names {
			key := scope
			key.Cron = name
			keys = append(keys, key)
			claim := ledgertest.Minute(key, n)
			claim.ID, claim.Operation = "run", name
			claims = append(claims, claim)
		}
		require.Len(t, ledgertest.Wins(t, l, claims...), len(names))
		require.NoError(t, l.Pause(t.Context(), keys[1:2], ledger.Pause{Until: time.Now().Add(time.Hour), Reason: "it's ?\\ 🌙"}))
		states, err := l.Load(t.Context(), keys)
		require.NoError(t, err)
		for n, state := range states {
			require.Len(t, state.Open, 1, "%q", names[n])
			assert.Equal(t, claims[n].Due, state.Watermark, "%q", names[n])
			assert.Equal(t, keys[n], state.Open[0].Key)
			assert.Equal(t, names[n], state.Open[0].Operation)
		}
		assert.Equal(t, "it's ?\\ 🌙", states[1].Pause.Reason)
		sorted := slices.SortedFunc(slices.Values(keys), ledger.Key.Compare)
		unsettled, err := l.Unsettled(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, sorted, unsettled)
		reader, err := database.Read(t.Context(), config)
		require.NoError(t, err)
		defer reader.Close()
		assert.Equal(t, sorted, reader.Keys(ledger.Key{}))

		for _, name := range []string{"zero \x00", "bad \xff"} {
			claim := ledgertest.Minute(ledger.Key{Project: "p", Cron: name}, 1)
			claim.ID = "run"
			_, err := l.Claim(t.Context(), []ledger.Claim{claim})
			assert.ErrorContains(t, err, "the name")
		}
	})
}

func TestRunIDsAreToldApart(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		l := open(t, fresh(t, server))
		ids := []string{"run", "Run", "run ", " run", "ru\u0308n", "rün", `r'u"n\`, "🌙", strings.Repeat("x", 128)}
		var claims []ledger.Claim
		for n, id := range ids {
			claim := minute(n)
			claim.ID = id
			claims = append(claims, claim)
		}
		assert.Equal(t, ids, ledgertest.Wins(t, l, claims...))
		for n, claim := range claims {
			run := ledgertest.Ended(claim, ledger.Fired)
			run.Reason = fmt.Sprint(n)
			record(t, l, run)
		}
		runs, err := l.History(t.Context(), ledgertest.Backup, 100)
		require.NoError(t, err)
		assert.Equal(t, ids, idsOf(runs))
		for n, run := range runs {
			assert.Equal(t, fmt.Sprint(n), run.Reason)
		}
		for _, id := range []string{"", "zero \x00", "bad \xff", strings.Repeat("x", 129)} {
			claim := minute(100)
			claim.ID = id
			_, err := l.Claim(t.Context(), []ledger.Claim{claim})
			assert.ErrorContains(t, err, "the run ID")
		}
	})
}

// TestTenThousandCrons in each call: more than one statement can be about.
func TestTenThousandCrons(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		l := open(t, fresh(t, server))
		l.SetLimit(time.Minute) // what it takes is for the benchmarks
		const crons = 10_000
		keys, claims, runs := make([]ledger.Key, crons), make([]ledger.Claim, crons), make([]ledger.Run, crons)
		for n := range crons {
			keys[n] = ledger.Key{Project: "p", Environment: "main", App: "app", Cron: fmt.Sprint("cron-", n)}
			claims[n] = ledgertest.Minute(keys[n], 1)
			claims[n].From = ledgertest.Started
			runs[n] = ledgertest.Ended(claims[n], ledger.Fired)
		}
		lap := time.Now()
		took := func(what string) {
			t.Logf("%s: %s", what, time.Since(lap).Round(time.Millisecond))
			lap = time.Now()
		}
		require.NoError(t, l.Begin(t.Context(), keys, ledgertest.Started))
		took("begin")
		assert.Len(t, ledgertest.Wins(t, l, claims...), crons)
		took("claim")
		states, err := l.Load(t.Context(), keys)
		require.NoError(t, err)
		took("load")
		for n, state := range states {
			require.Equal(t, claims[n].Due, state.Watermark)
			require.Len(t, state.Open, 1)
			require.Equal(t, claims[n].ID, state.Open[0].ID)
		}
		for some := range slices.Chunk(runs, 2000) {
			record(t, l, some...)
		}
		took("record")
		unsettled, err := l.Unsettled(t.Context(), ledger.Key{Project: "p", Environment: "main", App: "app"})
		require.NoError(t, err)
		assert.Empty(t, unsettled)
	})
}

// TestRecordsOfAnySize: what is recorded at once is more than a server takes in one
// statement, which is 16 MiB on MariaDB.
func TestRecordsOfAnySize(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		l := open(t, fresh(t, server))
		l.SetLimit(time.Minute)
		var activities []ledger.Activity
		for range 3000 {
			activities = append(activities, ledger.Activity{ID: "an activity's identifier of", State: `"quoted"`})
		}
		runs := make([]ledger.Run, 100)
		for n := range runs {
			runs[n] = ledgertest.Ended(minute(n), ledger.Fired)
			runs[n].Activities = activities[n:2700]
		}
		record(t, l, runs...)
		kept, err := l.History(t.Context(), ledgertest.Backup, 1000)
		require.NoError(t, err)
		require.Len(t, kept, 100)
		for n, run := range kept {
			assert.Len(t, run.Activities, len(runs[n].Activities))
		}
		runs[0].Activities = slices.Repeat(activities, 4)
		assert.ErrorContains(t, l.Record(t.Context(), runs[0]), "longer than a ledger keeps")
	})
}

// TestPruning keeps the newest runs, and all that is not settled.
func TestPruning(t *testing.T) {
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		config := fresh(t, server)
		l := open(t, config)
		key := ledgertest.Backup
		pending, back := ledgertest.Ended(minute(0), ledger.Fired), ledgertest.Ended(minute(1), ledger.Deferred)
		pending.Pending = true
		ledgertest.Wins(t, l, minute(0), minute(1), minute(2))
		record(t, l, pending, back) // and the third stays open
		n := 2
		more := func(many int) []ledger.Run {
			runs := make([]ledger.Run, many)
			for i := range runs {
				n++
				runs[i] = ledgertest.Ended(minute(n), ledger.Fired)
			}
			return runs
		}
		check := func() {
			t.Helper()
			runs, err := l.History(t.Context(), key, 10_000)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(runs), ledger.KeepRuns)
			assert.LessOrEqual(t, len(runs), ledger.KeepRuns+25)
			newest := runs[len(runs)-ledger.KeepRuns:]
			for i, run := range newest {
				require.Equal(t, fmt.Sprintf("backup-%d", n-ledger.KeepRuns+1+i), run.ID)
			}
			state := ledgertest.Load(t, l, key)
			assert.Len(t, state.Pending, 1)
			assert.Len(t, state.HandedBack, 1)
			assert.Len(t, state.Open, 1)
			assert.Equal(t, fmt.Sprintf("backup-%d", n), state.Last.ID)
		}
		record(t, l, more(1000)...)
		check()
		for range 45 {
			record(t, l, more(1)...)
		}
		check()
		for range 9 {
			record(t, l, more(7)...)
		}
		check()
		// What is recorded once more is not new, and does not push anything out.
		again := more(1)
		for range 150 {
			record(t, l, again...)
		}
		check()
		count := rows(t, server, config.Name, "SELECT count(*) FROM "+table(server, "runs"))
		assert.Less(t, len(count[0][0]), 4, "%s rows", count[0][0])

		// Those that are settled at last go with the others.
		pending.Pending, pending.Outcome, back.Outcome = false, ledger.Succeeded, ledger.Fired
		record(t, l, pending, back, ledgertest.Ended(minute(2), ledger.Cancelled))
		state := ledgertest.Load(t, l, key)
		assert.Empty(t, state.Pending)
		assert.Empty(t, state.HandedBack)
		assert.Empty(t, state.Open)
	})
}

// Package ledgertest is what every ledger must do, as tests that each
// implementation runs. Only tests import it.
package ledgertest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// The crons of the tests, and an instant before all their occurrences.
var (
	Backup  = ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: "backup"}
	Sweep   = ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: "sweep"}
	Started = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
)

// app is the scope that Backup and Sweep are in, and the key of its bare fires.
var app = ledger.Key{Project: Backup.Project, Environment: Backup.Environment, App: Backup.App}

// Fresh makes an empty ledger, and returns what opens it: each call is like another
// process. The ledger must keep what commands print, and is closed with the test.
type Fresh func(t testing.TB) (open func() ledger.Ledger)

// Run runs the tests, each with a ledger of its own.
func Run(t *testing.T, fresh Fresh) {
	for name, test := range map[string]func(*testing.T, Fresh){
		"begin leaves known crons alone":             beginLeavesKnownCronsAlone,
		"a claim may bring its record":               aClaimMayBringItsRecord,
		"claim moves the watermark":                  claimMovesTheWatermark,
		"claim of no cron it knows":                  claimOfNoCronItKnows,
		"instants are compared not texts":            instantsAreComparedNotTexts,
		"handed back is claimed once":                handedBackIsClaimedOnce,
		"records replace by i d":                     recordsReplaceByID,
		"settle spares the living":                   settleSparesTheLiving,
		"many goroutines claim each occurrence once": manyGoroutinesClaimEachOccurrenceOnce,
		"a claim is planned from a watermark":        aClaimIsPlannedFromAWatermark,
		"pending until a record says otherwise":      pendingUntilARecordSaysOtherwise,
		"last has no output":                         lastHasNoOutput,
		"pauses":                                     pauses,
		"one of several tells":                       oneOfSeveralTells,
		"unsettled":                                  unsettled,
		"history":                                    history,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh)
		})
	}
}

// Load is the state of one cron.
func Load(t testing.TB, l ledger.Ledger, key ledger.Key) ledger.State {
	t.Helper()
	states, err := l.Load(t.Context(), []ledger.Key{key})
	require.NoError(t, err)
	require.Len(t, states, 1)
	return states[0]
}

// Minute is the occurrence of a cron n minutes after Started, to claim.
func Minute(key ledger.Key, n int) ledger.Claim {
	return ledger.Claim{Key: key, ID: fmt.Sprintf("%s-%d", key.Cron, n), Due: Started.Add(time.Duration(n) * time.Minute), Settle: time.Hour}
}

// Wins are the IDs of those claims that were won.
func Wins(t testing.TB, l ledger.Ledger, claims ...ledger.Claim) []string {
	t.Helper()
	won, err := l.Claim(t.Context(), claims)
	require.NoError(t, err)
	ids := []string{}
	for _, claim := range won {
		ids = append(ids, claim.ID)
	}
	return ids
}

// Ended is the run of a claim, with an outcome.
func Ended(claim ledger.Claim, outcome ledger.Outcome) ledger.Run {
	return ledger.Run{ID: claim.ID, Key: claim.Key, Outcome: outcome, Due: &claim.Due, Count: 1, Attempts: claim.Attempts + 1}
}

func claimMovesTheWatermark(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{Backup, Sweep}, Started))

	assert.Empty(t, Wins(t, l, Minute(Backup, 0)), "the watermark itself")
	assert.Empty(t, Wins(t, l, Minute(Backup, -1)), "before the watermark")
	assert.Equal(t, []string{"backup-1"}, Wins(t, l, Minute(Backup, 1)))
	assert.Empty(t, Wins(t, l, Minute(Backup, 1)), "claimed already")
	assert.Equal(t, []string{"backup-3"}, Wins(t, l, Minute(Backup, 3)), "one may be jumped over")
	assert.Empty(t, Wins(t, l, Minute(Backup, 2)), "and then is gone")
	assert.Equal(t, []string{"sweep-1", "backup-4", "sweep-2"},
		Wins(t, l, Minute(Sweep, 1), Minute(Backup, 4), Minute(Backup, 4), Minute(Sweep, 2), Minute(Sweep, 2)),
		"in one call, each cron has its own watermark")

	state := Load(t, l, Backup)
	assert.True(t, state.Watermark.Equal(Minute(Backup, 4).Due), state.Watermark)
	assert.Len(t, state.Open, 3)
	assert.Equal(t, time.Hour, state.Open[0].Settle)
	assert.WithinDuration(t, time.Now(), state.Open[0].At, time.Minute)
	assert.Nil(t, state.Last)
}

func claimOfNoCronItKnows(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	assert.Equal(t, []string{"backup-1"}, Wins(t, l, Minute(Backup, 1)))
	assert.Empty(t, Wins(t, l, Minute(Backup, 1)))
	assert.Empty(t, Wins(t, l), "nothing asked for")
}

func instantsAreComparedNotTexts(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	paris, tokyo := time.FixedZone("", 3600), time.FixedZone("", 9*3600)
	claim := Minute(Backup, 5)
	claim.Due = claim.Due.In(tokyo)
	require.Equal(t, []string{"backup-5"}, Wins(t, l, claim))
	claim.Due = claim.Due.In(paris)
	assert.Empty(t, Wins(t, l, claim), "the same instant in another zone")
	run := Ended(claim, ledger.Deferred)
	require.NoError(t, l.Record(t.Context(), run))
	claim.Due = claim.Due.UTC()
	assert.Equal(t, []string{"backup-5"}, Wins(t, again(), claim), "handed back in one zone, claimed in another")
}

func handedBackIsClaimedOnce(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l, other := again(), again()
	first, second := Minute(Backup, 1), Minute(Backup, 2)
	Wins(t, l, first, second)
	run := Ended(first, ledger.Deferred)
	run.Reason = "no connection"
	run.NextTry = new(Started.Add(time.Hour))
	require.NoError(t, l.Record(t.Context(), run))

	state := Load(t, other, Backup)
	require.Len(t, state.HandedBack, 1)
	assert.Equal(t, "no connection", state.HandedBack[0].Reason)
	assert.True(t, state.HandedBack[0].NextTry.Equal(*run.NextTry))
	assert.Len(t, state.Open, 1)

	stranger := first
	stranger.ID = "stranger"
	assert.Empty(t, Wins(t, other, stranger), "its due under another ID")
	moved := first
	moved.Due = first.Due.Add(-time.Second)
	assert.Empty(t, Wins(t, other, moved), "its ID at another due")
	assert.Equal(t, []string{first.ID}, Wins(t, other, first, first), "once, even if asked for twice")
	assert.Empty(t, Wins(t, l, first))
	state = Load(t, l, Backup)
	assert.Empty(t, state.HandedBack)
	assert.Len(t, state.Open, 2)
	assert.True(t, state.Watermark.Equal(second.Due), "it did not move back")

	// And back again, and for good.
	require.NoError(t, other.Record(t.Context(), run))
	require.Len(t, Load(t, l, Backup).HandedBack, 1)
	require.NoError(t, other.Record(t.Context(), Ended(first, ledger.Fired)))
	assert.Empty(t, Load(t, l, Backup).HandedBack)
	assert.Empty(t, Wins(t, l, first))
}

func recordsReplaceByID(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	claim := Minute(Backup, 1)
	Wins(t, l, claim)
	require.NoError(t, l.Record(t.Context()), "nothing to record")
	for _, outcome := range []ledger.Outcome{ledger.Uncertain, ledger.Fired, ledger.Succeeded} {
		require.NoError(t, l.Record(t.Context(), Ended(claim, outcome)))
		state := Load(t, again(), Backup)
		assert.Empty(t, state.Open)
		require.NotNil(t, state.Last)
		assert.Equal(t, outcome, state.Last.Outcome)
		assert.True(t, state.Watermark.Equal(claim.Due))
	}
	bare := ledger.Run{ID: "bare", Key: ledger.Key{Project: "p"}, Outcome: ledger.Fired}
	require.NoError(t, l.Record(t.Context(), bare), "what no claim preceded")
	assert.Equal(t, "bare", Load(t, l, bare.Key).Last.ID)
	assert.NotNil(t, Load(t, l, bare.Key).Last.Activities)
}

func settleSparesTheLiving(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	alive, dead, late, again := Minute(Backup, 1), Minute(Backup, 2), Minute(Backup, 3), Minute(Backup, 4)
	dead.Settle, late.Settle, again.Settle = 0, 0, 0
	Wins(t, l, alive, dead, late, again)
	// Between their being loaded and settled, two owners come back: one with a
	// record, one has handed it back and another agent works on it.
	require.NoError(t, l.Record(t.Context(), Ended(late, ledger.Fired), Ended(again, ledger.Deferred)))
	again.Settle = time.Hour
	require.Len(t, Wins(t, l, again), 1)

	var runs []ledger.Run
	for _, claim := range []ledger.Claim{alive, dead, late, again, Minute(Sweep, 1)} {
		runs = append(runs, Ended(claim, ledger.Uncertain))
	}
	settled, err := l.Settle(t.Context(), runs...)
	require.NoError(t, err)
	require.Len(t, settled, 1)
	assert.Equal(t, dead.ID, settled[0].ID)
	state := Load(t, l, Backup)
	assert.Len(t, state.Open, 2)
	assert.Equal(t, dead.ID, state.Last.ID)

	settled, err = l.Settle(t.Context(), runs...)
	require.NoError(t, err)
	assert.Empty(t, settled, "a second agent settles nothing twice")
	require.NoError(t, l.Record(t.Context(), Ended(dead, ledger.Fired)), "the owner's own record wins however late")
	assert.Equal(t, ledger.Fired, Load(t, l, Backup).Last.Outcome)
}

func manyGoroutinesClaimEachOccurrenceOnce(t *testing.T, fresh Fresh) {
	again := fresh(t)
	const occurrences = 30
	files := []ledger.Ledger{again(), again()}
	var mu sync.Mutex
	won := map[string]int{}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			l := files[n%2]
			for i := range occurrences {
				claims, err := l.Claim(t.Context(), []ledger.Claim{Minute(Backup, i), Minute(Sweep, i)})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				for _, claim := range claims {
					won[claim.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Len(t, won, 2*occurrences)
	for id, n := range won {
		assert.Equal(t, 1, n, id)
	}
}

func aClaimIsPlannedFromAWatermark(t *testing.T, fresh Fresh) {
	from := func(claim ledger.Claim, n int) ledger.Claim {
		claim.From = Minute(claim.Key, n).Due
		return claim
	}
	cases := map[string]struct {
		claims []ledger.Claim
		want   []string
	}{
		"the watermark is still there":           {[]ledger.Claim{from(Minute(Backup, 6), 5)}, []string{"backup-6"}},
		"somebody has moved it":                  {[]ledger.Claim{from(Minute(Backup, 6), 4)}, []string{}},
		"it is behind what was planned from":     {[]ledger.Claim{from(Minute(Backup, 9), 8)}, []string{}},
		"an earlier claim of the call moved it":  {[]ledger.Claim{from(Minute(Backup, 6), 5), from(Minute(Backup, 7), 5)}, []string{"backup-6", "backup-7"}},
		"not backwards in one call":              {[]ledger.Claim{from(Minute(Backup, 7), 5), from(Minute(Backup, 6), 5)}, []string{"backup-7"}},
		"from what the call itself has moved to": {[]ledger.Claim{from(Minute(Backup, 6), 5), from(Minute(Backup, 7), 6)}, []string{"backup-6"}},
		"from nowhere it is the due that counts": {[]ledger.Claim{Minute(Backup, 6), Minute(Backup, 5)}, []string{"backup-6"}},
		"a cron that is not known":               {[]ledger.Claim{from(Minute(Sweep, 6), 5)}, []string{}},
		"each cron has its own":                  {[]ledger.Claim{from(Minute(Backup, 6), 5), Minute(Sweep, 1), from(Minute(Sweep, 2), 1)}, []string{"backup-6", "sweep-1"}},
		"what was handed back needs none":        {[]ledger.Claim{from(Minute(Backup, 3), 1), from(Minute(Backup, 6), 5)}, []string{"backup-3", "backup-6"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := fresh(t)()
			Wins(t, l, Minute(Backup, 3), Minute(Backup, 5))
			require.NoError(t, l.Record(t.Context(), Ended(Minute(Backup, 3), ledger.Deferred)))
			assert.Equal(t, c.want, Wins(t, l, c.claims...))
		})
	}
}

func pendingUntilARecordSaysOtherwise(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	pending := func(claim ledger.Claim, outcome ledger.Outcome) ledger.Run {
		run := Ended(claim, outcome)
		run.Pending = true
		return run
	}
	Wins(t, l, Minute(Backup, 1), Minute(Backup, 2))
	bare := ledger.Run{ID: "bare", Key: app, Outcome: ledger.Fired, Started: new(Started), Pending: true}
	earlier := ledger.Run{ID: "earlier", Key: app, Outcome: ledger.Fired, Started: new(Started.Add(-time.Hour)), Pending: true}
	require.NoError(t, l.Record(t.Context(), pending(Minute(Backup, 2), ledger.Uncertain), pending(Minute(Backup, 1), ledger.Fired), bare, earlier))
	for _, l := range []ledger.Ledger{l, again()} {
		state := Load(t, l, Backup)
		require.Len(t, state.Pending, 2)
		assert.Equal(t, "backup-1", state.Pending[0].ID, "by due")
		assert.Equal(t, ledger.Uncertain, state.Pending[1].Outcome)
		assert.Equal(t, Minute(Backup, 2).Due, *state.Pending[1].Due)
		assert.Empty(t, state.Open)
		assert.Equal(t, "backup-1", state.Last.ID)
		state = Load(t, l, app)
		require.Len(t, state.Pending, 2)
		assert.Equal(t, "earlier", state.Pending[0].ID, "by start, without a due")
	}

	still := pending(Minute(Backup, 1), ledger.Fired)
	still.Reason = "the platform is still at it"
	require.NoError(t, l.Record(t.Context(), still, Ended(Minute(Backup, 2), ledger.Succeeded)))
	for _, l := range []ledger.Ledger{l, again()} {
		state := Load(t, l, Backup)
		require.Len(t, state.Pending, 1)
		assert.Equal(t, "the platform is still at it", state.Pending[0].Reason, "the newest record")
		assert.Equal(t, "backup-1", state.Last.ID, "the end of an older run does not make it the newest")
	}
}

func lastHasNoOutput(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	run := Ended(Minute(Backup, 1), ledger.Failed)
	run.Output, run.Error, run.ExitCode = "a page\n", "exit code 3", new(3)
	require.NoError(t, l.Record(t.Context(), run))
	last := Load(t, l, Backup).Last
	require.NotNil(t, last)
	assert.Empty(t, last.Output)
	assert.Equal(t, "exit code 3", last.Error)
	assert.Equal(t, 3, *last.ExitCode)
	assert.Equal(t, Backup, last.Key)
	runs, err := l.History(t.Context(), Backup, 1)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	assert.Equal(t, "a page\n", runs[0].Output)
}

func pauses(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	until := func(minutes int) time.Time {
		return time.Now().Add(time.Duration(minutes) * time.Minute).UTC().Truncate(time.Microsecond)
	}
	pause := func(p ledger.Pause, keys ...ledger.Key) {
		t.Helper()
		require.NoError(t, l.Pause(t.Context(), keys, p))
	}
	// what counts, by its reason; empty: none
	counts := func(key ledger.Key, want string) {
		t.Helper()
		for _, l := range []ledger.Ledger{l, again()} {
			p := Load(t, l, key).Pause
			if want == "" {
				assert.Nil(t, p)
			} else if assert.NotNil(t, p) {
				assert.Equal(t, want, p.Reason)
				assert.WithinDuration(t, time.Now(), p.At, time.Minute)
			}
		}
	}
	general := ledger.Pause{Until: until(30), Reason: "a release"}
	pause(general, app)
	counts(Backup, "a release")
	counts(app, "a release")
	assert.True(t, Load(t, l, Backup).Pause.Until.Equal(general.Until))
	assert.Zero(t, Load(t, l, Backup).Watermark, "a pause makes no cron known")
	other := Backup
	other.App = "another"
	counts(other, "")

	pause(ledger.Pause{Until: until(20), Reason: "its own"}, Backup, Sweep)
	counts(Backup, "a release")
	pause(ledger.Pause{Until: until(60), Reason: "its own, longer"}, Backup)
	counts(Backup, "its own, longer")
	counts(Sweep, "a release")
	pause(ledger.Pause{}, Backup)
	counts(Backup, "a release")
	pause(ledger.Pause{Until: until(60), Reason: "its own, longer"}, Backup)
	pause(ledger.Pause{}, app)
	counts(Backup, "its own, longer")
	counts(Sweep, "its own")
	counts(app, "")
	pause(ledger.Pause{Until: until(-5), Reason: "over"}, Sweep)
	counts(Sweep, "over")
	pause(ledger.Pause{}, Backup, Sweep)
	counts(Backup, "")
	counts(Sweep, "")
	require.NoError(t, l.Pause(t.Context(), nil, general), "of nothing")
}

func oneOfSeveralTells(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	tell := func(key ledger.Key, told ledger.Told) bool {
		t.Helper()
		won, err := l.Tell(t.Context(), key, told)
		require.NoError(t, err)
		return won
	}
	is := func(key ledger.Key, want ledger.Told, unsettled ...ledger.Key) {
		t.Helper()
		for _, l := range []ledger.Ledger{l, again()} {
			assert.Equal(t, want, Load(t, l, key).Told)
			keys, err := l.Unsettled(t.Context(), app)
			require.NoError(t, err)
			assert.Equal(t, unsettled, keys)
		}
	}
	is(Backup, ledger.Told{})
	told := ledger.Told{Event: "failure", Run: "backup-1", Of: Started, Streak: "failure", Since: Started, At: Started.Add(time.Second), Tries: 1, Left: []string{"mail"}}
	require.True(t, tell(Backup, told))
	told.Version = 1
	is(Backup, told, Backup)
	assert.Zero(t, Load(t, l, Backup).Watermark, "it makes no cron known")

	// Of several who have loaded the same, one wins.
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if tell(Backup, told) {
				won.Add(1)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, won.Load())
	told.Version = 2
	is(Backup, told, Backup)
	assert.False(t, tell(Sweep, told), "there is none of that version")

	// It is apart from what else is unsettled, and outlives it.
	Wins(t, l, Minute(Backup, 1))
	told.Left, told.Error = nil, "mail: no answer from "+strings.Repeat("x", 100_000)
	require.True(t, tell(Backup, told))
	told.Version, told.Error = 3, told.Error[:16<<10]
	is(Backup, told, Backup)
	require.NoError(t, l.Record(t.Context(), Ended(Minute(Backup, 1), ledger.Failed)))
	is(Backup, told)
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{Backup}, ledger.Pause{Until: Started}))
	is(Backup, told)
	_, err := l.Tell(t.Context(), ledger.Key{Cron: "\xff"}, ledger.Told{})
	assert.ErrorContains(t, err, "UTF-8")
}

func unsettled(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	other := Backup
	other.App = "another"
	is := func(want ...ledger.Key) {
		t.Helper()
		for _, l := range []ledger.Ledger{l, again()} {
			keys, err := l.Unsettled(t.Context(), app)
			require.NoError(t, err)
			assert.Equal(t, want, keys)
		}
	}
	pending := ledger.Run{ID: "bare", Key: app, Outcome: ledger.Fired, Pending: true}
	is()
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{Backup, Sweep}, Started))
	is()
	Wins(t, l, Minute(Sweep, 1), Minute(other, 1))
	is(Sweep)
	Wins(t, l, Minute(Backup, 1))
	require.NoError(t, l.Record(t.Context(), pending))
	is(app, Backup, Sweep)
	require.NoError(t, l.Record(t.Context(), Ended(Minute(Backup, 1), ledger.Deferred), Ended(Minute(Sweep, 1), ledger.Skipped)))
	is(app, Backup)
	Wins(t, l, Minute(Backup, 1))
	is(app, Backup)
	pending.Pending = false
	require.NoError(t, l.Record(t.Context(), pending, Ended(Minute(Backup, 1), ledger.Fired)))
	is()
	_, err := l.Unsettled(t.Context(), Backup)
	assert.ErrorContains(t, err, `"backup"`)
}

func history(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	is := func(scope ledger.Key, n int, want ...string) {
		t.Helper()
		runs, err := l.History(t.Context(), scope, n)
		require.NoError(t, err)
		var told []string
		for _, run := range runs {
			told = append(told, run.ID+" "+string(run.Outcome))
		}
		assert.Equal(t, want, told)
	}
	is(ledger.Key{}, 10)
	other := Sweep
	other.App = "another"
	Wins(t, l, Minute(Backup, 1), Minute(Sweep, 1), Minute(Backup, 2))
	for _, run := range []ledger.Run{
		Ended(Minute(Backup, 1), ledger.Deferred),
		Ended(Minute(Sweep, 1), ledger.Fired),
		Ended(Minute(other, 7), ledger.Skipped),
		Ended(Minute(Backup, 2), ledger.Fired),
		{ID: "bare", Key: app, Outcome: ledger.Fired},
		Ended(Minute(Backup, 1), ledger.Failed),
	} {
		require.NoError(t, l.Record(t.Context(), run))
	}
	is(ledger.Key{}, 10, "backup-1 failed", "sweep-1 fired", "sweep-7 skipped", "backup-2 fired", "bare fired")
	is(app, 10, "backup-1 failed", "sweep-1 fired", "backup-2 fired", "bare fired")
	is(app, 1, "sweep-1 fired", "backup-2 fired", "bare fired")
	is(Backup, 2, "backup-1 failed", "backup-2 fired")
	is(Backup, 1, "backup-2 fired") // what an older run became does not make it the newest
	is(ledger.Key{Project: "another"}, 10)
	is(Backup, 0)
	is(Backup, -1)

	many := make([]ledger.Run, 300)
	for n := range many {
		many[n] = Ended(Minute(Sweep, 10+n), ledger.Fired)
	}
	require.NoError(t, l.Record(t.Context(), many...))
	runs, err := l.History(t.Context(), Sweep, 1000)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(runs), ledger.KeepRuns)
	assert.Equal(t, "sweep-309", runs[len(runs)-1].ID)
	assert.Equal(t, "sweep-308", runs[len(runs)-2].ID)
}

func beginLeavesKnownCronsAlone(t *testing.T, fresh Fresh) {
	again := fresh(t)
	l := again()
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{Backup}, Started))
	require.NoError(t, again().Begin(t.Context(), []ledger.Key{Backup, Sweep}, Started.Add(time.Hour)))
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{Backup, Sweep}, Started.Add(-time.Hour)))
	require.NoError(t, l.Begin(t.Context(), nil, Started))
	assert.True(t, Load(t, l, Backup).Watermark.Equal(Started))
	assert.True(t, Load(t, l, Sweep).Watermark.Equal(Started.Add(time.Hour)))
}

// A claim that needs no act is recorded with the same write.
func aClaimMayBringItsRecord(t *testing.T, fresh Fresh) {
	l := fresh(t)()
	claim := Minute(Backup, 1)
	claim.Run = new(Ended(claim, ledger.Missed))
	lost := Minute(Backup, 1)
	lost.ID, lost.Run = "another", new(Ended(lost, ledger.Missed))
	assert.Equal(t, []string{"backup-1"}, Wins(t, l, claim, lost))
	state := Load(t, l, Backup)
	assert.Empty(t, state.Open)
	require.NotNil(t, state.Last)
	assert.Equal(t, ledger.Missed, state.Last.Outcome)
	runs, err := l.History(t.Context(), Backup, 10)
	require.NoError(t, err)
	assert.Len(t, runs, 1)
}

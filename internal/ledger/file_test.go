package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

var (
	backup  = ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: "backup"}
	sweep   = ledger.Key{Project: "abcdefgh1234567", Environment: "main", App: "app", Cron: "sweep"}
	started = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
)

func open(t testing.TB, dir string) *ledger.File {
	t.Helper()
	f, err := ledger.OpenFile(t.Context(), dir)
	require.NoError(t, err)
	return f
}

func load(t testing.TB, l ledger.Ledger, key ledger.Key) ledger.State {
	t.Helper()
	states, err := l.Load(t.Context(), []ledger.Key{key})
	require.NoError(t, err)
	require.Len(t, states, 1)
	return states[0]
}

// minute is the occurrence n minutes after the start, to claim.
func minute(key ledger.Key, n int) ledger.Claim {
	return ledger.Claim{Key: key, ID: fmt.Sprintf("%s-%d", key.Cron, n), Due: started.Add(time.Duration(n) * time.Minute), Settle: time.Hour}
}

// wins are the IDs that a claim won.
func wins(t testing.TB, l ledger.Ledger, claims ...ledger.Claim) []string {
	t.Helper()
	won, err := l.Claim(t.Context(), claims)
	require.NoError(t, err)
	ids := []string{}
	for _, claim := range won {
		ids = append(ids, claim.ID)
	}
	return ids
}

func ended(claim ledger.Claim, outcome ledger.Outcome) ledger.Run {
	return ledger.Run{ID: claim.ID, Key: claim.Key, Outcome: outcome, Due: &claim.Due, Count: 1, Attempts: claim.Attempts + 1}
}

func TestClaimMovesTheWatermark(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))

	assert.Empty(t, wins(t, l, minute(backup, 0)), "the watermark itself")
	assert.Empty(t, wins(t, l, minute(backup, -1)), "before the watermark")
	assert.Equal(t, []string{"backup-1"}, wins(t, l, minute(backup, 1)))
	assert.Empty(t, wins(t, l, minute(backup, 1)), "claimed already")
	assert.Equal(t, []string{"backup-3"}, wins(t, l, minute(backup, 3)), "one may be jumped over")
	assert.Empty(t, wins(t, l, minute(backup, 2)), "and then is gone")
	assert.Equal(t, []string{"sweep-1", "backup-4", "sweep-2"},
		wins(t, l, minute(sweep, 1), minute(backup, 4), minute(backup, 4), minute(sweep, 2), minute(sweep, 2)),
		"in one call, each cron has its own watermark")

	state := load(t, l, backup)
	assert.True(t, state.Watermark.Equal(minute(backup, 4).Due), state.Watermark)
	assert.Len(t, state.Open, 3)
	assert.Equal(t, time.Hour, state.Open[0].Settle)
	assert.WithinDuration(t, time.Now(), state.Open[0].At, time.Minute)
	assert.Nil(t, state.Last)
}

func TestClaimOfNoCronItKnows(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	assert.Equal(t, []string{"backup-1"}, wins(t, l, minute(backup, 1)))
	assert.Empty(t, wins(t, l, minute(backup, 1)))
	assert.Empty(t, wins(t, l), "nothing asked for")
}

func TestInstantsAreComparedNotTexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	paris, tokyo := time.FixedZone("", 3600), time.FixedZone("", 9*3600)
	claim := minute(backup, 5)
	claim.Due = claim.Due.In(tokyo)
	require.Equal(t, []string{"backup-5"}, wins(t, l, claim))
	claim.Due = claim.Due.In(paris)
	assert.Empty(t, wins(t, l, claim), "the same instant in another zone")
	run := ended(claim, ledger.Deferred)
	require.NoError(t, l.Record(t.Context(), run))
	claim.Due = claim.Due.UTC()
	assert.Equal(t, []string{"backup-5"}, wins(t, open(t, dir), claim), "handed back in one zone, claimed in another")
}

func TestHandedBackIsClaimedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, other := open(t, dir), open(t, dir)
	first, second := minute(backup, 1), minute(backup, 2)
	wins(t, l, first, second)
	run := ended(first, ledger.Deferred)
	run.Reason = "no connection"
	run.NextTry = new(started.Add(time.Hour))
	require.NoError(t, l.Record(t.Context(), run))

	state := load(t, other, backup)
	require.Len(t, state.HandedBack, 1)
	assert.Equal(t, "no connection", state.HandedBack[0].Reason)
	assert.True(t, state.HandedBack[0].NextTry.Equal(*run.NextTry))
	assert.Len(t, state.Open, 1)

	stranger := first
	stranger.ID = "stranger"
	assert.Empty(t, wins(t, other, stranger), "its due under another ID")
	moved := first
	moved.Due = first.Due.Add(-time.Second)
	assert.Empty(t, wins(t, other, moved), "its ID at another due")
	assert.Equal(t, []string{first.ID}, wins(t, other, first, first), "once, even if asked for twice")
	assert.Empty(t, wins(t, l, first))
	state = load(t, l, backup)
	assert.Empty(t, state.HandedBack)
	assert.Len(t, state.Open, 2)
	assert.True(t, state.Watermark.Equal(second.Due), "it did not move back")

	// And back again, and for good.
	require.NoError(t, other.Record(t.Context(), run))
	require.Len(t, load(t, l, backup).HandedBack, 1)
	require.NoError(t, other.Record(t.Context(), ended(first, ledger.Fired)))
	assert.Empty(t, load(t, l, backup).HandedBack)
	assert.Empty(t, wins(t, l, first))
}

func TestBeginLeavesKnownCronsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup}, started))
	require.NoError(t, open(t, dir).Begin(t.Context(), []ledger.Key{backup, sweep}, started.Add(time.Hour)))
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started.Add(-time.Hour)))
	require.NoError(t, l.Begin(t.Context(), nil, started))
	assert.True(t, load(t, l, backup).Watermark.Equal(started))
	assert.True(t, load(t, l, sweep).Watermark.Equal(started.Add(time.Hour)))
	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(text), "\n"), "what changes nothing writes nothing")
}

func TestRecordsReplaceByID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	claim := minute(backup, 1)
	wins(t, l, claim)
	require.NoError(t, l.Record(t.Context()), "nothing to record")
	for _, outcome := range []ledger.Outcome{ledger.Uncertain, ledger.Fired, ledger.Succeeded} {
		require.NoError(t, l.Record(t.Context(), ended(claim, outcome)))
		state := load(t, open(t, dir), backup)
		assert.Empty(t, state.Open)
		require.NotNil(t, state.Last)
		assert.Equal(t, outcome, state.Last.Outcome)
		assert.True(t, state.Watermark.Equal(claim.Due))
	}
	bare := ledger.Run{ID: "bare", Key: ledger.Key{Project: "p"}, Outcome: ledger.Fired}
	require.NoError(t, l.Record(t.Context(), bare), "what no claim preceded")
	assert.Equal(t, "bare", load(t, l, bare.Key).Last.ID)
	assert.NotNil(t, load(t, l, bare.Key).Last.Activities)
}

func TestSettleSparesTheLiving(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	alive, dead, late, again := minute(backup, 1), minute(backup, 2), minute(backup, 3), minute(backup, 4)
	dead.Settle, late.Settle, again.Settle = 0, 0, 0
	wins(t, l, alive, dead, late, again)
	// Between their being loaded and settled, two owners come back: one with a
	// record, one has handed it back and another agent works on it.
	require.NoError(t, l.Record(t.Context(), ended(late, ledger.Fired), ended(again, ledger.Deferred)))
	again.Settle = time.Hour
	require.Len(t, wins(t, l, again), 1)

	var runs []ledger.Run
	for _, claim := range []ledger.Claim{alive, dead, late, again, minute(sweep, 1)} {
		runs = append(runs, ended(claim, ledger.Uncertain))
	}
	settled, err := l.Settle(t.Context(), runs...)
	require.NoError(t, err)
	require.Len(t, settled, 1)
	assert.Equal(t, dead.ID, settled[0].ID)
	state := load(t, l, backup)
	assert.Len(t, state.Open, 2)
	assert.Equal(t, dead.ID, state.Last.ID)

	settled, err = l.Settle(t.Context(), runs...)
	require.NoError(t, err)
	assert.Empty(t, settled, "a second agent settles nothing twice")
	require.NoError(t, l.Record(t.Context(), ended(dead, ledger.Fired)), "the owner's own record wins however late")
	assert.Equal(t, ledger.Fired, load(t, l, backup).Last.Outcome)
}

func TestNamesThatJSONWouldChangeAreRefused(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	bad := ledger.Key{Project: "p", Environment: "m\xff", App: "a", Cron: "c"}
	_, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 1), minute(bad, 1)})
	require.ErrorContains(t, err, `"m\xff"`)
	require.ErrorContains(t, l.Begin(t.Context(), []ledger.Key{bad}, started), "UTF-8")
	assert.Zero(t, load(t, l, backup).Watermark, "all or nothing")
	for _, id := range []string{"", "run-\xff"} {
		claim := minute(backup, 1)
		claim.ID = id
		_, err := l.Claim(t.Context(), []ledger.Claim{claim})
		require.ErrorContains(t, err, "run ID", "a claim that no record would end")
		require.ErrorContains(t, l.Record(t.Context(), ended(claim, ledger.Fired)), "run ID")
	}
	require.ErrorContains(t, l.Pause(t.Context(), []ledger.Key{backup, bad}, ledger.Pause{}), "UTF-8")

	odd := ledger.Key{Project: "p", Environment: "feature/<a&b>", App: "äpp\x00", Cron: "a \"quoted\"\nname\u2028"}
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{odd}, started))
	again := open(t, filepath.Dir(l.Path()))
	assert.True(t, load(t, again, odd).Watermark.Equal(started))
	// A name as JSON writes it may be another cron's name.
	plain, written := backup, backup
	plain.Cron, written.Cron = `a"b`, `a\"b`
	for _, l := range []*ledger.File{l, again} {
		wins(t, l, minute(written, 1))
		wins(t, l, minute(plain, 1))
		assert.Len(t, load(t, l, plain).Open, 1)
		assert.Len(t, load(t, l, written).Open, 1)
	}
	assert.Zero(t, l.Damaged())
}

func TestRunHasEveryNameAlways(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(ledger.Run{Activities: []ledger.Activity{{}}})
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	for _, name := range []string{
		"id", "cron", "operation", "outcome", "reason", "project", "environment", "due", "until", "count", "started", "ended",
		"attempts", "activities", "exit_code", "error", "app", "next_try", "output", "pending",
	} {
		assert.Contains(t, fields, name)
		delete(fields, name)
	}
	assert.Empty(t, fields, "names that no document promises")
}

func TestLinesAreJSONThatPeopleCanRead(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "made", "on", "demand"))
	claim := minute(backup, 1)
	claim.Due = claim.Due.In(time.FixedZone("", 3600))
	claim.Operation = "backup:create"
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup}, started))
	wins(t, l, claim)
	run := ended(claim, ledger.Failed)
	run.Error = "<403> & more"
	require.NoError(t, l.Record(t.Context(), run))

	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Len(t, lines, 3)
	assert.Equal(t, `{"event":"begin","project":"abcdefgh1234567","environment":"main","app":"app","cron":"backup","at":"2027-03-01T00:00:00Z"}`, lines[0])
	assert.Contains(t, lines[1], `{"event":"claim","project":"abcdefgh1234567",`)
	assert.Contains(t, lines[1], `"due":"2027-03-01T00:01:00Z"`)
	assert.Contains(t, lines[1], `"operation":"backup:create"`)
	assert.Contains(t, lines[2], `{"event":"run","id":"backup-1","project":"abcdefgh1234567",`)
	assert.Contains(t, lines[2], `"error":"<403> & more"`)
	for _, path := range []string{l.Path(), filepath.Join(filepath.Dir(l.Path()), "ledger.lock")} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), path)
	}
}

func TestManyGoroutinesClaimEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const occurrences = 30
	files := []*ledger.File{open(t, dir), open(t, dir)}
	var mu sync.Mutex
	won := map[string]int{}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			l := files[n%2]
			for i := range occurrences {
				claims, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, i), minute(sweep, i)})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				for _, claim := range claims {
					won[claim.ID]++
				}
				mu.Unlock()
				l.Damaged()
			}
		})
	}
	all.Wait()
	require.Len(t, won, 2*occurrences)
	for id, n := range won {
		assert.Equal(t, 1, n, id)
	}
}

// hold takes the ledger's lock as another process would, until the test ends or it
// is told to release it.
func hold(t *testing.T, l *ledger.File) (release func()) {
	t.Helper()
	file, err := os.Open(filepath.Join(filepath.Dir(l.Path()), "ledger.lock"))
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	require.NoError(t, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	return func() { file.Close() }
}

func TestTheWaitForTheLockEndsWithTheContext(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	hold(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var waiting sync.WaitGroup
	for range 3 { // of which two wait for the third
		waiting.Go(func() {
			_, err := l.Claim(ctx, []ledger.Claim{minute(backup, 1)})
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, filepath.Dir(l.Path()))
		})
	}
	waiting.Wait()
	_, err := os.Stat(l.Path())
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing was written")
}

func TestTheWaitForAProcessThatHangsIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir)
		hold(t, l)
		begin := time.Now()
		err := l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired))
		require.ErrorContains(t, err, "another process has held the lock for 30s")
		require.ErrorContains(t, err, dir)
		assert.Equal(t, 30*time.Second, time.Since(begin))
	})
}

package ledger_test

import (
	"context"
	"encoding/json"
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
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// What the tests of all ledgers have, by shorter names.
var (
	backup, sweep, started = ledgertest.Backup, ledgertest.Sweep, ledgertest.Started

	load   = ledgertest.Load
	minute = ledgertest.Minute
	wins   = ledgertest.Wins
	ended  = ledgertest.Ended
)

func TestFileIsALedger(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(t testing.TB) func() ledger.Ledger {
		dir := t.TempDir()
		return func() ledger.Ledger { return open(t, dir) }
	})
}

func open(t testing.TB, dir string) *ledger.File {
	t.Helper()
	f, err := ledger.OpenFile(t.Context(), dir)
	require.NoError(t, err)
	return f
}

// minute is the occurrence n minutes after the start, to claim.
// wins are the IDs that a claim won.
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

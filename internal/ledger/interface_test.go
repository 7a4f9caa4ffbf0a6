package ledger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// app is the scope that backup and sweep are in, and the key of its bare fires.
var app = ledger.Key{Project: backup.Project, Environment: backup.Environment, App: backup.App}

func TestHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	history := func(scope ledger.Key, n int) (told []string) {
		t.Helper()
		runs, err := l.History(t.Context(), scope, n)
		require.NoError(t, err)
		for _, run := range runs {
			told = append(told, run.ID+" "+string(run.Outcome))
		}
		return told
	}
	assert.Empty(t, history(ledger.Key{}, 10), "no file")
	other := sweep
	other.App = "another"
	wins(t, l, minute(backup, 1), minute(sweep, 1), minute(backup, 2))
	require.NoError(t, l.Record(t.Context(),
		ended(minute(backup, 1), ledger.Deferred),
		ended(minute(sweep, 1), ledger.Fired),
		ended(minute(other, 7), ledger.Skipped),
		ended(minute(backup, 2), ledger.Fired),
		ledger.Run{ID: "bare", Key: app, Outcome: ledger.Fired},
		ended(minute(backup, 1), ledger.Failed),
	))
	file, err := os.OpenFile(l.Path(), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("nonsense\n{\"event\":\"run\",\"id\":\"torn\"")
	require.NoError(t, err)
	require.NoError(t, file.Close())

	assert.Equal(t, []string{"backup-1 failed", "sweep-1 fired", "sweep-7 skipped", "backup-2 fired", "bare fired"}, history(ledger.Key{}, 10))
	assert.Equal(t, []string{"backup-1 failed", "sweep-1 fired", "backup-2 fired", "bare fired"}, history(app, 10))
	assert.Equal(t, []string{"sweep-1 fired", "backup-2 fired", "bare fired"}, history(app, 1), "the newest of each")
	assert.Equal(t, []string{"backup-1 failed", "backup-2 fired"}, history(backup, 2))
	assert.Equal(t, []string{"backup-2 fired"}, history(backup, 1), "what an older run became does not make it the newest")
	assert.Empty(t, history(ledger.Key{Project: "another"}, 10))
	assert.Empty(t, history(backup, 0))
	assert.Empty(t, history(backup, -1))

	var many []ledger.Run
	for n := range 300 {
		many = append(many, ended(minute(sweep, 10+n), ledger.Fired))
	}
	require.NoError(t, l.Record(t.Context(), many...))
	assert.Len(t, history(sweep, 250), 250, "more than compaction keeps, as long as it is there")
	assert.Equal(t, []string{"sweep-309 fired"}, history(sweep, 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.History(ctx, backup, 1)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	long := strings.Repeat("\x01", 5<<20)
	run := ended(minute(backup, 1), ledger.Failed)
	run.Output, run.Error, run.Reason = long+"the end", "the beginning"+long, "because"+long
	require.NoError(t, l.Record(t.Context(), run))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{backup}, ledger.Pause{Until: started, Reason: "because" + long}))
	for _, l := range []*ledger.File{l, open(t, filepath.Dir(l.Path()))} {
		runs, err := l.History(t.Context(), backup, 1)
		require.NoError(t, err)
		require.Len(t, runs, 1)
		assert.Len(t, runs[0].Output, 4096)
		assert.True(t, strings.HasSuffix(runs[0].Output, "the end"))
		assert.True(t, strings.HasPrefix(runs[0].Error, "the beginning"))
		assert.True(t, strings.HasPrefix(runs[0].Reason, "because"))
		assert.NotNil(t, load(t, l, backup).Pause)
		assert.Zero(t, l.Damaged())
	}

	// What cannot be cut is refused rather than written so that nobody can read it.
	run.Activities = []ledger.Activity{{ID: long}}
	require.ErrorContains(t, l.Record(t.Context(), run), "longer than the ledger can read")
	run.Activities, run.Started = nil, new(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
	require.ErrorContains(t, l.Record(t.Context(), run), "year outside of range")
	assert.Zero(t, load(t, open(t, filepath.Dir(l.Path())), backup).Open)
}

// Of records that come at the same time, one that fails by itself and one whose
// caller gives up take no other along.
func TestRecordsThatComeTogether(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	release := hold(t, l)
	const many = 1000
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	given := 0
	for n := range many {
		all.Go(func() {
			run := ended(minute(backup, n), ledger.Fired)
			switch n % 100 {
			case 1:
				assert.ErrorIs(t, l.Record(ctx, run), context.Canceled)
			case 2:
				run.ID = ""
				assert.Error(t, l.Record(t.Context(), run))
			default:
				assert.NoError(t, l.Record(t.Context(), run))
			}
		})
		if n%100 != 1 && n%100 != 2 {
			given++
		}
	}
	// All have come when the queue holds all but those that were refused at once.
	require.Eventually(t, func() bool { return l.Queued() == many-many/100 }, 10*time.Second, time.Millisecond)
	cancel()
	require.Eventually(t, func() bool { return l.Queued() == given }, 10*time.Second, time.Millisecond)
	release()
	all.Wait()
	runs, err := open(t, dir).History(t.Context(), backup, many)
	require.NoError(t, err)
	assert.Len(t, runs, given)
	seen := map[string]bool{}
	for _, run := range runs {
		seen[run.ID] = true
	}
	for n := range many {
		assert.Equal(t, n%100 != 1 && n%100 != 2, seen[fmt.Sprintf("backup-%d", n)], n)
	}
}

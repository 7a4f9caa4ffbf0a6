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

func TestAClaimIsPlannedFromAWatermark(t *testing.T) {
	t.Parallel()
	from := func(claim ledger.Claim, n int) ledger.Claim {
		claim.From = minute(claim.Key, n).Due
		return claim
	}
	cases := map[string]struct {
		claims []ledger.Claim
		want   []string
	}{
		"the watermark is still there":           {[]ledger.Claim{from(minute(backup, 6), 5)}, []string{"backup-6"}},
		"somebody has moved it":                  {[]ledger.Claim{from(minute(backup, 6), 4)}, []string{}},
		"it is behind what was planned from":     {[]ledger.Claim{from(minute(backup, 9), 8)}, []string{}},
		"an earlier claim of the call moved it":  {[]ledger.Claim{from(minute(backup, 6), 5), from(minute(backup, 7), 5)}, []string{"backup-6", "backup-7"}},
		"not backwards in one call":              {[]ledger.Claim{from(minute(backup, 7), 5), from(minute(backup, 6), 5)}, []string{"backup-7"}},
		"from what the call itself has moved to": {[]ledger.Claim{from(minute(backup, 6), 5), from(minute(backup, 7), 6)}, []string{"backup-6"}},
		"from nowhere it is the due that counts": {[]ledger.Claim{minute(backup, 6), minute(backup, 5)}, []string{"backup-6"}},
		"a cron that is not known":               {[]ledger.Claim{from(minute(sweep, 6), 5)}, []string{}},
		"each cron has its own":                  {[]ledger.Claim{from(minute(backup, 6), 5), minute(sweep, 1), from(minute(sweep, 2), 1)}, []string{"backup-6", "sweep-1"}},
		"what was handed back needs none":        {[]ledger.Claim{from(minute(backup, 3), 1), from(minute(backup, 6), 5)}, []string{"backup-3", "backup-6"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, t.TempDir())
			wins(t, l, minute(backup, 3), minute(backup, 5))
			require.NoError(t, l.Record(t.Context(), ended(minute(backup, 3), ledger.Deferred)))
			assert.Equal(t, c.want, wins(t, l, c.claims...))
		})
	}
}

func TestPendingUntilARecordSaysOtherwise(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	pending := func(claim ledger.Claim, outcome ledger.Outcome) ledger.Run {
		run := ended(claim, outcome)
		run.Pending = true
		return run
	}
	wins(t, l, minute(backup, 1), minute(backup, 2))
	bare := ledger.Run{ID: "bare", Key: app, Outcome: ledger.Fired, Started: new(started), Pending: true}
	earlier := ledger.Run{ID: "earlier", Key: app, Outcome: ledger.Fired, Started: new(started.Add(-time.Hour)), Pending: true}
	require.NoError(t, l.Record(t.Context(), pending(minute(backup, 2), ledger.Uncertain), pending(minute(backup, 1), ledger.Fired), bare, earlier))
	for _, l := range []*ledger.File{l, open(t, dir)} {
		state := load(t, l, backup)
		require.Len(t, state.Pending, 2)
		assert.Equal(t, "backup-1", state.Pending[0].ID, "by due")
		assert.Equal(t, ledger.Uncertain, state.Pending[1].Outcome)
		assert.Equal(t, minute(backup, 2).Due, *state.Pending[1].Due)
		assert.Empty(t, state.Open)
		assert.Equal(t, "backup-1", state.Last.ID)
		state = load(t, l, app)
		require.Len(t, state.Pending, 2)
		assert.Equal(t, "earlier", state.Pending[0].ID, "by start, without a due")
	}

	still := pending(minute(backup, 1), ledger.Fired)
	still.Reason = "the platform is still at it"
	require.NoError(t, l.Record(t.Context(), still, ended(minute(backup, 2), ledger.Succeeded)))
	for _, l := range []*ledger.File{l, open(t, dir)} {
		state := load(t, l, backup)
		require.Len(t, state.Pending, 1)
		assert.Equal(t, "the platform is still at it", state.Pending[0].Reason, "the newest record")
		assert.Equal(t, "backup-1", state.Last.ID, "the end of an older run does not make it the newest")
	}
}

func TestLastHasNoOutput(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	run := ended(minute(backup, 1), ledger.Failed)
	run.Output, run.Error, run.ExitCode = "a page\n", "exit code 3", new(3)
	require.NoError(t, l.Record(t.Context(), run))
	last := load(t, l, backup).Last
	require.NotNil(t, last)
	assert.Empty(t, last.Output)
	assert.Equal(t, "exit code 3", last.Error)
	assert.Equal(t, 3, *last.ExitCode)
	assert.Equal(t, backup, last.Key)
	runs, err := l.History(t.Context(), backup, 1)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	assert.Equal(t, "a page\n", runs[0].Output)
}

func TestPauses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	until := func(minutes int) time.Time {
		return time.Now().Add(time.Duration(minutes) * time.Minute).UTC().Round(0)
	}
	pause := func(p ledger.Pause, keys ...ledger.Key) {
		t.Helper()
		require.NoError(t, l.Pause(t.Context(), keys, p))
	}
	// what counts, by its reason; empty: none
	counts := func(key ledger.Key, want string) {
		t.Helper()
		for _, l := range []*ledger.File{l, open(t, dir)} {
			p := load(t, l, key).Pause
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
	counts(backup, "a release")
	counts(app, "a release")
	assert.True(t, load(t, l, backup).Pause.Until.Equal(general.Until))
	assert.Zero(t, load(t, l, backup).Watermark, "a pause makes no cron known")
	other := backup
	other.App = "another"
	counts(other, "")

	pause(ledger.Pause{Until: until(20), Reason: "its own"}, backup, sweep)
	counts(backup, "a release")
	pause(ledger.Pause{Until: until(60), Reason: "its own, longer"}, backup)
	counts(backup, "its own, longer")
	counts(sweep, "a release")
	pause(ledger.Pause{}, backup)
	counts(backup, "a release")
	pause(ledger.Pause{Until: until(60), Reason: "its own, longer"}, backup)
	pause(ledger.Pause{}, app)
	counts(backup, "its own, longer")
	counts(sweep, "its own")
	counts(app, "")
	pause(ledger.Pause{Until: until(-5), Reason: "over"}, sweep)
	counts(sweep, "over")
	pause(ledger.Pause{}, backup, sweep)
	counts(backup, "")
	counts(sweep, "")
	require.NoError(t, l.Pause(t.Context(), nil, general), "of nothing")
}

func TestUnsettled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	other := backup
	other.App = "another"
	is := func(want ...ledger.Key) {
		t.Helper()
		for _, l := range []*ledger.File{l, open(t, dir)} {
			keys, err := l.Unsettled(t.Context(), app)
			require.NoError(t, err)
			assert.Equal(t, want, keys)
		}
	}
	pending := ledger.Run{ID: "bare", Key: app, Outcome: ledger.Fired, Pending: true}
	is()
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))
	is()
	wins(t, l, minute(sweep, 1), minute(other, 1))
	is(sweep)
	wins(t, l, minute(backup, 1))
	require.NoError(t, l.Record(t.Context(), pending))
	is(app, backup, sweep)
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Deferred), ended(minute(sweep, 1), ledger.Skipped)))
	is(app, backup)
	wins(t, l, minute(backup, 1))
	is(app, backup)
	pending.Pending = false
	require.NoError(t, l.Record(t.Context(), pending, ended(minute(backup, 1), ledger.Fired)))
	is()
	_, err := l.Unsettled(t.Context(), backup)
	assert.ErrorContains(t, err, `"backup"`)
}

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

package ledger_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/ledger"
)

func read(t testing.TB, dir string) *ledger.Reader {
	t.Helper()
	r, err := ledger.ReadFile(dir)
	require.NoError(t, err)
	t.Cleanup(func() { r.Close() })
	return r
}

func TestReadingMakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	r := read(t, dir)
	assert.Nil(t, r.Written())
	assert.Empty(t, r.Keys(ledger.Key{}))
	runs, err := r.History(ledger.Key{}, 10)
	require.NoError(t, err)
	assert.Empty(t, runs)
	assert.Equal(t, []ledger.State{{}}, r.Load([]ledger.Key{backup}))
	assert.NoDirExists(t, dir)
}

func TestAReaderSeesWhatTheLedgerHolds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))
	wins(t, l, minute(backup, 1), minute(backup, 2), minute(sweep, 1))
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Deferred)))
	pending := ended(minute(backup, 2), ledger.Fired)
	pending.Pending = true
	require.NoError(t, l.Record(t.Context(), pending))
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Failed)))

	// While somebody writes.
	lock, err := os.OpenFile(filepath.Join(dir, "ledger.lock"), os.O_RDWR, 0)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	r := read(t, dir)
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_UN))

	keys := []ledger.Key{backup, sweep}
	want, err := l.Load(t.Context(), keys)
	require.NoError(t, err)
	assert.Equal(t, want, r.Load(keys))
	assert.Equal(t, keys, r.Keys(app))
	assert.Equal(t, keys, r.Keys(ledger.Key{}))
	assert.Equal(t, []ledger.Key{sweep}, r.Keys(sweep))
	assert.Empty(t, r.Keys(ledger.Key{Project: "another"}))
	for _, n := range []int{0, 1, 10} {
		want, err := l.History(t.Context(), app, n)
		require.NoError(t, err)
		got, err := r.History(app, n)
		require.NoError(t, err)
		assert.Equal(t, want, got, "the newest %d", n)
	}

	// It goes on showing that moment, whatever becomes of the file.
	require.NoError(t, os.Rename(l.Path(), l.Path()+".old"))
	require.NoError(t, os.WriteFile(l.Path(), nil, 0o600))
	runs, err := r.History(backup, 10)
	require.NoError(t, err)
	assert.Len(t, runs, 2)
}

func TestAReaderTellsWhosePauseItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{backup, sweep}, ledger.Pause{Until: until, Reason: "own"}))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{app}, ledger.Pause{Until: until.Add(time.Hour), Reason: "general"}))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{sweep}, ledger.Pause{}))
	r := read(t, dir)
	require.NotNil(t, r.OwnPause(backup))
	assert.Equal(t, "own", r.OwnPause(backup).Reason)
	assert.Nil(t, r.OwnPause(sweep), "it was ended")
	require.NotNil(t, r.OwnPause(app))
	for _, state := range r.Load([]ledger.Key{backup, sweep}) {
		require.NotNil(t, state.Pause)
		assert.Equal(t, "general", state.Pause.Reason, "it ends later")
	}
}

func TestWhatAReaderCannotRead(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		added string
		want  int
	}{
		"a line of somebody else":             {"foreign\n", 1},
		"a line that is just being written":   {`{"event":"run","id":"ba`, 0},
		"both":                                {"foreign\n{\"event\":", 1},
		"a whole line without its end counts": {`{"event":"begin","cron":"x","at":"2026-01-01T00:00:00Z"}`, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, open(t, dir).Begin(t.Context(), []ledger.Key{backup}, started))
			path := filepath.Join(dir, "ledger.jsonl")
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			require.NoError(t, err)
			_, err = file.WriteString(c.added)
			require.NoError(t, err)
			require.NoError(t, file.Close())
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			r := read(t, dir)
			assert.Equal(t, c.want, r.Damaged())
			assert.Contains(t, r.Keys(ledger.Key{}), backup)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, before, after, "it mends nothing")
		})
	}
	t.Run("something else than a file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, unix.Mkfifo(filepath.Join(dir, "ledger.jsonl"), 0o600))
		_, err := ledger.ReadFile(dir)
		assert.ErrorContains(t, err, "it is not a regular file")
	})
}

package ledger_test

import (
	"bytes"
	"context"
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

func TestAFileThatChangesUnderAnOpenLedger(t *testing.T) {
	t.Parallel()
	// Another history of the same cron, longer than the one that is open.
	other := func(t *testing.T) []byte {
		l := open(t, t.TempDir())
		for n := 10; n < 20; n++ {
			wins(t, l, minute(backup, n))
		}
		text, err := os.ReadFile(l.Path())
		require.NoError(t, err)
		return text
	}
	cases := map[string]struct {
		change func(t *testing.T, path string)
		want   int // the watermark's minute
		note   string
	}{
		"deleted":        {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, 2, "had been deleted and was written anew"},
		"cut to nothing": {func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, 2, "3 lines were added to it"},
		"cut and deleted": {func(t *testing.T, path string) {
			require.NoError(t, os.Truncate(path, 10))
			require.NoError(t, os.Remove(path))
		}, 2, "had been deleted and was written anew"},
		"replaced by an empty one": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}, 2, "3 lines were added to it"},
		"replaced by rename": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".other", other(t), 0o600))
			require.NoError(t, os.Rename(path+".other", path))
		}, 19, "2 lines were added to it"},
		"deleted and made anew": {func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, other(t), 0o600))
		}, 19, "2 lines were added to it"},
		"replaced by a copy of itself": {func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, text, 0o600))
		}, 2, "0 lines were added to it"},
		"a longer backup copied over it": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, other(t), 0o600))
		}, 19, "2 lines were added to it"},
		"a backup that had been compacted": {func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), text[:bytes.IndexByte(text, '\n')+1], 0o600))
			require.NoError(t, os.Rename(always(t, dir).Path(), path))
		}, 2, "2 lines were added to it"},
		"a backup of the same length copied over it": {func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			changed := bytes.ReplaceAll(text, []byte("2027-03-01T00:02:00Z"), []byte("2027-03-01T00:07:00Z"))
			require.NotEqual(t, text, changed)
			require.NoError(t, os.WriteFile(path, changed, 0o600))
		}, 7, "0 lines were added to it"},
		"an older backup of itself": {func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, text[:bytes.IndexByte(text, '\n')+1], 0o600))
		}, 2, "2 lines were added to it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, t.TempDir())
			require.Len(t, wins(t, l, minute(backup, 1)), 1)
			require.Len(t, wins(t, l, minute(backup, 2)), 1)
			c.change(t, l.Path())
			state := load(t, l, backup)
			assert.True(t, state.Watermark.Equal(minute(backup, c.want).Due), state.Watermark)
			ids := []string{}
			for _, claim := range state.Open {
				ids = append(ids, claim.ID)
			}
			assert.Subset(t, ids, []string{"backup-1", "backup-2"}, "claims that were acknowledged")
			assert.Zero(t, l.Damaged())
			assert.Len(t, l.Noted(), 1)
			notes := l.Notes()
			require.Len(t, notes, 1)
			assert.Contains(t, notes[0], c.note)
			assert.Empty(t, l.Notes(), "told once")
			assert.Empty(t, l.Noted())
			assert.Equal(t, state, load(t, open(t, filepath.Dir(l.Path())), backup), "every process knows it from now on")
			assert.Empty(t, wins(t, open(t, filepath.Dir(l.Path())), minute(backup, 2)))
			require.Equal(t, []string{"backup-30"}, wins(t, l, minute(backup, 30)))
			assert.True(t, load(t, open(t, filepath.Dir(l.Path())), backup).Watermark.Equal(minute(backup, 30).Due))
			assert.Empty(t, l.Notes(), "nothing more happened")
		})
	}
}

// What another process wrote before the file was deleted is known to who has it
// open, though it has never looked.
func TestDeletedWithWhatOthersHadWritten(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, path string){
		"deleted": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"renamed over": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".other", []byte(`{"event":"begin","project":"p","environment":"e","app":"a","cron":"c","at":"2027-03-01T00:00:00Z"}`), 0o600))
			require.NoError(t, os.Rename(path+".other", path))
		},
		"its folder deleted, and made again": func(t *testing.T, path string) {
			dir := filepath.Dir(path)
			require.NoError(t, os.RemoveAll(dir))
			require.NoError(t, os.Mkdir(dir, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, other := open(t, dir), open(t, dir)
			wins(t, l, minute(backup, 1))
			require.Len(t, load(t, other, backup).Open, 1)
			wins(t, l, minute(backup, 2))
			require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired)))
			require.NoError(t, l.Close())
			change(t, l.Path())
			assert.Empty(t, wins(t, other, minute(backup, 2)), "it is the first owner's")
			state := load(t, other, backup)
			assert.Len(t, state.Open, 1)
			require.NotNil(t, state.Last)
			assert.Equal(t, "backup-1", state.Last.ID)
		})
	}
}

func TestADeletedFileIsWrittenAnewWithItsHistory(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	bare := ledger.Key{Project: backup.Project, Environment: backup.Environment, App: backup.App}
	for n := 1; n <= 5; n++ {
		wins(t, l, minute(backup, n))
		run := ended(minute(backup, n), ledger.Succeeded)
		run.Output = "done\n"
		require.NoError(t, l.Record(t.Context(), run))
	}
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{bare}, ledger.Pause{Until: time.Now().Add(time.Hour), Reason: "a release"}))
	before, err := l.History(t.Context(), ledger.Key{}, 10)
	require.NoError(t, err)
	require.Len(t, before, 5)
	want := load(t, l, backup)
	require.NoError(t, os.Chmod(l.Path(), 0o640))
	load(t, l, backup)
	require.NoError(t, os.Remove(l.Path()))

	after, err := l.History(t.Context(), ledger.Key{}, 10)
	require.NoError(t, err)
	assert.Equal(t, before, after)
	assert.Equal(t, want, load(t, l, backup))
	assert.Equal(t, want, load(t, open(t, filepath.Dir(l.Path())), backup))
	assert.Zero(t, l.Damaged())
}

func TestAVanishedFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	l := open(t, dir)
	require.Len(t, wins(t, l, minute(backup, 1)), 1)
	require.NoError(t, os.RemoveAll(dir))

	want := "the state directory " + dir + " has vanished, and nothing can be claimed or recorded before it is back: no such file or directory"
	won, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 2)})
	require.EqualError(t, err, want)
	assert.Empty(t, won)
	require.EqualError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired)), want)
	assert.NoDirExists(t, dir, "who deleted it may have had a reason")

	require.NoError(t, os.Mkdir(dir, 0o700))
	assert.Empty(t, wins(t, l, minute(backup, 1)), "claimed before")
	assert.Equal(t, []string{"backup-2"}, wins(t, l, minute(backup, 2)), "what failed was no claim")
	assert.Len(t, load(t, open(t, dir), backup).Open, 2)
	require.Len(t, l.Notes(), 1)
}

// A folder that came back from a backup holds a ledger that is older than what is
// known: what it would hand out again was done since.
func TestAnOlderLedgerHandsNothingOutTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	wins(t, l, minute(backup, 1), minute(backup, 2), minute(backup, 3), minute(backup, 4))
	back := func(n int) ledger.Run {
		run := ended(minute(backup, n), ledger.Deferred)
		run.NextTry = new(started)
		return run
	}
	require.NoError(t, l.Record(t.Context(), back(1), back(2), back(3), back(4)))
	older, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	// 1 is done, 2 claimed again, 3 still handed back, 4 done and the newest.
	require.Len(t, wins(t, l, minute(backup, 1), minute(backup, 2), minute(backup, 4)), 3)
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired), ended(minute(backup, 4), ledger.Fired)))
	require.NoError(t, os.WriteFile(l.Path(), older, 0o600))

	for _, l := range []*ledger.File{l, open(t, dir)} {
		state := load(t, l, backup)
		require.Len(t, state.HandedBack, 1)
		assert.Equal(t, "backup-3", state.HandedBack[0].ID)
		require.Len(t, state.Open, 1)
		assert.Equal(t, "backup-2", state.Open[0].ID)
	}
	assert.Equal(t, []string{"backup-3"}, wins(t, l, minute(backup, 1), minute(backup, 2), minute(backup, 3), minute(backup, 4)))
	runs, err := l.History(t.Context(), backup, 10)
	require.NoError(t, err)
	outcomes := map[string]ledger.Outcome{}
	for _, run := range runs {
		outcomes[run.ID] = run.Outcome
		if run.ID == "backup-1" {
			assert.Contains(t, run.Reason, "replaced by another one")
		}
	}
	assert.Equal(t, map[string]ledger.Outcome{
		"backup-1": ledger.Uncertain, "backup-2": ledger.Deferred, "backup-3": ledger.Deferred, "backup-4": ledger.Fired,
	}, outcomes)
}

func TestAnOlderLedgerKeepsPausesAndWhatIsPending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{sweep}, ledger.Pause{Until: time.Now().Add(time.Hour)}))
	older, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{backup}, ledger.Pause{Until: time.Now().Add(time.Hour)}))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{sweep}, ledger.Pause{}))
	run := ended(minute(backup, 1), ledger.Fired)
	run.Pending = true
	require.NoError(t, l.Record(t.Context(), run))
	require.NoError(t, os.WriteFile(l.Path(), older, 0o600))

	for _, l := range []*ledger.File{l, open(t, dir)} {
		state := load(t, l, backup)
		assert.NotNil(t, state.Pause)
		assert.Len(t, state.Pending, 1)
		assert.Nil(t, load(t, l, sweep).Pause, "it was ended since")
	}
}

// A write that reaches a file which is being deleted is not lost with it.
// Nobody is told twice because an older file took the ledger's place.
func TestAnOlderLedgerKeepsWhatPeopleWereTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	wins(t, l, minute(backup, 1))
	old, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	_, err = l.Tell(t.Context(), backup, ledger.Told{Event: "failure", Streak: "failure", Run: "backup-1"})
	require.NoError(t, err)
	want := load(t, l, backup).Told
	require.NoError(t, os.WriteFile(l.Path()+".old", old, 0o600))
	require.NoError(t, os.Rename(l.Path()+".old", l.Path()))
	assert.Equal(t, want, load(t, l, backup).Told)
	assert.Equal(t, want, load(t, open(t, dir), backup).Told)
	require.NoError(t, os.Remove(l.Path()))
	assert.Equal(t, want, load(t, l, backup).Told)
	assert.Equal(t, want, load(t, open(t, dir), backup).Told)
}

func TestDeletedAgainAndAgainWhileManyWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	stop := make(chan struct{})
	deleted := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				deleted <- n
				return
			default:
				if os.Remove(l.Path()) == nil {
					n++
				}
			}
		}
	}()
	acknowledged := map[string]bool{}
	for n := range 60 {
		won, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, n), minute(sweep, n)})
		if err != nil {
			// Deleted between looking and writing: not acknowledged, and not acted on.
			require.True(t, strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "file exists"), err)
			continue
		}
		for _, claim := range won {
			require.False(t, acknowledged[claim.ID])
			acknowledged[claim.ID] = true
		}
	}
	close(stop)
	require.Positive(t, <-deleted)
	open := map[string]bool{}
	for _, key := range []ledger.Key{backup, sweep} {
		for _, claim := range load(t, l, key).Open {
			open[claim.ID] = true
		}
	}
	for id := range acknowledged {
		assert.True(t, open[id], id)
	}
	assert.NotEmpty(t, acknowledged)
}

// Who deletes the lock's file lets two in at once; only one of them is told that
// it has won.
func TestTheLocksFileIsDeletedAgainAndAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	var stop, all sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	stop.Go(func() {
		for ctx.Err() == nil {
			os.Remove(filepath.Join(dir, "ledger.lock"))
		}
	})
	var mu sync.Mutex
	acknowledged := map[string]int{}
	refused := 0
	for range 4 {
		l, err := ledger.OpenFileWith(t.Context(), dir, 1000, 2)
		require.NoError(t, err)
		all.Go(func() {
			for n := range 100 {
				won, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, n), minute(sweep, n)})
				mu.Lock()
				if err != nil {
					assert.ErrorContains(t, err, "ledger")
					refused++
				}
				for _, claim := range won {
					acknowledged[claim.ID]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	cancel()
	stop.Wait()
	assert.Positive(t, refused, "nobody was ever let in beside another: this showed nothing")
	l := open(t, dir)
	last := map[string]bool{}
	for _, key := range []ledger.Key{backup, sweep} {
		for _, claim := range load(t, l, key).Open {
			last[claim.ID] = true
		}
	}
	for id, n := range acknowledged {
		assert.Equal(t, 1, n, id)
		assert.True(t, last[id], id)
	}
}

func TestAClockBeforeTheNewestClaim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	wins(t, l, minute(backup, 1))
	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	at := load(t, l, backup).Open[0].At
	require.Empty(t, l.Notes())
	late := bytes.ReplaceAll(text, []byte(at.Format(time.RFC3339Nano)), []byte(at.AddDate(1, 0, 0).Format(time.RFC3339Nano)))
	require.NotEqual(t, text, late)
	require.NoError(t, os.WriteFile(l.Path(), late, 0o600))

	l = open(t, dir)
	assert.Empty(t, wins(t, l, minute(backup, 1)), "claimed by a clock of the future all the same")
	assert.Len(t, wins(t, l, minute(backup, 2)), 1)
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 2), ledger.Fired)))
	notes := l.Notes()
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "the newest claim in the ledger was made at "+at.AddDate(1, 0, 0).Format(time.RFC3339))
	wins(t, l, minute(backup, 3))
	assert.Empty(t, l.Notes(), "told once")
	assert.False(t, load(t, l, backup).Open[0].Overdue(time.Now()), "not taken for a dead agent's by a clock that went back")
}

func TestADeletedFileThatCannotBeWrittenAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.Len(t, wins(t, l, minute(backup, 1)), 1)
	require.NoError(t, os.Remove(l.Path()))
	require.NoError(t, os.Mkdir(l.Path()+".new", 0o700))
	won, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 2)})
	require.EqualError(t, err, "write the ledger "+l.Path()+": it was deleted, and could not be written anew: is a directory")
	assert.Empty(t, won)
	require.Error(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired)))
	assert.NoFileExists(t, l.Path(), "no half of it")

	require.NoError(t, os.Remove(l.Path()+".new"))
	assert.Equal(t, []string{"backup-2"}, wins(t, l, minute(backup, 1), minute(backup, 2)))
	assert.Len(t, load(t, open(t, dir), backup).Open, 2)
}

// What is known must not be forgotten because a full disk kept it from being
// written into the file that has taken the place of the ledger's.
func TestAReplacedFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.Len(t, wins(t, l, minute(backup, 1)), 1)
	require.NoError(t, os.Remove(l.Path()))
	require.NoError(t, os.WriteFile(l.Path(), nil, 0o600))
	readOnly(t, l.Path(), 0o400)
	for range 2 {
		err := unprivileged(func() error {
			_, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 1)})
			return err
		})
		require.EqualError(t, err, "write the ledger "+l.Path()+": permission denied")
	}
	require.NoError(t, os.Chmod(l.Path(), 0o600))
	assert.Empty(t, wins(t, l, minute(backup, 1)))
	assert.Len(t, load(t, open(t, dir), backup).Open, 1)
}

func TestANetworkFileSystemIsRefused(t *testing.T) {
	t.Parallel()
	for kind, want := range map[int64]string{0x6969: "nfs", 0xFF534D42: "smb", -0xACB2BE: "smb", 0x00C36400: "ceph", 0xEF53: "", 0x01021994: "", 0x794c7630: ""} {
		assert.Equal(t, want, ledger.NetworkFileSystem(kind), "%#x", kind)
	}
}

package ledger_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// always opens a ledger that is compacted whenever it can be.
func always(t testing.TB, dir string) *ledger.File {
	t.Helper()
	l, err := ledger.OpenFileWith(t.Context(), dir, 0, 0)
	require.NoError(t, err)
	return l
}

// lived is a ledger with all there is in one: more runs than are kept, open
// claims, runs handed back and pending that are older than those, and pauses.
func lived(t testing.TB, dir string) *ledger.File {
	t.Helper()
	l := open(t, dir)
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))
	wins(t, l, minute(backup, 1), minute(backup, 2), minute(backup, 3), minute(sweep, 1))
	waiting := ended(minute(backup, 2), ledger.Deferred)
	waiting.NextTry = new(started.Add(time.Hour))
	pending := ended(minute(backup, 3), ledger.Uncertain)
	pending.Pending, pending.Output = true, "what it said\n"
	require.NoError(t, l.Record(t.Context(), waiting, pending))
	for n := 10; n < 10+2*ledger.KeepRuns; n++ {
		wins(t, l, minute(backup, n))
		run := ended(minute(backup, n), ledger.Fired)
		run.Pending, run.Reason = true, "ä reason"
		require.NoError(t, l.Record(t.Context(), run))
		run.Outcome, run.Pending = ledger.Succeeded, false
		require.NoError(t, l.Record(t.Context(), run, ledger.Run{ID: fmt.Sprint("bare-", n), Key: app, Outcome: ledger.Fired}))
	}
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{app, sweep}, ledger.Pause{Until: time.Now().Add(time.Hour), Reason: "a release"}))
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{backup}, ledger.Pause{Until: time.Now().Add(-time.Hour)}))
	for range 3 {
		told := load(t, l, sweep).Told
		told.Event, told.Run, told.Left = "failure", "sweep-1", []string{"mail"}
		_, err := l.Tell(t.Context(), sweep, told)
		require.NoError(t, err)
	}
	return l
}

func states(t testing.TB, l *ledger.File) []ledger.State {
	t.Helper()
	states, err := l.Load(t.Context(), []ledger.Key{backup, sweep, app})
	require.NoError(t, err)
	return states
}

func TestCompactionKeepsWhatCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := lived(t, dir)
	require.NoError(t, os.Chmod(l.Path(), 0o640))
	want := states(t, l)
	history, err := l.History(t.Context(), ledger.Key{}, ledger.KeepRuns)
	require.NoError(t, err)
	before, err := os.Stat(l.Path())
	require.NoError(t, err)

	compacted := always(t, dir)
	after, err := os.Stat(l.Path())
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after), "nothing was compacted")
	assert.Less(t, after.Size(), before.Size()/2)
	assert.Equal(t, os.FileMode(0o640), after.Mode())
	assert.NoFileExists(t, l.Path()+".new")
	assert.Empty(t, compacted.Notes())

	for name, l := range map[string]*ledger.File{"who compacted": compacted, "who had it open": l, "who opens it": open(t, dir)} {
		got := states(t, l)
		assert.Equal(t, want, got, name)
		assert.Zero(t, l.Damaged(), name)
		assert.Empty(t, l.Notes(), "%s: a file of our own is no stranger's", name)
		same, err := l.History(t.Context(), ledger.Key{}, ledger.KeepRuns)
		require.NoError(t, err)
		assert.Equal(t, history, same, name)
		all, err := l.History(t.Context(), ledger.Key{}, 10*ledger.KeepRuns)
		require.NoError(t, err)
		require.Len(t, all, 2*ledger.KeepRuns+2, "%s: and two that are not settled, however old", name)
		assert.Equal(t, "backup-2", all[0].ID, name)
		assert.Equal(t, "what it said\n", all[1].Output, name)
		assert.Empty(t, wins(t, l, minute(backup, 9+2*ledger.KeepRuns)), "the watermark")
	}
	assert.Equal(t, []string{"backup-2"}, wins(t, l, minute(backup, 2)), "what was handed back")
}

func TestACompactedFileReadsLikeAHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lived(t, dir)
	l := always(t, dir)
	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	var events []string
	last := time.Time{}
	for line := range strings.Lines(string(text)) {
		var fields struct {
			Event, Cron string
			Due         time.Time
			Outcome     string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if len(events) == 0 || events[len(events)-1] != fields.Event {
			events = append(events, fields.Event)
		}
		if fields.Event == "run" && fields.Cron == "backup" {
			assert.True(t, fields.Due.After(last), line)
			last = fields.Due
		}
	}
	assert.Equal(t, []string{"compacted", "pause", "watermark", "pause", "told", "claim", "run"}, events)
	assert.Equal(t, 2, bytes.Count(text, []byte(`"event":"pause"`)), "without the one that is over")
	assert.Equal(t, 2, bytes.Count(text, []byte(`"event":"claim"`)), "without those that have a record")
	assert.Equal(t, 2*ledger.KeepRuns+2, bytes.Count(text, []byte(`"event":"run"`)))
}

func TestCompactionWaitsUntilItIsWorthIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	made := 0
	var inode os.FileInfo
	largest := int64(0)
	run := ended(minute(backup, 1), ledger.Succeeded)
	run.Output = strings.Repeat("x", 4000)
	for n := range 1200 {
		run.ID = fmt.Sprint(n)
		require.NoError(t, l.Record(t.Context(), run))
		info, err := os.Stat(l.Path())
		require.NoError(t, err)
		if inode != nil && !os.SameFile(inode, info) {
			made++
			assert.InDelta(t, 100*4400, info.Size(), 40_000)
		}
		inode, largest = info, max(largest, info.Size())
	}
	assert.InDelta(t, 4*100*4400, largest, 80_000, "four times what is kept")
	assert.Equal(t, 3, made)

	dir = t.TempDir()
	l = open(t, dir)
	var runs []ledger.Run
	for n := range 220 { // larger than 1 MiB, but all of it counts
		run.ID, run.Pending = fmt.Sprint(n), true
		runs = append(runs, run)
	}
	require.NoError(t, l.Record(t.Context(), runs[:200]...))
	before, err := os.Stat(l.Path())
	require.NoError(t, err)
	for _, run := range runs[200:] {
		require.NoError(t, l.Record(t.Context(), run))
	}
	after, err := os.Stat(l.Path())
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after))
}

func TestWhatCannotBeReadIsPutAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	aside := filepath.Join(dir, "ledger.damaged.jsonl")
	l := open(t, dir)
	wins(t, l, minute(backup, 1))
	add := func(text string) {
		t.Helper()
		file, err := os.OpenFile(l.Path(), os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	add("disk quota exceeded\n\n  \x00\xff\x80  \n{\"event\":\"run\",\"id\":\"to")
	require.Len(t, wins(t, l, minute(backup, 2)), 1)
	require.Equal(t, 3, l.Damaged())
	compacted := always(t, dir)
	assert.Zero(t, compacted.Damaged())
	require.Len(t, compacted.Notes(), 1)
	text, err := os.ReadFile(aside)
	require.NoError(t, err)
	assert.Equal(t, "disk quota exceeded\n\x00\xff\x80\n{\"event\":\"run\",\"id\":\"to\n", string(text))
	info, err := os.Stat(aside)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.Len(t, load(t, l, backup).Open, 2)

	add("one more\n" + strings.Repeat("x", ledger.MaxLine+5) + "\n")
	compacted = always(t, dir)
	notes := compacted.Notes()
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "2 lines of the ledger's file could not be read; 1 of them were moved to "+aside)
	for range 5 {
		add(strings.Repeat("nonsense\n", 30_000))
		compacted = always(t, dir)
	}
	info, err = os.Stat(aside)
	require.NoError(t, err)
	assert.InDelta(t, ledger.MaxDamaged, info.Size(), 20, "and no more")
	assert.LessOrEqual(t, info.Size(), int64(ledger.MaxDamaged))
	assert.Contains(t, compacted.Notes()[0], "30000 lines of the ledger's file could not be read; 0 of them")
	assert.Len(t, load(t, open(t, dir), backup).Open, 2)
}

func TestACompactionThatFailsFailsNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := ledger.OpenFileWith(t.Context(), dir, 0, 0)
	require.NoError(t, err)
	wins(t, l, minute(backup, 1))
	require.NoError(t, os.Mkdir(l.Path()+".new", 0o700))
	for n := 2; n < 30; n++ {
		require.Len(t, wins(t, l, minute(backup, n)), 1)
	}
	notes := l.Notes()
	require.NotEmpty(t, notes)
	assert.Contains(t, notes[0], "the ledger's file could not be compacted and goes on growing: ")
	assert.Contains(t, notes[0], "is a directory")
	assert.Len(t, load(t, open(t, dir), backup).Open, 29)

	// In a folder that became read-only.
	dir = t.TempDir()
	l, err = ledger.OpenFileWith(t.Context(), dir, 0, 0)
	require.NoError(t, err)
	wins(t, l, minute(backup, 1))
	readOnly(t, dir, 0o500)
	require.NoError(t, unprivileged(func() error {
		for n := 2; n < 30; n++ {
			if won, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, n)}); err != nil || len(won) != 1 {
				return fmt.Errorf("won %v, %w", won, err)
			}
		}
		return nil
	}))
	assert.Contains(t, l.Notes()[0], "permission denied")
}

func TestWhatAKilledCompactionLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := lived(t, dir)
	want := states(t, l)
	left := l.Path() + ".new"
	require.NoError(t, os.WriteFile(left, []byte(`{"event":"compacted","at":"2027`), 0o600))
	assert.Equal(t, want, states(t, open(t, dir)))
	assert.NoFileExists(t, left)
	// A link in its place is not followed.
	precious := filepath.Join(dir, "precious")
	require.NoError(t, os.WriteFile(precious, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(precious, left))
	open(t, dir)
	assert.NoFileExists(t, left)
	text, err := os.ReadFile(precious)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(text))
}

// A process that slept through compactions, and what came after them, takes the
// file for what it is.
func TestManyCompactionsBehindTheBackOfAnOpenLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sleeper := open(t, dir)
	wins(t, sleeper, minute(backup, 1), minute(backup, 2), minute(backup, 3))
	l := always(t, dir)
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired), ended(minute(backup, 2), ledger.Deferred)))
	for n := 10; n < 10+2*ledger.KeepRuns; n++ { // until nothing of the first run is left
		wins(t, l, minute(backup, n))
		require.NoError(t, l.Record(t.Context(), ended(minute(backup, n), ledger.Fired)))
		if n%20 == 0 {
			l = always(t, dir)
		}
	}
	assert.Equal(t, states(t, l), states(t, sleeper))
	assert.Len(t, load(t, sleeper, backup).Open, 1)
	assert.Empty(t, sleeper.Notes())
}

func TestAReaderThatFollowsByNameSeesEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	wins(t, l, minute(backup, 1))
	tail := exec.Command("tail", "-n", "+1", "-F", l.Path())
	pipe, err := tail.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, tail.Start())
	defer tail.Wait()
	defer tail.Process.Kill()
	lines := bufio.NewScanner(pipe)
	until := func(word string) {
		t.Helper()
		for lines.Scan() {
			var any map[string]any
			require.NoError(t, json.Unmarshal(lines.Bytes(), &any), "a whole line at a time: %s", lines.Text())
			if strings.Contains(lines.Text(), word) {
				return
			}
		}
		require.Fail(t, "the reader ended", word)
	}
	until("backup-1")
	wins(t, l, minute(backup, 2))
	until("backup-2")
	always(t, dir)
	until("compacted")
	wins(t, l, minute(backup, 3))
	until("backup-3")
}

func TestAnOldRunThatIsStillPendingKeepsItsPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	old := ended(minute(backup, 0), ledger.Fired)
	old.Pending = true
	require.NoError(t, l.Record(t.Context(), old))
	for n := 1; n <= ledger.KeepRuns+20; n++ {
		require.NoError(t, l.Record(t.Context(), ended(minute(backup, n), ledger.Succeeded)))
	}
	for range 3 {
		require.NoError(t, l.Record(t.Context(), old))
	}
	want := load(t, l, backup)
	require.Equal(t, "backup-120", want.Last.ID)
	compacted := always(t, dir)
	text, err := os.ReadFile(compacted.Path())
	require.NoError(t, err)
	assert.Equal(t, 1, bytes.Count(text, []byte(`"backup-0"`)))
	assert.Equal(t, want, load(t, compacted, backup))
	assert.Equal(t, want, load(t, open(t, dir), backup))
}

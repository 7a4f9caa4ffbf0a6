package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/ledger"
)

// written is what a ledger holds after a begin, a claim and its record.
func written(t *testing.T) []byte {
	t.Helper()
	l := open(t, t.TempDir())
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup}, started))
	wins(t, l, minute(backup, 1))
	require.NoError(t, l.Record(t.Context(), ended(minute(backup, 1), ledger.Fired)))
	text, err := os.ReadFile(l.Path())
	require.NoError(t, err)
	return text
}

func TestATornLastLineSpoilsNothing(t *testing.T) {
	t.Parallel()
	text := written(t)
	var ends []int // of the lines' objects
	for i, b := range text {
		if b == '\n' {
			ends = append(ends, i)
		}
	}
	require.Len(t, ends, 3)
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.jsonl")
	for cut := range len(text) + 1 {
		require.NoError(t, os.WriteFile(path, text[:cut], 0o600))
		l := open(t, dir)
		whole, torn := 0, 0
		for _, end := range ends {
			if cut >= end {
				whole++
			}
		}
		if cut > 0 && cut < len(text) && text[cut-1] != '\n' && text[cut] != '\n' {
			torn = 1
		}
		state := load(t, l, backup)
		require.Equal(t, torn, l.Damaged(), "cut at %d", cut)
		switch whole {
		case 0:
			require.Zero(t, state, "cut at %d", cut)
		case 1:
			require.True(t, state.Watermark.Equal(started), "cut at %d", cut)
			require.Empty(t, state.Open, "cut at %d", cut)
		default:
			require.True(t, state.Watermark.Equal(minute(backup, 1).Due), "cut at %d", cut)
			require.Len(t, state.Open, 3-whole, "cut at %d", cut)
			require.Equal(t, whole == 3, state.Last != nil, "cut at %d", cut)
		}

		require.Equal(t, []string{"backup-2"}, wins(t, l, minute(backup, 2)), "cut at %d", cut)
		for _, l := range []*ledger.File{l, open(t, dir)} {
			require.True(t, load(t, l, backup).Watermark.Equal(minute(backup, 2).Due), "cut at %d", cut)
			require.Equal(t, torn, l.Damaged(), "cut at %d", cut)
		}
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(after, text[:cut]), "cut at %d: what stood there was changed", cut)
	}
}

func TestForeignBytesArePassedOver(t *testing.T) {
	t.Parallel()
	lines := bytes.SplitAfter(written(t), []byte("\n"))
	foreign := map[string]string{
		"binary":                   "\x00\xff\xfe\x80",
		"nulls, as after a crash":  strings.Repeat("\x00", 5000),
		"text":                     "disk quota exceeded",
		"half a line":              `{"event":"claim","project":"abcdefgh1234567","environ`,
		"two lines run together":   `{"event":"begin","project":"p"{"event":"begin","project":"p"}`,
		"JSON, but no object":      `[1,2,3]`,
		"an event of another kind": `{"event":"compact"}`,
		"no number as number":      `{"event":"begin","cron":"backup","at":"2999-01-01T00:00:00Z","count":1x}`,
		"no end of an object":      `{"event":"begin","cron":"backup","at":"2999-01-01T00:00:00Z","activities":[}`,
		"a name without a value":   `{"event":"begin","cron":"backup","at":"2999-01-01T00:00:00Z","count"}`,
		"a name that is none":      `{"event":"begin","cron":7,"at":"2999-01-01T00:00:00Z"}`,
		"a tab in a text":          "{\"event\":\"begin\",\"cron\":\"a\tb\",\"at\":\"2999-01-01T00:00:00Z\"}",
		"a pause without a time":   `{"event":"pause","cron":"backup","until":"2999-01-01T00:00:00Z"}`,
		"a pause until nonsense":   `{"event":"pause","cron":"backup","until":5,"at":"2027-03-01T00:00:00Z"}`,
		"a run handed back oddly":  `{"event":"run","id":"x","cron":"backup","outcome":"deferred","due":"2027-03-01T00:00:00Z","count":"one"}`,
		"a new file of nothing":    `{"event":"compacted","at":"2027-03-01T00:00:00Z","after":7}`,
		"a claim without ID":       `{"event":"claim","cron":"backup","due":"2999-01-01T00:00:00Z"}`,
		"a time that is none":      `{"event":"begin","cron":"backup","at":"tomorrow"}`,
		"a very long line":         `{"event":"` + strings.Repeat("x", 300<<10) + `"}`,
	}
	for name, line := range foreign {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text := bytes.Join([][]byte{[]byte(line + "\n\n\r\n"), lines[0], []byte(line + "\n"), lines[1], lines[2], []byte(line)}, nil)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), text, 0o600))
			l := open(t, dir)
			assert.Equal(t, 3, l.Damaged())
			state := load(t, l, backup)
			assert.True(t, state.Watermark.Equal(minute(backup, 1).Due), state.Watermark)
			assert.Empty(t, state.Open)
			require.NotNil(t, state.Last)
			require.Len(t, wins(t, l, minute(backup, 2)), 1)
			assert.True(t, load(t, open(t, dir), backup).Watermark.Equal(minute(backup, 2).Due))
		})
	}
}

// unprivileged calls do in a thread that file modes apply to, even for root. The
// thread ends with it.
func unprivileged(do func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			result <- err
			return
		}
		result <- do()
	}()
	return <-result
}

func readOnly(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.Chmod(path, mode))
	t.Cleanup(func() { os.Chmod(path, 0o700) })
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	t.Run("opening says so", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		readOnly(t, dir, 0o500)
		err := unprivileged(func() error { _, err := ledger.OpenFile(t.Context(), dir); return err })
		assert.EqualError(t, err, "lock the ledger in "+dir+": permission denied")
	})
	t.Run("it cannot be made", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		readOnly(t, dir, 0o500)
		err := unprivileged(func() error { _, err := ledger.OpenFile(t.Context(), filepath.Join(dir, "state")); return err })
		assert.EqualError(t, err, "state directory "+dir+"/state: permission denied")
	})
	t.Run("a file is in its place", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		_, err := ledger.OpenFile(t.Context(), path)
		assert.EqualError(t, err, "state directory "+path+": not a directory")
	})
	t.Run("a folder is in the file's place", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "ledger.jsonl")
		require.NoError(t, os.Mkdir(path, 0o700))
		_, err := ledger.OpenFile(t.Context(), dir)
		assert.EqualError(t, err, "read the ledger "+path+": it is not a regular file")
	})
	t.Run("a file that became read-only is not claimed in", func(t *testing.T) {
		t.Parallel()
		l := open(t, t.TempDir())
		wins(t, l, minute(backup, 1))
		readOnly(t, l.Path(), 0o400)
		err := unprivileged(func() error {
			_, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 2)})
			return err
		})
		assert.EqualError(t, err, "write the ledger "+l.Path()+": permission denied")
		require.NoError(t, os.Chmod(l.Path(), 0o600))
		assert.Len(t, wins(t, l, minute(backup, 2)), 1, "a claim that failed was none")
	})
	t.Run("a folder that became read-only still serves", func(t *testing.T) {
		t.Parallel()
		l := open(t, t.TempDir())
		wins(t, l, minute(backup, 1))
		readOnly(t, filepath.Dir(l.Path()), 0o500)
		require.NoError(t, unprivileged(func() error {
			_, err := l.Claim(t.Context(), []ledger.Claim{minute(backup, 2)})
			return err
		}))
	})
}

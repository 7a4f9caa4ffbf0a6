package ledger_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

func content(t *testing.T, o ledger.Outputs, id string) string {
	t.Helper()
	r, err := o.Open(id)
	require.NoError(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func TestOutputKeepsTheBeginningAndCountsTheRest(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("0123456789abcde\n", ledger.OutputLimit/16)
	cases := map[string]struct {
		written []string
		want    string
	}{
		"nothing":                      {nil, ""},
		"a little":                     {[]string{"one\n", "", "two"}, "one\ntwo"},
		"as much as there is room for": {[]string{full}, full},
		"a byte more":                  {[]string{full, "x"}, full + "cronagent: 1 bytes more were left out\n"},
		"much more, in one":            {[]string{full + full + full}, full + "cronagent: 131072 bytes more were left out\n"},
		"cut in a line":                {[]string{"x", full, full}, "x" + full[:len(full)-1] + "\ncronagent: 65537 bytes more were left out\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := ledger.Outputs{Dir: t.TempDir()}
			w, err := o.Create("run-1.a_B")
			require.NoError(t, err)
			for _, text := range c.written {
				n, err := w.Write([]byte(text))
				require.NoError(t, err)
				require.Equal(t, len(text), n)
			}
			require.NoError(t, w.Close())
			assert.Equal(t, c.want, content(t, o, "run-1.a_B"))
			info, err := os.Stat(filepath.Join(o.Dir, "output", "run-1.a_B.log"))
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode())
			assert.ErrorIs(t, w.Close(), fs.ErrClosed)
			_, err = w.Write([]byte("late"))
			assert.ErrorIs(t, err, fs.ErrClosed)

			// A second attempt of the same run begins anew; who still reads the first
			// goes on reading that.
			reader, err := o.Open("run-1.a_B")
			require.NoError(t, err)
			defer reader.Close()
			w, err = o.Create("run-1.a_B")
			require.NoError(t, err)
			_, err = w.Write([]byte("again"))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			assert.Equal(t, "again", content(t, o, "run-1.a_B"))
			text, err := io.ReadAll(reader)
			require.NoError(t, err)
			assert.Equal(t, c.want, string(text))
		})
	}
}

func TestOutputIDsLeadNowhereElse(t *testing.T) {
	t.Parallel()
	o := ledger.Outputs{Dir: t.TempDir()}
	for _, id := range []string{"", "../ledger", "a/b", "..", ".hidden", "a b", "a\x00b", "ä", strings.Repeat("x", 129)} {
		_, err := o.Create(id)
		assert.ErrorContains(t, err, "is not a run's ID", id)
		_, err = o.Open(id)
		assert.ErrorContains(t, err, "is not a run's ID", id)
	}
	_, err := o.Open("unknown")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.EqualError(t, err, "run unknown has no output, or it was removed to make room: file does not exist")

	// A link in an output's place is neither followed nor written through.
	precious := filepath.Join(o.Dir, "precious")
	require.NoError(t, os.WriteFile(precious, []byte("precious"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(o.Dir, "output"), 0o700))
	require.NoError(t, os.Symlink(precious, filepath.Join(o.Dir, "output", "link.log")))
	_, err = o.Open("link")
	assert.Error(t, err)
	w, err := o.Create("link")
	require.NoError(t, err)
	_, err = w.Write([]byte("mine"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	text, err := os.ReadFile(precious)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(text))
}

func TestOutputThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "output"), nil, 0o600))
	_, err := ledger.Outputs{Dir: dir}.Create("run")
	assert.EqualError(t, err, "folder for output "+dir+"/output: not a directory")
	dir = t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "output"), 0o700))
	readOnly(t, filepath.Join(dir, "output"), 0o500)
	err = unprivileged(func() error { _, err := ledger.Outputs{Dir: dir}.Create("run"); return err })
	assert.EqualError(t, err, "write the output "+dir+"/output/run.log: permission denied")
}

func TestOutputOfSeveralWritersAtOnce(t *testing.T) {
	t.Parallel()
	o := ledger.Outputs{Dir: t.TempDir()}
	w, err := o.Create("run")
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				fmt.Fprintln(w, "line")
			}
		})
	}
	all.Wait()
	require.NoError(t, w.Close())
	assert.Equal(t, strings.Repeat("line\n", 800), content(t, o, "run"))
}

func TestPruneKeepsTheNewestAndWhatIsBeingWritten(t *testing.T) {
	t.Parallel()
	o := ledger.Outputs{Dir: t.TempDir()}
	require.NoError(t, o.Prune(), "no folder yet")
	var writing []io.WriteCloser
	const size = 1 << 20
	total := ledger.OutputsKept/size + 10
	for n := range total {
		id := fmt.Sprint("run-", n)
		w, err := o.Create(id)
		require.NoError(t, err)
		path := filepath.Join(o.Dir, "output", id+".log")
		require.NoError(t, os.Truncate(path, size)) // larger than ours, to need fewer
		at := time.Now().Add(time.Duration(n-total) * time.Hour)
		require.NoError(t, os.Chtimes(path, at, at))
		if n < 2 {
			writing = append(writing, w)
		} else {
			require.NoError(t, w.Close())
		}
	}
	foreign := filepath.Join(o.Dir, "output", "README")
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { assert.NoError(t, o.Prune()) })
	}
	all.Wait()
	has := func(n int) bool {
		_, err := os.Stat(filepath.Join(o.Dir, "output", fmt.Sprintf("run-%d.log", n)))
		return err == nil
	}
	for n := range total {
		assert.Equal(t, n < 2 || n >= 10, has(n), n)
	}
	assert.FileExists(t, foreign)
	for _, w := range writing {
		require.NoError(t, w.Close())
	}
	require.NoError(t, o.Prune())
	assert.False(t, has(0) || has(1), "written to the end")
	assert.True(t, has(10))
}

// outputOnFullDisk writes more than the disk has room for.
func outputOnFullDisk(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: limit.Max}); err != nil {
		return err
	}
	w, err := ledger.Outputs{Dir: dir}.Create("run")
	if err != nil {
		return err
	}
	for range 30 {
		if n, err := w.Write(make([]byte, 100)); n != 100 || err != nil {
			return fmt.Errorf("a write failed: %d, %w", n, err)
		}
	}
	err = w.Close()
	want := "write the output " + dir + "/output/run.log, of which 2000 bytes were lost: file too large"
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("said %v", err)
	}
	return nil
}

func TestOutputOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output, err := child(t, "output", dir).CombinedOutput()
	require.NoError(t, err, "%s", output)
	assert.Len(t, content(t, ledger.Outputs{Dir: dir}, "run"), 1000)
}

package runner_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/runner"
)

// failing is a writer that takes so many bytes and then none.
type failing struct {
	takes int
	err   error
	bytes.Buffer
}

func (f *failing) Write(p []byte) (int, error) {
	if f.Len()+len(p) > f.takes {
		return 0, f.err
	}
	return f.Buffer.Write(p)
}

func TestOutputIsPassedOn(t *testing.T) {
	t.Parallel()
	const secret = "TOKEN-0123456789"
	stars := strings.Repeat("*", len(secret))
	t.Run("both streams in order", func(t *testing.T) {
		t.Parallel()
		var all bytes.Buffer
		r := run(t, runner.Command{Line: "echo one; echo two >&2; printf three", Output: &all})
		assert.Equal(t, "one\ntwo\nthree", all.String())
		assert.Equal(t, all.String(), r.Output)
		assert.NoError(t, r.Unwritten)
	})
	t.Run("or apart", func(t *testing.T) {
		t.Parallel()
		var out, errs bytes.Buffer
		r := run(t, runner.Command{Line: "echo one; sleep 0.2; echo two >&2; sleep 0.2; printf three", Output: &out, Errors: &errs})
		assert.Equal(t, "one\nthree", out.String())
		assert.Equal(t, "two\n", errs.String())
		assert.Equal(t, "one\ntwo\nthree", r.Output, "the end of both together")
	})
	t.Run("all of it, unlike the end that is kept", func(t *testing.T) {
		t.Parallel()
		var all bytes.Buffer
		r := run(t, runner.Command{Line: "seq 200000", Output: &all})
		assert.Equal(t, 200_000, bytes.Count(all.Bytes(), []byte("\n")))
		assert.True(t, strings.HasSuffix(all.String(), r.Output))
	})
	t.Run("byte for byte but for secrets", func(t *testing.T) {
		t.Parallel()
		var all bytes.Buffer
		run(t, runner.Command{Line: `printf 'a\377\0\033[31m` + secret + `\r'`, Secrets: []string{secret}, Output: &all})
		assert.Equal(t, "a\xff\x00\x1b[31m"+stars+"\r", all.String())
	})
	t.Run("secrets on each stream for itself, in pieces", func(t *testing.T) {
		t.Parallel()
		var out, errs bytes.Buffer
		r := run(t, runner.Command{
			Line:    `printf TOKEN-012; sleep 0.1; printf TOKEN-01 >&2; sleep 0.1; printf 3456789; sleep 0.1; printf 23456789 >&2`,
			Secrets: []string{secret}, Output: &out, Errors: &errs,
		})
		assert.Equal(t, stars, out.String())
		assert.Equal(t, stars, errs.String())
		assert.Equal(t, stars+stars, r.Output)
	})
	t.Run("the beginning of a secret that does not go on", func(t *testing.T) {
		t.Parallel()
		var all bytes.Buffer
		r := run(t, runner.Command{Line: `printf TOKEN-012`, Secrets: []string{secret}, Output: &all})
		assert.Equal(t, "TOKEN-012", all.String())
		assert.Equal(t, "TOKEN-012", r.Output)
	})
	t.Run("as it comes", func(t *testing.T) {
		t.Parallel()
		read, write := io.Pipe()
		done := make(chan runner.Result)
		dir := t.TempDir()
		go func() {
			defer write.Close()
			done <- runner.Run(t.Context(), runner.Command{Line: `echo ready; until test -e go; do sleep 0.01; done; echo gone`, Dir: dir, Env: path(), Output: write})
		}()
		line := make([]byte, 6)
		_, err := io.ReadFull(read, line)
		require.NoError(t, err)
		assert.Equal(t, "ready\n", string(line))
		require.NoError(t, os.WriteFile(dir+"/go", nil, 0o600))
		_, err = io.ReadFull(read, line[:5])
		require.NoError(t, err)
		assert.NoError(t, (<-done).Unwritten)
	})
}

func TestAWriterThatFailsStopsNothing(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	out := &failing{takes: 10, err: full}
	r := run(t, runner.Command{Line: `echo first; sleep 0.1; seq 100000; echo the end`, Output: out})
	assert.Zero(t, r.ExitCode)
	assert.ErrorIs(t, r.Unwritten, full)
	assert.Equal(t, "first\n", out.String())
	assert.True(t, strings.HasSuffix(r.Output, "100000\nthe end\n"), "the end is kept all the same")
}

// TestASlowWriterGetsEverything: what lies in the pipe when the command has ended
// is there for one who needs longer than the wait for more.
func TestASlowWriterGetsEverything(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var all bytes.Buffer
	slow := writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		time.Sleep(700 * time.Millisecond)
		return all.Write(p)
	})
	// Nearly what a pipe and a piece hold together: the command ends at once.
	r := run(t, runner.Command{Line: `head -c 90000 /dev/zero`, Output: slow})
	assert.Zero(t, r.ExitCode)
	assert.NoError(t, r.Unwritten)
	assert.Equal(t, 90_000, all.Len())
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAWriterThatDoesNotComeBackDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	called, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stuck := writerFunc(func(p []byte) (int, error) {
		once.Do(func() { close(called) })
		<-release
		return len(p), nil
	})
	done := make(chan runner.Result)
	go func() {
		done <- runner.Run(ctx, runner.Command{Line: `trap 'echo bye; exit' TERM; echo hello; while :; do sleep 0.01; done`, Env: path(), Grace: time.Minute, Output: stuck})
	}()
	<-called
	begin := time.Now()
	cancel()
	r := <-done
	assert.Less(t, time.Since(begin), quick)
	assert.True(t, r.Cancelled)
	assert.ErrorContains(t, r.Unwritten, "nobody took it")
	assert.Contains(t, r.Output, "bye", "the end is kept all the same")
	close(release)
}

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/runner"
)

// onWrite is a writer that tells of it.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestAStopEndsTheWaitForAnotherAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := proc{stderr: onWrite(cancel)}
	var run ledger.Run
	ended := p.attempts(ctx, runner.Command{Args: []string{"sh", "-c", "exit 9"}}, 100, &run)
	assert.Equal(t, 9, ended.ExitCode)
	assert.Equal(t, 1, run.Attempts)
	assert.Equal(t, ledger.Failed, run.Outcome)
	assert.Equal(t, "told to stop before it was tried again", run.Reason)
}

func TestPausesBetweenAttemptsGrow(t *testing.T) {
	t.Parallel()
	for attempts, ceiling := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 7: 5 * time.Minute, 100: 5 * time.Minute,
	} {
		longest := time.Duration(0)
		for range 1000 {
			longest = max(longest, execBackoff(attempts))
		}
		assert.Less(t, longest, ceiling)
		assert.Greater(t, longest, ceiling*9/10, "they are drawn from all of it")
	}
}

func TestALimitIsSecondsOrATime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"600": "10m", "90s": "1m30s", "1h30m": "1h30m", "24h": "24h", "86400": "24h", "0": "0s", "500ms": "500ms",
		"-1": "!", "86401": "!", "25h": "!", "": "!", "10 m": "!", "99999999999999999999": "!", "18446744073709551615": "!",
	} {
		var l limit
		if err := l.Set(text); want == "!" {
			assert.Error(t, err, text)
		} else {
			require.NoError(t, err, text)
			assert.Equal(t, want, l.String())
		}
	}
}

func TestTheDefaultNameTellsCommandsApart(t *testing.T) {
	t.Parallel()
	name := func(args ...string) string {
		_, words, err := splitCommand(args)
		require.NoError(t, err)
		return defaultName(args, words)
	}
	assert.Regexp(t, `^php-[0-9a-f]{8}$`, name("php", "bin/console", "a"))
	assert.Equal(t, name("php", "a"), name("php", "a"))
	seen := map[string][]string{}
	for _, args := range [][]string{{"php", "a"}, {"php", "b"}, {"php", "a", "b"}, {"php", "a b"}, {"php"}, {"/usr/bin/php"}, {"A=1", "php"}, {"php", ""}} {
		n := name(args...)
		assert.NotContains(t, seen, n, "%q", args)
		seen[n] = args
	}
	// Whatever they are called, the ledger and a file system take the name.
	for _, odd := range []string{"a\x1b[31m\xff", strings.Repeat("ä", 300), "/", "..", "x/"} {
		opts := execOptions{name: name(odd), timeout: time.Second, overlap: "skip", gate: gate{types: []string{"any"}}}
		assert.NoError(t, opts.check(), "%q", odd)
		lock, err := overlapLock(t.Context(), t.TempDir(), "app", opts.name, appconfig.OverlapSkip)
		require.NoError(t, err)
		require.NoError(t, lock.Close())
	}
}

func TestNamesOfLocksDoNotMeet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("/", 255)
	for _, cron := range []string{"a", "a/b", `a\x2fb`, "../a", "ä", long, long[1:] + "x", long[1:] + "y"} {
		lock, err := overlapLock(t.Context(), dir, "app", cron, appconfig.OverlapSkip)
		require.NoError(t, err)
		require.NotNil(t, lock, "%q", cron)
		t.Cleanup(func() { lock.Close() })
		assert.Equal(t, filepath.Join(dir, "locks"), filepath.Dir(lock.Name()))
		second, err := overlapLock(t.Context(), dir, "app", cron, appconfig.OverlapSkip)
		require.NoError(t, err)
		assert.Nil(t, second, "%q", cron)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	_, err := overlapLock(t.Context(), filepath.Join(dir, "file"), "app", "a", appconfig.OverlapSkip)
	assert.ErrorContains(t, err, "lock against overlap")
}

func TestHowLongIsLeftDependsOnTheContainer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  envdetect.Environment
		want time.Duration
	}{
		"a worker":          {envdetect.Environment{Worker: "queue"}, workerWithin},
		"Dedicated Gen 2":   {envdetect.Environment{Mode: "dedicated-gen2", Worker: "queue"}, gen2Within},
		"elsewhere its own": {envdetect.Environment{Mode: "grid"}, appconfig.DefaultTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer, stop := context.WithCancel(t.Context())
			ctx, cancel := stopInTime(outer, c.env)
			defer cancel()
			require.NoError(t, ctx.Err())
			stop()
			<-ctx.Done()
			assert.Equal(t, runner.Within(c.want), context.Cause(ctx))
		})
	}
}

// TestOutputThatNobodyTakesIsTold: the command goes on, and its code counts.
func TestOutputThatNobodyTakesIsTold(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	read, write, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, read.Close())
	defer write.Close()
	p := proc{
		stdout: write, stderr: &stderr,
		environ: os.Environ,
		lookup: func(name string) (string, bool) {
			if name == "CRONAGENT_STATE_DIR" {
				return t.TempDir(), true
			}
			return "", false
		},
	}
	opts := execOptions{name: "loud", timeout: time.Minute, overlap: "skip", gate: gate{types: []string{"local"}}}
	err = p.exec(t.Context(), opts, []string{"sh", "-c", "echo to nobody; sleep 0.1; echo more; exit 3"})
	assert.Equal(t, codeError(3), err)
	assert.Contains(t, stderr.String(), "cronagent: warning: loud: not all of its output could be passed on: write |1: broken pipe")
}

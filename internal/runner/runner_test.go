package runner_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/runner"
)

// roleVariable makes the test binary the owner of a lock that a child outlives.
const roleVariable = "RUNNER_TEST_LOCK"

// floodVariable makes it one that a command floods with output.
const floodVariable = "RUNNER_TEST_FLOOD"

func TestMain(m *testing.M) {
	if os.Getenv(floodVariable) != "" {
		os.Stdout.WriteString(flood())
		os.Exit(0)
	}
	if path := os.Getenv(roleVariable); path != "" {
		lock, err := runner.Lock(path)
		if err != nil || lock == nil {
			os.Exit(3)
		}
		r := runner.Run(context.Background(), runner.Command{Line: `echo $$ >"$PID"; kill -9 $PPID; exec sleep 60`, Env: os.Environ(), Lock: lock})
		os.Stderr.WriteString(r.Output)
		os.Exit(4)
	}
	goleak.VerifyTestMain(m)
}

// path is the environment of a command that needs no more.
func path() []string { return []string{"PATH=" + os.Getenv("PATH")} }

func run(t *testing.T, c runner.Command) runner.Result {
	t.Helper()
	if c.Env == nil {
		c.Env = path()
	}
	return runner.Run(t.Context(), c)
}

// quick bounds what must not wait for a limit, on a busy machine.
const quick = 20 * time.Second

// gone waits until the process whose number is in the file has ended.
func gone(t *testing.T, file string) {
	t.Helper()
	pid := number(t, file)
	assert.Eventually(t, func() bool { return !alive(pid) }, quick, 5*time.Millisecond, "process %d lives on", pid)
}

func number(t *testing.T, file string) int {
	t.Helper()
	var pid int
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasSuffix(string(text), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	}, quick, 5*time.Millisecond)
	return pid
}

// alive tells whether a process exists and is more than an entry that its parent
// has not fetched.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestHowCommandsEnd(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		line   string
		code   int
		output string
	}{
		"success":                        {"true", 0, ""},
		"nothing to do":                  {"", 0, ""},
		"a failure's code":               {"exit 7", 7, ""},
		"the last command's code":        {"false; (exit 255)", 255, ""},
		"not found":                      {"no-such-command-here 2>/dev/null", 127, ""},
		"not executable":                 {"/etc/passwd 2>/dev/null", 126, ""},
		"syntax error":                   {"exec 2>/dev/null; eval 'if'", 2, ""},
		"a signal is 128 and its number": {"kill -KILL $$", 137, ""},
		"another signal":                 {"kill -USR1 $$", 138, ""},
		"a child's signal, told by sh":   {"exec 2>/dev/null; sh -c 'kill -TERM $$'; exit $?", 143, ""},
		"both streams in order":          {"echo one; echo two >&2; echo three", 0, "one\ntwo\nthree\n"},
		"no newline at the end":          {"printf abc", 0, "abc"},
		"standard input is at its end":   {"if read x; then echo got; else echo end; fi; cat", 0, "end\n"},
		"its own process group":          {`set -- $(cat /proc/$$/stat); test "$1" = "$5" && echo leads`, 0, "leads\n"},
		"binary output becomes text":     {`printf 'a\377\376b\0c'`, 0, "a\uFFFDb\x00c"},
		"characters stay whole":          {"echo Zürich €", 0, "Zürich €\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			r := run(t, runner.Command{Line: c.line, Timeout: time.Minute, Grace: time.Minute})
			require.NoError(t, r.Err)
			assert.Equal(t, c.code, r.ExitCode)
			assert.Equal(t, c.output, r.Output)
			assert.False(t, r.TimedOut)
			assert.False(t, r.Cancelled)
			assert.False(t, r.Started.Before(before))
			assert.False(t, r.Ended.Before(r.Started))
			assert.False(t, r.Ended.After(time.Now()))
		})
	}
}

func TestTheEnvironmentIsExactlyTheOneGiven(t *testing.T) {
	t.Setenv("RUNNER_TEST_SECRET", "s3cret")
	// Shells set some themselves.
	own := "env | grep -v -e ^PWD= -e ^OLDPWD= -e ^SHLVL= -e ^_="
	r := run(t, runner.Command{Line: own, Env: append(path(), "A=1", "B=x y", "A=2", "EMPTY=")})
	lines := strings.Split(strings.TrimSpace(r.Output), "\n")
	assert.ElementsMatch(t, []string{path()[0], "A=2", "B=x y", "EMPTY="}, lines)
	r = runner.Run(t.Context(), runner.Command{Line: "echo [$RUNNER_TEST_SECRET]"})
	assert.Equal(t, "[]\n", r.Output, "none is none, not ours")
	dir := t.TempDir()
	r = run(t, runner.Command{Line: "pwd", Dir: dir})
	assert.Equal(t, dir+"\n", r.Output)
}

func TestWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	r := run(t, runner.Command{Line: "true", Dir: missing})
	require.ErrorIs(t, r.Err, os.ErrNotExist)
	assert.ErrorContains(t, r.Err, missing)
	assert.False(t, r.Ended.Before(r.Started))
	r = run(t, runner.Command{Line: "true\x00"})
	require.Error(t, r.Err)
}

func TestAnEndedContextStartsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "file")
	r := runner.Run(ctx, runner.Command{Line: "touch " + file, Env: path(), Grace: time.Minute})
	assert.True(t, r.Cancelled)
	assert.NoError(t, r.Err)
	assert.NoFileExists(t, file)
}

func TestTheTimeLimit(t *testing.T) {
	t.Parallel()
	t.Run("tells the group to stop", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{
			Line:    `trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.01; done`,
			Timeout: 300 * time.Millisecond, Grace: time.Minute,
		})
		assert.True(t, r.TimedOut)
		assert.False(t, r.Cancelled)
		assert.Equal(t, 3, r.ExitCode)
		// The shell may say something of the sleep that ended with it.
		assert.Regexp(t, `(?s)^hello\n.*bye\n$`, r.Output)
		assert.Less(t, r.Ended.Sub(r.Started), quick)
	})
	t.Run("one that dies of the signal", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Line: "exec sleep 60", Timeout: 50 * time.Millisecond, Grace: time.Minute})
		assert.True(t, r.TimedOut)
		assert.Equal(t, 143, r.ExitCode)
	})
	t.Run("kills what ignores it, grandchildren too", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := run(t, runner.Command{
			Line:    `trap '' TERM; sh -c 'trap "" TERM; (echo $(exec sh -c "echo \$PPID") >grandchild; while :; do sleep 0.05; done) & wait' & echo $! >child; wait; while :; do sleep 0.05; done`,
			Dir:     dir,
			Timeout: 500 * time.Millisecond, Grace: 200 * time.Millisecond,
		})
		assert.True(t, r.TimedOut)
		assert.Equal(t, 137, r.ExitCode)
		assert.GreaterOrEqual(t, r.Ended.Sub(r.Started), 700*time.Millisecond)
		gone(t, filepath.Join(dir, "child"))
		gone(t, filepath.Join(dir, "grandchild"))
	})
	t.Run("without a grace at once", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Line: "trap '' TERM; while :; do sleep 0.01; done", Timeout: 200 * time.Millisecond})
		assert.Equal(t, 137, r.ExitCode)
	})
	t.Run("leaves its grace to what a dead shell has started", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := run(t, runner.Command{
			// The shell dies of the signal while the child tidies up.
			Line:    `sh -c 'trap "sleep 0.3; echo tidy >done; exit" TERM; echo ready >ready; while :; do sleep 0.01; done'; true`,
			Dir:     dir,
			Timeout: 500 * time.Millisecond, Grace: time.Minute,
		})
		assert.True(t, r.TimedOut)
		assert.Equal(t, 143, r.ExitCode)
		assert.FileExists(t, filepath.Join(dir, "ready"))
		assert.FileExists(t, filepath.Join(dir, "done"), "it was killed before its grace was over")
	})
	t.Run("and no longer than the grace", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := run(t, runner.Command{
			Line:    `sh -c 'trap "" TERM; echo $$ >child; while :; do sleep 0.01; done'; true`,
			Dir:     dir,
			Timeout: 500 * time.Millisecond, Grace: 300 * time.Millisecond,
		})
		assert.True(t, r.TimedOut)
		assert.GreaterOrEqual(t, r.Ended.Sub(r.Started), 800*time.Millisecond)
		gone(t, filepath.Join(dir, "child"))
	})
}

func TestTheStopCommand(t *testing.T) {
	t.Parallel()
	// It ends when there is a file stop, and fails if it gets the signal.
	const line = `trap 'exit 9' TERM; until test -e stop; do sleep 0.01; done; exit 4`
	t.Run("comes instead of the signal, in the same place", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Line: line, Stop: `echo "$WHO" >stop`, Dir: t.TempDir(), Env: append(path(), "WHO=me"), Timeout: 50 * time.Millisecond, Grace: time.Minute})
		assert.True(t, r.TimedOut)
		assert.Equal(t, 4, r.ExitCode)
	})
	t.Run("may go on after the command within the grace", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		run(t, runner.Command{Line: line, Stop: `touch stop; sleep 0.3; touch finished`, Dir: dir, Timeout: 50 * time.Millisecond, Grace: time.Minute})
		assert.FileExists(t, filepath.Join(dir, "finished"))
	})
	t.Run("does not outlive the grace", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := run(t, runner.Command{Line: line, Stop: `trap '' TERM; echo $$ >stopper; sleep 60`, Dir: dir, Timeout: 50 * time.Millisecond, Grace: 500 * time.Millisecond})
		assert.Equal(t, 137, r.ExitCode)
		gone(t, filepath.Join(dir, "stopper"))
	})
	t.Run("one that fails leaves the command to be killed", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Line: line, Stop: `exit 1`, Dir: t.TempDir(), Timeout: 50 * time.Millisecond, Grace: 300 * time.Millisecond})
		assert.Equal(t, 137, r.ExitCode)
	})
	t.Run("one that cannot be started gives way to the signal", func(t *testing.T) {
		t.Parallel()
		r := run(t, runner.Command{Line: "exec sleep 60", Stop: "touch stop\x00", Dir: t.TempDir(), Timeout: 100 * time.Millisecond, Grace: time.Minute})
		assert.Equal(t, 143, r.ExitCode)
	})
}

func TestTheEndOfTheContextStopsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan runner.Result)
	go func() {
		done <- runner.Run(ctx, runner.Command{Line: `trap 'echo bye; exit 0' TERM; echo $$ >pid; while :; do sleep 0.01; done`, Dir: dir, Env: path(), Grace: time.Minute, Timeout: time.Hour})
	}()
	number(t, filepath.Join(dir, "pid"))
	cancel()
	r := <-done
	assert.True(t, r.Cancelled)
	assert.False(t, r.TimedOut)
	assert.Zero(t, r.ExitCode)
	assert.Contains(t, r.Output, "bye\n")
	gone(t, filepath.Join(dir, "pid"))
}

func TestABackgroundChildDoesNotHoldUsUp(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"a silent one":        `sleep 60 & echo $! >pid; echo over`,
		"one that never ends": `(while :; do echo noise; done) & echo $! >pid; echo over`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begin := time.Now()
			r := run(t, runner.Command{Line: line, Dir: dir, Grace: time.Minute})
			took := time.Since(begin)
			assert.Zero(t, r.ExitCode)
			assert.NotEmpty(t, r.Output)
			assert.Less(t, took, quick)
			assert.GreaterOrEqual(t, took, time.Second, "its output is waited for")
			assert.Less(t, r.Ended.Sub(begin), took-900*time.Millisecond, "the wait is not the command's")
			pid := number(t, filepath.Join(dir, "pid"))
			if name == "a silent one" {
				assert.True(t, alive(pid), "what a command leaves behind on purpose goes on")
			}
			syscall.Kill(pid, syscall.SIGKILL)
		})
	}
}

func TestTheLock(t *testing.T) {
	t.Parallel()
	t.Run("keeps others out until it is closed", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "lock")
		lock, err := runner.Lock(path)
		require.NoError(t, err)
		require.NotNil(t, lock)
		second, err := runner.Lock(path)
		require.NoError(t, err)
		assert.Nil(t, second)
		require.NoError(t, lock.Close())
		third, err := runner.Lock(path)
		require.NoError(t, err)
		require.NotNil(t, third, "the file that is left is no lock")
		require.NoError(t, third.Close())
	})
	t.Run("is held by a child that goes on", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "lock")
		lock, err := runner.Lock(path)
		require.NoError(t, err)
		r := run(t, runner.Command{Line: `sleep 60 >/dev/null 2>&1 & echo $! >pid`, Dir: dir, Lock: lock})
		require.Zero(t, r.ExitCode)
		require.NoError(t, lock.Close())
		second, err := runner.Lock(path)
		require.NoError(t, err)
		require.Nil(t, second)
		syscall.Kill(number(t, filepath.Join(dir, "pid")), syscall.SIGKILL)
		assert.Eventually(t, func() bool {
			third, err := runner.Lock(path)
			if err != nil || third == nil {
				return false
			}
			third.Close()
			return true
		}, quick, 5*time.Millisecond)
	})
	t.Run("is held by the command of an agent that was killed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path, pidFile := filepath.Join(dir, "lock"), filepath.Join(dir, "pid")
		self, err := os.Executable()
		require.NoError(t, err)
		owner := exec.Command(self)
		owner.Env = append(os.Environ(), roleVariable+"="+path, "PID="+pidFile)
		require.ErrorContains(t, owner.Run(), "signal: killed")
		pid := number(t, pidFile)
		lock, err := runner.Lock(path)
		require.NoError(t, err)
		assert.Nil(t, lock)
		syscall.Kill(pid, syscall.SIGKILL)
	})
	t.Run("is not held by a command that was not given it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		path := filepath.Join(dir, "lock")
		lock, err := runner.Lock(path)
		require.NoError(t, err)
		run(t, runner.Command{Line: `sleep 60 >/dev/null 2>&1 & echo $! >pid`, Dir: dir})
		require.NoError(t, lock.Close())
		second, err := runner.Lock(path)
		require.NoError(t, err)
		require.NotNil(t, second)
		second.Close()
		syscall.Kill(number(t, filepath.Join(dir, "pid")), syscall.SIGKILL)
	})
	t.Run("says what is wrong", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "missing", "lock")
		lock, err := runner.Lock(path)
		assert.Nil(t, lock)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.ErrorContains(t, err, path)
	})
}

func TestReplaceReturnsOnlyIfItCannot(t *testing.T) {
	t.Parallel()
	assert.ErrorIs(t, runner.Replace(filepath.Join(t.TempDir(), "missing"), []string{"missing"}, nil), os.ErrNotExist)
}

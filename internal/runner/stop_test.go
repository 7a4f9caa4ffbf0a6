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

	"github.com/cronagent/cronagent/internal/runner"
)

// stubborn ignores SIGTERM and has a child that does so too; both write their
// numbers to files.
const stubborn = `trap '' TERM; (echo $(exec sh -c 'echo $PPID') >grandchild; while :; do sleep 0.05; done) & echo $$ >child; while :; do sleep 0.05; done`

func TestTheTimeToStopIsDecidedWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	const within = 300 * time.Millisecond
	t.Run("and shortens the grace", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan runner.Result)
		go func() {
			done <- runner.Run(ctx, runner.Command{Line: stubborn, Dir: dir, Env: path(), Grace: time.Hour})
		}()
		number(t, filepath.Join(dir, "grandchild"))
		number(t, filepath.Join(dir, "child"))
		begin := time.Now()
		cancel(runner.Within(within))
		r := <-done
		assert.True(t, r.Cancelled)
		assert.Equal(t, syscall.SIGKILL, r.Signal)
		assert.GreaterOrEqual(t, time.Since(begin), within)
		assert.Less(t, time.Since(begin), quick)
		gone(t, filepath.Join(dir, "child"))
		gone(t, filepath.Join(dir, "grandchild"))
	})
	t.Run("even one that has begun", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan runner.Result)
		go func() {
			done <- runner.Run(ctx, runner.Command{
				Line: `trap 'echo told >told' TERM; echo $$ >child; while :; do sleep 0.01; done`,
				Dir:  dir, Env: path(), Timeout: 200 * time.Millisecond, Grace: time.Hour,
			})
		}()
		pid := number(t, filepath.Join(dir, "child"))
		require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "told")); return err == nil }, quick, 5*time.Millisecond)
		assert.True(t, alive(pid))
		cancel(runner.Within(within))
		r := <-done
		assert.True(t, r.TimedOut, "that came first")
		assert.False(t, r.Cancelled)
		assert.Equal(t, 137, r.ExitCode)
	})
	t.Run("and does not prolong it", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan runner.Result)
		go func() {
			done <- runner.Run(ctx, runner.Command{Line: stubborn, Dir: dir, Env: path(), Grace: within})
		}()
		number(t, filepath.Join(dir, "grandchild"))
		begin := time.Now()
		cancel(runner.Within(time.Hour))
		<-done
		assert.Less(t, time.Since(begin), quick)
	})
	t.Run("with what has left the group holding the pipe", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan runner.Result)
		go func() {
			done <- runner.Run(ctx, runner.Command{Line: `setsid sh -c 'echo $$ >escaped; sleep 60' & wait`, Dir: dir, Env: path(), Grace: time.Hour})
		}()
		pid := number(t, filepath.Join(dir, "escaped"))
		begin := time.Now()
		cancel(runner.Within(within))
		<-done
		assert.Less(t, time.Since(begin), 900*time.Millisecond, "its output is not waited for as long as otherwise")
		assert.True(t, alive(pid), "a process with a session of its own is not ours to stop")
		syscall.Kill(pid, syscall.SIGKILL)
	})
}

func TestAHaltedCommandIsToldToStop(t *testing.T) {
	t.Parallel()
	r := run(t, runner.Command{Line: `trap 'echo bye; exit 3' TERM; kill -STOP $$; while :; do sleep 0.01; done`, Timeout: 300 * time.Millisecond, Grace: time.Minute})
	assert.True(t, r.TimedOut)
	assert.Equal(t, 3, r.ExitCode)
	assert.Equal(t, "bye\n", r.Output)
	assert.Less(t, r.Ended.Sub(r.Started), quick)
}

func TestTheStopCommandsOutputIsPartOfIt(t *testing.T) {
	t.Parallel()
	r := run(t, runner.Command{Line: `echo begin; until test -e stop; do sleep 0.01; done; echo end`, Stop: `echo stopping SECRET-1; touch stop`,
		Dir: t.TempDir(), Timeout: 100 * time.Millisecond, Grace: time.Minute, Secrets: []string{"SECRET-1"}})
	assert.Equal(t, "begin\nstopping ********\nend\n", r.Output)
	assert.Zero(t, r.ExitCode)
}

// TestEveryShell runs what is promised of a line under each shell that may be sh
// in a container.
func TestEveryShell(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dash", "bash", "busybox"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real, err := exec.LookPath(name)
			require.NoError(t, err, "test.sh installs it")
			bin := t.TempDir()
			require.NoError(t, os.Symlink(real, filepath.Join(bin, "sh")))
			env := []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
			with := func(c runner.Command) runner.Result { c.Env = env; return run(t, c) }

			r := with(runner.Command{Line: `readlink /proc/$$/exe; :`})
			resolved, err := filepath.EvalSymlinks(real)
			require.NoError(t, err)
			assert.Equal(t, resolved+"\n", r.Output, "the one that is meant")
			assert.Equal(t, 7, with(runner.Command{Line: "exit 7"}).ExitCode)
			assert.Equal(t, 127, with(runner.Command{Line: "no-such-command-here"}).ExitCode)
			r = with(runner.Command{Line: "kill -KILL $$"})
			assert.Equal(t, syscall.SIGKILL, r.Signal)
			r = with(runner.Command{Line: "yes | head -n 1; read line || echo end"})
			assert.Equal(t, "y\nend\n", r.Output, "SIGPIPE ends what it should, standard input is at its end")

			dir := t.TempDir()
			r = with(runner.Command{Line: stubborn, Dir: dir, Timeout: 500 * time.Millisecond, Grace: 200 * time.Millisecond})
			assert.True(t, r.TimedOut)
			assert.Equal(t, 137, r.ExitCode)
			gone(t, filepath.Join(dir, "child"))
			gone(t, filepath.Join(dir, "grandchild"))

			dir = t.TempDir()
			r = with(runner.Command{Line: `until test -e stop; do sleep 0.01; done; exit 4`, Stop: `echo "stopping"; touch stop`, Dir: dir, Timeout: 100 * time.Millisecond, Grace: time.Minute})
			assert.Equal(t, 4, r.ExitCode)
			assert.Equal(t, "stopping\n", r.Output)

			dir = t.TempDir()
			lock, err := runner.Lock(filepath.Join(dir, "lock"))
			require.NoError(t, err)
			with(runner.Command{Line: `sleep 60 >/dev/null 2>&1 & echo $! >pid`, Dir: dir, Lock: lock})
			require.NoError(t, lock.Close())
			second, err := runner.Lock(filepath.Join(dir, "lock"))
			require.NoError(t, err)
			assert.Nil(t, second)
			syscall.Kill(number(t, filepath.Join(dir, "pid")), syscall.SIGKILL)
		})
	}
}

func TestTheCommandHasNoDescriptorsOfOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, err := os.Create(filepath.Join(dir, "ours"))
	require.NoError(t, err)
	defer ours.Close()
	lock, err := runner.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	defer lock.Close()
	// Shells open some of their own, from 10 on.
	list := `for n in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && printf '%s ' "$n"; done; readlink /proc/$$/fd/0`
	assert.Equal(t, "0 1 2 /dev/null\n", run(t, runner.Command{Line: list}).Output)
	var out, errs strings.Builder
	r := run(t, runner.Command{Line: list, Lock: lock, Output: &out, Errors: &errs, Stop: "true"})
	assert.Equal(t, "0 1 2 3 /dev/null\n", r.Output)
}

// flood is what the role of flooding prints: what a gigabyte of output without a
// newline added to the process's greatest size, in KiB.
func flood() string {
	peak := func() int {
		status, _ := os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		n, _ := strconv.Atoi(strings.Fields(rest)[0])
		return n
	}
	secrets := []string{"TOKEN-0123456789", strings.Repeat("long ", 200)}
	// What the first run needs anyway is not the flood's.
	runner.Run(context.Background(), runner.Command{Args: []string{"head", "-c", "1000000", "/dev/zero"}, Env: path(), Secrets: secrets})
	before, n := peak(), 0
	count := writerFunc(func(p []byte) (int, error) { n += len(p); return len(p), nil })
	runner.Run(context.Background(), runner.Command{Line: "dd if=/dev/zero bs=1M count=1024 2>/dev/null", Env: path(), Secrets: secrets, Output: count})
	return strconv.Itoa(n) + " bytes, KiB more: " + strconv.Itoa(peak()-before)
}

func TestAFloodLeavesMemoryAsItIs(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), floodVariable+"=yes")
	out, err := cmd.Output()
	require.NoError(t, err)
	count, more, ok := strings.Cut(string(out), " bytes, KiB more: ")
	require.True(t, ok, "%s", out)
	assert.Equal(t, strconv.Itoa(1<<30), count)
	kib, err := strconv.Atoi(more)
	require.NoError(t, err)
	assert.Less(t, kib, 8<<10, "more memory at its peak, in KiB")
}

package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/ledger"
)

// childVariable makes the test binary one of the other processes: what it does,
// a space, and the ledger's folder.
const childVariable = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if role, dir, ok := strings.Cut(os.Getenv(childVariable), " "); ok {
		roles := map[string]func(string) error{"claim": claimAll, "full": claimOnFullDisk, "together": recordTogether, "storm": storm, "output": outputOnFullDisk}
		if err := roles[role](dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+role+" "+dir)
	return cmd
}

// The occurrences that the processes compete for, and the runs handed back.
const (
	contested  = 60
	handedBack = 20
)

// claimAll prints what it won, and a line after each round. It waits for a byte
// before each, so that no process is done before the others begin.
func claimAll(dir string) error {
	l, err := ledger.OpenFile(context.Background(), dir)
	if err != nil {
		return err
	}
	for n := range contested {
		if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
			return err
		}
		claims := []ledger.Claim{minute(backup, n+1), minute(sweep, n+1)}
		if n < handedBack {
			back := minute(backup, -n)
			back.ID = fmt.Sprintf("back-%d", n)
			claims = append(claims, back)
		}
		won, err := l.Claim(context.Background(), claims)
		if err != nil {
			return err
		}
		for _, claim := range won {
			fmt.Println(claim.ID)
			if err := l.Record(context.Background(), ended(claim, ledger.Fired)); err != nil {
				return err
			}
		}
		fmt.Println(roundEnds)
	}
	return nil
}

const roundEnds = "-"

func TestManyProcessesClaimEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{backup, sweep}, started))
	for n := range handedBack {
		run := ended(minute(backup, -n), ledger.Deferred)
		run.ID = fmt.Sprintf("back-%d", n)
		require.NoError(t, l.Record(t.Context(), run))
	}
	type process struct {
		*exec.Cmd
		start  io.Writer
		output *bufio.Scanner
		won    int
	}
	processes := make([]process, 5)
	for n := range processes {
		cmd := child(t, "claim", dir)
		cmd.Stderr = os.Stderr
		start, err := cmd.StdinPipe()
		require.NoError(t, err)
		output, err := cmd.StdoutPipe()
		require.NoError(t, err)
		processes[n] = process{Cmd: cmd, start: start, output: bufio.NewScanner(output)}
		require.NoError(t, cmd.Start())
	}
	won := map[string]int{}
	for round := range contested {
		for n := range processes {
			// Each of them is the first to be told in its turn.
			_, err := processes[(round+n)%len(processes)].start.Write([]byte{'\n'})
			require.NoError(t, err)
		}
		for n := range processes {
			for processes[n].output.Scan() && processes[n].output.Text() != roundEnds {
				won[processes[n].output.Text()]++
				processes[n].won++
			}
		}
	}
	winners := 0
	for _, p := range processes {
		assert.NoError(t, p.Wait())
		if p.won > 0 {
			winners++
		}
	}
	assert.Len(t, won, 2*contested+handedBack)
	for id, n := range won {
		assert.Equal(t, 1, n, id)
	}
	assert.Greater(t, winners, 1, "one process was done before the others began: this showed nothing")
	for _, l := range []*ledger.File{l, open(t, dir)} {
		for _, key := range []ledger.Key{backup, sweep} {
			state := load(t, l, key)
			assert.True(t, state.Watermark.Equal(minute(key, contested).Due))
			assert.Empty(t, state.Open)
			assert.Empty(t, state.HandedBack)
		}
		assert.Zero(t, l.Damaged())
	}
}

// claimOnFullDisk fills the room that the file has, claims, and goes on when
// there is room again.
func claimOnFullDisk(dir string) error {
	// The kernel announces the limit with a signal first.
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	l, err := ledger.OpenFile(context.Background(), dir)
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	before, err := os.ReadFile(l.Path())
	if err != nil {
		return err
	}
	for room := range uint64(80) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(len(before)) + room, Max: limit.Max}); err != nil {
			return err
		}
		won, err := l.Claim(ctx, []ledger.Claim{minute(backup, 2), minute(sweep, 2)})
		if err == nil || len(won) > 0 {
			return fmt.Errorf("claimed without room: %v", won)
		}
		if want := "write the ledger " + l.Path() + ": file too large"; err.Error() != want {
			return fmt.Errorf("said %q instead of %q", err, want)
		}
		if err := l.Record(ctx, ended(minute(backup, 1), ledger.Failed)); err == nil {
			return fmt.Errorf("recorded without room")
		}
		after, err := os.ReadFile(l.Path())
		if err != nil {
			return err
		}
		if !bytes.Equal(before, after) {
			return fmt.Errorf("left behind: %q", after[len(before):])
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	won, err := l.Claim(ctx, []ledger.Claim{minute(backup, 2), minute(sweep, 2)})
	if err != nil || len(won) != 2 {
		return fmt.Errorf("with room again: %v, %w", won, err)
	}
	return nil
}

func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for name, torn := range map[string]bool{"after whole lines": false, "after a torn one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := open(t, dir)
			require.Len(t, wins(t, l, minute(backup, 1), minute(sweep, 1)), 2)
			if torn {
				file, err := os.OpenFile(filepath.Join(dir, "ledger.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
				require.NoError(t, err)
				_, err = file.WriteString(`{"event":"run","id":"backup-1","proj`)
				require.NoError(t, err)
				require.NoError(t, file.Close())
			}
			output, err := child(t, "full", dir).CombinedOutput()
			require.NoError(t, err, "%s", output)
			for _, l := range []*ledger.File{l, open(t, dir)} {
				for _, key := range []ledger.Key{backup, sweep} {
					state := load(t, l, key)
					assert.True(t, state.Watermark.Equal(minute(key, 2).Due))
					assert.Len(t, state.Open, 2)
				}
				assert.Equal(t, map[bool]int{true: 1}[torn], l.Damaged())
			}
		})
	}
}

// recordTogether fails if a thousand records that come at once take more than a
// few writes.
func recordTogether(dir string) error {
	ctx := context.Background()
	l, err := ledger.OpenFile(ctx, dir)
	if err != nil {
		return err
	}
	lock, err := os.Open(filepath.Join(dir, "ledger.lock"))
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	const many = 1000
	errs := make(chan error, many)
	for n := range many {
		go func() { errs <- l.Record(ctx, ended(minute(backup, n), ledger.Fired)) }()
	}
	for l.Queued() < many {
		runtime.Gosched()
	}
	before, err := writes()
	if err != nil {
		return err
	}
	lock.Close()
	for range many {
		if err := <-errs; err != nil {
			return err
		}
	}
	after, err := writes()
	if err != nil {
		return err
	}
	// The runtime's own are among them.
	if n := after - before; n > many/10 {
		return fmt.Errorf("%d writes for %d records", n, many)
	}
	return nil
}

// writes is how many writes this process has made.
func writes() (n int, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	_, counted, _ := strings.Cut(string(text), "syscw: ")
	_, err = fmt.Sscan(counted, &n)
	return n, err
}

func TestRecordsThatComeTogetherShareAWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	output, err := child(t, "together", dir).CombinedOutput()
	require.NoError(t, err, "%s", output)
	runs, err := open(t, dir).History(t.Context(), backup, 2000)
	require.NoError(t, err)
	assert.Len(t, runs, 1000)
}

// Package runner runs one command to its end: a shell in a process group of its
// own, with a time limit, a way to be stopped, and a bounded memory of what it
// printed. It is the only place that starts processes, and knows nothing of
// crons. Whoever calls Run waits for it; it leaves no goroutine behind.
package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// Command is one command to run.
type Command struct {
	// Line is given to sh -c.
	Line string
	// Stop is given to sh -c when the command must end. Empty: its process group
	// gets SIGTERM instead.
	Stop string
	// Dir is the working directory; empty is the caller's.
	Dir string
	// Env is the whole environment.
	Env []string
	// Timeout is how long it may run. Zero: no limit.
	Timeout time.Duration
	// Grace is how long it may go on after it was told to stop, before the whole
	// process group is killed. Zero: it is killed at once.
	Grace time.Duration
	// Lock, if not nil, is inherited by the command, so that a lock on the file is
	// held for as long as one of its processes lives, even if we are killed.
	Lock *os.File
	// Secrets are masked in the output.
	Secrets []string
}

// Result is how a command ended.
type Result struct {
	// ExitCode is the shell's, 128 and the signal's number if a signal ended it.
	// It means nothing if Err is set.
	ExitCode int
	// TimedOut and Cancelled say that it was stopped, by its time limit or because
	// the context ended.
	TimedOut, Cancelled bool
	// Err is why it could not be started; nil otherwise.
	Err            error
	Started, Ended time.Time
	// Output is the end of standard output and standard error together, at most
	// MaxOutput bytes of valid UTF-8.
	Output string
}

// MaxOutput bounds Result.Output, in bytes.
const MaxOutput = 4096

// drain is how long output is still read after the command has ended: what it
// left running in the background may hold the pipe open for ever.
const drain = time.Second

// Run runs a command and returns when its shell has ended. When ctx ends, or the
// command's time is up, its whole process group is told to stop, and killed after
// its grace. Otherwise what the shell left running in the background goes on. If
// ctx has ended before, nothing is started.
func Run(ctx context.Context, c Command) Result {
	r := Result{Started: time.Now()}
	if ctx.Err() != nil {
		r.Cancelled, r.ExitCode, r.Ended = true, -1, r.Started
		return r
	}
	read, write, err := os.Pipe()
	if err != nil {
		return Result{Started: r.Started, Ended: time.Now(), Err: err}
	}
	cmd := c.shell(c.Line)
	cmd.Stdout, cmd.Stderr = write, write
	if c.Lock != nil {
		cmd.ExtraFiles = []*os.File{c.Lock}
	}
	err = cmd.Start()
	write.Close()
	if err != nil {
		read.Close()
		// The kernel's error for a missing folder reads as if the shell were missing.
		if _, missing := os.Stat(c.Dir); c.Dir != "" && missing != nil {
			err = missing
		}
		return Result{Started: r.Started, Ended: time.Now(), Err: err}
	}
	output := newTail(c.Secrets)
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(output, read) })
	exited := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() { err = cmd.Wait(); close(exited) })

	var limit <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-exited:
	case <-limit:
		r.TimedOut = !over(exited)
	case <-ctx.Done():
		r.Cancelled = !over(exited)
	}
	if r.TimedOut || r.Cancelled {
		c.stop(cmd.Process.Pid, exited)
	}
	waiting.Wait()
	r.Ended = time.Now()
	read.SetReadDeadline(time.Now().Add(drain))
	reading.Wait()
	read.Close()
	r.Output = output.String()
	r.ExitCode = exitCode(cmd, err)
	return r
}

func (c Command) shell(line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = c.Dir
	// A nil one would be ours, with the token.
	cmd.Env = append([]string{}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// groupPoll is how often we look whether a process group that was told to stop
// has gone: only of its leader the kernel tells us.
const groupPoll = 10 * time.Millisecond

// stop ends the process group with this leader: kindly, and after the grace for
// good. A shell dies of SIGTERM at once while what it started still tidies up, so
// that the leader has gone means little.
func (c Command) stop(group int, exited <-chan struct{}) {
	grace := time.NewTimer(c.Grace)
	defer grace.Stop()
	stopped := make(chan struct{}) // the stop command has ended
	stopper := c.shell(c.Stop)
	if c.Stop == "" || stopper.Start() != nil {
		syscall.Kill(-group, syscall.SIGTERM)
		close(stopped)
	} else {
		go func() { stopper.Wait(); close(stopped) }()
		defer func() {
			syscall.Kill(-stopper.Process.Pid, syscall.SIGKILL)
			<-stopped
		}()
	}
	look := time.NewTicker(groupPoll)
	defer look.Stop()
	for !over(exited) || !over(stopped) || syscall.Kill(-group, 0) != syscall.ESRCH {
		select {
		case <-look.C:
		case <-grace.C:
			syscall.Kill(-group, syscall.SIGKILL)
			return
		}
	}
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func exitCode(cmd *exec.Cmd, err error) int {
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return -1
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// Lock takes the lock on a file, which it makes if need be, so that one command
// of a kind runs at a time. It returns nil without an error if another process
// has it. The lock is held until the returned file, and every copy that a child
// inherited, is closed.
func Lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

// Replace turns this process into the program at path, with args (the name it is
// called by first) and the given environment. It returns only if it cannot.
func Replace(path string, args, env []string) error { return syscall.Exec(path, args, env) }

// tail keeps the end of what is written to it, and as much more as a character
// or the longest secret, so that what the limit would cut is still seen whole.
type tail struct {
	mu      sync.Mutex
	kept    []byte
	keep    int
	secrets []string
}

func newTail(secrets []string) *tail {
	t := &tail{keep: MaxOutput + utf8.UTFMax}
	for _, secret := range secrets {
		if secret != "" {
			t.secrets = append(t.secrets, secret)
			t.keep = max(t.keep, MaxOutput+len(secret))
		}
	}
	return t
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[max(0, len(p)-t.keep):]...)
	// Cut only when twice as much has come together, to copy each byte once.
	if len(t.kept) > 2*t.keep {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.keep:]...)
	}
	return len(p), nil
}

// String is the end of the output with the secrets masked.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.kept[max(0, len(t.kept)-t.keep):]
	masked := bytes.Clone(kept)
	for _, secret := range t.secrets {
		// Looked for in what was printed, since two secrets may overlap. The mask is as
		// long as the secret, so that what the limit cuts off stays cut off.
		for from := 0; ; from++ {
			i := bytes.Index(kept[from:], []byte(secret))
			if i < 0 {
				break
			}
			from += i
			copy(masked[from:], bytes.Repeat([]byte("*"), len(secret)))
		}
	}
	// A replacement is longer than the byte it stands for, hence the second cut.
	return last(strings.ToValidUTF8(last(string(masked)), "\uFFFD"))
}

// last is the end of s that the limit allows, not beginning within a character.
func last(s string) string {
	if len(s) <= MaxOutput {
		return s
	}
	s = s[len(s)-MaxOutput:]
	for i := range min(len(s), utf8.UTFMax) {
		if utf8.RuneStart(s[i]) {
			return s[i:]
		}
	}
	return s
}

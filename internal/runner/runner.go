// Package runner runs one command to its end: in a process group of its own,
// with a time limit, a way to be stopped, and a bounded memory of what it
// printed. It is the only place that starts processes, and knows nothing of
// crons. Whoever calls Run waits for it; it leaves no goroutine behind, but for
// one that a writer of the caller's never came back to.
package runner

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is one command to run: a line for a shell, or words.
type Command struct {
	// Line is given to sh -c.
	Line string
	// Args, if there are any, are run in place of Line and without a shell: the
	// program and its arguments. A program without a slash is looked for in the PATH
	// of Env.
	Args []string
	// Stop is given to sh -c when the command must end. Empty: its process group
	// gets SIGTERM instead.
	Stop string
	// Dir is the working directory; empty is the caller's.
	Dir string
	// Env is the whole environment. The last of several values of a name counts.
	Env []string
	// Timeout is how long it may run. Zero: no limit.
	Timeout time.Duration
	// Grace is how long it may go on after it was told to stop, before the whole
	// process group is killed. Zero: it is killed at once. See also Within.
	Grace time.Duration
	// Lock, if not nil, is inherited by the command, so that a lock on the file is
	// held for as long as one of its processes lives, even if we are killed.
	Lock *os.File
	// Secrets are masked, byte for byte with stars, in all that it prints.
	Secrets []string
	// Output, if not nil, is given what the command prints, as it comes. With Errors
	// standard error goes there instead, by a pipe of its own, so that the order of
	// the two is only about right. A writer that fails, or that does not come back
	// for a minute, is given up: the command goes on without it.
	Output, Errors io.Writer
}

// Result is how a command ended.
type Result struct {
	// ExitCode is the command's, or 128 and the number of the signal that ended it.
	// If Err is set it is what a shell would make of that: 127 if there is no such
	// program, else 126. It is -1 if nothing was started because ctx had ended.
	ExitCode int
	// Signal ended the command; zero if none did. A shell whose child was ended by
	// one exits with 128 and its number, and has no Signal itself.
	Signal syscall.Signal
	// TimedOut and Cancelled say that it was stopped, by its time limit or because
	// the context ended.
	TimedOut, Cancelled bool
	// Err is why it could not be started; nil otherwise.
	Err            error
	Started, Ended time.Time
	// Output is the end of standard output and standard error together, at most
	// MaxOutput bytes of valid UTF-8. It may hold control characters.
	Output string
	// Unwritten is why Command.Output or Errors was not given everything; nil if it
	// was.
	Unwritten error
}

// SignalName is the name of the signal that ended the command, "SIGKILL"; empty
// if none did.
func (r Result) SignalName() string {
	if name := unix.SignalName(r.Signal); r.Signal == 0 || name != "" {
		return name
	}
	return r.Signal.String() // the real-time ones have no names
}

// Within is for ending the context of Run with it as the cause
// (context.WithCancelCause), when only then it is known how much time is left:
// the process group is killed after this long, even if its Grace is longer or
// has begun already. Run returns a fifth of a second after that at the latest.
type Within time.Duration

func (w Within) Error() string { return "stop within " + time.Duration(w).String() }

// drain is how long output is still read after the command has ended: what it
// left running in the background may hold the pipe open for ever.
const drain = time.Second

// hurry replaces drain, and bounds the wait for writers, when the context has
// ended: whoever ended it may be killed soon.
const hurry = 100 * time.Millisecond

// Run runs a command and returns when its shell, or its program, has ended. When
// ctx ends, or the command's time is up, its whole process group is told to stop,
// and killed after its grace. A process that made a session of its own (setsid)
// has left the group and goes on; so does what the command left running in the
// background, if it ended by itself. If ctx has ended before, nothing is started.
func Run(ctx context.Context, c Command) Result {
	r := Result{Started: time.Now()}
	if ctx.Err() != nil {
		r.Cancelled, r.ExitCode, r.Ended = true, -1, r.Started
		return r
	}
	out, err := newOutput(c)
	if err != nil {
		r.Err, r.ExitCode, r.Ended = err, 126, time.Now()
		return r
	}
	cmd, err := c.start(out)
	if err != nil {
		out.close()
		r.Err, r.ExitCode, r.Ended = err, 126, time.Now()
		if _, missing := errors.AsType[*notFoundError](err); missing {
			r.ExitCode = 127
		}
		return r
	}
	out.read()
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
		c.stop(ctx, cmd.Process.Pid, exited, out)
	}
	waiting.Wait()
	r.Ended = time.Now()
	r.Output, r.Unwritten = out.end(ctx)
	r.ExitCode, r.Signal = exitCode(cmd, err)
	return r
}

// groupPoll is how often we look whether a process group that was told to stop
// has gone: only of its leader the kernel tells us.
const groupPoll = 10 * time.Millisecond

// stop ends the process group with this leader: kindly, and after the grace for
// good. A shell dies of SIGTERM at once while what it started still tidies up, so
// that the leader has gone means little.
func (c Command) stop(ctx context.Context, group int, exited <-chan struct{}, out *output) {
	begun := time.Now()
	grace := time.NewTimer(c.Grace)
	defer grace.Stop()
	stopped := make(chan struct{}) // the stop command has ended
	var stopper *exec.Cmd
	if c.Stop != "" {
		stopper, _ = Command{Line: c.Stop, Dir: c.Dir, Env: c.Env}.start(out)
	}
	if stopper == nil {
		syscall.Kill(-group, syscall.SIGTERM)
		// One that was halted could not act on it.
		syscall.Kill(-group, syscall.SIGCONT)
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
	ended := ctx.Done()
	for !over(exited) || !over(stopped) || syscall.Kill(-group, 0) != syscall.ESRCH {
		select {
		case <-ended:
			ended = nil
			if within, ok := errors.AsType[Within](context.Cause(ctx)); ok {
				left := c.Grace - time.Since(begun)
				grace.Reset(max(min(left, time.Duration(within)), 0))
			}
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

func exitCode(cmd *exec.Cmd, err error) (int, syscall.Signal) {
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return -1, 0
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), status.Signal()
	}
	return cmd.ProcessState.ExitCode(), 0
}

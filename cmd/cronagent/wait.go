package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/platform"
)

// await follows the activities of an operation that was accepted, one after the
// other, until they are over, for at most limit (zero: without one). What became of
// them goes into run, which is recorded again if it has an id. An error has been said already: the
// operation was accepted, so that its code must not be one that says to repeat it.
func (p proc) await(ctx context.Context, client *platform.Client, env envdetect.Environment, run *ledger.Run, activities []platform.Activity, limit time.Duration) error {
	if len(activities) == 0 {
		fmt.Fprintln(p.stderr, "cronagent: there is nothing to wait for: the platform made no activity of it")
		return nil
	}
	if p.insideCron(env) {
		p.warn("this may be a cron of the platform: waiting can hold up deployments until the cron's time limit, and an activity of this environment may begin only when the cron has ended; leave --wait out")
	}
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var problems []string
	var hint string
	look := " --project " + run.Project
	failed, staged := false, false
	for i, activity := range activities {
		now, err := p.follow(ctx, client, run.Project, activity)
		run.Activities[i].State, run.Activities[i].Result = now.State, now.Result
		if err != nil {
			problems = append(problems, stoppedText(ctx, now, err, limit))
			hint = "look at it in the Console, or with: " + cliName(env.Vendor) + " activity:get " + now.ID + look
			break
		}
		switch {
		case now.State == "staged":
			staged = true
		case now.State != "complete" || now.Result != "success":
			failed = true
			problems = append(problems, failedText(now))
			hint = "read its log in the Console, or with: " + cliName(env.Vendor) + " activity:log " + now.ID + look
		}
	}
	switch {
	case failed:
		run.Outcome = ledger.Failed
	case len(problems) == 0 && !staged:
		run.Outcome = ledger.Succeeded
	}
	if run.Outcome != ledger.Fired {
		run.Ended = new(time.Now())
	}
	run.Pending = run.Pending && run.Outcome == ledger.Fired && !staged
	if text := strings.Join(problems, "; "); failed {
		run.ExitCode, run.Error = new(exitFailed), text
	} else if text != "" {
		run.Reason = text // it was accepted, and goes on
	}
	if run.ID != "" {
		p.record(env, *run)
	}
	if len(problems) == 0 {
		return nil
	}
	for _, problem := range problems {
		p.say(fmt.Sprintf("%s on %s: %s", run.Operation, run.Environment, strings.ReplaceAll(problem, "\n", " ")), "")
	}
	p.hint(hint)
	return codeError(exitFailed)
}

// insideCron tells whether this may be a cron of the platform: those run in the
// app's container, not in a worker, and have neither a terminal nor a login.
func (p proc) insideCron(env envdetect.Environment) bool {
	return env.Phase == envdetect.Runtime && env.Worker == "" && !p.byHand()
}

// byHand tells whether a person calls, as far as can be seen.
func (p proc) byHand() bool {
	for _, name := range []string{"SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"} {
		if p.getenv(name) != "" {
			return true
		}
	}
	return isTerminal(os.Stdin)
}

// stoppedText says why an activity is followed no more.
func stoppedText(ctx context.Context, now platform.Progress, err error, limit time.Duration) string {
	if now.ID == "" {
		return "the platform has not said which activity to wait for"
	}
	why := err.Error()
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded):
		why = fmt.Sprintf("it has not ended within %s", limit)
	case ended != nil:
		why = "interrupted"
	default:
		if e, ok := errors.AsType[*platform.Error](err); ok {
			why = strings.TrimPrefix(why, e.Op+": ")
		}
	}
	return fmt.Sprintf("stopped waiting for activity %s, which is %s and goes on without us: %s", now.ID, now.State, why)
}

// maxCommands bounds how many commands of a failed activity are named.
const maxCommands = 5

// failedText says how an activity ended that did not succeed.
func failedText(now platform.Progress) string {
	text := fmt.Sprintf("activity %s (%s) ", now.ID, now.Type)
	if now.State == "cancelled" {
		text += "was cancelled"
	} else {
		text += "ended with the result " + cmp.Or(now.Result, "unknown")
	}
	if now.FailureReason != "" {
		text += " (" + now.FailureReason + ")"
	}
	var commands []string
	for _, command := range now.Commands {
		if command.ExitCode != 0 && len(commands) < maxCommands {
			commands = append(commands, fmt.Sprintf("the %s of %s exited with %d", command.Type, command.App, command.ExitCode))
		}
	}
	if len(commands) > 0 {
		text += ": " + strings.Join(commands, ", ")
	}
	return text
}

// follow waits for one activity and shows how it goes.
func (p proc) follow(ctx context.Context, client *platform.Client, project string, activity platform.Activity) (platform.Progress, error) {
	v := &view{w: p.stderr, mask: p.mask, began: time.Now()}
	if file, ok := p.stderr.(*os.File); ok && isTerminal(file) && p.getenv("TERM") != "dumb" && p.getenv("TERM") != "" {
		v.columns = func() int { return columns(file) }
	}
	if first := (platform.Progress{Activity: activity}); !first.Over() {
		v.tell(platform.Event{Now: first})
	}
	stop := make(chan struct{})
	var drawing sync.WaitGroup
	if v.columns != nil {
		drawing.Go(func() { v.keepDrawing(stop) })
	}
	now, err := client.Wait(ctx, project, activity, v.tell)
	close(stop)
	drawing.Wait()
	if err == nil {
		v.tell(platform.Event{Now: now})
	}
	v.clear()
	return now, err
}

// view shows how an activity goes: at the end of a terminal in one line that is
// drawn again and again, with the log above it, elsewhere in plain lines. It uses
// no colour. Its methods may be called from several goroutines.
type view struct {
	w io.Writer
	// mask takes secrets out of what is shown.
	mask func(string) string
	// columns is how wide the terminal is at present. Nil: it is none.
	columns func() int
	began   time.Time

	mu    sync.Mutex
	now   platform.Progress
	away  bool
	drawn bool
}

// tell shows an event.
func (v *view) tell(e platform.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var lines []string
	for _, line := range e.Log {
		line = readable(v.mask(line))
		if v.columns == nil {
			line = strings.TrimRight("cronagent: log: "+line, " ")
		}
		lines = append(lines, line)
	}
	switch {
	case e.Away != nil:
		lines = append(lines, "cronagent: the API does not answer at present: "+safe(v.mask(e.Away.Error())))
	case v.away:
		lines = append(lines, "cronagent: the API answers again")
	}
	if e.Now.State != v.now.State && (v.columns == nil || e.Now.Over()) {
		lines = append(lines, "cronagent: activity "+stateText(e.Now))
	}
	v.now, v.away = e.Now, e.Away != nil
	if len(lines) > 0 {
		v.erase()
		_, _ = io.WriteString(v.w, strings.Join(lines, "\n")+"\n")
	}
	v.draw()
}

func stateText(now platform.Progress) string {
	text := safe(now.ID) + " is " + safe(now.State)
	if now.State == "staged" {
		text += ": it waits for a deployment by hand"
	}
	if now.Result != "" {
		text += " (" + safe(now.Result) + ")"
	}
	return text
}

// escapes are the sequences with which jobs colour what they print, and move the
// cursor.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[ -/]*[@-~]")

// readable makes a line of a log safe to print. Colours are left out and of a line
// that was printed over itself only the last state is shown; everything else that
// is not text becomes visible.
func readable(line string) string {
	line = strings.TrimRight(escapes.ReplaceAllString(line, ""), "\r")
	return safe(line[strings.LastIndexByte(line, '\r')+1:])
}

// keepDrawing draws the line each second until stop is closed.
func (v *view) keepDrawing(stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			v.mu.Lock()
			v.draw()
			v.mu.Unlock()
		}
	}
}

// clear takes the line away.
func (v *view) clear() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
}

func (v *view) erase() {
	if v.drawn {
		_, _ = io.WriteString(v.w, "\r\x1b[K")
		v.drawn = false
	}
}

func (v *view) draw() {
	if v.columns == nil || v.now.State == "" || v.now.Over() {
		return
	}
	// In one write, and the old one is erased behind the new: it must not flicker.
	_, _ = io.WriteString(v.w, "\r"+bar(v.now, time.Since(v.began), v.away, v.columns())+"\x1b[K")
	v.drawn = true
}

// bar is the line, in less than so many columns: the last one stays free, since
// some terminals go on to the next line when it is filled.
func bar(now platform.Progress, elapsed time.Duration, away bool, columns int) string {
	const longest, shortest = 40, 10
	text := fmt.Sprintf("%3d%% %s %s", now.Percent, safe(now.State), elapsed.Truncate(time.Second))
	if away {
		text += ", the API does not answer"
	}
	room := min(columns-1-utf8.RuneCountInString(text)-len("[] "), longest)
	if room >= shortest {
		done := room * now.Percent / 100
		return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "] " + text
	}
	all := []rune(text)
	return string(all[:max(min(len(all), columns-1), 0)])
}

// isTerminal tells whether a file is a terminal.
func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// columns is how wide a terminal is; 80 if it does not say.
func columns(file *os.File) int {
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return int(size.Col)
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/runner"
)

// The exit codes of exec beside the command's own: timeout(1)'s, and what a shell
// says of a command that SIGTERM ended.
const (
	execTimedOut  = 124
	execCancelled = 128 + int(syscall.SIGTERM)
)

// execGrace is a second less than the platform gives a cron between SIGTERM and
// SIGKILL by default, so that we are there to tell how it ended.
const execGrace = 9 * time.Second

const execMaxRetries = 100

type execOptions struct {
	gate    gate
	name    string
	named   bool // --name was given
	timeout time.Duration
	grace   time.Duration
	overlap string
	retries int
	force   bool
	asJSON  bool
	notify  notifyFlags
}

func newExec(p proc) *cobra.Command {
	opts := execOptions{timeout: appconfig.DefaultTimeout, grace: execGrace}
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARGUMENTS]",
		Short: "run a command on production only, one at a time, with a time limit",
		Long: `Run a command as an agent cron would: on production only, never twice at once,
for a limited time, and with a record of how it ended. It is for use inside the
platform's own crons, in place of croncape or flock -n.

On an environment of another type it does nothing, says so in one line and exits
with 0; --environment-types names the types that it runs on, local (off the
platform) and any among them. So it is during a pause of everything, or of what
--name says (cronagent pause --help).

The command is run as it stands, without a shell (for a line of shell: exec --
sh -c 'LINE'), where exec is called, with its standard input at its end. Words
like NAME=value before it set variables. What it prints goes through as it comes,
with the API token and the passwords of relationships masked.

--name is under what name the command is recorded and locked: of one name one
runs at a time in this container. Without it the name is made of all words of
the command, so that two crons which both call php do not stop each other. Name a
command whose words change from run to run.

At its time limit, or when exec gets SIGTERM, SIGINT or SIGHUP, the command and
all that it started get SIGTERM, and SIGKILL after --shutdown-timeout. A process
that made a session of its own (setsid) escapes that. If exec itself is killed,
the command goes on until it prints something, and keeps its lock.

What a command leaves running in the background must redirect its output, or it
ends when it next prints; and it keeps the lock unless it closes descriptor 3.

People are told how it ended by --mail, --webhook and --ping; MAILTO, MAILFROM and
MAILHOST count as they do for croncape. They hear once of a streak of failures, and
when it is over; --notify-on says of what else. That needs the ledger: without one
they hear of each.

The exit code is the command's, or 128 and the number of the signal that ended
it; 124 after a time-out, 143 when exec was told to stop, 127 if there is no such
command, 126 if it cannot be executed; 0 if it was rightly skipped; 2 for a
mistake in flags or configuration.`,
		Example: `  cronagent exec -- php bin/console app:import
  cronagent exec --name import --timeout 10m --retries 2 -- php bin/import.php
  cronagent exec --environment-types production,staging -- APP_DEBUG=1 ./cleanup.sh
  cronagent exec --mail ops@example.com --webhook '$CHAT_URL' -- php bin/import.php
  cronagent exec --overlap queue -- sh -c 'cd web && drush cron | tail -n 3'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.named = cmd.Flags().Changed("name")
			return p.exec(cmd.Context(), opts, args)
		},
	}
	fs := cmd.Flags()
	// What follows the first word is the command's.
	fs.SetInterspersed(false)
	opts.gate.flag(fs)
	fs.StringVar(&opts.name, "name", "", "the `name` to record and lock under (default: made of the command's words)")
	fs.Var((*limit)(&opts.timeout), "timeout", "stop it after this `time`; a bare number is seconds")
	fs.Var((*limit)(&opts.grace), "shutdown-timeout", "kill it this `time` after it was told to stop")
	fs.StringVar(&opts.overlap, "overlap", string(appconfig.OverlapSkip), "what to `do` if it still runs: skip, queue (wait up to a minute) or allow")
	oneOf(fs, "overlap", "overlap", []string{string(appconfig.OverlapSkip), string(appconfig.OverlapQueue), string(appconfig.OverlapAllow)})
	fs.IntVar(&opts.retries, "retries", 0, "run it again up to `N` times if it fails, after pauses that grow")
	fs.BoolVar(&opts.force, "force", false, "run it even during a pause")
	opts.notify.flag(fs)
	fs.BoolVar(&opts.asJSON, "json", false, "print the run as JSON at the end; the command's output all goes to standard error")
	return cmd
}

// limit is a flag for a time up to the platform's longest: in whole seconds, as in
// the app's configuration, or with a unit.
type limit time.Duration

func (l *limit) Set(text string) error {
	if _, err := strconv.ParseUint(text, 10, 64); err == nil {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return errors.New("it is a number of seconds, or a time like 90s, 10m, 1h30m")
	case d < 0:
		return errors.New("it is negative")
	case d > appconfig.DefaultTimeout:
		return fmt.Errorf("the longest is %s", limit(appconfig.DefaultTimeout))
	}
	*l = limit(d)
	return nil
}

func (l limit) String() string {
	text := time.Duration(l).String()
	text = strings.Replace(text, "m0s", "m", 1)
	return strings.Replace(text, "h0m", "h", 1)
}

func (l limit) Type() string { return "time" }

func (o *execOptions) check() error {
	if err := o.gate.check(); err != nil {
		return err
	}
	if err := o.notify.check(); err != nil {
		return err
	}
	switch {
	case o.named && o.name == "":
		// Usually a shell variable that is not set.
		return usage("for example: --name import", "--name is empty")
	case o.timeout == 0:
		return usage("for example: --timeout 10m", "--timeout must be longer than nothing")
	case o.retries < 0 || o.retries > execMaxRetries:
		return usage("for example: --retries 2", "--retries is from 0 to %d, not %d", execMaxRetries, o.retries)
	case len(o.name) > 255 || !utf8.ValidString(o.name) || strings.ContainsFunc(o.name, unicode.IsControl) || strings.TrimSpace(o.name) != o.name:
		return usage("for example: --name import", "--name %q: a name has at most 255 bytes, no control characters, and no blanks around it", o.name)
	}
	return nil
}

var (
	assignment = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=`)
	// identity are variables that say where this is and who it is: with others, a
	// nested fire would pass a gate that it should not.
	identity = regexp.MustCompile(`^(PLATFORM|CRONAGENT)_`)
)

// splitCommand takes the variables off that stand before a command. croncape's
// users write them there.
func splitCommand(args []string) (vars, words []string, err error) {
	for i, word := range args {
		match := assignment.FindStringSubmatch(word)
		if match == nil {
			words = args[i:]
			break
		}
		if identity.MatchString(match[1]) || slices.Contains(envdetect.TokenVariables(), match[1]) {
			return nil, nil, usage("leave it out", "exec: %s cannot be set here: it says where this is, or who", match[1])
		}
		vars = append(vars, word)
	}
	if len(words) == 0 {
		return nil, nil, usage("for example: cronagent exec -- php bin/console app:import", "exec needs a command")
	}
	if words[0] == "" {
		// Usually a shell variable that is not set.
		return nil, nil, usage("for example: cronagent exec -- php bin/console app:import", "exec: the command is empty")
	}
	return vars, words, nil
}

// defaultName tells commands apart by all their words: by the program's name alone
// two crons that both call php would lock each other out. A hash, since arguments
// may hold secrets, and a name is in records and listings.
func defaultName(args, words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(args, "\x00")))
	base := strings.ToValidUTF8(safe(filepath.Base(words[0])), "?")
	if len(base) > 200 {
		base = strings.ToValidUTF8(base[:200], "")
	}
	return base + "-" + hex.EncodeToString(sum[:4])
}

// exec is `cronagent exec`: where are we, may we, are we alone, run, record, say.
func (p proc) exec(ctx context.Context, opts execOptions, args []string) error {
	if err := opts.check(); err != nil {
		return err
	}
	vars, words, err := splitCommand(args)
	if err != nil {
		return err
	}
	if opts.name == "" {
		opts.name = p.mask(defaultName(args, words))
	}
	env, err := p.detect("")
	if err != nil {
		return err
	}
	if env.Phase == envdetect.Build {
		return errBuild("exec " + opts.name)
	}
	run := ledger.Run{
		ID:         agent.NewID(),
		Key:        ledger.Key{Project: env.Project, Environment: env.ID, App: env.App, Cron: opts.name},
		Count:      1,
		Activities: []ledger.Activity{},
	}
	if reason := refusal(opts.gate.types, env.Type); reason != "" {
		run.Outcome, run.Reason = ledger.Skipped, reason
		return p.reportExec(run, runner.Result{}, opts.asJSON)
	}
	recorder := p.openRecorder(env)
	if reason := recorder.pause(run.Key); reason != "" && !opts.force {
		run.Outcome, run.Reason, run.Ended = ledger.Skipped, reason, new(time.Now())
		recorder.add(run)
		return p.reportExec(run, runner.Result{}, opts.asJSON)
	}
	recorder.warnUnread() // the command may take hours
	// From here on a signal stops the command, however often it comes: ended the
	// normal way by a second one, we would leave the command behind.
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(again)
	ctx, cancel := stopInTime(ctx, env)
	defer cancel()

	lock, err := execLock(ctx, env, opts)
	if err != nil {
		return err
	}
	people := p.execPeople(env, opts, vars)
	if lock != nil {
		defer lock.Close()
	} else if opts.overlap != string(appconfig.OverlapAllow) && ctx.Err() == nil {
		run.Outcome, run.Reason = ledger.Skipped, "the run before it has not ended yet"
		run.Started, run.Ended = new(time.Now()), new(time.Now())
		p.record(env, run)
		err := p.reportExec(run, runner.Result{}, opts.asJSON)
		people.hear(ctx, run)
		return err
	}
	command := runner.Command{
		Args: words, Timeout: opts.timeout, Grace: opts.grace, Lock: lock,
		Env:     append(append(p.environ(), vars...), "CRONAGENT_CRON="+opts.name, "CRONAGENT_RUN_ID="+run.ID),
		Secrets: p.secrets(env),
		Output:  p.stdout, Errors: p.stderr,
	}
	if opts.asJSON {
		command.Output, command.Errors = p.stderr, nil
	}
	run.Started = new(time.Now())
	noted := p.noteStop(ctx, env, run)
	people.hearBegin(ctx, run)
	ended := p.attempts(ctx, command, opts.retries, &run)
	run.Ended = new(time.Now())
	noted()
	p.record(env, run)
	if lock != nil {
		lock.Close() // the next one need not wait for people
	}
	err = p.reportExec(run, ended, opts.asJSON)
	people.hear(ctx, run)
	return err
}

// execLock takes the lock on the name. Without a place for it nothing is run: it
// might be the second one.
func execLock(ctx context.Context, env envdetect.Environment, opts execOptions) (*os.File, error) {
	const hint = "set CRONAGENT_STATE_DIR to a folder of this container that can be written to, or choose --overlap allow"
	overlap := appconfig.Overlap(opts.overlap)
	if env.StateProblem != "" && overlap != appconfig.OverlapAllow {
		return nil, usage(hint, "state directory %s: %s", env.StateDir, env.StateProblem)
	}
	lock, err := overlapLock(ctx, env.StateDir, env.App, opts.name, overlap)
	if err != nil {
		return nil, &usageError{err, hint}
	}
	return lock, nil
}

// noteStop records a run as cancelled as soon as ctx ends, since we may be killed
// before its real end, which replaces it. The caller calls the function that it
// returns before it records that.
func (p proc) noteStop(ctx context.Context, env envdetect.Environment, run ledger.Run) func() {
	noted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(noted)
		run.Outcome, run.Attempts = ledger.Cancelled, 1
		run.Error = "told to stop; how it ended was not recorded"
		p.record(env, run)
	})
	return func() {
		if !stop() {
			<-noted
		}
	}
}

// attempts runs the command until it does not fail, or for the last time. Only
// what failed by itself is tried again, and neither a time-out nor what could not
// be started.
func (p proc) attempts(ctx context.Context, command runner.Command, retries int, run *ledger.Run) runner.Result {
	for {
		ended := runner.Run(ctx, command)
		run.Attempts++
		commandResult(ended).Into(run)
		if ended.ExitCode < 0 { // told to stop before it was started
			run.Attempts, run.Started, run.ExitCode = 0, nil, nil
			return ended
		}
		if run.Outcome != ledger.Failed || ended.Err != nil || run.Attempts > retries {
			return ended
		}
		wait := execBackoff(run.Attempts)
		fmt.Fprintf(p.stderr, "cronagent: failed: %s: %s; attempt %d of %d in %s\n",
			safe(run.Cron), safe(run.Error), run.Attempts+1, retries+1, wait.Round(time.Millisecond))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			run.Reason = "told to stop before it was tried again"
			return ended
		}
	}
}

// execBackoff is the pause before another attempt: full jitter below a ceiling that
// doubles from five seconds to five minutes. Shorter than an agent's, since a cron
// of the platform that runs holds up deployments.
func execBackoff(attempts int) time.Duration {
	return rand.N(min(5*time.Second<<min(attempts-1, 6), 5*time.Minute))
}

// reportExec says in one line what is out of the ordinary about how a run ended,
// and turns it into an exit code. A command that failed has said why itself.
func (p proc) reportExec(run ledger.Run, ended runner.Result, asJSON bool) error {
	if asJSON {
		p.notSaid(writeJSON(p.stdout, recorded(run)))
	}
	if ended.Unwritten != nil {
		p.warn("%s: not all of its output could be passed on: %v", run.Cron, ended.Unwritten)
	}
	told := func(word, why string) {
		fmt.Fprintf(p.stderr, "cronagent: %s: %s: %s\n", word, safe(run.Cron), safe(why))
	}
	switch {
	case run.Outcome == ledger.Skipped:
		if !asJSON {
			told("skipped", run.Reason)
		}
	case ended.Err != nil:
		p.say(run.Cron+": "+run.Error, execHint(ended.Err))
	case run.Outcome == ledger.TimedOut:
		told("timed out", fmt.Sprintf("stopped after %s", ended.Ended.Sub(ended.Started).Round(time.Millisecond)))
		return codeError(execTimedOut)
	case run.Outcome == ledger.Cancelled:
		told("cancelled", "exec was told to stop")
		return codeError(execCancelled)
	case ended.Signal != 0:
		told("failed", run.Error)
	}
	switch {
	case ended.ExitCode == 0:
		return nil
	case ended.ExitCode < 0:
		return codeError(exitFailed)
	}
	return codeError(ended.ExitCode)
}

// execHint is for what could not be started.
func execHint(err error) string {
	if errors.Is(err, os.ErrNotExist) {
		return "the words are run without a shell; for a line of shell, its built-in commands and $VARIABLES: cronagent exec -- sh -c 'LINE'"
	}
	if errors.Is(err, os.ErrPermission) {
		return "make it executable in the build hook (chmod +x), or call its interpreter: cronagent exec -- php FILE"
	}
	return ""
}

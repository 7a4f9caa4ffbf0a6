package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/runner"
)

// configFlags say which configuration is read.
type configFlags struct{ file, app, vendor string }

func (c *configFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&c.file, "file", "", "read this `file` (default: PLATFORM_APPLICATION in a container, else found upwards)")
	fs.StringVar(&c.app, "app", "", "the app's `name` (default: PLATFORM_APPLICATION_NAME, or the only one)")
	addVendor(fs, &c.vendor)
}

// load detects where this is and reads the app's configuration.
func (p proc) load(c configFlags) (envdetect.Environment, *appconfig.App, error) {
	env, err := p.detect(c.vendor)
	if err != nil {
		return env, nil, err
	}
	app, err := loadApp(c, env)
	return env, app, err
}

// loadGC is how much memory, in percent of what is kept, reading a configuration may
// take before garbage is collected. The parser keeps almost all that it takes, up to
// the end: to look for garbage meanwhile is a fifth of the time of a large file.
const loadGC = 400

// loadApp reads the app's configuration, from the first of: the file that was
// named, the container's variables, the files found from the app's directory or
// the working directory upwards.
func loadApp(c configFlags, env envdetect.Environment) (*appconfig.App, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(loadGC))
	source, err := readSource(c, env)
	if err != nil {
		return nil, err
	}
	if env.Phase == envdetect.Runtime {
		source.Override(env.Variables)
	}
	app, err := source.App(appconfig.Options{App: cmp.Or(c.app, env.App), Project: env.Project})
	if problems, ok := errors.AsType[appconfig.Errors](err); ok && env.Phase == envdetect.Runtime {
		locateErrors(problems, env)
	}
	return app, err
}

func readSource(c configFlags, env envdetect.Environment) (*appconfig.Source, error) {
	switch {
	case c.file != "":
		return appconfig.ReadFile(c.file)
	case env.ConfigSource == "PLATFORM_APPLICATION":
		return appconfig.FromVariables(env.Application, env.Variables)
	case env.Platform:
		return appconfig.Find(env.AppDir)
	}
	return appconfig.Find("")
}

// locate gives the crons of a container's variables the places that they have in
// the file of the image, and says where the two differ: a change of crons alone
// makes no new image, so the file may be older than what the platform runs.
func (p proc) locate(app *appconfig.App, env envdetect.Environment) {
	if app.File != env.ConfigSource || env.ConfigSource == "" {
		return
	}
	source, err := appconfig.Find(env.AppDir)
	if err != nil {
		return
	}
	inFile, err := source.App(appconfig.Options{App: env.App, Project: env.Project})
	if err != nil {
		return
	}
	type key struct {
		scheduler appconfig.Scheduler
		name      string
	}
	written := map[key]*appconfig.Cron{}
	for i := range inFile.Crons {
		c := &inFile.Crons[i]
		written[key{c.Scheduler, c.Name}] = c
	}
	_, overridden := env.Variables["cronagent:crons"]
	var differ []string
	for i := range app.Crons {
		c := &app.Crons[i]
		w := written[key{c.Scheduler, c.Name}]
		delete(written, key{c.Scheduler, c.Name})
		switch {
		case c.Scheduler == appconfig.Agent && overridden:
		case w != nil && w.Spec == c.Spec && w.Start == c.Start && operationOf(w) == operationOf(c):
			c.Position = w.Position
		default:
			differ = append(differ, c.Name)
		}
	}
	for k := range written {
		if k.scheduler == appconfig.Platform || !overridden {
			differ = append(differ, k.name)
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		p.warn("%s in the image is not what the platform runs, which counts here; different: %s", inFile.File, strings.Join(differ, ", "))
	}
}

func operationOf(c *appconfig.Cron) string {
	if c.Fire == nil {
		return ""
	}
	return c.Fire.String() + string(c.Fire.Body)
}

// locateErrors gives problems of a container's variables the lines that they have
// in the file of the image, if it has the same ones.
func locateErrors(problems appconfig.Errors, env envdetect.Environment) {
	source, err := appconfig.Find(env.AppDir)
	if err != nil {
		return
	}
	for _, written := range source.Problems(appconfig.Options{App: env.App, Project: env.Project}) {
		for _, problem := range problems {
			if problem.Cron == written.Cron && problem.Message == written.Message && problem.Position.Line == 0 {
				problem.Position = written.Position
			}
		}
	}
}

// findConfig is the file that would be read.
func findConfig(env envdetect.Environment) string {
	app, err := loadApp(configFlags{}, env)
	if err != nil {
		return ""
	}
	return app.File
}

// lateInTick is how long after its due an occurrence is on time for a tick: the
// platform may start a cron up to 20 minutes late, and a deployment holds it up.
const lateInTick = 30 * time.Minute

// lookBack is how long before its first tick a fire cron begins, so that a
// deployment that wipes the ledger loses nothing that was due meanwhile.
const lookBack = 30 * time.Minute

// newAgent builds the agent of this container from its configuration: every
// agent cron with its gate and its action.
func (p proc) newAgent(env envdetect.Environment, app *appconfig.App, l ledger.Ledger, log *slog.Logger) *agent.Agent {
	a := &agent.Agent{
		Ledger:      l,
		Project:     env.Project,
		Environment: env.ID,
		App:         app.Name,
		Late:        lateInTick,
		LookBack:    lookBack,
		Log:         log,
	}
	client := p.client(env)
	target := platform.Target{Project: env.Project, Environment: env.ID}
	commands := p.commands(env, app)
	a.Find = findActivities(client, target)
	a.Look = lookAtActivities(client)
	a.Crons = make([]agent.Cron, 0, len(app.Crons))
	for i := range app.Crons {
		c := &app.Crons[i]
		if c.Scheduler != appconfig.Agent {
			continue
		}
		cron := agent.Cron{
			Name:         c.Name,
			Schedule:     c.Schedule,
			SkipMissed:   c.Missed == appconfig.MissedSkip,
			MissedWithin: c.MissedWithin,
			Retries:      c.Retries,
			Refusal:      refusal(c.EnvironmentTypes, env.Type),
		}
		if !c.Enabled {
			cron.Refusal = "it is disabled (enabled: false)"
		}
		if cron.Refusal == "" && c.Schedule.Open() {
			cron.Refusal = "its H is drawn from the project's id, and PLATFORM_PROJECT is not set"
		}
		if c.Fire != nil {
			cron.Operation, cron.Limit = c.Fire.String(), fireDeadline
			cron.Act = fireAction(client, target, *c.Fire)
			if cron.Refusal == "" && (target.Project == "" || target.Environment == "") {
				cron.Refusal = "no environment is known to fire at: PLATFORM_PROJECT and PLATFORM_BRANCH are not both set"
			}
		} else {
			cron.Overlaps = c.Overlap == appconfig.OverlapAllow
			cron.Limit = c.Timeout + c.ShutdownTimeout
			if c.Overlap == appconfig.OverlapQueue {
				cron.Limit += queueLimit
			}
			cron.Act = commands.action(c)
		}
		a.Crons = append(a.Crons, cron)
	}
	return a
}

// fireAction is what a fire cron does.
func fireAction(client *platform.Client, target platform.Target, request operation.Request) agent.Action {
	return func(ctx context.Context, _ agent.Occurrence) agent.Result {
		ctx, cancel := context.WithTimeout(ctx, fireDeadline)
		defer cancel()
		accepted, err := client.Fire(ctx, target, request)
		result := fireResult(accepted, err)
		// What is in the way now may end by itself, and nothing was accepted.
		if e, ok := errors.AsType[*platform.Error](err); ok && (e.Reason == platform.Busy || e.Reason == platform.NotAvailable || e.Status == 409 && e.Reason == platform.Unexplained) {
			result.Outcome = ledger.Deferred
		}
		return result
	}
}

// findActivities is how the agent finds out what was fired already.
func findActivities(client *platform.Client, target platform.Target) func(context.Context, ledger.Run, time.Duration) ([]ledger.Activity, int, *agent.Result) {
	return func(ctx context.Context, run ledger.Run, ago time.Duration) ([]ledger.Activity, int, *agent.Result) {
		ctx, cancel := context.WithTimeout(ctx, fireDeadline/2)
		defer cancel()
		words := []string{run.Operation}
		if name, argument, ok := strings.Cut(run.Operation, " "); ok {
			words = []string{name, "--", argument}
		}
		request, err := operation.Parse(words)
		if err != nil {
			return nil, 0, &agent.Result{Outcome: ledger.Failed, ExitCode: new(exitFailed), Error: err.Error()}
		}
		found, doubtful, err := client.Find(ctx, target, request, ago)
		if err != nil {
			problem := fireResult(platform.Accepted{}, err)
			problem.Reason = "what was fired already could not be read"
			return nil, 0, &problem
		}
		return records(found), doubtful, nil
	}
}

// lookAtActivities is how the agent finds out what became of a fire.
func lookAtActivities(client *platform.Client) func(context.Context, ledger.Run) ([]ledger.Activity, error) {
	return func(ctx context.Context, run ledger.Run) ([]ledger.Activity, error) {
		var all []platform.Activity
		for _, known := range run.Activities {
			now, err := client.Activity(ctx, run.Project, known.ID)
			if err != nil {
				return nil, err
			}
			all = append(all, now)
		}
		return records(all), nil
	}
}

// records are activities as the ledger keeps them.
func records(activities []platform.Activity) []ledger.Activity {
	all := []ledger.Activity{}
	for _, activity := range activities {
		all = append(all, ledger.Activity{ID: activity.ID, Type: activity.Type, State: activity.State, Result: activity.Result})
	}
	return all
}

// fireResult says what an answer of Fire means for a run.
func fireResult(accepted platform.Accepted, err error) agent.Result {
	if err != nil {
		r := agent.Result{Outcome: ledger.Failed, ExitCode: new(exitFailed), Error: err.Error()}
		if e, ok := errors.AsType[*platform.Error](err); ok {
			*r.ExitCode = platformCode(e.Kind)
			switch e.Kind {
			case platform.Unavailable:
				r.Outcome = ledger.Deferred
			case platform.Uncertain:
				r.Outcome = ledger.Uncertain
			}
		}
		return r
	}
	r := agent.Result{Outcome: ledger.Fired, Reason: accepted.Note, ExitCode: new(exitDone)}
	if accepted.Already {
		r.Outcome = ledger.Succeeded
	}
	r.Activities = records(accepted.Activities)
	return r
}

// queueLimit is how long an occurrence with overlap: queue waits for the one
// before it.
const queueLimit = time.Minute

// commands is what the commands of all crons share.
type commands struct {
	environ            func() []string
	stateDir, app, dir string
	secrets            []string // are masked in what they print
}

func (p proc) commands(env envdetect.Environment, app *appconfig.App) *commands {
	dir := app.Dir
	if env.Platform && env.AppDir != "" {
		dir = env.AppDir
	}
	return &commands{p.environ, env.StateDir, app.Name, dir, p.secrets(env)}
}

// action is what a command cron does. It takes what it needs out of the cron, so
// that run does not hold on to the whole configuration for months.
func (s *commands) action(c *appconfig.Cron) agent.Action {
	name, overlap, env := c.Name, c.Overlap, c.Env
	start, stop, timeout, grace := c.Start, c.Stop, c.Timeout, c.ShutdownTimeout
	return func(ctx context.Context, o agent.Occurrence) agent.Result {
		lock, err := overlapLock(ctx, s.stateDir, s.app, name, overlap)
		if err != nil {
			return agent.Result{Outcome: ledger.Failed, Error: err.Error()}
		}
		if lock != nil {
			defer lock.Close()
		} else if ctx.Err() != nil {
			return agent.Result{Outcome: ledger.Deferred, Reason: "the agent was told to stop"}
		} else if overlap != appconfig.OverlapAllow {
			return agent.Result{Outcome: ledger.Skipped, Reason: "the run before it has not ended yet"}
		}
		vars := s.environ()
		for name, value := range env {
			vars = append(vars, name+"="+value)
		}
		vars = append(vars, "CRONAGENT_CRON="+name, "CRONAGENT_RUN_ID="+o.RunID, "CRONAGENT_DUE="+o.Due.Format(time.RFC3339))
		kept := &lazyOutput{outputs: ledger.Outputs{Dir: s.stateDir}, id: o.RunID}
		result := commandResult(runner.Run(ctx, runner.Command{
			Line: start, Stop: stop, Dir: s.dir, Env: vars,
			Timeout: timeout, Grace: grace, Lock: lock, Secrets: s.secrets,
			Output: kept,
		}))
		if err := kept.Close(); err != nil && result.Reason == "" {
			result.Reason = "its output was not kept: " + err.Error()
		}
		return result
	}
}

// lazyOutput keeps the output of a run in a file that is made when there is some.
// It never fails whoever writes.
type lazyOutput struct {
	outputs ledger.Outputs
	id      string
	file    io.WriteCloser // nil: nothing was written yet
	err     error
}

func (l *lazyOutput) Write(text []byte) (int, error) {
	if l.file == nil && l.err == nil {
		l.file, l.err = l.outputs.Create(l.id)
	}
	if l.err != nil {
		return len(text), nil
	}
	return l.file.Write(text)
}

// Close tells what went wrong.
func (l *lazyOutput) Close() error {
	if l.file == nil {
		return l.err
	}
	return l.file.Close()
}

func commandResult(ended runner.Result) agent.Result {
	if ended.Err != nil {
		return agent.Result{Outcome: ledger.Failed, Error: "could not be started: " + ended.Err.Error()}
	}
	r := agent.Result{Outcome: ledger.Succeeded, ExitCode: new(ended.ExitCode), Output: ended.Output}
	if ended.Unwritten != nil {
		r.Reason = "not all of its output was passed on: " + ended.Unwritten.Error()
	}
	switch {
	case ended.TimedOut:
		r.Outcome, r.Error = ledger.TimedOut, "stopped at its time limit"
	case ended.Cancelled:
		r.Outcome, r.Error = ledger.Cancelled, "stopped, because the agent was told to stop"
	case ended.Signal != 0:
		r.Outcome, r.Error = ledger.Failed, "ended by the signal "+ended.SignalName()
	case ended.ExitCode != 0:
		r.Outcome, r.Error = ledger.Failed, "exit code "+strconv.Itoa(ended.ExitCode)
	}
	return r
}

// longestLock bounds the readable part of a lock file's name, in bytes.
const longestLock = 200

// forkLimit is how long a lock is asked for before another run is said to hold it:
// every child that is being started holds a copy of all our files for a moment, and
// with it the lock of a run that has just ended.
const forkLimit = 250 * time.Millisecond

// overlapLock takes the lock that keeps two runs of a cron apart: an agent cron's,
// or what exec runs under that name. It returns nil without an error if there is
// none to take: overlap is allowed, or another run has it.
func overlapLock(ctx context.Context, stateDir, app, cron string, overlap appconfig.Overlap) (*os.File, error) {
	if overlap == appconfig.OverlapAllow {
		return nil, nil
	}
	dir := filepath.Join(stateDir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("lock against overlap: %w", err)
	}
	// Names of apps and crons may hold slashes, and be longer than a file's.
	name := strings.ReplaceAll(strconv.QuoteToASCII(app+"--"+cron), "/", `\x2f`)
	name = strings.Trim(name, `"`)
	if len(name) > longestLock {
		sum := sha256.Sum256([]byte(name))
		name = name[:longestLock] + hex.EncodeToString(sum[:8])
	}
	path := filepath.Join(dir, name+".lock")
	limit, pace := forkLimit, 10*time.Millisecond
	if overlap == appconfig.OverlapQueue {
		limit = queueLimit
	}
	for began := time.Now(); ; pace = min(pace*5/4, 100*time.Millisecond) {
		lock, err := runner.Lock(path)
		if lock != nil || err != nil || time.Since(began) >= limit || ctx.Err() != nil {
			return lock, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
}

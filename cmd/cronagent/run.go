package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/shell"
)

type runOptions struct {
	config        configFlags
	logFormat     string
	asJSON        bool
	platformCrons string
	maxParallel   int
	listen        listenFlags
}

func newRun(p proc) *cobra.Command {
	var opts runOptions
	cmd := &cobra.Command{
		Use:        "run",
		SuggestFor: []string{"start", "daemon", "serve"},
		Short:      "stay in the foreground and act on agent crons when they are due",
		Long: `Stay in the foreground and act on every agent cron when it is due: for a worker,
or for a terminal. It says what it will do in one line, and then one line for
each event.

An occurrence is on time up to a minute after its due, and up to 30 minutes if it
came due before run began; later it is missed, as with tick. SIGTERM and SIGINT
end it: nothing new is begun, running commands get their time to stop, at most 13
seconds, and the exit code is 0. A second signal ends it at once.

With --listen it answers monitors over HTTP: /healthz is 200 as long as it does its
work, else 503, and /metrics is a page for Prometheus. Whoever reaches the address
can read the names of the crons and how they end, so it must be one of loopback, or
--listen-anywhere says that it is meant.

The crons of the platform are left to the platform. Outside of it,
--platform-crons=yes runs them too, guards and all.

` + exitCodesHelp,
		Example: `  cronagent run
  cronagent run --log-format json --listen 127.0.0.1:9100`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runAgent(cmd.Context(), opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&opts.logFormat, "log-format", "text", "`text` or json")
	fs.BoolVar(&opts.asJSON, "json", false, "log JSON, like --log-format json: an object a line, on standard error")
	oneOf(fs, "log-format", "log format", []string{"text", "json"})
	fs.StringVar(&opts.platformCrons, "platform-crons", "no", "`yes` runs the platform's crons as well; only outside the platform")
	oneOf(fs, "platform-crons", "answer", []string{"yes", "no"})
	fs.StringVar(&opts.listen.address, "listen", "", "answer monitors on this `address`, host:port (default: nowhere)")
	fs.BoolVar(&opts.listen.anywhere, "listen-anywhere", false, "let --listen be reached by others than this machine")
	fs.IntVar(&opts.maxParallel, "max-parallel", 0, "at most `n` commands at once (default: two for each core)")
	return cmd
}

// lateInRun is how long after its due an occurrence is on time for run.
const lateInRun = time.Minute

// worthCollecting is from how many crons on run gives back, once it is armed, what
// starting took, since it stays for months: almost all of that is garbage then. Of
// fewer crons it is less than what collecting it takes.
const worthCollecting = 200

// runAgent is `cronagent run`.
func (p proc) runAgent(ctx context.Context, opts runOptions) error {
	if opts.maxParallel < 0 {
		return usage("leave it out for two for each core", "--max-parallel must not be negative")
	}
	if opts.asJSON {
		opts.logFormat = "json"
	}
	log := p.loggerAs(opts.logFormat)
	env, app, err := p.loadForAgent(opts.config, "run")
	if err != nil {
		return err
	}
	if opts.platformCrons == "yes" && env.Platform {
		return usage("leave --platform-crons out here", "--platform-crons=yes: the platform runs its crons itself, and each would run twice")
	}
	l, err := openLedger(ctx, env)
	if err != nil {
		return err
	}
	defer l.Close()
	// What runs is told when the time comes how much of it is left.
	ctx, stop := stopInTime(ctx, env)
	defer stop()
	a := p.newAgent(env, app, l, log)
	if opts.platformCrons == "yes" {
		p.addPlatformCrons(a, env, app)
	}
	a.Late, a.MaxParallel = lateInRun, opts.maxParallel
	a.Armed = func() {
		if len(a.Crons) >= worthCollecting {
			go debug.FreeOSMemory()
		}
	}
	p.notePath(env, "run", log)
	for _, problem := range p.tellPeople(a, env, app) {
		log.Warn(problem)
	}
	if env.StateWarning != "" {
		log.Warn(env.StateWarning)
	}
	served, err := opts.listen.serve(ctx, env, app, a)
	if err != nil {
		return err
	}
	announce(log, a, l, env, app)
	noting := make(chan struct{})
	go func() {
		defer close(noting)
		lookAfter(ctx, l, ledger.Outputs{Dir: env.StateDir}, log)
	}()
	a.Run(ctx)
	<-noting
	served()
	tellNotes(l, log)
	log.Info("stopped")
	return nil
}

// pruneEvery is how often run removes old outputs.
const pruneEvery = 10 * time.Minute

// lookAfter does that, and tells what the ledger has been through, until ctx
// ends. It wakes for nothing else: most of what run takes while nothing is due is
// waking up.
func lookAfter(ctx context.Context, l openedLedger, outputs ledger.Outputs, log *slog.Logger) {
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-l.Noted():
			tellNotes(l, log)
		case <-prune.C:
			if err := outputs.Prune(); err != nil {
				log.Warn("old outputs could not be removed", "err", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func tellNotes(l openedLedger, log *slog.Logger) {
	for _, note := range l.Notes() {
		log.Warn(note)
	}
}

// announce says in one line what run will do.
func announce(log *slog.Logger, a *agent.Agent, l openedLedger, env envdetect.Environment, app *appconfig.App) {
	acting, platformCrons := 0, 0
	var next time.Time
	var first string
	now := time.Now()
	for _, cron := range a.Crons {
		if cron.Refusal != "" {
			continue
		}
		acting++
		if due := cron.Schedule.Next(now); !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next, first = due, cron.Name
		}
	}
	for _, c := range app.Crons {
		if c.Scheduler == appconfig.Platform {
			platformCrons++
		}
	}
	attrs := []any{"crons", acting, "environment", env.ID, "type", env.Type, "ledger", l.Name()}
	if acting > 0 {
		attrs = append(attrs, "next", first, "due", next)
	}
	if refused := len(a.Crons) - acting; refused > 0 {
		attrs = append(attrs, "not_here", refused)
	}
	if platformCrons > 0 && env.Platform {
		attrs = append(attrs, "left_to_the_platform", platformCrons)
	}
	log.Info("running", attrs...)
	if len(a.Crons) == 0 {
		log.Warn(fmt.Sprintf("%s has no agent crons, so there is nothing to do; write them under variables.cronagent.crons", app.File))
	}
}

// loadForAgent detects where this is and reads the configuration, for a command
// that acts on agent crons, and refuses where another container does the same.
func (p proc) loadForAgent(config configFlags, what string) (envdetect.Environment, *appconfig.App, error) {
	env, err := p.detect(config.vendor)
	if err != nil {
		return env, nil, err
	}
	if env.Phase == envdetect.Build {
		return env, nil, errBuild(what)
	}
	app, err := loadApp(config, env)
	if err != nil {
		return env, nil, err
	}
	p.warnAbout(env)
	if err := p.ledgerIsSettled(env, app); err != nil {
		return env, nil, err
	}
	if env.Database != nil && env.StateProblem != "" {
		return env, nil, errState(env) // locks and output are there
	}
	return env, app, isAlone(env, app, what)
}

// isAlone refuses to act on the app's agent crons where another of its containers
// can be seen to do so, if their ledgers are files: two, that know nothing of each
// other.
func isAlone(env envdetect.Environment, app *appconfig.App, what string) error {
	if !env.Platform || env.Database != nil {
		return nil
	}
	elsewhere := func(where string) error {
		return usage("leave it to one of them, or set CRONAGENT_LEDGER (or variables.cronagent.ledger) to a relationship to PostgreSQL, MariaDB or MySQL, which they can share", "%s: %s, which is another container, and both would act on the same crons", what, where)
	}
	for _, a := range actors(app) {
		if a.worker != env.Worker {
			return elsewhere(a.does)
		}
	}
	return nil
}

// actor is something in the app's configuration that acts on its agent crons.
type actor struct {
	// worker is the name of the worker in whose container it does; empty: the app's own.
	worker string
	does   string // in words
}

// actors are those that can be seen: a cron of the app that calls tick, a worker that
// calls either.
func actors(app *appconfig.App) []actor {
	var all []actor
	for _, c := range app.Crons {
		if wakes(&c) {
			all = append(all, actor{"", fmt.Sprintf("the cron %q of the app calls cronagent tick", c.Name)})
		}
	}
	var workers []string
	for name, start := range app.Workers {
		if callsAgent(start, "run") || callsAgent(start, "tick") {
			workers = append(workers, name)
		}
	}
	slices.Sort(workers)
	for _, name := range workers {
		all = append(all, actor{name, fmt.Sprintf("the worker %q runs cronagent", name)})
	}
	return all
}

// wakes tells whether a cron is one of the platform that wakes the agent.
func wakes(c *appconfig.Cron) bool {
	return c.Scheduler == appconfig.Platform && callsAgent(c.Start, "tick")
}

// callsAgent tells whether a command calls cronagent with this word.
func callsAgent(command, word string) bool {
	script, err := shell.Parse(command)
	if err != nil {
		return false
	}
	for _, call := range script.Calls() {
		if len(call.Words) > 1 && filepath.Base(call.Words[0].Text) == "cronagent" && call.Words[1].Text == word {
			return true
		}
	}
	return false
}

// addPlatformCrons lets the agent run the platform's crons as the platform would:
// everywhere, one at a time each, and never what was missed.
func (p proc) addPlatformCrons(a *agent.Agent, env envdetect.Environment, app *appconfig.App) {
	commands := p.commands(env, app)
	for _, c := range app.Crons {
		if c.Scheduler != appconfig.Platform {
			continue
		}
		name := "crons." + c.Name
		if c.Problem != nil || c.Schedule == nil {
			p.warn("platform cron %q is left out: %s", c.Name, strings.TrimSpace(fmt.Sprint(c.Problem)))
			continue
		}
		cron := agent.Cron{Name: name, Schedule: c.Schedule, SkipMissed: true, Limit: c.Timeout + c.ShutdownTimeout}
		if c.Schedule.Open() {
			cron.Refusal = "what its H means is known to the platform alone"
		}
		c.Name, c.Overlap = name, appconfig.OverlapSkip
		cron.Act = commands.action(&c)
		a.Crons = append(a.Crons, cron)
	}
}

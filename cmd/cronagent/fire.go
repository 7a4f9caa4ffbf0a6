package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
)

// fireDeadline is how long one fire may take, everything together.
const fireDeadline = 30 * time.Second

// fireOptions are the flags of fire.
type fireOptions struct {
	gate                 gate
	project, environment string
	deadline             time.Duration
	asJSON, dryRun       bool
	wait                 bool
	timeout              time.Duration
	force                bool
	vendor               string
	flags                *pflag.FlagSet
}

func newFire(p proc) *cobra.Command {
	var opts fireOptions
	cmd := &cobra.Command{
		Use:   "fire OPERATION [ARGUMENTS]",
		Short: "call one operation of this environment now",
		Long: `Call one operation of this environment now: on production only, once, and
without waiting for it. It returns as soon as the platform has accepted the
operation, and within its deadline in any case.

On an environment of another type it does nothing, says so in one line and
exits with 0, and likewise during a pause of everything (cronagent pause --help).
It never fires in a build. A request that the platform may have taken is never
sent a second time: that is exit code 6.

With --wait it then follows the activities that the platform made of it, and
exits with 1 unless they succeed. Not for the platform's own crons: an activity of
the same environment may begin only when the cron has ended.

` + exitCodesHelp,
		Example: `  cronagent fire backup:create
  cronagent fire source-operation:run update --variable env:UPSTREAM=main
  cronagent fire environment:redeploy --environment-types staging
  cronagent fire backup:create --wait --timeout 20m
  cronagent fire backup:create --project abcdefgh1234567 --environment main --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("for example: cronagent fire backup:create", "fire needs an operation")
			}
			return operation.Unknown(args[0])
		},
	}
	fs := cmd.PersistentFlags()
	opts.flags = fs
	opts.gate.flag(fs)
	fs.StringVar(&opts.project, "project", "", "the `id` of another project; only with --environment")
	fs.StringVar(&opts.environment, "environment", "", "the `id` of another environment; only with --project")
	fs.DurationVar(&opts.deadline, "deadline", fireDeadline, "give up after this `time`, everything together but --wait")
	fs.BoolVar(&opts.wait, "wait", false, "wait for the activities and exit with their result")
	fs.DurationVar(&opts.timeout, "timeout", 0, "with --wait: stop waiting after this `time` (default: no limit)")
	fs.BoolVar(&opts.force, "force", false, "fire even during a pause")
	fs.BoolVar(&opts.asJSON, "json", false, "print the outcome as JSON")
	fs.BoolVar(&opts.dryRun, "dry-run", false, "print the request and send nothing")
	addVendor(fs, &opts.vendor)
	for _, o := range operation.Fireable() {
		child := &cobra.Command{
			Use: o.Name, Aliases: o.Aliases, Short: o.Summary, Long: sentence(o.Summary) + firesWhere,
			Example: exampleLines(o.FireExamples), Args: cobra.ArbitraryArgs,
		}
		for _, a := range o.Arguments {
			if !a.Environment {
				child.Use += " " + strings.ToUpper(a.Name)
				if a.Many {
					child.Use += "..."
				}
			}
		}
		values := o.Flags(child.Flags())
		child.RunE = func(cmd *cobra.Command, args []string) error {
			request, err := o.Request(args, values)
			if err != nil {
				return &usageError{err, "see: cronagent fire " + o.Name + " --help"}
			}
			return fire(cmd.Context(), p, request, opts)
		}
		cmd.AddCommand(child)
	}
	return cmd
}

// firesWhere is what the help of each operation says of when it acts.
const firesWhere = `
It acts on production only, unless --environment-types says otherwise, once, and does
not wait unless told to: cronagent fire --help`

// fire is `cronagent fire`: where are we, may we, send, record, say.
func fire(ctx context.Context, p proc, request operation.Request, opts fireOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	env, err := p.detect(opts.vendor)
	if err != nil {
		return err
	}
	if env.Phase == envdetect.Build {
		return errBuild("fire " + request.String())
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, opts.deadline)
	defer cancel()
	client := p.client(env)
	target := platform.Target{Project: env.Project, Environment: env.ID}
	environmentType := env.Type
	if opts.project != "" {
		target = platform.Target{Project: opts.project, Environment: opts.environment}
	}
	run := p.newRun(env, target, request)
	if opts.project != "" && !opts.dryRun {
		// Its type is known to the API alone; a dry run must not ask.
		there, err := client.Environment(ctx, target)
		if err == nil && there.Type == "" {
			err = fmt.Errorf("the API does not tell of what type environment %s is", target.Environment)
		}
		if err != nil {
			fireResult(platform.Accepted{}, err).Into(&run)
			return p.report(run, platform.Accepted{}, err, opts.asJSON)
		}
		// --environment may have been a machine name.
		target.Environment, run.Environment, environmentType = there.ID, there.ID, there.Type
	}
	if reason := refusal(opts.gate.types, environmentType); reason != "" && (opts.project == "" || !opts.dryRun) {
		run.Outcome, run.Reason = ledger.Skipped, reason
		return p.report(run, platform.Accepted{}, nil, opts.asJSON)
	}
	if target.Project == "" || target.Environment == "" {
		return errNoTarget(request)
	}
	if opts.dryRun {
		return p.preview(client.Preview(target, request), opts.asJSON)
	}
	p.warnAbout(env)
	recorder := p.openRecorder(env)
	if reason := recorder.pause(run.Key); reason != "" && !opts.force {
		run.Outcome, run.Reason, run.Ended = ledger.Skipped, reason, new(time.Now())
		recorder.add(run)
		return p.report(run, platform.Accepted{}, nil, opts.asJSON)
	}
	accepted, err := send(ctx, client, target, request, &run)
	recorder.add(run)
	if err != nil || !opts.wait {
		return p.report(run, accepted, err, opts.asJSON)
	}
	if opts.asJSON { // one object, at the end
		err = p.await(whole, client, env, &run, accepted.Activities, opts.timeout)
		return p.report(run, accepted, err, true)
	}
	if err := p.report(run, accepted, nil, false); err != nil {
		return err
	}
	return p.await(whole, client, env, &run, accepted.Activities, opts.timeout)
}

func (o *fireOptions) check() error {
	if err := o.gate.check(); err != nil {
		return err
	}
	if o.deadline <= 0 {
		return usage("for example: --deadline 30s", "the deadline must be longer than nothing")
	}
	if o.timeout < 0 {
		return usage("for example: --timeout 20m; 0 is no limit", "--timeout is negative")
	}
	if o.flags.Changed("timeout") && !o.wait {
		return usage("add --wait; how long the firing itself may take is --deadline", "--timeout is for --wait only")
	}
	for _, named := range []*pflag.Flag{o.flags.Lookup("project"), o.flags.Lookup("environment")} {
		if named.Changed && named.Value.String() == "" {
			// Usually a shell variable that is not set: to act on this environment
			// instead would be a guess.
			return usage("give both, or neither to mean this container's", "--%s is empty", named.Name)
		}
		if err := envdetect.CheckID("--"+named.Name, named.Value.String()); err != nil {
			return err
		}
	}
	if (o.project == "") != (o.environment == "") {
		return usage("give both, or neither to mean this container's", "--project and --environment go together")
	}
	return nil
}

func errNoTarget(request operation.Request) error {
	return usage("name it with --project and --environment; inside a container look at: cronagent env",
		"%s: no environment is known: PLATFORM_PROJECT and PLATFORM_BRANCH are not both set", request)
}

// warnAbout says what detection wants a person to know.
func (p proc) warnAbout(env envdetect.Environment) {
	for _, warning := range env.Warnings {
		p.warn("%s", warning)
	}
}

func (p proc) newRun(env envdetect.Environment, target platform.Target, request operation.Request) ledger.Run {
	return ledger.Run{
		ID:         agent.NewID(),
		Key:        ledger.Key{Project: target.Project, Environment: target.Environment, App: env.App},
		Operation:  request.String(),
		Count:      1,
		Activities: []ledger.Activity{},
	}
}

// send fires the request and writes into run what came of it.
func send(ctx context.Context, client *platform.Client, target platform.Target, request operation.Request, run *ledger.Run) (platform.Accepted, error) {
	run.Started, run.Attempts = new(time.Now()), 1
	accepted, err := client.Fire(ctx, target, request)
	run.Ended = new(time.Now())
	fireResult(accepted, err).Into(run)
	return accepted, err
}

// recordLimit bounds what is asked of the ledger for runs that no claim precedes:
// neither others that hold it nor a volume that is stuck may hold them up.
const recordLimit = 800 * time.Millisecond

// within runs what touches the ledger, and gives up on it after recordLimit. What
// has been given up may still happen.
func within[T any](do func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), recordLimit)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do(ctx)
		done <- result{value, err}
	}()
	stuck := time.NewTimer(recordLimit + recordLimit/8) // whoever watches ctx is faster
	defer stuck.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-stuck.C:
		var none T
		return none, errors.New("the ledger does not answer")
	}
}

// recorder is the ledger for runs that no claim precedes. They are written down as
// best can be: what was done is done, whether or not it can be, so a ledger that is
// out of reach is a warning and changes nothing.
type recorder struct {
	p   proc
	env envdetect.Environment
	l   openedLedger // nil: it could not be opened
	// unread is why the ledger did not tell whether there is a pause, until a person
	// has been told.
	unread error
}

// openRecorder opens the ledger before the act.
func (p proc) openRecorder(env envdetect.Environment) *recorder {
	r := &recorder{p: p, env: env}
	// Tried again when there is something to record, and told then.
	r.l, _ = within(func(ctx context.Context) (openedLedger, error) { return openLedger(ctx, env) })
	return r
}

// pause says why and until when nothing is to be done under a key; empty if
// something is, or if the ledger does not tell, which add or warnUnread warns of.
func (r *recorder) pause(key ledger.Key) string {
	states, err := within(func(ctx context.Context) ([]ledger.State, error) {
		if r.l == nil {
			return nil, errors.New("it could not be opened")
		}
		return r.l.Load(ctx, []ledger.Key{key})
	})
	if err != nil {
		r.unread = err
		return ""
	}
	return agent.Paused(states[0].Pause, time.Now())
}

func (r *recorder) warnUnread() {
	if r.unread != nil {
		r.p.warn("whether there is a pause could not be read from the ledger: %v", r.unread)
		r.unread = nil
	}
}

// add writes a run. It does not end with whatever ended the run. A token that was
// typed in the wrong place must not get onto the disk.
func (r *recorder) add(run ledger.Run) {
	for _, text := range []*string{&run.Cron, &run.Operation, &run.Reason, &run.Error} {
		*text = r.p.mask(*text)
	}
	_, err := within(func(ctx context.Context) (struct{}, error) {
		l := r.l
		if l == nil {
			var err error
			if l, err = openLedger(ctx, r.env); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, l.Record(ctx, run)
	})
	switch {
	case err == nil:
		r.warnUnread()
	case r.unread != nil: // one warning is enough
		r.p.warn("this was not recorded: %v; nor could be read whether there is a pause", err)
	default:
		r.p.warn("this was not recorded: %v", err)
	}
	r.unread = nil
}

// record writes a run that nothing else is asked of the ledger for.
func (p proc) record(env envdetect.Environment, run ledger.Run) {
	(&recorder{p: p, env: env}).add(run)
}

// report says how a fire ended; err is why, if it is no good end. A skip is one
// line on standard error: a cron on a preview environment then mails and logs
// nothing else.
func (p proc) report(run ledger.Run, accepted platform.Accepted, err error, asJSON bool) error {
	var writing error
	switch {
	case asJSON:
		writing = writeJSON(p.stdout, recorded(run))
	case err != nil:
	case run.Outcome == ledger.Skipped:
		_, writing = fmt.Fprintf(p.stderr, "cronagent: skipped: %s: %s\n", safe(p.mask(run.Operation)), safe(p.mask(run.Reason)))
	default:
		line := fmt.Sprintf("fired %s on %s", run.Operation, run.Environment)
		if accepted.Already {
			line = "nothing to do for " + run.Operation
		}
		for _, activity := range accepted.Activities {
			line += ", activity " + activity.ID
			if activity.BackupName != "" {
				line += ", backup " + activity.BackupName
			}
		}
		if accepted.Note != "" {
			line += ": " + accepted.Note
		}
		_, writing = fmt.Fprintln(p.stdout, safe(line))
	}
	p.notSaid(writing)
	return err
}

// notSaid tells of what could not be printed. It changes no exit code: what was
// accepted is accepted, and whoever sees a failure would do it again.
func (p proc) notSaid(err error) {
	if err != nil {
		p.warn("the outcome could not be printed: %v", err)
	}
}

func (p proc) preview(preview platform.Preview, asJSON bool) error {
	if asJSON {
		return writeJSON(p.stdout, preview)
	}
	_, err := fmt.Fprintf(p.stdout, "%s %s\n%s\n", preview.Method, safe(preview.URL), safe(preview.Body))
	return err
}

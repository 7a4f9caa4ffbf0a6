package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
)

type tickOptions struct {
	config   configFlags
	dryRun   bool
	from, to string
	asJSON   bool
}

func newTick(p proc) *cobra.Command {
	var opts tickOptions
	cmd := &cobra.Command{
		Use:   "tick",
		Short: "act on every agent cron that came due since the last tick",
		Long: `Act on every occurrence of an agent cron that came due since the last tick, and
return: operations first, all together, then commands. A cron of the platform
calls it every five minutes.

An occurrence is on time up to 30 minutes after its due. Later it is missed: the
newest missed one is acted on if nothing else is due, and the rest recorded. The
first tick only notes from when on it is responsible; but of operations that came
due in the half hour before, it fires those that the platform has no activity of.

The exit code is 0 if every occurrence was handled, else that of the worst
outcome.

` + exitCodesHelp,
		Example: `  cronagent tick
  cronagent tick --dry-run --from 2027-03-28 --to 2027-03-29`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.tick(cmd.Context(), opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.BoolVar(&opts.dryRun, "dry-run", false, "only say what would be done")
	fs.StringVar(&opts.from, "from", "", "with --dry-run: as if nothing had happened up to this `time`")
	fs.StringVar(&opts.to, "to", "", "with --dry-run: as if it were this `time`")
	fs.BoolVar(&opts.asJSON, "json", false, "print the runs as JSON")
	return cmd
}

func (p proc) tick(ctx context.Context, opts tickOptions) error {
	if !opts.dryRun && opts.from+opts.to != "" {
		return usage("add --dry-run", "--from and --to are for --dry-run only")
	}
	env, app, err := p.loadForAgent(opts.config, "tick")
	if err != nil {
		return err
	}
	if opts.dryRun {
		return p.planTick(env, app, opts)
	}
	l, err := openLedger(ctx, env)
	if err != nil {
		return err
	}
	log := p.logger()
	a := p.newAgent(env, app, l, log)
	defer l.Close()
	log.Debug("read", "config", app.File, "agent_crons", len(a.Crons), "ledger", l.Name())
	if len(a.Crons) == 0 {
		p.warn("%s has no agent crons; they go under variables.cronagent.crons", app.File)
	}
	file, isFile := l.(*ledger.File)
	if isFile && env.StateWarning != "" {
		if _, err := os.Stat(file.Name()); err != nil {
			p.warn("%s", env.StateWarning)
		}
	}
	p.notePath(env, "tick", log)
	for _, problem := range p.tellPeople(a, env, app) {
		p.warn("%s", problem)
	}
	ctx, stop := stopInTime(ctx, env)
	defer stop()
	runs, tickErr := a.Tick(ctx, time.Time{}, time.Time{})
	if err := (ledger.Outputs{Dir: env.StateDir}).Prune(); err != nil {
		p.warn("%v", err)
	}
	for _, note := range l.Notes() {
		p.warn("%s", note)
	}
	if isFile && file.Damaged() > 0 {
		p.warn("%s: %s", file.Name(), damagedText(file.Damaged()))
	}
	if opts.asJSON {
		p.notSaid(writeJSON(p.stdout, allRecorded(runs)))
	}
	codes := []int{}
	for _, run := range runs {
		codes = append(codes, runCode(run))
		if run.Output != "" && run.Outcome != ledger.Succeeded && !opts.asJSON {
			p.showOutput(run)
		}
	}
	if tickErr != nil {
		return tickErr
	}
	if code := worst(codes); code != exitDone {
		return codeError(code)
	}
	return nil
}

// planTick is tick --dry-run. It only reads, the ledger too: it may be another user
// who asks.
func (p proc) planTick(env envdetect.Environment, app *appconfig.App, opts tickOptions) error {
	from, err := parseTime("--from", opts.from, app.Zone)
	if err != nil {
		return err
	}
	to, err := parseTime("--to", opts.to, app.Zone)
	if err != nil {
		return err
	}
	if to.Sub(from) > maxDryRun {
		return usage("choose a shorter time", "--from and --to are more than %d days apart", int(maxDryRun.Hours()/24))
	}
	a := p.newAgent(env, app, nil, nil)
	if opts.from != "" {
		a.Late = max(to.Sub(from), 0)
		return p.showPlan(a.Plan(nil, from, to), opts.asJSON)
	}
	book, err := readLedger(env)
	if err != nil {
		return err
	}
	defer book.Close()
	return p.showPlan(a.Plan(book.Load, from, to), opts.asJSON)
}

// maxDryRun bounds what a dry run lists.
const maxDryRun = 31 * 24 * time.Hour

// showOutput prints what a command that did not succeed printed at its end.
func (p proc) showOutput(run ledger.Run) {
	fmt.Fprintf(p.stderr, "%s printed at its end:\n", safe(run.Cron))
	for line := range strings.Lines(run.Output) {
		fmt.Fprintf(p.stderr, "    %s\n", safe(strings.TrimRight(line, "\n")))
	}
}

func (p proc) showPlan(runs []ledger.Run, asJSON bool) error {
	if asJSON {
		return writeJSON(p.stdout, allRecorded(runs))
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(p.stdout, "nothing is due")
		return err
	}
	rows := [][]string{{"DUE", "CRON", "WOULD"}}
	for _, run := range runs {
		would := "run its command"
		switch {
		case run.Outcome == ledger.Missed:
			would = fmt.Sprintf("record %s as missed", plural(run.Count, "occurrence"))
		case run.Outcome != "":
			would = "not act: " + run.Reason
		case run.Operation != "":
			would = "fire " + run.Operation
		}
		rows = append(rows, []string{clock(*run.Due), run.Cron, would})
	}
	return p.screen().table(rows, 2)
}

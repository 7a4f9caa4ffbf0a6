package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/shell"
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
first tick only notes from when on it is responsible.

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
	env, err := p.detect(opts.config.vendor)
	if err != nil {
		return err
	}
	if env.Phase == envdetect.Build {
		return errBuild("tick")
	}
	app, err := loadApp(opts.config, env)
	if err != nil {
		return err
	}
	p.warnAbout(env)
	if err := settingsAreKnown(app); err != nil {
		return err
	}
	if app.Settings.Notify != nil {
		p.warn("notify is set, but this version sends no messages")
	}
	if err := tickIsAlone(env, app); err != nil {
		return err
	}
	l, err := openLedger(ctx, env)
	if err != nil {
		return err
	}
	a := p.newAgent(env, app, l, slog.New(slog.NewTextHandler(p.stderr, nil)))
	if len(a.Crons) == 0 {
		p.warn("%s has no agent crons; they go under variables.cronagent.crons", app.File)
	}
	if opts.dryRun {
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
		if opts.from != "" {
			a.Late = max(to.Sub(from), 0)
		}
		runs, err := a.Plan(ctx, from, to, opts.from != "")
		if err != nil {
			return err
		}
		return p.showPlan(runs, opts.asJSON)
	}
	if _, err := os.Stat(l.Path()); err != nil && env.StateWarning != "" {
		p.warn("%s", env.StateWarning)
	}
	now := time.Now()
	runs, tickErr := a.Tick(ctx, now, now)
	if n := l.Damaged(); n > 0 {
		p.warn("%s: %s could not be read and were passed over", l.Path(), plural(n, "line"))
	}
	if opts.asJSON {
		if runs == nil {
			runs = []ledger.Run{}
		}
		p.notSaid(writeJSON(p.stdout, runs))
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

// maxDryRun bounds what a dry run lists.
const maxDryRun = 31 * 24 * time.Hour

// settingsAreKnown refuses a setting that would be silently ignored.
func settingsAreKnown(app *appconfig.App) error {
	if l := app.Settings.Ledger; l != "" && l != "file" {
		return usage("leave the setting out, or set it to file", "variables.cronagent.ledger is %q: this version keeps its ledger in a file only", l)
	}
	return nil
}

// tickIsAlone refuses a tick in a worker if one in the app's own container does
// the same: their ledgers are two, and know nothing of each other.
func tickIsAlone(env envdetect.Environment, app *appconfig.App) error {
	if env.Worker == "" {
		return nil
	}
	for _, c := range app.Crons {
		script, err := shell.Parse(c.Start)
		if c.Scheduler != appconfig.Platform || err != nil {
			continue
		}
		for _, call := range script.Calls() {
			if len(call.Words) > 1 && filepath.Base(call.Words[0].Text) == "cronagent" && call.Words[1].Text == "tick" {
				return usage("leave it to one of them", "tick: the cron %q of the app calls it too, in another container, and both would act on the same crons", c.Name)
			}
		}
	}
	return nil
}

// showOutput prints what a command that did not succeed printed at its end.
func (p proc) showOutput(run ledger.Run) {
	fmt.Fprintf(p.stderr, "%s printed at its end:\n", safe(run.Cron))
	for line := range strings.Lines(run.Output) {
		fmt.Fprintf(p.stderr, "    %s\n", safe(strings.TrimRight(line, "\n")))
	}
}

func (p proc) showPlan(runs []ledger.Run, asJSON bool) error {
	if asJSON {
		if runs == nil {
			runs = []ledger.Run{}
		}
		return writeJSON(p.stdout, runs)
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
	return writeTable(p.stdout, rows)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/nearest"
)

type triggerOptions struct {
	config configFlags
	force  bool
	asJSON bool
}

func newTrigger(p proc) *cobra.Command {
	var opts triggerOptions
	cmd := &cobra.Command{
		Use:   "trigger CRON",
		Short: "act on one agent cron now",
		Long: `Act on one agent cron now, as if it were due: with its gate, its time limit, its
lock against overlap and its record. What is due stays due.

` + exitCodesHelp,
		Example: "  cronagent trigger backup\n  cronagent trigger import --json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.trigger(cmd.Context(), args[0], opts) },
	}
	opts.config.add(cmd.Flags())
	cmd.Flags().BoolVar(&opts.force, "force", false, "even if it is paused")
	cmd.Flags().BoolVar(&opts.asJSON, "json", false, "print the run as JSON")
	return cmd
}

func (p proc) trigger(ctx context.Context, name string, opts triggerOptions) error {
	env, app, err := p.loadForAgent(opts.config, "trigger "+name)
	if err != nil {
		return err
	}
	l, err := openLedger(ctx, env)
	if err != nil {
		return err
	}
	ctx, stop := stopInTime(ctx, env)
	defer stop()
	a := p.newAgent(env, app, l, nil)
	for _, problem := range p.tellPeople(a, env, app) {
		p.warn("%s", problem)
	}
	run, err := a.Trigger(ctx, name, opts.force)
	if errors.Is(err, agent.ErrUnknown) {
		if slices.ContainsFunc(app.Crons, func(c appconfig.Cron) bool { return c.Name == name }) {
			return usage("what it calls you can call: cronagent explain "+shellWord(name)+" shows it; only crons under variables.cronagent.crons can be triggered",
				"the platform runs the cron %q, and cronagent cannot start it", name)
		}
		var names []string
		for _, cron := range a.Crons {
			names = append(names, cron.Name)
		}
		hint := "there are none; they go under variables.cronagent.crons"
		if len(names) > 0 {
			hint = nearest.Hint(name, names, "the agent crons are: "+someNames(names))
		}
		return usage(hint, "there is no agent cron %q", name)
	}
	if err != nil && run.Outcome == "" {
		return err
	}
	if err != nil {
		p.warn("this was not recorded: %v", err) // but it was done
	}
	if opts.asJSON {
		p.notSaid(writeJSON(p.stdout, recorded(run)))
	} else {
		p.sayTriggered(run)
	}
	if code := runCode(run); code != exitDone {
		return codeError(code)
	}
	return nil
}

// sayTriggered says what came of it: a success on standard output, all else on
// standard error.
func (p proc) sayTriggered(run ledger.Run) {
	text := fmt.Sprintf("%s: %s", run.Cron, told(run))
	switch run.Outcome {
	case ledger.Fired, ledger.Succeeded:
		_, err := fmt.Fprintln(p.stdout, safe(text))
		p.notSaid(err)
	case ledger.Skipped:
		fmt.Fprintf(p.stderr, "cronagent: skipped: %s: %s\n", safe(run.Cron), safe(run.Reason))
		if strings.HasPrefix(run.Reason, agent.PausedUntil) {
			p.hint("end the pause with: cronagent resume; or act all the same: cronagent trigger " + shellWord(run.Cron) + " --force")
		}
	default:
		p.say(text, "look at it with: cronagent status "+run.Cron)
		if run.Output != "" {
			p.showOutput(run)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
)

// The bounds of a pause. It always ends by itself, so that a pause that was
// forgotten does not end backups for good.
const (
	shortestPause = time.Minute
	longestPause  = 30 * 24 * time.Hour
	longestReason = 500 // in bytes
)

type pauseOptions struct {
	config        configFlags
	length        days
	until, reason string
	asJSON        bool
}

func newPause(p proc) *cobra.Command {
	var opts pauseOptions
	cmd := &cobra.Command{
		Use:   "pause [CRON...]",
		Short: "skip crons, or everything, for a while",
		Long: `Skip the crons that are named for a while: agent crons, and what exec runs under
a name. Without a name everything is skipped, cronagent fire too; --force overrides
a pause. Not paused are the platform's own crons as far as they call neither, and
what is typed by the platform CLI's names (backup:create and the others).

A pause ends by itself, after a minute at least and 30 days at most, or with
cronagent resume. A new one takes the place of the old one. It is kept in the
ledger, so it outlives restarts, and deployments if the ledger does; list and
status show it. What comes due meanwhile is skipped, and not made up for.`,
		Example: `  cronagent pause --for 2h --reason 'database migration'
  cronagent pause backup import --for 2d
  cronagent pause backup --until 06:00`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.pause(cmd.Context(), args, opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.Var(&opts.length, "for", "how long, as a `time`: 30m, 2h, 2d")
	fs.StringVar(&opts.until, "until", "", "up to this `time` instead: 06:00, 2027-03-27T02:30 or RFC 3339")
	fs.StringVar(&opts.reason, "reason", "", "why, in a few `words`; shown wherever the pause is")
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON")
	return cmd
}

func newResume(p proc) *cobra.Command {
	var config configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "resume [CRON...]",
		SuggestFor: []string{"unpause", "continue"},
		Short:      "end pauses",
		Long: `End the pauses of the crons that are named; without a name every pause there is,
that of everything and those of single crons.`,
		Example: "  cronagent resume\n  cronagent resume backup",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.resume(cmd.Context(), args, config, asJSON)
		},
	}
	config.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// paused is a pause in `pause --json` and `resume --json`.
type paused struct {
	// Cron is empty for the pause of everything.
	Cron        string    `json:"cron"`
	PausedUntil time.Time `json:"paused_until"`
	PauseReason string    `json:"pause_reason"`
}

// pause is `cronagent pause`.
func (p proc) pause(ctx context.Context, names []string, opts pauseOptions) error {
	if (opts.length == 0) == (opts.until == "") {
		return usage("for example: cronagent pause --for 2h --reason 'database migration'", "pause needs --for or --until, and not both: a pause has an end")
	}
	if len(opts.reason) > longestReason {
		return usage("say it in fewer words", "--reason is longer than %d bytes", longestReason)
	}
	v, keys, err := p.pausable(names, opts.config)
	if err != nil {
		return err
	}
	defer v.book.Close()
	until := v.now.Add(time.Duration(opts.length)).Truncate(time.Second)
	if opts.until != "" {
		if until, err = clockOrTime(opts.until, v.now, v.zone); err != nil {
			return err
		}
	}
	switch length := until.Sub(v.now); {
	case length < shortestPause-time.Second: // a part of a second was cut off
		return usage("it lasts a minute at least", "a pause until %s would be over at once", clock(until.In(v.zone)))
	case length > longestPause:
		return usage("it lasts 30 days at most; to stop a cron for good set enabled: false in its configuration", "a pause until %s is too long", clock(until.In(v.zone)))
	}
	l, err := openLedger(ctx, v.env)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(strings.ToValidUTF8(p.mask(opts.reason), "?"))
	if err := l.Pause(ctx, keys, ledger.Pause{Until: until, Reason: reason, At: v.now}); err != nil {
		return err
	}
	if v.env.StateWarning != "" {
		p.warn("%s", v.env.StateWarning)
	}
	all := []paused{}
	for _, cron := range cronNames(keys) {
		all = append(all, paused{cron, until.UTC(), reason})
	}
	if opts.asJSON {
		return writeJSON(p.stdout, all)
	}
	what := strings.Join(cronNames(keys), ", ")
	text := fmt.Sprintf("paused %s until %s, %s", allOr(what), clock(until.In(v.zone)), until.UTC().Format(time.RFC3339))
	if reason != "" {
		text += ": " + reason
	}
	lines := []string{text}
	for _, key := range keys {
		if old := pauseOn(v.book.OwnPause(key), v.now); old != nil {
			lines = append(lines, "this takes the place of the pause of "+allOr(key.Cron)+" until "+v.pauseText(old))
		}
	}
	lines = append(lines, strings.TrimSpace("end it with: cronagent resume "+strings.Join(cronNames(keys), " ")))
	return p.printLines(lines)
}

// resume is `cronagent resume`.
func (p proc) resume(ctx context.Context, names []string, config configFlags, asJSON bool) error {
	v, keys, err := p.pausable(names, config)
	if err != nil {
		return err
	}
	defer v.book.Close()
	if len(names) == 0 {
		keys = v.book.Keys(v.scope())
	}
	ended := []paused{}
	keys = slices.DeleteFunc(keys, func(key ledger.Key) bool {
		own := pauseOn(v.book.OwnPause(key), v.now)
		if own != nil && !slices.ContainsFunc(ended, func(e paused) bool { return e.Cron == key.Cron }) {
			ended = append(ended, paused{key.Cron, own.Until, own.Reason})
		}
		return own == nil
	})
	if len(keys) > 0 {
		l, err := openLedger(ctx, v.env)
		if err != nil {
			return err
		}
		if err := l.Pause(ctx, keys, ledger.Pause{At: v.now}); err != nil {
			return err
		}
	}
	if asJSON {
		return writeJSON(p.stdout, ended)
	}
	var lines []string
	for _, e := range ended {
		lines = append(lines, "resumed "+allOr(e.Cron)+"; it was paused until "+v.pauseText(&ledger.Pause{Until: e.PausedUntil, Reason: e.PauseReason}))
	}
	switch {
	case len(lines) > 0:
	case len(names) > 0:
		lines = append(lines, "not paused: "+strings.Join(names, ", "))
	default:
		lines = append(lines, "nothing is paused")
	}
	if general := pauseOn(v.book.OwnPause(v.key("")), v.now); general != nil && len(names) > 0 {
		lines = append(lines, "everything is still paused until "+v.pauseText(general)+"; end that with: cronagent resume")
	}
	return p.printLines(lines)
}

// pausable reads what there is, and finds the keys of crons that are named, or
// those of everything.
func (p proc) pausable(names []string, config configFlags) (*look, []ledger.Key, error) {
	v, err := p.lookAround(config)
	if err != nil {
		return nil, nil, err
	}
	if v.env.Phase == envdetect.Build {
		v.book.Close()
		return nil, nil, usage("call it over SSH", "nothing can be paused in a build: no environment exists yet")
	}
	if len(names) == 0 {
		var keys []ledger.Key
		for _, app := range v.apps() {
			keys = append(keys, cronKey(v.env, app, ""))
		}
		return v, keys, nil
	}
	all, err := v.jobs(1)
	if err == nil {
		all, err = v.choose(all, names)
	}
	if err != nil {
		v.book.Close()
		return nil, nil, err
	}
	var keys []ledger.Key
	for _, j := range all {
		if j.key.Cron == "" {
			v.book.Close()
			return nil, nil, usage("pause everything, or the cron that calls it", "%q is an operation, and only crons can be paused one by one", j.name)
		}
		keys = append(keys, j.key)
	}
	return v, keys, nil
}

// clockOrTime reads the end of a pause: a time of day means the next one.
func clockOrTime(text string, now time.Time, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse("15:04", text); err == nil {
		local := now.In(zone)
		for day := 0; ; day++ {
			wall := time.Date(local.Year(), local.Month(), local.Day()+day, t.Hour(), t.Minute(), 0, 0, time.UTC)
			if at := onClock(wall, zone); at.After(now) {
				return at, nil
			}
		}
	}
	return parseTime("--until", text, zone)
}

// cronNames are the names in keys, each once; none for everything.
func cronNames(keys []ledger.Key) (names []string) {
	for _, key := range keys {
		if !slices.Contains(names, key.Cron) {
			names = append(names, key.Cron)
		}
	}
	return names
}

func allOr(names string) string {
	if names == "" {
		return "everything"
	}
	return names
}

// printLines prints sentences.
func (p proc) printLines(lines []string) error {
	for i, line := range lines {
		lines[i] = safe(line)
	}
	return p.screen().lines(lines...)
}

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/schedule"
	"github.com/cronagent/cronagent/internal/shell"
)

// explained is a cron, or a bare spec, in `explain --json`.
type explained struct {
	Name      string `json:"name"`
	Scheduler string `json:"scheduler"`
	Spec      string `json:"spec"`
	// Resolved is the spec with the numbers that H stands for.
	Resolved string `json:"resolved"`
	Timezone string `json:"timezone"`
	// When says in a sentence when it is due.
	When string `json:"when"`
	// UTC says the same of the next occurrence, now and after each clock change.
	UTC []utcTime `json:"utc"`
	// ClockChanges are those of the next twelve months that do something to it.
	ClockChanges []clockChange `json:"clock_changes"`
	// PerYear is how often it is due in the next twelve months.
	PerYear int        `json:"per_year"`
	Next    *time.Time `json:"next"`
	Window  *window    `json:"window"`
	// Does, Operation and Command are as in `list --json`; empty for a bare spec.
	Does      string `json:"does"`
	Operation string `json:"operation"`
	Command   string `json:"command"`
	Gate      string `json:"gate"`
	// GateUnderstood is false if the gate holds what the text alone does not tell.
	GateUnderstood bool `json:"gate_understood"`
	// PausedUntil and PauseReason are as in `list --json`, at the time of --from.
	PausedUntil *time.Time `json:"paused_until"`
	PauseReason string     `json:"pause_reason"`
	// Here says what it would do in this environment.
	Here string `json:"here"`

	calls string        // as in listed
	late  time.Duration // by how much the platform may start it later
}

// utcTime is when an occurrence is in UTC, from a moment on.
type utcTime struct {
	From time.Time `json:"from"`
	Due  time.Time `json:"due"`
}

type clockChange struct {
	At     time.Time `json:"at"`
	Shift  int       `json:"shift"` // seconds
	Effect string    `json:"effect"`
	Times  int       `json:"times"`
	Text   string    `json:"text"`
}

type explainOptions struct {
	config         configFlags
	timezone, from string
	asJSON         bool
}

func newExplain(p proc) *cobra.Command {
	var opts explainOptions
	cmd := &cobra.Command{
		Use:        "explain CRON|SPEC",
		SuggestFor: []string{"describe"},
		Short:      "say in plain words when a cron is due, and what it would do here",
		Long: `Say in plain words when a cron is due, in its time zone and in UTC, what changes
of the clock do to it in the next twelve months, how often a year it is due, and
what it would do in this environment. Instead of a cron's name it takes a spec.`,
		Example: "  cronagent explain backup\n  cronagent explain '30 2 * * *' --timezone Europe/Paris",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return p.explain(args[0], opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&opts.timezone, "timezone", "", "the `zone` of a spec (default UTC)")
	fs.StringVar(&opts.from, "from", "", "as if it were this `time` (default: now)")
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON")
	return cmd
}

func (p proc) explain(what string, opts explainOptions) error {
	env, err := p.detect(opts.config.vendor)
	if err != nil {
		return err
	}
	app, crons, err := p.cronsOrSpec(what, env, opts)
	if err != nil {
		return err
	}
	var all []explained
	for _, c := range crons {
		from, err := parseTime("--from", opts.from, c.Zone)
		if err != nil {
			return err
		}
		e := p.explanation(c, env, from.In(c.Zone))
		if app != nil {
			pauses, general := p.pauses(app, env, from)
			e.PausedUntil, e.PauseReason = pauseFields(pauses[c])
			e.Here = p.here(c, env, pauses[c], general)
		}
		all = append(all, e)
	}
	if opts.asJSON {
		return writeJSON(p.stdout, all)
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(p.stdout)
		}
		if err := e.print(p); err != nil {
			return err
		}
	}
	return nil
}

// cronsOrSpec finds the crons of the app by a name, of which the platform and the
// agent may have one each, or else takes the word for a spec, which is of no app.
func (p proc) cronsOrSpec(what string, env envdetect.Environment, opts explainOptions) (*appconfig.App, []*appconfig.Cron, error) {
	isSpec := strings.ContainsAny(strings.TrimSpace(what), " \t") || strings.HasPrefix(what, "@")
	app, err := loadApp(opts.config, env)
	if err != nil && !isSpec {
		return nil, nil, err
	}
	var found []*appconfig.Cron
	var names []string
	if err == nil {
		for i := range app.Crons {
			c := &app.Crons[i]
			if names = append(names, c.Name); c.Name == what {
				if c.Problem != nil {
					return nil, nil, c.Problem
				}
				found = append(found, c)
			}
		}
	}
	if found != nil || !isSpec {
		if found == nil {
			err = unknownCron(app.File, names, what, "a spec is quoted: cronagent explain '0 5 * * *'")
		}
		return app, found, err
	}
	zone, err := loadZone(opts.timezone)
	if err != nil {
		return nil, nil, err
	}
	s, err := schedule.Parse(what, zone, schedule.Seed{})
	if err != nil {
		return nil, nil, err
	}
	return nil, []*appconfig.Cron{{Scheduler: appconfig.Agent, Spec: what, Schedule: s, Zone: zone, Enabled: true}}, nil
}

func (p proc) explanation(c *appconfig.Cron, env envdetect.Environment, from time.Time) explained {
	l := describe(c, env, from)
	year := from.AddDate(1, 0, 0)
	e := explained{
		Name: c.Name, Spec: c.Spec, Resolved: c.Schedule.Resolved(), Timezone: c.Zone.String(),
		When: c.Schedule.Describe(), UTC: []utcTime{}, ClockChanges: []clockChange{}, PerYear: perYear(c.Schedule, from, year),
		Next: l.Next, Window: l.Window, Gate: l.Gate, GateUnderstood: l.GateUnderstood,
	}
	if c.Name != "" {
		e.Scheduler = string(c.Scheduler)
		if platformDecides(c, env) {
			e.late = lateness(c.Schedule, from)
		}
		e.Does, e.Operation, e.Command, e.calls = l.Does, l.Operation, l.Command, oneLine(l.calls)
	}
	if e.open() {
		e.UTC = append(e.UTC, utcTime{from.UTC(), l.Window.From.UTC()})
	} else if l.Next != nil {
		e.UTC = append(e.UTC, utcTime{from.UTC(), l.Next.UTC()})
	}
	for _, change := range c.Schedule.ClockChanges(from, year) {
		if l.Next != nil {
			if due, ok := sameTime(c.Schedule, change.At.Add(change.Shift.Abs()), *l.Next); ok {
				e.UTC = append(e.UTC, utcTime{change.At.UTC(), due.UTC()})
			}
		}
		if change.Effect != schedule.NoEffect {
			if c.Schedule.Open() {
				change.Times = 1
			}
			e.ClockChanges = append(e.ClockChanges, clockChange{
				change.At, int(change.Shift.Seconds()), string(change.Effect), change.Times, effectText(change),
			})
		}
	}
	return e
}

// sameTime finds the first occurrence after a moment that is at the same time of
// day as another one; only these can be compared in UTC. What is due more than a
// few times a day has no time of day to tell.
func sameTime(s *schedule.Schedule, after, as time.Time) (time.Time, bool) {
	const few = 4
	if s.Count(as, as.AddDate(0, 0, 1)) > few {
		return time.Time{}, false
	}
	for range 20 {
		if after = s.Next(after); after.IsZero() {
			break
		}
		if after.Format(time.TimeOnly) == as.Format(time.TimeOnly) {
			return after, true
		}
	}
	return time.Time{}, false
}

// perYear counts the occurrences of a year. Where H stands open it is the number
// for one of the values that it may have, which is about that for the others.
func perYear(s *schedule.Schedule, from, year time.Time) int {
	if s.Open() {
		drawn, err := schedule.Parse(s.String(), s.Zone(), schedule.NewSeed("", "", ""))
		if err != nil {
			return 0
		}
		s = drawn
	}
	return s.Count(from, year)
}

// effectText says what a change of the clock does to a schedule.
func effectText(c schedule.ClockChange) string {
	// What the wall clock shows after the change, and what it would have shown; a
	// clock that knows no changes does the sum.
	_, offset := c.At.Zone()
	wall := c.At.UTC().Add(time.Duration(offset) * time.Second)
	was, is := wall.Add(-c.Shift).Format("15:04"), wall.Format("15:04")
	day := "on " + c.At.Format("2 January 2006")
	its, are := "its time", "is"
	if c.Times > 1 {
		its, are = fmt.Sprintf("%d of its times", c.Times), "are"
	}
	switch c.Effect {
	case schedule.Moved:
		if c.Times > 1 {
			return fmt.Sprintf("%s the clock skips from %s to %s, and with it %s, which are due together, once, at %s", day, was, is, its, c.At.Format("15:04 MST"))
		}
		return fmt.Sprintf("%s the clock skips from %s to %s, and with it %s, which is due at %s", day, was, is, its, c.At.Format("15:04 MST"))
	case schedule.Lost:
		return fmt.Sprintf("%s the clock skips from %s to %s, and with it %s, which %s not due then", day, was, is, its, are)
	case schedule.Once:
		return fmt.Sprintf("%s the time from %s to %s comes twice, and with it %s, which %s due the first time only", day, is, was, its, are)
	case schedule.Twice:
		return fmt.Sprintf("%s the time from %s to %s comes twice, and with it %s, which %s due both times", day, is, was, its, are)
	}
	return ""
}

// here says what a cron would do in this environment. The platform's own crons are not
// paused by us, but what they call of ours is, during a pause of everything.
func (p proc) here(c *appconfig.Cron, env envdetect.Environment, pause, general *ledger.Pause) string {
	switch {
	case !c.Enabled:
		return "nothing: it is disabled"
	case c.Scheduler == appconfig.Agent:
		if reason := refusal(c.EnvironmentTypes, env.Type); reason != "" {
			return "nothing: " + reason
		}
		if pause != nil {
			return "nothing: " + pausedText(pause, c.Zone)
		}
	case env.Phase != envdetect.Runtime:
		return "nothing: the platform runs it, in its containers"
	}
	if c.Fire != nil {
		return fmt.Sprintf("it would fire %s on %s", c.Fire, env.ID)
	}
	text := p.commandHere(c)
	if c.Scheduler == appconfig.Platform && general != nil && slices.ContainsFunc(callsOf(p, c.Start), isHeldUp) {
		text += "; fire and exec skip that without --force: everything is " + pausedText(general, c.Zone)
	}
	return text
}

// isHeldUp tells whether a command is one of ours that does nothing during a pause of
// everything.
func isHeldUp(words []string) bool {
	return filepath.Base(words[0]) == "cronagent" && len(words) > 1 && slices.Contains([]string{"fire", "exec"}, words[1])
}

// open tells whether H stands open, so that there is a range and no moment.
func (e explained) open() bool { return e.Window != nil && e.Next == nil }

func (e explained) print(p proc) error {
	var rows [][]string
	row := func(name, text string) { rows = append(rows, []string{name, text}) }
	if e.Name != "" {
		row(e.Name, fmt.Sprintf("run by the %s: %s", e.Scheduler, e.calls))
	}
	spec := e.Spec
	if e.Resolved != e.Spec {
		spec += ", which is " + e.Resolved
	}
	row("spec", spec)
	row("due", e.When)
	if e.Timezone != "UTC" && len(e.UTC) > 0 && !strings.HasPrefix(e.Spec, "@every") {
		text, last := "", ""
		for _, u := range e.UTC {
			at := u.Due.Format("15:04")
			switch {
			case text == "":
				text = u.Due.Format("Mon 2006-01-02 15:04 UTC")
			case at != last:
				text += ", after " + u.From.Format("2006-01-02") + " at " + at
			}
			last = at
		}
		if e.open() {
			text = window{e.Window.From.UTC(), e.Window.To.UTC()}.String()
		}
		row("in UTC", text)
	}
	for _, change := range e.ClockChanges {
		if e.Scheduler == string(appconfig.Platform) {
			change.Text = "if the platform treats it as Vixie's cron does: " + change.Text
		}
		if e.open() {
			change.Text = "if H chooses a time that it touches: " + change.Text
		}
		row("clock", change.Text)
	}
	if len(e.ClockChanges) == 0 {
		row("clock", "no change of the clock touches it in the next twelve months")
	}
	switch {
	case e.open() && e.PerYear > 0:
		row("a year", "about "+plural(e.PerYear, "time"))
	case e.PerYear > 0:
		row("a year", plural(e.PerYear, "time"))
	default:
		row("a year", "not in the next twelve months")
	}
	if e.late > 0 {
		text := fmt.Sprintf("starts it up to %.0f minutes later, never earlier", e.late.Minutes())
		if e.PerYear > 366*24*60/int(leastPeriod.Minutes()) {
			text += fmt.Sprintf(", and on most plans every %.0f minutes at the most", leastPeriod.Minutes())
		}
		row("platform", text)
	}
	switch {
	case e.Window != nil:
		row("next", e.Window.String()+", a range")
	case e.Next != nil:
		row("next", clock(*e.Next))
	}
	if e.Gate != "" {
		row("only if", e.Gate)
	}
	if e.Here != "" {
		row("here", e.Here)
	}
	return p.screen().table(rows, 1)
}

// commandHere says what a command would call in this environment, as far as its
// text and the variables tell.
func (p proc) commandHere(c *appconfig.Cron) string {
	script, err := shell.Parse(c.Start)
	if err != nil {
		return "its command cannot be read: " + err.Error()
	}
	var runs, may, said []string
	why := ""
	for _, v := range script.Eval(p.lookup) {
		switch {
		case v.Call.Minor:
		case v.Runs == shell.Yes:
			runs = append(runs, v.Call.String())
		case v.Runs == shell.Unknown:
			may = append(may, v.Call.String())
		case why == "":
			why = v.Because.String()
		}
	}
	if len(runs) > 0 {
		said = append(said, "it would run: "+oneLine(strings.Join(runs, "; ")))
	}
	if len(may) > 0 {
		said = append(said, "it may run, which its text alone does not tell: "+oneLine(strings.Join(may, "; ")))
	}
	switch {
	case len(said) > 0:
		return strings.Join(said, "; ")
	case why != "":
		return "nothing: it is only done if " + why
	}
	return "nothing"
}

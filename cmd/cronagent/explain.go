package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
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
	Does    string     `json:"does"`
	Gate    string     `json:"gate"`
	// Here says what it would do in this environment.
	Here string `json:"here"`
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
		Use:   "explain CRON|SPEC",
		Short: "say in plain words when a cron is due, and what it would do here",
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
	c, err := p.cronOrSpec(what, env, opts)
	if err != nil {
		return err
	}
	from, err := parseTime("--from", opts.from, c.Zone)
	if err != nil {
		return err
	}
	e := p.explanation(c, env, from.In(c.Zone))
	if opts.asJSON {
		return writeJSON(p.stdout, e)
	}
	return e.print(p)
}

// cronOrSpec finds a cron of the app by its name, or else takes the word for a
// spec.
func (p proc) cronOrSpec(what string, env envdetect.Environment, opts explainOptions) (*appconfig.Cron, error) {
	isSpec := strings.ContainsAny(strings.TrimSpace(what), " \t") || strings.HasPrefix(what, "@")
	if isSpec {
		zone, err := loadZone(opts.timezone)
		if err != nil {
			return nil, err
		}
		s, err := schedule.Parse(what, zone, schedule.Seed{})
		if err != nil {
			return nil, err
		}
		return &appconfig.Cron{Scheduler: appconfig.Agent, Spec: what, Schedule: s, Zone: zone, Enabled: true}, nil
	}
	app, err := loadApp(opts.config, env)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range app.Crons {
		c := &app.Crons[i]
		if c.Name == what {
			return c, c.Problem
		}
		names = append(names, c.Name)
	}
	return nil, usage("the crons are: "+strings.Join(names, ", ")+"; a spec is quoted: cronagent explain '0 5 * * *'", "%s has no cron %q", app.File, what)
}

func (p proc) explanation(c *appconfig.Cron, env envdetect.Environment, from time.Time) explained {
	l := describe(c, env, from)
	year := from.AddDate(1, 0, 0)
	e := explained{
		Name: c.Name, Spec: c.Spec, Resolved: c.Schedule.Resolved(), Timezone: c.Zone.String(),
		When: c.Schedule.Describe(), UTC: []utcTime{}, ClockChanges: []clockChange{}, PerYear: perYear(c.Schedule, from, year),
		Next: l.Next, Window: l.Window, Gate: l.Gate,
	}
	if c.Name != "" {
		e.Scheduler, e.Does, e.Here = string(c.Scheduler), oneLine(does(c)), p.here(c, env)
	}
	inUTC := func(moment time.Time) {
		if due := c.Schedule.Next(moment); !due.IsZero() && !c.Schedule.Open() {
			e.UTC = append(e.UTC, utcTime{moment.UTC(), due.UTC()})
		}
	}
	inUTC(from)
	for _, change := range c.Schedule.ClockChanges(from, year) {
		// What is due many times a day has no time of day to tell.
		if e.PerYear <= 2*366 {
			inUTC(change.At.Add(change.Shift.Abs()))
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

// perYear counts the occurrences of a year. Where H stands open it has another
// value for every project, but the same number of them.
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
	day, was := c.At.Format("2 January 2006"), c.At.Add(-c.Shift).Format("15:04")
	switch c.Effect {
	case schedule.Moved:
		if c.Times == 1 {
			return fmt.Sprintf("on %s the clock skips its time, and it is due at %s", day, c.At.Format("15:04 MST"))
		}
		return fmt.Sprintf("on %s the clock skips %d of its times, and they are due together, once, at %s", day, c.Times, c.At.Format("15:04 MST"))
	case schedule.Lost:
		return fmt.Sprintf("on %s the clock skips %s, and it is not due then", day, plural(c.Times, "of its time"))
	case schedule.Once:
		return fmt.Sprintf("on %s the hour before %s comes twice, and it is due the first time only", day, was)
	case schedule.Twice:
		return fmt.Sprintf("on %s the hour before %s comes twice, and so do %s", day, was, plural(c.Times, "of its time"))
	}
	return ""
}

// here says what a cron would do in this environment.
func (p proc) here(c *appconfig.Cron, env envdetect.Environment) string {
	switch {
	case !c.Enabled:
		return "nothing: it is disabled"
	case c.Scheduler == appconfig.Agent:
		if reason := refusal(c.EnvironmentTypes, env.Type); reason != "" {
			return "nothing: " + reason
		}
	case env.Phase != envdetect.Runtime:
		return "nothing: the platform runs it, in its containers"
	}
	if c.Fire != nil {
		return fmt.Sprintf("it would fire %s on %s", c.Fire, env.ID)
	}
	return p.commandHere(c)
}

func (e explained) print(p proc) error {
	var rows [][]string
	row := func(name, text string) { rows = append(rows, []string{name, text}) }
	if e.Name != "" {
		row(e.Name, fmt.Sprintf("run by the %s: %s", e.Scheduler, e.Does))
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
		row("in UTC", text)
	}
	for _, change := range e.ClockChanges {
		if e.Window != nil && e.Next == nil {
			change.Text = "if H chooses a time that it touches: " + change.Text
		}
		row("clock", change.Text)
	}
	if len(e.ClockChanges) == 0 {
		row("clock", "no change of the clock touches it in the next twelve months")
	}
	if e.PerYear > 0 {
		row("a year", plural(e.PerYear, "time"))
	} else {
		row("a year", "not in the next twelve months")
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
	return writeTable(p.stdout, rows)
}

// commandHere says what a command would call in this environment, as far as its
// text and the variables tell.
func (p proc) commandHere(c *appconfig.Cron) string {
	script, err := shell.Parse(c.Start)
	if err != nil {
		return "its command cannot be read: " + err.Error()
	}
	var runs, may []string
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
	switch {
	case len(runs) > 0:
		return "it would run: " + oneLine(strings.Join(runs, "; "))
	case len(may) > 0:
		return "it may run, its text alone does not tell: " + oneLine(strings.Join(may, "; "))
	case why != "":
		return "nothing: it is not so that " + why
	}
	return "nothing"
}

package main

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/schedule"
	"github.com/cronagent/cronagent/internal/shell"
)

// listed is a cron in `list --json`.
type listed struct {
	Name             string   `json:"name"`
	Scheduler        string   `json:"scheduler"`
	Spec             string   `json:"spec"`
	Timezone         string   `json:"timezone"`
	Does             string   `json:"does"`
	Operation        string   `json:"operation"`
	Command          string   `json:"command"`
	EnvironmentTypes []string `json:"environment_types"`
	// Gate is the condition in the command's own text under which it does anything;
	// empty if there is none.
	Gate string `json:"gate"`
	// GateUnderstood is false if the gate holds what the text alone does not tell.
	GateUnderstood bool `json:"gate_understood"`
	// Next is nil for a cron whose H is not known, and for one that is disabled or
	// cannot be read. Window is where only a range is known.
	Next    *time.Time `json:"next"`
	Window  *window    `json:"window"`
	Enabled bool       `json:"enabled"`
	// PausedUntil is the end of a pause that is on; Next is as if there were none.
	PausedUntil *time.Time `json:"paused_until"`
	PauseReason string     `json:"pause_reason"`
	File        string     `json:"file"`
	Line        int        `json:"line"`
	Problem     string     `json:"problem"`

	// calls is what it does, for people: its operation, or what its command calls.
	calls string
	// unreadable is why its command is none that a shell would take.
	unreadable error
}

func newList(p proc) *cobra.Command {
	var config configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "list",
		SuggestFor: []string{"ls", "crons", "show"},
		Short:      "list the app's crons, the platform's and the agent's",
		Long: `List the app's crons: who runs each (the platform those under crons:, the agent
those under variables.cronagent.crons), its spec and time zone, when it is due
next or until when it is paused, what it does, and the types of environment that
it acts on.`,
		Example: "  cronagent list\n  cronagent list --json | jq -r '.[].name'",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			env, app, err := p.load(config)
			if err != nil {
				return err
			}
			p.locate(app, env)
			return p.list(app, env, time.Now(), asJSON)
		},
	}
	config.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// list prints the crons of an app as they stand at an instant.
func (p proc) list(app *appconfig.App, env envdetect.Environment, now time.Time, asJSON bool) error {
	p.warnProblems(app)
	all := make([]listed, 0, len(app.Crons))
	rows := [][]string{{"NAME", "RUN BY", "SPEC", "TIME ZONE", "NEXT", "DOES", "ON"}}
	pauses, _ := p.pauses(app, env, now)
	for i := range app.Crons {
		c := &app.Crons[i]
		l := describe(c, env, now)
		l.PausedUntil, l.PauseReason = pauseFields(pauses[c])
		all = append(all, l)
		p.warnUnreadable(c, l.unreadable)
		next := "-"
		switch {
		case l.Problem != "":
			next = "cannot be read"
		case !c.Enabled:
			next = "disabled"
		case l.PausedUntil != nil:
			next = pausedText(pauses[c], c.Zone)
		case l.Window != nil:
			next = l.Window.String()
		case l.Next != nil:
			next = clock(*l.Next)
		}
		on := strings.Join(l.EnvironmentTypes, ", ")
		if c.Scheduler == appconfig.Platform {
			on = "every environment"
		}
		if l.Gate != "" {
			on += ", if " + l.Gate
		}
		rows = append(rows, []string{c.Name, l.Scheduler, c.Spec, l.Timezone, next, oneLine(l.calls), on})
	}
	if asJSON {
		return writeJSON(p.stdout, all)
	}
	if len(all) == 0 {
		p.warn("%s has no crons", app.File)
		return nil
	}
	return p.screen().table(rows, 5, 6)
}

// warnProblems says what is wrong with the platform's crons, which the platform
// may accept nevertheless: each problem with its own hint.
func (p proc) warnProblems(app *appconfig.App) {
	p.warnProblem(app.Problem)
	for _, c := range app.Crons {
		p.warnProblem(c.Problem)
	}
}

// warnUnreadable says that a command is none that a shell would take.
func (p proc) warnUnreadable(c *appconfig.Cron, err error) {
	if err != nil && c.Problem == nil {
		p.warn("%s: cron %q: its command cannot be read: %v", c.Position, c.Name, err)
	}
}

func (p proc) warnProblem(err error) {
	problems, _ := errors.AsType[appconfig.Errors](err)
	for _, problem := range problems {
		p.warn("%v", problem)
		p.hint(configHint(problem))
	}
}

func describe(c *appconfig.Cron, env envdetect.Environment, now time.Time) listed {
	l := listed{
		Name: c.Name, Scheduler: string(c.Scheduler), Spec: c.Spec, Does: "command", Command: c.Start,
		EnvironmentTypes: c.EnvironmentTypes, Enabled: c.Enabled, File: c.Position.File, Line: c.Position.Line,
	}
	if c.Zone != nil {
		l.Timezone = c.Zone.String()
	}
	if l.EnvironmentTypes == nil {
		l.EnvironmentTypes = []string{}
	}
	if c.Fire != nil {
		l.Does, l.Operation, l.GateUnderstood = "fire", c.Fire.String(), true
		l.calls = "fire " + l.Operation
	} else if script, err := shell.Parse(c.Start); err != nil {
		l.calls, l.unreadable = c.Start, err
	} else {
		gate := script.Gate()
		l.Gate, l.GateUnderstood = gate.String(), gate.Understood()
		l.calls = cmp.Or(calls(script), c.Start)
	}
	if c.Problem != nil {
		l.Problem = c.Problem.Error()
	}
	if c.Schedule == nil || !c.Enabled {
		return l
	}
	if !c.Schedule.Open() {
		if next := c.Schedule.Next(now); !next.IsZero() {
			l.Next = &next
		}
	}
	if windows := windows(c, env, now, 1); len(windows) > 0 {
		l.Window = &windows[0]
	}
	return l
}

// calls are the programs that a command calls, but for what only prepares them.
func calls(script *shell.Script) string {
	var texts []string
	for _, call := range script.Calls() {
		if !call.Minor {
			texts = append(texts, call.String())
		}
	}
	return strings.Join(texts, "; ")
}

// window is a range of time in which an occurrence will be.
type window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func (w window) String() string {
	if w.From.Equal(w.To) {
		return clock(w.From)
	}
	if w.From.Format(time.DateOnly) == w.To.Format(time.DateOnly) {
		return w.From.Format("Mon 2006-01-02 15:04") + " to " + w.To.Format("15:04 MST")
	}
	return clock(w.From) + " to " + clock(w.To)
}

// The platform starts a cron at a random moment up to this long after its due, or
// up to the cron's period if that is shorter; it stretches periods that are
// shorter than the least one, five minutes on most plans.
const (
	platformOffset = 20 * time.Minute
	leastPeriod    = 5 * time.Minute
)

// windows are the next n ranges in which a cron will be due, where no moment is
// known: because H stands open, or because the platform decides on the moment. On
// Dedicated Gen 2 it adds no offset.
func windows(c *appconfig.Cron, env envdetect.Environment, after time.Time, n int) []window {
	byPlatform := platformDecides(c, env)
	if !c.Schedule.Open() && !byPlatform {
		return nil
	}
	ranges := c.Schedule.Windows(after, n+1)
	all := []window{}
	for i, r := range ranges {
		if i == n {
			break
		}
		w := window{r.From, r.To}
		if byPlatform {
			var next time.Time
			if i+1 < len(ranges) {
				next = ranges[i+1].From
			}
			w.To = w.To.Add(offset(r.From, next))
		}
		all = append(all, w)
	}
	return all
}

// platformDecides tells whether the platform adds an offset of its own.
func platformDecides(c *appconfig.Cron, env envdetect.Environment) bool {
	return c.Scheduler == appconfig.Platform && env.Mode != "dedicated-gen2"
}

// offset is how long after an occurrence the platform may start it, if that is the
// next one; zero: there is none.
func offset(due, next time.Time) time.Duration {
	if next.IsZero() {
		return platformOffset
	}
	return min(platformOffset, max(next.Sub(due), leastPeriod))
}

// lateness is the offset of a cron of the platform that is due next after a moment.
func lateness(s *schedule.Schedule, after time.Time) time.Duration {
	switch ranges := s.Windows(after, 2); len(ranges) {
	case 0:
		return 0
	case 1:
		return platformOffset
	default:
		return offset(ranges[0].From, ranges[1].From)
	}
}

// clock is an instant for people, in its zone.
func clock(t time.Time) string {
	if t.Second() != 0 {
		return t.Format("Mon 2006-01-02 15:04:05 MST")
	}
	return t.Format("Mon 2006-01-02 15:04 MST")
}

// oneLine is a text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/schedule"
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
	// Next is nil for a cron whose H only the platform knows, and for one that is
	// disabled or cannot be read.
	Next    *time.Time `json:"next"`
	Window  *window    `json:"window"`
	Enabled bool       `json:"enabled"`
	File    string     `json:"file"`
	Line    int        `json:"line"`
	Problem string     `json:"problem"`
}

func newList(p proc) *cobra.Command {
	var config configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the app's crons, the platform's and the agent's",
		Long: `List the app's crons: who runs each (the platform those under crons:, the agent
those under variables.cronagent.crons), its spec and time zone, when it is due
next, what it does, and the types of environment that it acts on.`,
		Example: "  cronagent list\n  cronagent list --json | jq -r '.[].name'",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			env, err := p.detect(config.vendor)
			if err != nil {
				return err
			}
			app, err := loadApp(config, env)
			if err != nil {
				return err
			}
			return p.list(app, time.Now(), asJSON)
		},
	}
	config.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// list prints the crons of an app as they stand at an instant.
func (p proc) list(app *appconfig.App, now time.Time, asJSON bool) error {
	p.warnProblems(app)
	all := make([]listed, 0, len(app.Crons))
	rows := [][]string{{"NAME", "RUN BY", "SPEC", "TIME ZONE", "NEXT", "DOES", "ON"}}
	for i := range app.Crons {
		c := &app.Crons[i]
		l := describe(c, now)
		all = append(all, l)
		next := "-"
		switch {
		case l.Problem != "":
			next = "cannot be read"
		case !c.Enabled:
			next = "disabled"
		case l.Next != nil:
			next = clock(*l.Next)
		case l.Window != nil:
			next = clock(l.Window.From) + " to " + l.Window.To.Format("15:04")
		}
		does := c.Start
		if c.Fire != nil {
			does = "fire " + c.Fire.String()
		}
		on := strings.Join(l.EnvironmentTypes, ", ")
		if c.Scheduler == appconfig.Platform {
			on = "as the platform decides"
		}
		rows = append(rows, []string{c.Name, l.Scheduler, c.Spec, l.Timezone, next, oneLine(does), on})
	}
	if asJSON {
		return writeJSON(p.stdout, all)
	}
	if len(all) == 0 {
		p.warn("%s has no crons", app.File)
		return nil
	}
	return writeTable(p.stdout, rows)
}

// warnProblems says what is wrong with the platform's crons, which the platform
// may accept nevertheless.
func (p proc) warnProblems(app *appconfig.App) {
	if app.Problem != nil {
		p.warn("%v", app.Problem)
	}
	for _, c := range app.Crons {
		if c.Problem != nil {
			p.warn("%v", c.Problem)
		}
	}
}

func describe(c *appconfig.Cron, now time.Time) listed {
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
		l.Does, l.Operation = "fire", c.Fire.String()
	}
	if c.Problem != nil {
		l.Problem = c.Problem.Error()
	}
	if c.Schedule == nil || !c.Enabled {
		return l
	}
	if c.Schedule.Open() {
		if windows := c.Schedule.Windows(now, 1); len(windows) > 0 {
			l.Window = asWindow(windows[0])
		}
	} else if next := c.Schedule.Next(now); !next.IsZero() {
		l.Next = &next
	}
	return l
}

// window is a range of time in which an occurrence will be.
type window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

func asWindow(w schedule.Window) *window { return &window{w.From, w.To} }

// clock is an instant for people, in its zone.
func clock(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }

// oneLine is a command on one line, short enough for a table.
func oneLine(command string) string {
	command = strings.Join(strings.Fields(command), " ")
	if runes := []rune(command); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return command
}

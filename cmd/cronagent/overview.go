package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/terminal"
)

// overview is what `cronagent --json` prints: this container at a glance, as far as it
// can be told without the network.
type overview struct {
	Version string `json:"version"`
	// The next ones are as `env --json` has them. If the variables cannot be understood
	// they are empty, and Findings has it.
	Phase           string `json:"phase"`
	Vendor          string `json:"vendor"`
	Project         string `json:"project"`
	Environment     string `json:"environment"`
	EnvironmentType string `json:"environment_type"`
	Production      bool   `json:"production"`
	App             string `json:"app"`
	Worker          string `json:"worker"`
	StateDir        string `json:"state_dir"`
	Ledger          string `json:"ledger"`
	// LedgerRead is false for a ledger that was not read: because it is a database, or
	// cannot be. Then nothing is known of runs and pauses.
	LedgerRead bool `json:"ledger_read"`
	// Written is when the file was last written; nil if there is none yet.
	Written *time.Time `json:"written"`
	// PendingRuns is how many runs there are of which the end is not known yet.
	PendingRuns int `json:"pending_runs"`
	// ConfigSource is the file or variable that the crons are from; empty if they
	// cannot be read.
	ConfigSource string `json:"config_source"`
	// PlatformCrons and AgentCrons count them. ActedOn counts the agent's that are
	// acted on in this environment, paused or not.
	PlatformCrons int `json:"platform_crons"`
	AgentCrons    int `json:"agent_crons"`
	ActedOn       int `json:"acted_on"`
	// NextOn is the type of environment that Next is of: this one's; off the platform
	// production.
	NextOn string `json:"next_on"`
	// Next are the crons that are due next, each once, as `list --json` has them. What
	// is disabled, paused, not acted on or cannot be read is not among them, nor who
	// wakes the agent.
	Next []*listed `json:"next"`
	// Last are the newest runs, the newest first, as `status --json` has them.
	Last []*ledger.Run `json:"last"`
	// Findings are what is wrong, as `doctor --json` has it, problems first.
	Findings []*finding `json:"findings"`

	// well is what doctor says of what is well, by code.
	well map[string]*finding
	zone *time.Location
	now  time.Time
}

// How much an overview shows: it is to fit a screen of 24 lines.
const (
	overviewRows     = 3
	overviewFindings = 3
	overviewText     = 160 // characters of a sentence
	overviewDoes     = 60  // characters of what a cron does
	overviewNote     = 80  // and of a note
)

// overview is cronagent without arguments. Whatever is wrong is a part of it, so the
// error is only one of writing.
func (p proc) overview(ctx context.Context, asJSON bool) error {
	defer debug.SetGCPercent(debug.SetGCPercent(loadGC)) // it is over before that pays
	d := &doctor{p: p, now: time.Now(), alone: true}
	if err := d.detect(); err != nil {
		return err
	}
	o := d.overview(ctx)
	if asJSON {
		return writeJSON(p.stdout, o)
	}
	return o.print(p.screen())
}

func (d *doctor) overview(ctx context.Context) *overview {
	o := &overview{
		Version: versionText(), Phase: string(d.env.Phase), Vendor: d.env.Vendor.Name,
		Project: d.env.Project, Environment: d.env.ID, EnvironmentType: d.env.Type, Production: d.env.Production,
		App: d.env.App, Worker: d.env.Worker, StateDir: d.env.StateDir, Ledger: d.env.Ledger,
		Next: []*listed{}, Last: []*ledger.Run{}, Findings: []*finding{},
		well: map[string]*finding{}, zone: time.UTC, now: d.now,
	}
	for _, f := range d.examine(ctx) {
		if f.Status != isOK {
			o.Findings = append(o.Findings, f)
		} else if o.well[f.Code] == nil {
			o.well[f.Code] = f
		}
	}
	slices.SortStableFunc(o.Findings, func(a, b *finding) int {
		return cmp.Compare(a.Status, b.Status) // problem, warning
	})
	o.LedgerRead, o.Written = d.read, d.written
	for _, j := range d.jobs {
		o.PendingRuns += len(j.pending())
		for i := max(0, len(j.runs)-overviewRows); i < len(j.runs); i++ {
			o.Last = append(o.Last, &j.runs[i])
		}
	}
	slices.SortStableFunc(o.Last, func(a, b *ledger.Run) int { return began(*b).Compare(began(*a)) })
	o.Last = o.Last[:min(overviewRows, len(o.Last))]
	if d.app != nil {
		o.ofConfiguration(d)
	}
	return o
}

// ofConfiguration adds which crons there are, and which are due next.
func (o *overview) ofConfiguration(d *doctor) {
	o.ConfigSource, o.zone, o.ActedOn = d.app.File, d.app.Zone, len(d.acting())
	env := d.env
	if env.Phase != envdetect.Runtime {
		env.Type = envdetect.ProductionType
	}
	o.NextOn = env.Type
	paused := map[*appconfig.Cron]bool{}
	for _, j := range d.jobs {
		paused[j.cron] = pauseOn(j.state.Pause, d.now) != nil
	}
	for i := range d.app.Crons {
		c := &d.app.Crons[i]
		if c.Scheduler == appconfig.Agent {
			o.AgentCrons++
		} else {
			o.PlatformCrons++
		}
		if paused[c] || wakes(c) || d.p.notHere(c, env, false) != "" {
			continue
		}
		if l := describe(c, env, d.now); l.Next != nil || l.Window != nil {
			o.Next = append(o.Next, &l)
		}
	}
	slices.SortStableFunc(o.Next, func(a, b *listed) int { return a.begin().Compare(b.begin()) })
	o.Next = o.Next[:min(overviewRows, len(o.Next))]
	if text := o.well["config"]; text != nil && o.AgentCrons > 0 && env.Phase != envdetect.Build {
		text.Message += "; " + o.actedOn(d)
	}
}

// begin is when it is due next at the earliest.
func (l *listed) begin() time.Time {
	if l.Window != nil {
		return l.Window.From
	}
	return *l.Next
}

// actedOn says what becomes of the agent's crons in this environment.
func (o *overview) actedOn(d *doctor) string {
	switch o.ActedOn {
	case o.AgentCrons:
		return "all of the agent's are acted on here"
	case 0:
		for _, c := range d.app.Crons {
			if why := refusal(c.EnvironmentTypes, d.env.Type); c.Scheduler == appconfig.Agent && c.Enabled {
				return "none of the agent's is acted on here: " + why
			}
		}
		return "all of the agent's are disabled"
	}
	return fmt.Sprintf("%d of the agent's are acted on here", o.ActedOn)
}

// print shows an overview to a person.
func (o *overview) print(s screen) error {
	var here [][]string
	for _, line := range []struct{ code, name string }{{"phase", "here"}, {"config", "crons"}} {
		if f := o.well[line.code]; f != nil {
			here = append(here, []string{line.name, f.text()})
		}
		if line.code == "phase" && len(here) == 1 && o.Phase != string(envdetect.Local) {
			here[0][1] += "; vendor " + o.Vendor
		}
	}
	if f := o.well["ledger"]; f != nil && o.Written != nil {
		text := f.Subject + ", last written " + ago(o.now.Sub(*o.Written))
		if o.PendingRuns > 0 {
			text += "; pending: " + plural(o.PendingRuns, "run")
		}
		here = append(here, []string{"ledger", text})
	} else if f != nil {
		here = append(here, []string{"ledger", f.text()})
	}
	version := o.Version
	if f := o.well["binary"]; f != nil {
		version += ", " + f.Subject
	}
	here = append(here, []string{"version", version})
	if err := s.table(here, 1); err != nil {
		return err
	}
	if o.ConfigSource != "" {
		if err := o.printNext(s); err != nil {
			return err
		}
	}
	if o.LedgerRead {
		if err := o.printLast(s); err != nil {
			return err
		}
	}
	if err := o.printFindings(s); err != nil {
		return err
	}
	if o.ConfigSource == "" && o.Phase != string(envdetect.Runtime) {
		return s.table(firstSteps, 1)
	}
	if len(o.Findings) > 0 {
		return s.lines("what to do about it: cronagent doctor; more: cronagent status, cronagent --help")
	}
	return s.lines("more: cronagent status, cronagent doctor, cronagent --help")
}

// firstSteps are for who has no crons here.
var firstSteps = [][]string{
	{"", ""},
	{"cronagent demo", "a day of crons in seconds; it needs no account and no network"},
	{"cronagent explain '0 5 * * *'", "when a spec is due, in plain words"},
	{"cronagent check FILE", "find mistakes in an app's configuration"},
	{"cronagent env", "what was detected here, and from what"},
	{"cronagent --help", "all commands"},
}

func (o *overview) printNext(s screen) error {
	head := "NEXT"
	if o.NextOn != o.EnvironmentType {
		head += " ON " + strings.ToUpper(o.NextOn)
	}
	rows := [][]string{{""}, {head, "CRON", "DOES"}}
	for _, l := range o.Next {
		when := ""
		if l.Window == nil {
			when = ago(o.now.Sub(*l.Next)) + ", " + o.glance(*l.Next)
		} else if when = o.glance(l.Window.From); o.soon(l.Window.To) && l.Window.To.After(l.Window.From) {
			when = l.Window.From.Format("Mon 15:04") + " to " + l.Window.To.Format("15:04 MST")
		}
		rows = append(rows, []string{when, l.Name, shortened(l.calls, overviewDoes)})
	}
	if len(o.Next) == 0 {
		rows = [][]string{{""}, {"nothing is due here"}}
	}
	return s.table(rows, 2)
}

// soon tells whether a weekday alone says which day is meant.
func (o *overview) soon(at time.Time) bool { return at.Sub(o.now).Abs() < 6*24*time.Hour }

// glance is when something is in few words; what is far away has a date and no time.
func (o *overview) glance(at time.Time) string {
	if o.soon(at) {
		return at.Format("Mon 15:04 MST")
	}
	return at.Format("Mon 2006-01-02")
}

func (o *overview) printLast(s screen) error {
	if len(o.Last) == 0 {
		return s.lines("", "nothing has run yet")
	}
	rows := [][]string{{""}, {"LAST", "CRON", "WHEN", "NOTE"}}
	for _, run := range o.Last {
		note := cmp.Or(run.Error, run.Reason)
		if note == "" && run.Pending {
			note = "pending: " + activitiesText(run.Activities)
		}
		at := began(*run)
		when := "-"
		if !at.IsZero() {
			when = ago(o.now.Sub(at)) + ", " + o.glance(at.In(o.zone))
		}
		rows = append(rows, []string{string(run.Outcome), cmp.Or(run.Cron, run.Operation), when, shortened(note, overviewNote)})
	}
	color := func(row, column int) string {
		if row < 2 || column > 0 {
			return ""
		}
		return markOf(o.Last[row-2]).Color()
	}
	return s.coloredTable(rows, color, 3)
}

func (o *overview) printFindings(s screen) error {
	if len(o.Findings) == 0 {
		return s.lines("", s.paint(terminal.Green, "nothing is wrong")+", as far as this container knows")
	}
	rows := [][]string{{""}}
	all := grouped(o.Findings)
	shown := all[:min(overviewFindings, len(all))]
	for _, f := range shown {
		rows = append(rows, []string{f.Status, f.Code, shortened(f.text(), overviewText)})
	}
	color := func(row, column int) string {
		if row == 0 || column > 0 {
			return ""
		}
		return colorOf(shown[row-1].Status)
	}
	if err := s.coloredTable(rows, color, 2); err != nil {
		return err
	}
	if more := len(all) - len(shown); more > 0 {
		return s.lines(fmt.Sprintf("and %d more", more))
	}
	return nil
}

// grouped makes one finding of those that say the same of several.
func grouped(findings []*finding) (all []*finding) {
	of := map[finding][]string{}
	firsts := map[finding]string{}
	for _, f := range findings {
		same := finding{Code: f.Code, Status: f.Status, Message: cmp.Or(f.together, f.Message)}
		if of[same] == nil {
			all = append(all, &same)
			firsts[same] = f.Message
		}
		of[same] = append(of[same], f.Subject)
	}
	for _, f := range all {
		subjects := of[*f]
		if len(subjects) == 1 {
			f.Message = firsts[*f]
		}
		f.Subject = strings.Join(subjects[:min(overviewRows, len(subjects))], ", ")
		if more := len(subjects) - overviewRows; more > 0 {
			f.Subject += fmt.Sprintf(" and %d more", more)
		}
	}
	return all
}

package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/ledger"
)

// showSummary prints a row for each job, then what is not settled or paused.
func (v *look) showSummary(s screen, all []*job) error {
	rows := [][]string{{"CRON", "LAST", "WHEN", "TOOK", "NEXT", "NOTE"}}
	switch {
	case len(all) > 0:
	case v.app == nil:
		rows = [][]string{{"nothing has run; which agent crons there are is not known"}}
	default:
		rows = [][]string{{"nothing has run, and there are no agent crons"}}
	}
	for _, j := range all {
		last, at, length := "never ran", "-", "-"
		if run := j.last(); run != nil {
			last, at, length = string(run.Outcome), v.when(began(*run), v.in(j)), took(*run)
		}
		rows = append(rows, []string{j.name, last, at, length, v.next(j), v.note(j)})
	}
	color := func(row, column int) string {
		if column != 1 || row == 0 || all[row-1].last() == nil {
			return ""
		}
		return markOf(all[row-1].last()).Color()
	}
	if err := s.coloredTable(rows, color, 5); err != nil {
		return err
	}
	lines := append(v.unsettled(all), v.untold(all)...)
	if p := pauseOn(v.book.OwnPause(v.key("")), v.now); p != nil {
		lines = append(lines, "everything is paused until "+v.pauseText(p)+"; end it with: cronagent resume")
	}
	if len(lines) == 0 {
		return nil
	}
	for i, line := range lines {
		lines[i] = safe(line)
	}
	return s.lines(append([]string{""}, lines...)...)
}

// untold says what people could not be told, and why they cannot be.
func (v *look) untold(all []*job) (lines []string) {
	for _, j := range all {
		if text := v.untoldText(j); text != "" {
			lines = append(lines, "not told: "+j.name+": "+text)
		}
	}
	for _, problem := range v.notifyProblems {
		lines = append(lines, "notify: "+problem)
	}
	return lines
}

// untoldText is what people could not be told of a job; empty if they were.
func (v *look) untoldText(j *job) string {
	if len(j.told.Left) == 0 || !v.hears(j) {
		return ""
	}
	text := cmp.Or(j.told.Event, "how a run ended")
	if j.told.Error == "" {
		return fmt.Sprintf("%s is being told since %s", text, v.when(j.told.At, v.in(j)))
	}
	text += fmt.Sprintf(" could not be told %s; %s", v.when(j.told.At, v.in(j)), j.told.Error)
	if j.bare && j.key.Cron != "" { // exec's: no tick knows whom it told
		return text
	}
	return text + "; the next tick tries again"
}

// hears tells whether anybody is to be told of a job any more. Whom exec tells is
// known to its next run.
func (v *look) hears(j *job) bool {
	switch {
	case v.app == nil || j.bare && j.key.Cron != "":
		return true
	case j.cron == nil:
		return j.bare && !v.app.Settings.Notify.Quiet()
	}
	return !cmp.Or(j.cron.Notify, v.app.Settings.Notify).Quiet()
}

// next is when a job is due next, in words.
func (v *look) next(j *job) string {
	c := j.cron
	if c == nil {
		return "-"
	}
	if p := pauseOn(j.state.Pause, v.now); p != nil {
		return pausedText(p, v.in(j))
	}
	l := describe(c, v.env, v.now)
	switch {
	case !c.Enabled:
		return "disabled"
	case l.Window != nil:
		return l.Window.String()
	case l.Next != nil:
		return clock(*l.Next)
	}
	return "-"
}

// note is what is worth knowing of a job in few words.
func (v *look) note(j *job) string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	switch {
	case j.cron == nil && !j.bare && v.app != nil:
		add("not in the configuration any more")
	case j.cron != nil && j.cron.Enabled:
		if reason := v.refused(j.cron); reason != "" {
			add("not acted on: %s", reason)
		}
	}
	if v.elsewhere(j) {
		add("on %s of %s", cmp.Or(j.key.Environment, "?"), cmp.Or(j.key.Project, "?"))
	}
	for _, claim := range j.state.Open {
		if claim.Overdue(v.now) {
			add("claimed %s and never recorded: its agent died", ago(v.now.Sub(claim.At)))
		} else {
			add("under way since %s", clock(claim.At.Truncate(time.Second).In(v.in(j))))
		}
	}
	if n := j.streak(); n > 0 {
		text := plural(n, "failure")
		if n > 1 {
			text += " in a row"
		}
		add("%s", text)
	}
	if run := j.last(); run != nil {
		if why := cmp.Or(run.Error, run.Reason); why != "" {
			add("%s", oneLine(why))
		}
		if run.NextTry != nil {
			add("next try %s", clock(run.NextTry.Truncate(time.Second).In(v.in(j))))
		}
	}
	if due := v.unseen(j); !due.IsZero() {
		add("was due %s and nobody acted on it: does an agent run?", clock(due.In(v.in(j))))
	}
	return strings.Join(notes, "; ")
}

// refused says why a cron is not acted on here; empty if it is.
func (v *look) refused(c *appconfig.Cron) string {
	if c.Scheduler == appconfig.Platform {
		return ""
	}
	return refusal(c.EnvironmentTypes, v.env.Type)
}

// elsewhere tells whether a job's runs were not of this environment.
func (v *look) elsewhere(j *job) bool {
	return j.key.Project != v.env.Project || j.key.Environment != v.env.ID
}

// unseen is the first occurrence of a cron that an agent would have dealt with by
// now; zero if there is none. What is refused, paused or disabled is recorded once
// a day only.
func (v *look) unseen(j *job) time.Time {
	c := j.cron
	if c == nil || !c.Enabled || c.Schedule == nil || c.Schedule.Open() || j.state.Watermark.IsZero() || pauseOn(j.state.Pause, v.now) != nil || v.refused(c) != "" {
		return time.Time{}
	}
	if run := j.last(); run != nil && run.Outcome == ledger.Skipped && run.Started == nil {
		return time.Time{}
	}
	if due := c.Schedule.Next(j.state.Watermark); !due.IsZero() && v.now.Sub(due) > lateInTick {
		return due
	}
	return time.Time{}
}

// unsettled says of which runs the end is not known, and what to do about it.
func (v *look) unsettled(all []*job) (lines []string) {
	for _, j := range all {
		for _, run := range j.pending() {
			since := v.when(began(run), v.in(j))
			if run.Outcome == ledger.Uncertain {
				lines = append(lines, fmt.Sprintf("uncertain: %s, %s: the platform may have taken %s, or not; tick and run look for its activity, do not repeat it before they have said",
					j.name, since, cmp.Or(run.Operation, "it")))
			} else {
				lines = append(lines, fmt.Sprintf("pending: %s, accepted %s: %s; tick and run look up what becomes of it", j.name, since, activitiesText(run.Activities)))
			}
		}
		if run := j.last(); run != nil && run.Outcome == ledger.Uncertain && !run.Pending {
			lines = append(lines, fmt.Sprintf("uncertain: %s, %s: whether the platform took it could not be found out; look at the activities of the environment, then repeat it if need be",
				j.name, v.when(began(*run), v.in(j))))
		}
	}
	if len(lines) > 0 {
		if at := v.book.Written(); at != nil {
			lines = append(lines, "as of "+v.when(*at, v.zone)+", when the ledger was last written")
		}
	}
	return lines
}

// pending are the runs of a job of which the end is not known yet.
func (j *job) pending() []ledger.Run {
	if j.key.Cron != "" {
		return j.state.Pending
	}
	var pending []ledger.Run
	for _, run := range j.runs {
		if run.Pending {
			pending = append(pending, run)
		}
	}
	return pending
}

func activitiesText(activities []ledger.Activity) string {
	var texts []string
	for _, a := range activities {
		text := "activity " + a.ID
		if a.Type != "" {
			text += " (" + a.Type + ")"
		}
		if a.State != "" {
			text += ": " + a.State
		}
		if a.Result != "" {
			text += ", " + a.Result
		}
		texts = append(texts, text)
	}
	return cmp.Or(strings.Join(texts, "; "), "the platform named no activity")
}

func (v *look) pauseText(p *ledger.Pause) string {
	text := clock(p.Until.In(v.zone))
	if p.Reason != "" {
		text += " (" + p.Reason + ")"
	}
	return text
}

// pausedText is a pause in the place of when a cron is due next.
func pausedText(p *ledger.Pause, zone *time.Location) string {
	text := "paused until " + clock(p.Until.In(zone))
	if p.Reason != "" {
		text += ": " + oneLine(p.Reason)
	}
	return text
}

// showJobs prints jobs that were named with their last runs.
func (v *look) showJobs(s screen, chosen []*job) error {
	for i, j := range chosen {
		var lines []string
		add := func(format string, args ...any) { lines = append(lines, safe(fmt.Sprintf(format, args...))) }
		if i > 0 {
			add("")
		}
		head := j.name
		if j.cron != nil {
			head += ": " + oneLine(describe(j.cron, v.env, v.now).calls)
		}
		add("%s", head)
		if j.cron != nil {
			add("spec %s, %s", j.cron.Spec, v.in(j))
			add("next %s", v.next(j))
		}
		if p := pauseOn(j.state.Pause, v.now); p != nil {
			add("paused until %s; end it with: %s", v.pauseText(p), v.resumeText(j))
		}
		if at := j.lastSuccess(); at != nil {
			add("last success %s", v.when(*at, v.in(j)))
		}
		if note := v.note(j); note != "" {
			add("note: %s", note)
		}
		if text := v.untoldText(j); text != "" {
			add("not told: %s", text)
		} else if j.told.Event != "" {
			add("told: %s, %s, of run %s", j.told.Event, v.when(j.told.At, v.in(j)), j.told.Run)
			if j.told.Error != "" {
				add("told: not to everybody: %s", j.told.Error)
			}
		}
		for _, line := range v.unsettled([]*job{j}) {
			add("%s", line)
		}
		if len(j.runs) == 0 {
			add("it never ran")
			if by := v.firedBy(j); by != "" {
				add("the cron %s calls it: cronagent status %s", by, by)
			}
		}
		for _, run := range j.runs[max(0, len(j.runs)-shownRuns):] {
			add("")
			lines = append(lines, v.runLines(s, run, v.in(j))...)
		}
		if err := s.lines(lines...); err != nil {
			return err
		}
	}
	return nil
}

// resumeText is what ends the pause that counts for a job.
func (v *look) resumeText(j *job) string {
	if own := v.book.OwnPause(j.key); own != nil && own.Until.Equal(j.state.Pause.Until) {
		return "cronagent resume " + j.name
	}
	return "cronagent resume"
}

// firedBy is the agent cron that calls an operation which nobody fired otherwise.
func (v *look) firedBy(j *job) string {
	if v.app != nil && j.bare {
		for _, c := range v.app.Crons {
			if operationOf(&c) != "" && (c.Fire.String() == j.name || c.Fire.Operation == j.name) {
				return c.Name
			}
		}
	}
	return ""
}

// heading is a run in one line, which is safe.
func heading(s screen, run ledger.Run, zone *time.Location) string {
	at := began(run)
	text := "-"
	if !at.IsZero() {
		text = clock(at.Truncate(time.Second).In(zone))
	}
	text += "  " + safe(cmp.Or(run.Cron, run.Operation)) + "  " + s.outcome(run)
	if run.Count > 1 {
		text += "  " + plural(run.Count, "occurrence")
	}
	if length := took(run); length != "-" {
		text += "  took " + length
	}
	if run.Operation == "" && run.ExitCode != nil {
		text += "  exit " + strconv.Itoa(*run.ExitCode)
	}
	return text + "  run " + safe(run.ID)
}

// runLines is a run with its details, in lines that are safe.
func (v *look) runLines(s screen, run ledger.Run, zone *time.Location) []string {
	lines := []string{heading(s, run, zone)}
	add := func(format string, args ...any) { lines = append(lines, "    "+safe(fmt.Sprintf(format, args...))) }
	if run.Due != nil {
		due := "due " + clock(run.Due.In(zone))
		if run.Until != nil {
			due += " to " + clock(run.Until.In(zone))
		}
		if run.Attempts > 1 {
			due += ", " + plural(run.Attempts, "attempt")
		}
		add("%s", due)
	} else if run.Attempts > 1 {
		add("%s", plural(run.Attempts, "attempt"))
	}
	for _, activity := range run.Activities {
		add("%s", activitiesText([]ledger.Activity{activity}))
	}
	if run.Pending {
		add("pending: tick and run look up what becomes of it")
	}
	if run.NextTry != nil {
		add("next try %s", clock(run.NextTry.Truncate(time.Second).In(zone)))
	}
	if run.Reason != "" {
		add("reason: %s", run.Reason)
	}
	if run.Error != "" {
		add("error: %s", run.Error)
	}
	return lines
}

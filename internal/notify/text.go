package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// name is what a person calls it.
func (m Message) name() string { return cmp.Or(m.Cron, m.Operation) }

// word says in few words what happened.
func (m Message) word() string {
	switch m.Event {
	case "recovered":
		return "recovered"
	case "skipped":
		return "skipped again and again"
	}
	if m.Run.Outcome == "timed_out" {
		return "timed out"
	}
	return m.Run.Outcome
}

// title is one line: what, and where.
func (m Message) title() string {
	text := m.word() + ": " + m.name()
	if m.Where != "" {
		return text + " on " + m.Where
	}
	if m.Environment != "" {
		text += " on " + m.Environment
	}
	if m.Project != "" {
		text += " of " + m.Project
	}
	return text
}

// text is a mail: what, where, when, why, what it printed, and how to look further.
func (m Message) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", m.word(), m.name())
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name+":", fmt.Sprintf(format, args...))
	}
	if m.Operation != "" && m.Cron != "" {
		row("what", "%s", m.Operation)
	}
	where := "off the platform"
	if m.Environment != "" || m.Project != "" {
		where = fmt.Sprintf("environment %s", cmp.Or(m.Environment, "?"))
		if m.EnvironmentType != "" && m.EnvironmentType != m.Environment {
			where += " (" + m.EnvironmentType + ")"
		}
		where += " of project " + cmp.Or(m.Project, "?")
	}
	if m.App != "" {
		where += ", app " + m.App
	}
	row("where", "%s", where)
	r := m.Run
	if r.Due != nil {
		due := m.clock(*r.Due)
		if r.Until != nil {
			due = fmt.Sprintf("%d times, from %s to %s", r.Count, due, m.clock(*r.Until))
		}
		row("due", "%s", due)
	}
	if r.Started != nil {
		text := m.clock(*r.Started)
		if r.Ended != nil {
			text += ", took " + r.Ended.Sub(*r.Started).Round(time.Millisecond).String()
		}
		if r.Attempts > 1 {
			text += fmt.Sprintf(", attempt %d", r.Attempts)
		}
		row("started", "%s", text)
	}
	if r.Error != "" {
		row("why", "%s", r.Error)
	}
	if r.Reason != "" {
		row("reason", "%s", r.Reason)
	}
	for _, a := range r.Activities {
		text := a.ID
		for _, more := range []string{a.Type, a.State, a.Result} {
			if more != "" {
				text += ", " + more
			}
		}
		row("activity", "%s", text)
	}
	m.streak(row)
	row("run", "%s", r.ID)
	if advice := m.advice(); advice != "" {
		fmt.Fprintf(&b, "\n%s\n", advice)
	}
	if r.Output != "" {
		b.WriteString("\nThe last lines that it printed:\n\n")
		for one := range strings.Lines(r.Output) {
			b.WriteString("    " + strings.TrimRight(one, "\n") + "\n")
		}
	}
	if len(m.Look) > 0 {
		b.WriteString("\nTo look further:\n\n")
		for _, command := range m.Look {
			b.WriteString("    " + command + "\n")
		}
	}
	return b.String()
}

// streak says how long this has been going on.
func (m Message) streak(row func(name, format string, args ...any)) {
	if m.Since == nil {
		return
	}
	many := fmt.Sprintf("%d bad runs in a row, since %s", m.Failures, m.clock(*m.Since))
	if m.Event == "recovered" {
		if m.Failures == 1 {
			many = "one bad run, " + m.clock(*m.Since)
		}
		row("before", "%s", many)
		return
	}
	if m.Failures == 1 {
		many = "the first one"
	}
	success := "no success is on record"
	if m.LastSuccess != nil {
		success = "the last success was " + m.clock(*m.LastSuccess)
	}
	row("streak", "%s; %s", many, success)
}

// advice is what not to do, where that is not plain.
func (m Message) advice() string {
	switch {
	case m.Event == "uncertain":
		return "The platform may or may not have taken it. Do not repeat it before its activities\nhave been looked at; later ticks do so, and you will hear what came of it."
	case m.Event == "skipped":
		return "The run before it had not ended: it takes longer than from one occurrence to the\nnext, or it hangs."
	case m.Event == "missed":
		return "Nobody acted on it when it was due."
	}
	return ""
}

// clock is an instant as a person reads it.
func (m Message) clock(t time.Time) string {
	zone := m.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("Mon 2006-01-02 15:04:05 MST")
}

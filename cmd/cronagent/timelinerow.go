package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/shell"
	"github.com/cronagent/cronagent/internal/timeline"
)

// spansOf returns what finds the occurrences of a cron for a picture: the first that
// may start at an instant or later, and the next one.
func spansOf(c *appconfig.Cron, env envdetect.Environment) (first, next func(int64) timeline.Span) {
	s, back := c.Schedule, int64(1)
	if s.Open() {
		return openSpans(c, env)
	}
	byPlatform := platformDecides(c, env)
	if byPlatform {
		back += int64(platformOffset / time.Second)
	}
	next = func(after int64) timeline.Span {
		due := s.Next(time.Unix(after, 0))
		if due.IsZero() {
			return timeline.Span{}
		}
		to := due
		if byPlatform {
			to = due.Add(offset(due, s.Next(due)))
		}
		return timeline.Span{From: due.Unix(), To: to.Unix()}
	}
	return func(at int64) timeline.Span { return next(at - back) }, next
}

// openSpans is spansOf for a cron whose H is not known: its ranges are found many at a
// time.
func openSpans(c *appconfig.Cron, env envdetect.Environment) (first, next func(int64) timeline.Span) {
	const batch = 256
	var ranges []timeline.Span
	var since int64
	read := func(after int64) {
		since, ranges = after, ranges[:0]
		for _, w := range windows(c, env, time.Unix(after, 0), batch) {
			ranges = append(ranges, timeline.Span{From: w.From.Unix(), To: w.To.Unix()})
		}
	}
	next = func(after int64) (found timeline.Span) {
		if after < since || ranges == nil {
			read(after)
		}
		for {
			for _, r := range ranges {
				if r.From > after && (found.From == 0 || r.From == found.From) { // of two the longer one
					found = r
				}
			}
			if found.From != 0 || len(ranges) < batch {
				return found
			}
			last := ranges[batch-1].From
			if read(last); len(ranges) == 0 || ranges[len(ranges)-1].From <= last {
				return found
			}
		}
	}
	first = func(at int64) timeline.Span {
		if read(at - int64(platformOffset/time.Second) - 1); len(ranges) == 0 {
			return timeline.Span{}
		}
		return ranges[0]
	}
	return first, next
}

// past is what the ledger knows for a picture.
type past struct {
	now time.Time
	app *appconfig.App
	env envdetect.Environment
	// book is nil if the ledger cannot be read.
	book readBook
	runs map[ledger.Key][]*ledger.Run
}

// readPast reads the ledger. That it cannot be read is a warning: the picture is of
// what comes as well. The caller calls close.
func (p proc) readPast(app *appconfig.App, env envdetect.Environment, now time.Time) *past {
	k := &past{now: now, app: app, env: env, runs: map[ledger.Key][]*ledger.Run{}}
	book, err := readLedger(env)
	var runs []ledger.Run
	if err == nil {
		k.book = book
		var scope ledger.Key // off the platform all that there is; keys tell whose it is
		if env.Phase == envdetect.Runtime {
			scope = cronKey(env, app.Name, "")
		}
		runs, err = book.History(scope, historyOf)
	}
	if err != nil {
		p.warn("what ran, and what is paused, is not known: %v", err)
	}
	for i := range runs {
		k.runs[runs[i].Key] = append(k.runs[runs[i].Key], &runs[i])
	}
	return k
}

func (k *past) close() {
	if k.book != nil {
		k.book.Close()
	}
}

// of are the runs of a cron: of the platform's those that cronagent fire, exec and,
// off the platform, run have recorded.
func (k *past) of(c *appconfig.Cron) []*ledger.Run {
	if c.Scheduler == appconfig.Agent {
		return k.runs[cronKey(k.env, k.app.Name, c.Name)]
	}
	var all []*ledger.Run
	operations := firedIn(c)
	for _, run := range k.runs[cronKey(k.env, k.env.App, "")] {
		if slices.Contains(operations, run.Operation) {
			all = append(all, run)
		}
	}
	for _, run := range k.runs[cronKey(k.env, k.env.App, c.Name)] {
		if run.Due == nil {
			all = append(all, run)
		}
	}
	if !k.env.Platform {
		all = append(all, k.runs[cronKey(k.env, k.app.Name, "crons."+c.Name)]...)
	}
	return all
}

// into adds to a row what the ledger knows of its cron.
func (k *past) into(row *timeline.Cron, c *appconfig.Cron) {
	for _, run := range k.of(c) {
		row.Runs = append(row.Runs, drawnRun(run))
	}
	if k.book == nil || c.Scheduler != appconfig.Agent {
		return
	}
	state := &k.book.Load([]ledger.Key{cronKey(k.env, k.app.Name, c.Name)})[0]
	for i := range state.Open {
		claim := &state.Open[i]
		run := &timeline.Run{ID: claim.ID, At: claim.Due, Mark: timeline.Waiting, Text: "under way"}
		if claim.Overdue(k.now) {
			run.Mark, run.Text = timeline.Uncertain, "never recorded: its agent died"
		}
		row.Runs = append(row.Runs, run)
	}
	if pause := pauseOn(state.Pause, k.now); pause != nil && c.Enabled {
		row.Paused = timeline.Span{From: pause.At.Unix(), To: pause.Until.Unix()}
		row.Pause, row.PauseReason = safe(pausedText(pause, c.Zone)), safe(pause.Reason)
	}
}

// firedIn are the operations that a command fires by cronagent fire.
func firedIn(c *appconfig.Cron) (operations []string) {
	if c.Scheduler != appconfig.Platform {
		return nil
	}
	script, err := shell.Parse(c.Start)
	if err != nil {
		return nil
	}
	for _, call := range script.Calls() {
		_, words, found := strings.Cut(call.String(), "cronagent fire ")
		if !found {
			continue
		}
		if name, ok := operationName(words); ok {
			operations = append(operations, name)
		}
	}
	return operations
}

// drawnRun is a run in a picture.
func drawnRun(run *ledger.Run) *timeline.Run {
	at := began(*run)
	if run.Due != nil {
		at = *run.Due
	}
	text := string(run.Outcome)
	if length := took(*run); length != "-" {
		text += ", took " + length
	}
	if run.Count > 1 {
		text += ", " + plural(run.Count, "occurrence")
	}
	if why := cmp.Or(run.Error, run.Reason); why != "" {
		text += ": " + oneLine(why)
	}
	drawn := &timeline.Run{ID: run.ID, At: at, Outcome: string(run.Outcome), Mark: markOf(run), Text: safe(text)}
	if run.Due != nil && run.Until != nil && run.Outcome == ledger.Missed {
		drawn.Until = *run.Until
	}
	return drawn
}

// markOf is how a run ended, as far as a picture tells.
func markOf(run *ledger.Run) timeline.Mark {
	good, bad := verdict(*run)
	switch {
	case run.Outcome == ledger.Uncertain:
		return timeline.Uncertain
	case run.Outcome == ledger.Missed:
		return timeline.Missed
	case run.Outcome == ledger.Skipped:
		return timeline.Skipped
	case run.Outcome == ledger.Deferred, good && run.Pending:
		return timeline.Waiting
	case bad:
		return timeline.Bad
	}
	return timeline.Good
}

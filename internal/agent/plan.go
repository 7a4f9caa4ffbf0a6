package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// maxScan bounds the occurrences that are looked at one by one after a long
// absence; those before them are not counted.
const maxScan = 100_000

// prompt is how late a fire may be without asking whether it was made already: by
// a ledger that is new or was restored, or by hand.
const prompt = time.Minute

// planCron decides what is due of one cron, from its state and the clock alone.
func (a *Agent) planCron(cron *Cron, state ledger.State, from, to time.Time) []task {
	refusal := cron.Refusal
	if refusal == "" {
		refusal = Paused(state.Pause, to)
	}
	mark := state.Watermark
	if mark.IsZero() {
		mark = from
	}
	// What came due while it was refused was not missed. When a pause ended is known;
	// when another reason did is not.
	if refused(state.Last) && refusal == "" && state.Last.Reason != Paused(state.Pause, time.Time{}) {
		if late := to.Add(-a.Late - 1); late.After(mark) {
			mark = late
		}
	}
	missed, onTime := a.due(cron, mark, from, to)
	if refusal != "" {
		return a.refuse(cron, refusal, state, append(missed, onTime...))
	}
	if p := state.Pause; p != nil {
		during := func(due time.Time) bool { return !due.Before(p.At) && due.Before(p.Until) }
		missed, onTime = slices.DeleteFunc(missed, during), slices.DeleteFunc(onTime, during)
	}

	caughtUp := false
	var tasks []task
	if n := len(missed); n > 0 {
		newest := missed[n-1]
		if !cron.SkipMissed && len(onTime) == 0 && to.Sub(newest) <= cron.MissedWithin {
			missed = missed[:n-1]
			onTime = append(onTime, newest)
			caughtUp = true
		}
	}
	// What came due before we were there was not missed. Nothing has been claimed yet,
	// so the watermark is where the cron began.
	fresh, began := state.Last == nil && len(state.Open) == 0, state.Watermark.Add(a.LookBack)
	before := func(due time.Time) bool { return fresh && !due.After(began) }
	missed = slices.DeleteFunc(missed, before)
	if n := len(onTime); cron.Operation != "" && n > 1 {
		// Several backups at once are worth one, and each would delete an older one.
		missed = append(missed, slices.DeleteFunc(slices.Clone(onTime[:n-1]), before)...)
		onTime = onTime[n-1:]
	}
	if len(missed) > 0 {
		run := a.several(cron, missed)
		run.Outcome, run.Reason = ledger.Missed, "no agent was there when it was due"
		tasks = append(tasks, task{cron: cron, run: run, from: state.Watermark})
	}
	tasks = append(tasks, a.retry(cron, state.HandedBack, len(onTime) > 0, to)...)
	for _, due := range onTime {
		tasks = append(tasks, task{
			cron: cron, run: a.run(cron, NewID(), due), act: true, from: state.Watermark,
			// A ledger that is new, or was restored, does not know what was done.
			check: caughtUp || to.Sub(due) > prompt || before(due),
			age:   to.Sub(due),
		})
	}
	return tasks
}

// PausedUntil is how Paused begins, and the reason of what was skipped for it.
const PausedUntil = "paused until "

// Paused says that and until when nothing is done; empty if something is.
func Paused(p *ledger.Pause, now time.Time) string {
	if p == nil || !p.Until.After(now) {
		return ""
	}
	text := PausedUntil + p.Until.UTC().Format(time.RFC3339)
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// retry decides what becomes of runs that were handed back, in the order of their
// dues. Only the newest one is tried again, and only while nothing newer is due:
// when the platform answers again after a day, it must not get a day's backups at
// once, each of which would delete an older one.
func (a *Agent) retry(cron *Cron, handedBack []ledger.Run, overtaken bool, to time.Time) []task {
	var tasks []task
	for i, run := range handedBack {
		switch {
		case to.Sub(*run.Due) > cron.MissedWithin:
			run.Outcome = ledger.Failed
			run.Reason = fmt.Sprintf("gave up after %d attempts in %s", run.Attempts, cron.MissedWithin)
		case overtaken || i < len(handedBack)-1:
			run.Outcome, run.Reason = ledger.Missed, fmt.Sprintf("not done after %d attempts, and a later occurrence has come due", run.Attempts)
		case run.NextTry == nil || !run.NextTry.After(to):
			run.Outcome, run.NextTry = "", nil
			// Meanwhile somebody may have done it by hand, or it may have been taken
			// after all.
			tasks = append(tasks, task{cron: cron, run: run, act: true, check: true, age: to.Sub(*run.Due)})
			continue
		default:
			continue
		}
		run.Ended, run.NextTry = new(to), nil
		tasks = append(tasks, task{cron: cron, run: run})
	}
	return tasks
}

// due lists the occurrences after mark up to and including to: those that are
// missed and those that are on time.
//
// What came due before from, when we began, may be as late as LookBack: nobody
// promised to be there.
func (a *Agent) due(cron *Cron, mark, from, to time.Time) (missed, onTime []time.Time) {
	for n := 0; ; n++ {
		next := cron.Schedule.Next(mark)
		// A schedule that does not advance is parked here rather than fired for ever.
		if next.IsZero() || !next.After(mark) || next.After(to) {
			return missed, onTime
		}
		if n == maxScan {
			if old := to.Add(-max(cron.MissedWithin, a.Late)); old.After(next) {
				mark = old
				continue
			}
		}
		mark = next
		late := a.Late
		if !next.After(from) {
			late = max(late, a.LookBack)
		}
		if to.Sub(next) > late {
			missed = append(missed, next)
		} else {
			onTime = append(onTime, next)
		}
	}
}

// refuse records that a cron is not acted on, once a day and reason: a preview
// environment would otherwise fill its ledger with what it does not do.
func (a *Agent) refuse(cron *Cron, refusal string, state ledger.State, due []time.Time) []task {
	if len(due) == 0 {
		return nil
	}
	last := state.Last
	if refused(last) && last.Reason == refusal && sameDay(newest(*last), due[len(due)-1]) {
		return nil
	}
	run := a.several(cron, due)
	run.Outcome, run.Reason = ledger.Skipped, refusal
	return []task{{cron: cron, run: run, from: state.Watermark}}
}

// refused tells whether a record is one that refuse made.
func refused(run *ledger.Run) bool {
	return run != nil && run.Outcome == ledger.Skipped && run.Started == nil && run.Due != nil
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

// several is one run for occurrences that are not acted on.
func (a *Agent) several(cron *Cron, due []time.Time) ledger.Run {
	run := a.run(cron, NewID(), due[0])
	if run.Count = len(due); run.Count > 1 {
		run.Until = new(due[len(due)-1])
	}
	return run
}

// newest is the last occurrence that a run is of.
func newest(run ledger.Run) time.Time {
	if run.Until != nil {
		return *run.Until
	}
	return *run.Due
}

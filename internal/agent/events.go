package agent

import (
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// decision is what is to be told, as the ledger is to hold it: Event and Run say
// what, and Left by which ways. Without changes there is nothing to tell.
type decision struct {
	next    ledger.Told
	changes bool
}

// eventOf is what a run amounts to: something bad, a Success, or empty if it is
// neither, or not yet. Skips is how often in a row its cron was skipped.
func eventOf(run ledger.Run, skips int) Event {
	switch run.Outcome {
	case ledger.Failed, ledger.TimedOut, ledger.Cancelled:
		return Failure
	case ledger.Uncertain:
		return Uncertain
	case ledger.Missed:
		return Missed
	case ledger.Succeeded:
		return Success
	case ledger.Fired:
		// Accepted is not done, unless there will be nothing more to know.
		if !run.Pending {
			return Success
		}
	case ledger.Skipped:
		if run.Started != nil && skips >= skipsInARow {
			return SkippedAgain
		}
	}
	return ""
}

// decide decides about a run that has just been recorded, from what people were told
// before. They hear once of a streak of bad runs, and when it is over. They hear once
// more if a command that was skipped again and again then fails, and what became of
// a run of which they heard that it was uncertain.
func (t *Telling) decide(run ledger.Run, skips int, told ledger.Told, now time.Time) decision {
	event := eventOf(run, skips)
	older := told.Run != run.ID && when(run).Before(told.Of)
	again := unheard(told, now) && told.Run != run.ID && !older // a newer run takes the message over
	switch {
	case event == "":
		return decision{}
	case event != Success:
		worse := told.Streak == string(SkippedAgain) && event != SkippedAgain ||
			told.Streak == string(Uncertain) && told.Run == run.ID && event == Failure
		again = again && told.Streak != "" && told.Event != string(Recovered)
		if !slices.Contains(t.On, event) || told.Streak != "" && !worse && !again {
			return decision{}
		}
		d := t.tell(event, run, told, now, again && !worse)
		d.next.Streak = string(event)
		if told.Streak == "" {
			d.next.Since = when(run)
		}
		return d
	case told.Streak != "" && !older:
		d := decision{changes: true, next: told}
		if slices.Contains(t.On, Recovered) {
			d = t.tell(Recovered, run, told, now, false)
		} else if slices.Contains(t.On, Success) {
			d = t.tell(Success, run, told, now, false)
		} else {
			d.next.Event, d.next.Left, d.next.Error = "", nil, ""
		}
		d.next.Streak = ""
		return d
	case again && told.Event == string(Recovered):
		return t.tell(Recovered, run, told, now, true)
	case slices.Contains(t.On, Success) && told.Run != run.ID && !older:
		return t.tell(Success, run, told, now, false)
	}
	return decision{}
}

// late decides about the newest run of a cron, long after it was recorded: what
// should have been told of it, or could not be.
func (t *Telling) late(last ledger.Run, told ledger.Told, now time.Time) decision {
	event := eventOf(last, 0)
	older := told.Run != last.ID && when(last).Before(told.Of)
	// That one more success was not told is not worth a message that comes late.
	worth := event != Success || told.Streak != "" || told.Event == string(Recovered)
	if worth && !older {
		if d := t.decide(last, 0, told, now); d.changes {
			return d
		}
	}
	if !unheard(told, now) {
		return decision{}
	}
	next := told
	if event != "" && !older && told.Run != last.ID {
		next.Left = nil // something newer has made it void
	} else {
		next.At, next.Error = now, ""
		next.Tries++
	}
	return decision{next, true}
}

// tell is the decision to tell of an event of a run; again, by the ways by which
// nobody could be told of it the last time.
func (t *Telling) tell(event Event, run ledger.Run, told ledger.Told, now time.Time, again bool) decision {
	next := told
	next.Event, next.Run, next.Of = string(event), run.ID, when(run)
	next.At, next.Tries, next.Error = now, 1, ""
	next.Left = t.Ways
	if again {
		next.Left = slices.Clone(told.Left)
		for _, way := range t.EachRun {
			if !slices.Contains(next.Left, way) {
				next.Left = append(next.Left, way)
			}
		}
	}
	return decision{next, true}
}

// unheard tells whether a message did not get through: it failed, or whoever was to
// send it has died.
func unheard(told ledger.Told, now time.Time) bool {
	return len(told.Left) > 0 && (told.Error != "" || now.Sub(told.At) >= tellLease)
}

// when is the instant that a run belongs to: the last one of several.
func when(run ledger.Run) time.Time {
	switch {
	case run.Due != nil:
		return newest(run)
	case run.Started != nil:
		return *run.Started
	case run.Ended != nil:
		return *run.Ended
	}
	return time.Time{}
}

// endOf is when a run ended, or what stands for that.
func endOf(run ledger.Run) time.Time {
	if run.Ended != nil {
		return *run.Ended
	}
	return when(run)
}

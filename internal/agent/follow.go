package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// settle ends the claims whose owner died: nobody knows what it had done, so
// nobody does it again. Whether a fire was taken is looked up from then on.
func (a *Agent) settle(ctx context.Context, states []ledger.State) ([]ledger.Run, error) {
	var runs []ledger.Run
	now := a.now()
	for _, state := range states {
		for _, claim := range state.Open {
			if !claim.Overdue(now) || a.owns(claim.ID) {
				continue
			}
			run := newRun(claim.Key, claim.ID, claim.Operation, claim.Due)
			run.Outcome, run.Attempts = ledger.Uncertain, claim.Attempts+1
			run.Started, run.Ended = new(claim.At), new(now)
			run.Error = "the agent died after it had claimed this, and before it recorded what came of it"
			run.Pending = a.Look != nil
			if claim.Operation == "" {
				run.Outcome, run.Pending = ledger.Cancelled, false
			}
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return nil, nil
	}
	settled, err := a.Ledger.Settle(ctx, runs...)
	a.tell(settled...)
	for _, run := range settled {
		a.hear(ctx, run, 0, nil)
	}
	return settled, err
}

// gone are the crons that are configured no longer, and of which something is
// unsettled.
func (a *Agent) gone(ctx context.Context) ([]ledger.Key, error) {
	unsettled, err := a.Ledger.Unsettled(ctx, a.key(""))
	return slices.DeleteFunc(unsettled, func(key ledger.Key) bool {
		return key.Cron == "" || slices.ContainsFunc(a.Crons, func(c Cron) bool { return c.Name == key.Cron })
	}), err
}

// abandon ends what was handed back of crons that are gone: nobody will try it
// again. Their states stand behind those of our crons and of what belongs to none.
func (a *Agent) abandon(ctx context.Context, states []ledger.State, now time.Time) ([]ledger.Run, error) {
	var claims []ledger.Claim
	runs := map[string]*ledger.Run{}
	for _, state := range states[len(a.Crons)+1:] {
		for _, run := range state.HandedBack {
			run.Outcome, run.NextTry, run.Ended = ledger.Missed, nil, &now
			run.Reason = fmt.Sprintf("not done after %d attempts, and the cron is configured no longer", run.Attempts)
			runs[run.ID] = &run
			claims = append(claims, ledger.Claim{Key: run.Key, ID: run.ID, Due: *run.Due, Operation: run.Operation, Attempts: run.Attempts, Run: &run})
		}
	}
	if len(claims) == 0 {
		return nil, nil
	}
	won, err := a.Ledger.Claim(ctx, claims)
	var ended []ledger.Run
	for _, claim := range won {
		ended = append(ended, *runs[claim.ID])
	}
	a.tell(ended...)
	return ended, err
}

// clockDoubt is how much the clock may have been corrected between an uncertain
// fire and the search for it.
const clockDoubt = 2 * time.Minute

// What is pending is looked up until it is known, but not for ever. Absence proves
// nothing for a while: a request may lie in a queue.
const (
	absentAfter  = 10 * time.Minute
	followFor    = 7 * 24 * time.Hour
	followLimit  = 30 * time.Second // all look-ups of one time together
	followAtOnce = 8
)

// followAll looks up what became of the fires that are pending in states, and
// records what is known by now.
func (a *Agent) followAll(ctx context.Context, states []ledger.State, report report) {
	if a.Look == nil {
		return
	}
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, followLimit)
	defer cancel()
	places := make(chan struct{}, followAtOnce)
	// What is uncertain is resolved one by one, or two runs would find one activity.
	one := make(chan struct{}, 1)
	var looking sync.WaitGroup
	for i := range states {
		for _, run := range states[i].Pending {
			var cron *Cron
			if i < len(a.Crons) {
				cron = &a.Crons[i]
			}
			places <- struct{}{}
			looking.Go(func() {
				defer func() { <-places }()
				if run.Outcome == ledger.Uncertain {
					one <- struct{}{}
					defer func() { <-one }()
				}
				run, changed := a.follow(ctx, cron, run)
				if !changed {
					return
				}
				// Another agent may have looked as well, and gone on from there.
				settled, err := a.Ledger.Settle(context.WithoutCancel(ctx), run)
				a.tell(settled...)
				for _, run := range settled {
					a.hear(whole, run, 0, nil)
				}
				report(settled, err)
			})
		}
	}
	looking.Wait()
}

// follow looks up one run, of a cron or, without one, of a bare fire.
func (a *Agent) follow(ctx context.Context, cron *Cron, run ledger.Run) (ledger.Run, bool) {
	if run.Started == nil {
		run.Pending = false
		return run, true
	}
	if ctx.Err() != nil {
		return run, false
	}
	age := a.now().Sub(*run.Started)
	if run.Outcome == ledger.Uncertain {
		return a.resolve(ctx, cron, run, age)
	}
	activities, err := a.Look(ctx, run)
	if err != nil {
		if age < followFor {
			a.log().Debug("could not look up what became of it", "cron", run.Cron, "run", run.ID, "err", err)
			return run, false
		}
		run.Pending, run.Reason = false, "what became of it could not be looked up: "+err.Error()
		return run, true
	}
	run.Activities = activities
	if staged(activities) {
		run.Pending, run.Reason = false, "its activity is staged, and waits for a deployment by hand"
		return run, true
	}
	if !ended(activities) {
		run.Pending, run.Reason = age < followFor, "its activity has not ended in a week"
		return run, !run.Pending
	}
	run.Pending, run.Outcome, run.ExitCode, run.Error = false, ledger.Succeeded, new(0), ""
	for _, activity := range activities {
		if activity.Result != "success" {
			run.Outcome, run.ExitCode = ledger.Failed, new(1)
			how := activity.Result
			if how == "" {
				how = activity.State
			}
			run.Error = fmt.Sprintf("activity %s (%s) has ended: %s", activity.ID, activity.Type, how)
		}
	}
	return run, true
}

// resolve finds out whether an uncertain fire was taken.
func (a *Agent) resolve(ctx context.Context, cron *Cron, run ledger.Run, age time.Duration) (ledger.Run, bool) {
	if a.Find == nil {
		return run, false
	}
	found, doubtful, problem := a.Find(ctx, run, age+clockDoubt)
	if problem == nil && len(found) > 0 {
		var others []ledger.Run
		others, problem = a.others(ctx)
		found = unknown(found, run, others, func(ledger.Run) bool { return true })
	}
	switch {
	case problem != nil:
		if age < followFor {
			return run, false
		}
		run.Pending = false
	case len(found) == 1 && doubtful == 0:
		run.Outcome, run.ExitCode, run.Error = ledger.Fired, new(0), ""
		run.Activities = found // pending still: how it ended is looked up next
		run.Reason = "it was uncertain whether it was taken, but the platform has this activity"
	case len(found)+doubtful > 0:
		ids := make([]string, len(found))
		for i, activity := range found {
			ids[i] = activity.ID
		}
		run.Pending = false
		run.Reason = fmt.Sprintf("%d activities may be its: %s", len(found)+doubtful, strings.Join(ids, ", "))
	case age < absentAfter:
		return run, false
	case cron != nil && run.Due != nil && cron.Refusal == "" && a.now().Sub(*run.Due) <= cron.MissedWithin:
		run.Outcome, run.Pending, run.NextTry = ledger.Deferred, false, new(a.now())
		run.Reason = fmt.Sprintf("it was not taken: after %s the platform has no activity of it", absentAfter)
	default:
		run.Outcome, run.Pending, run.ExitCode = ledger.Failed, false, new(1)
		run.Reason = fmt.Sprintf("it was not taken: after %s the platform has no activity of it", absentAfter)
	}
	return run, true
}

// others are the runs that the ledger has, of other apps too.
func (a *Agent) others(ctx context.Context) ([]ledger.Run, *Result) {
	runs, err := a.Ledger.History(ctx, ledger.Key{}, knownRuns)
	if err != nil {
		return nil, &Result{Outcome: ledger.Deferred, Reason: "the ledger could not be read to tell whose activities there are", Error: err.Error()}
	}
	return runs, nil
}

// unknown are those of the activities which may be of a run that are of no other run
// that has them for itself.
func unknown(found []ledger.Activity, run ledger.Run, others []ledger.Run, itself func(other ledger.Run) bool) []ledger.Activity {
	return slices.DeleteFunc(found, func(activity ledger.Activity) bool {
		return slices.ContainsFunc(others, func(other ledger.Run) bool {
			return other.ID != run.ID && itself(other) && slices.ContainsFunc(other.Activities, func(known ledger.Activity) bool { return known.ID == activity.ID })
		})
	})
}

// doubtFor is how long an occurrence waits for what becomes of another run: that is
// known after absentAfter, unless no agent looks it up, as for an app that has none.
const doubtFor = time.Hour

// inDoubt is a run of the same operation that was asked for by hand since an occurrence
// was due, and of which nobody knows yet whether the platform took it; nil if there is
// none.
func inDoubt(run ledger.Run, others []ledger.Run, now time.Time) *ledger.Run {
	for i, other := range others {
		if other.Outcome == ledger.Uncertain && other.Pending && other.Due == nil && other.Operation == run.Operation &&
			other.Project == run.Project && other.Environment == run.Environment &&
			run.Due != nil && other.Started != nil && !other.Started.Before(*run.Due) && now.Sub(*other.Started) < doubtFor {
			return &others[i]
		}
	}
	return nil
}

// knownRuns is how many runs of each cron are searched for whose an activity is.
const knownRuns = 50

// ended tells whether none of the activities goes on.
func ended(activities []ledger.Activity) bool {
	return !slices.ContainsFunc(activities, func(activity ledger.Activity) bool {
		return activity.State != "complete" && activity.State != "cancelled"
	})
}

func staged(activities []ledger.Activity) bool {
	return slices.ContainsFunc(activities, func(activity ledger.Activity) bool { return activity.State == "staged" })
}

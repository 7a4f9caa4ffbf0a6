package agent

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// claim claims all tasks with one write and returns those that were won.
func (a *Agent) claim(ctx context.Context, tasks []task) ([]task, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	claims := make([]ledger.Claim, len(tasks))
	byID := make(map[string]task, len(tasks))
	wait := a.wait(tasks)
	for i, t := range tasks {
		claims[i] = ledger.Claim{
			Key: t.run.Key, ID: t.run.ID, From: t.from, Due: newest(t.run), Operation: t.run.Operation, Attempts: t.run.Attempts,
			Settle: t.cron.Limit + settleMargin,
		}
		if t.act && t.run.Operation == "" {
			claims[i].Settle += wait
		}
		if !t.act {
			claims[i].Run = &t.run
		}
		byID[t.run.ID] = t
	}
	won, err := a.Ledger.Claim(ctx, claims)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	ours := make([]task, len(won))
	for i, claim := range won {
		ours[i] = byID[claim.ID]
		ours[i].settle = claim.Settle
		a.ours[claim.ID] = true
	}
	return ours, nil
}

// queues are the commands among tasks: those of one queue run one after the
// other, in the order of their dues.
func queues(tasks []task) [][]task {
	var all [][]task
	of := map[*Cron]int{}
	for _, t := range tasks {
		if !t.act || t.run.Operation != "" {
			continue
		}
		i, known := of[t.cron]
		if !known || t.cron.Overlaps {
			i, of[t.cron] = len(all), len(all)
			all = append(all, nil)
		}
		all[i] = append(all[i], t)
	}
	return all
}

// wait is how long a command may wait for its turn at most: for those before it
// in its queue, and for a place of the others.
func (a *Agent) wait(tasks []task) time.Duration {
	var sum, longest time.Duration
	all := queues(tasks)
	for _, queue := range all {
		var one time.Duration
		for _, t := range queue {
			one += t.cron.Limit
		}
		sum += one
		longest = max(longest, one-queue[0].cron.Limit)
	}
	if len(all) <= cap(a.places)-len(a.places) {
		return longest
	}
	if len(a.places) > 0 {
		sum += longestCommand // of those that run already
	}
	return sum
}

// longestCommand is the longest time limit that a configuration may set.
const longestCommand = 24 * time.Hour

// actAll acts on what was claimed, and returns when all of it is done. Fires go
// first and all together, since each is one short request that must not wait for a
// command; then commands, and meanwhile whatever else there is to do.
func (a *Agent) actAll(ctx context.Context, tasks []task, claimed time.Time, report report, meanwhile func()) {
	var fires, rest sync.WaitGroup
	a.startFires(ctx, tasks, claimed, report, &fires)
	fires.Wait()
	rest.Go(meanwhile)
	a.startCommands(ctx, tasks, claimed, report, &rest)
	rest.Wait()
}

// report takes what was done, and what the ledger said to it. It is called by many
// at once.
type report func(runs []ledger.Run, err error)

func (a *Agent) startFires(ctx context.Context, tasks []task, claimed time.Time, report report, running *sync.WaitGroup) {
	for _, t := range tasks {
		if t.run.Operation != "" {
			running.Go(func() {
				run, err := a.actOn(ctx, t, claimed)
				report([]ledger.Run{run}, err)
			})
		}
	}
}

// startCommands runs each queue of commands as soon as there is a place for it.
func (a *Agent) startCommands(ctx context.Context, tasks []task, claimed time.Time, report report, running *sync.WaitGroup) {
	all := queues(tasks)
	if n := len(all) - (cap(a.places) - len(a.places)); n > 0 {
		a.log().Info("commands wait for others to end", "waiting", n, "at_once", cap(a.places))
	}
	for _, queue := range all {
		a.queueUp(queue[0].cron, 1)
		running.Go(func() {
			select {
			case a.places <- struct{}{}:
				defer func() { <-a.places }()
			case <-ctx.Done(): // each is handed back below
			}
			a.queueUp(queue[0].cron, -1)
			for _, t := range queue {
				run, err := a.actOn(ctx, t, claimed)
				report([]ledger.Run{run}, err)
			}
		})
	}
}

// queueUp notes how many commands of a cron wait for a place.
func (a *Agent) queueUp(cron *Cron, more int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[cron] += more
}

// skipWaiting skips what came due of a command cron while another run of it waits
// for a place: where places are few, all that comes due would wait, and then run at
// once.
func (a *Agent) skipWaiting(cron *Cron, tasks []task) {
	a.mu.Lock()
	waiting := a.waiting[cron] > 0
	a.mu.Unlock()
	if !waiting || cron.Operation != "" || cron.Overlaps {
		return
	}
	for i := range tasks {
		if t := &tasks[i]; t.act {
			now := a.now()
			t.act, t.run.Started, t.run.Ended = false, &now, &now
			t.run.Outcome, t.run.Reason = ledger.Skipped, "another run of it still waits for others to end"
		}
	}
}

// since is how much time has passed, by whichever clock shows more: one of them
// stands still while the machine is suspended, the other may be set.
func since(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}

// actOn acts on one occurrence and records what came of it.
func (a *Agent) actOn(ctx context.Context, t task, claimed time.Time) (ledger.Run, error) {
	run := t.run
	var result Result
	var begun <-chan struct{}
	a.spread(ctx, t)
	switch {
	case ctx.Err() != nil:
		result = Result{Outcome: ledger.Deferred, Reason: "the agent was told to stop"}
	case run.Operation != "" && since(claimed) > t.cron.Limit, t.settle > 0 && since(claimed) >= t.settle:
		// We were stopped meanwhile, or suspended, and may have been taken for dead.
		result = Result{Outcome: ledger.Deferred, Reason: tooLong}
	default:
		run.Attempts++
		run.Started = new(a.now())
		a.enter(run)
		begun = a.foretell(ctx, t.cron, run)
		result = a.act(ctx, t, run, claimed)
		run.Ended = new(a.now())
		if run.Ended.Before(*run.Started) { // the clock was corrected
			run.Ended = run.Started
		}
	}
	result.Into(&run)
	run.Pending = run.Pending && a.Look != nil
	if run.Operation == "" && run.Outcome == ledger.Failed && run.Attempts <= t.cron.Retries && run.Due != nil {
		run.Outcome = ledger.Deferred
		run.Reason = fmt.Sprintf("attempt %d of %d failed", run.Attempts, t.cron.Retries+1)
	}
	if run.Outcome == ledger.Deferred && run.Due != nil {
		run.NextTry = new(a.now().Add(backoff(run.Attempts)))
	}
	err := a.leave(ctx, outcome{run, claimed, t.settle})
	a.tell(run)
	a.hear(ctx, run, a.countSkips(ctx, run), begun)
	return run, err
}

const tooLong = "it took too long to get from the claim to the act"

// spread lets a fire that was handed back wait a moment: whoever was turned away
// with many others comes back with them, at the same tick of a clock. It has half
// the time that an owner may take from the claim to the request.
func (a *Agent) spread(ctx context.Context, t task) {
	if t.run.Operation == "" || t.run.Attempts == 0 || t.cron.Limit <= 0 {
		return
	}
	timer := time.NewTimer(mathrand.N(t.cron.Limit / 2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// act acts on an occurrence, unless that was done already.
func (a *Agent) act(ctx context.Context, t task, run ledger.Run, claimed time.Time) Result {
	o := Occurrence{RunID: run.ID, Cron: run.Cron, Due: *run.Started}
	if run.Due != nil {
		o.Due = *run.Due
	}
	if t.check && run.Operation != "" && a.Find != nil {
		found, _, problem := a.Find(ctx, run, t.age+since(claimed))
		if problem != nil {
			return *problem
		}
		others, problem := a.others(ctx)
		if problem != nil {
			return *problem
		}
		if other := inDoubt(run, others, a.now()); other != nil {
			return Result{Outcome: ledger.Deferred, Reason: "it is uncertain whether the platform took run " + other.ID + ", which was asked for by hand since; that is looked up first"}
		}
		// What was done for no occurrence counts for this one: somebody did it by hand, or
		// the cron of the platform that this one was before.
		found = unknown(found, run, others, func(other ledger.Run) bool {
			return other.Due != nil || other.Operation != run.Operation
		})
		if i := slices.IndexFunc(found, a.adopt); i >= 0 {
			return Result{
				Outcome: ledger.Fired, ExitCode: new(0), Activities: found[i : i+1],
				Reason: "it was done already: the platform has this activity since it was due",
			}
		}
		if since(claimed) > t.cron.Limit {
			return Result{Outcome: ledger.Deferred, Reason: tooLong}
		}
	}
	return t.cron.Act(ctx, o)
}

// adopt takes an activity for one occurrence, unless another one has it: two crons of
// one operation that are late together must not both be done by one activity, and the
// ledger does not tell yet.
func (a *Agent) adopt(activity ledger.Activity) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := !a.adopted[activity.ID]
	a.adopted[activity.ID] = true
	return free
}

// enter notes what is being acted on, and leave records what came of it. It is
// written even when the agent is told to stop, and before anything is said: what
// was done must not be forgotten.
func (a *Agent) enter(run ledger.Run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.underway[run.ID] = run
}

func (a *Agent) leave(ctx context.Context, o outcome) error {
	a.mu.Lock()
	delete(a.underway, o.run.ID)
	a.mu.Unlock()
	err := a.say(ctx, o)
	if _, later := errors.AsType[*ledger.Unreachable](err); later {
		a.log().Warn("what came of it could not be recorded yet", "cron", o.run.Cron, "run", o.run.ID, "outcome", o.run.Outcome, "err", err)
		a.mu.Lock()
		a.unsaid = append(a.unsaid, o)
		a.mu.Unlock()
		return nil
	}
	a.disown(o.run.ID)
	return err
}

// outcome is a run that is over, and how others count its time.
type outcome struct {
	run     ledger.Run
	claimed time.Time
	settle  time.Duration // the claim's
}

// say records what came of a run, even when the agent is told to stop.
func (a *Agent) say(ctx context.Context, o outcome) error {
	ctx = context.WithoutCancel(ctx)
	if o.run.Outcome == ledger.Deferred && o.run.Due != nil && since(o.claimed) >= o.settle {
		// Others may have taken us for dead by now, and have gone on from there. Then to
		// hand it back is theirs, or it could be handed back twice, and acted on twice.
		states, err := a.Ledger.Load(ctx, []ledger.Key{o.run.Key})
		if err == nil && slices.ContainsFunc(states[0].Open, func(claim ledger.Claim) bool { return claim.ID == o.run.ID }) {
			_, err = a.Ledger.Settle(ctx, o.run)
		}
		return err
	}
	return a.Ledger.Record(ctx, o.run)
}

// unsaidLimit is how long who ends soon waits for a ledger that is out of reach: a
// database restarts within it.
const unsaidLimit = 30 * time.Second

// sayAll records what could not be recorded when it was over, and tries for as long
// as limit if it still cannot be. What then is left is in the error.
func (a *Agent) sayAll(ctx context.Context, limit time.Duration) error {
	a.mu.Lock()
	unsaid := a.unsaid
	a.unsaid = nil
	a.mu.Unlock()
	var errs []error
	began := time.Now()
	for len(unsaid) > 0 {
		err := a.say(ctx, unsaid[0])
		if _, later := errors.AsType[*ledger.Unreachable](err); !later {
			a.disown(unsaid[0].run.ID)
			if errs = append(errs, err); err == nil {
				a.log().Info("what came of it is recorded now", "cron", unsaid[0].run.Cron, "run", unsaid[0].run.ID)
			}
			unsaid = unsaid[1:]
			continue
		}
		if ctx.Err() != nil || time.Since(began) >= limit {
			a.mu.Lock()
			a.unsaid = append(unsaid, a.unsaid...)
			a.mu.Unlock()
			return errors.Join(append(errs, fmt.Errorf("what came of %d runs could not be recorded: %w", len(unsaid), err))...)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	return errors.Join(errs...)
}

// owns tells whether a claim is one that we are still busy with.
func (a *Agent) owns(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ours[id]
}

func (a *Agent) disown(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.ours, id)
}

// standByLimit is how long that may take: what is recorded in the end must get its
// turn before the platform kills, two seconds after SIGTERM on Dedicated Gen 2.
const standByLimit = time.Second

// standBy records what is under way as soon as ctx ends, since we may be killed
// before it ends: a fire may have been taken, a command is being stopped. What
// comes of it is recorded once more. The function that it returns is to be called
// when nothing is under way any more.
func (a *Agent) standBy(ctx context.Context) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		// Held while it is written, so that it cannot come behind the last word.
		a.mu.Lock()
		defer a.mu.Unlock()
		var runs []ledger.Run
		for _, run := range a.underway {
			run.Outcome, run.Ended = ledger.Cancelled, new(a.now())
			run.Reason = "the agent was told to stop while it was under way"
			if run.Operation != "" {
				run.Outcome, run.Pending = ledger.Uncertain, a.Look != nil
			}
			runs = append(runs, run)
		}
		if len(runs) > 0 {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standByLimit)
			defer cancel()
			if err := a.Ledger.Record(ctx, runs...); err != nil {
				a.log().Error("what is under way could not be recorded", "err", err)
			}
		}
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// backoff is the wait before the next try of what was handed back: full jitter
// below a ceiling that doubles from one minute to a quarter of an hour.
func backoff(attempts int) time.Duration {
	ceiling := min(time.Minute<<min(max(attempts-1, 0), 4), 15*time.Minute)
	return mathrand.N(ceiling)
}

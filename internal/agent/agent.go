// Package agent is the heart: it decides what is due, claims it, acts and
// records. It knows schedules and the ledger; what acting means is a function
// that it is given, so it knows no HTTP, no process and no SQL.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/schedule"
)

// Cron is one agent cron as the agent sees it.
type Cron struct {
	Name     string
	Schedule *schedule.Schedule
	// Operation is what a fire cron calls, "backup:create"; empty for a command.
	Operation string
	// Act acts on one occurrence.
	Act Action
	// Limit is how long Act may take: a fire's deadline, a command's time limit and
	// its grace together.
	Limit time.Duration
	// Refusal says why nothing is done here: the cron is disabled, or not meant for
	// this type of environment. Empty: it is acted on.
	Refusal string
	// SkipMissed only records missed occurrences. Otherwise the newest one is acted
	// on, unless it is older than MissedWithin or another one is due on time.
	SkipMissed bool
	// MissedWithin is also how long a fire that was handed back is tried again.
	MissedWithin time.Duration
	// Retries is how often a command that failed is tried again.
	Retries int
	// Overlaps lets several occurrences of a command that are due in one tick run at
	// once. Otherwise they run one after the other.
	Overlaps bool
}

// Action acts on one occurrence and says how that ended. Deferred means that
// surely nothing was done and that trying again later makes sense. It ends soon
// after ctx does.
type Action func(ctx context.Context, o Occurrence) Result

// Occurrence is what an action is told.
type Occurrence struct {
	RunID string
	Cron  string
	Due   time.Time
}

// Result is how an action ended.
type Result struct {
	Outcome    ledger.Outcome
	Reason     string
	Error      string
	Activities []ledger.Activity
	ExitCode   *int
	Output     string
}

// Into writes the result into the run that it is of.
func (r Result) Into(run *ledger.Run) {
	run.Outcome, run.Reason, run.Error = r.Outcome, r.Reason, r.Error
	run.ExitCode, run.Output = r.ExitCode, r.Output
	if r.Activities != nil {
		run.Activities = r.Activities
	}
}

// Agent acts on the crons of one app in one environment.
type Agent struct {
	Ledger ledger.Ledger
	// Project, Environment and App are the part of the ledger's keys that all crons
	// share.
	Project, Environment, App string
	Crons                     []Cron
	// Late is how long after its due an occurrence is still on time; later it is
	// missed.
	Late time.Duration
	// MaxParallel bounds the commands that run at once. Zero: two for each core.
	MaxParallel int
	// Log is told of every outcome. Nil discards.
	Log *slog.Logger
}

// settleMargin is how long after an action's limit its record is waited for,
// before the claim is taken for one of an agent that died.
const settleMargin = time.Minute

// maxScan bounds the occurrences that are looked at one by one after a long
// absence; those before them are not counted.
const maxScan = 100_000

// task is an occurrence, or several missed ones, and what to do about it.
type task struct {
	cron *Cron
	run  ledger.Run
	act  bool
}

// Tick acts on every occurrence up to and including to that nobody has claimed,
// and returns when all of it is done and recorded: fires first, all together,
// then commands. A cron that the ledger does not know begins after from.
//
// The runs are those that were decided here, in no particular order. The error
// is the ledger's: what could not be claimed was not acted on and will be missed
// later; what was done is among the runs even if it could not be recorded.
func (a *Agent) Tick(ctx context.Context, from, to time.Time) ([]ledger.Run, error) {
	keys := a.keys()
	states, err := a.Ledger.Load(ctx, keys)
	if err != nil {
		return nil, err
	}
	var unknown []ledger.Key
	for i, state := range states {
		if !state.Watermark.IsZero() {
			continue
		}
		unknown = append(unknown, keys[i])
		if a.Crons[i].Refusal == "" {
			a.log().Info("begins now, since the ledger does not know it yet", "cron", keys[i].Cron, "from", from)
		}
	}
	if len(unknown) > 0 {
		if err := a.Ledger.Begin(ctx, unknown, from); err != nil {
			return nil, err
		}
	}
	runs, err := a.settle(ctx, states)
	if err != nil {
		return runs, err
	}

	// Taken before the claim, so that no other agent counts from earlier.
	claimed := time.Now()
	won, err := a.claim(ctx, a.plan(states, from, to))
	if err != nil {
		return runs, err
	}
	var settled []ledger.Run
	var acts []task
	for _, t := range won {
		if t.act {
			acts = append(acts, t)
		} else {
			settled = append(settled, t.run)
		}
	}
	if len(settled) > 0 {
		runs = append(runs, settled...)
		err = a.Ledger.Record(context.WithoutCancel(ctx), settled...)
		a.tell(settled...)
	}
	acted, actErr := a.actAll(ctx, acts, claimed)
	return append(runs, acted...), errors.Join(err, actErr, a.ahead(states, to))
}

// aheadLimit is how far a watermark may lie after the clock: a few clocks of one
// project may differ by seconds.
const aheadLimit = 10 * time.Minute

// ahead complains of crons whose watermark lies in the future, because the clock
// was wrong once: they are not due before it, and would be silent about that.
func (a *Agent) ahead(states []ledger.State, to time.Time) error {
	var errs []error
	for i, state := range states {
		if a.Crons[i].Refusal == "" && state.Watermark.Sub(to) > aheadLimit {
			errs = append(errs, fmt.Errorf("cron %q is settled up to %s, which is in the future, and is not acted on before then: was the clock wrong once?",
				a.Crons[i].Name, state.Watermark.Format(time.RFC3339)))
		}
	}
	return errors.Join(errs...)
}

// Plan says what Tick would do, without claiming anything. Runs that would be
// acted on have no outcome. With fresh, it takes every cron for unknown.
func (a *Agent) Plan(ctx context.Context, from, to time.Time, fresh bool) ([]ledger.Run, error) {
	states := make([]ledger.State, len(a.Crons))
	if !fresh {
		var err error
		if states, err = a.Ledger.Load(ctx, a.keys()); err != nil {
			return nil, err
		}
	}
	var runs []ledger.Run
	for _, t := range a.plan(states, from, to) {
		runs = append(runs, t.run)
	}
	return runs, nil
}

func (a *Agent) keys() []ledger.Key {
	keys := make([]ledger.Key, len(a.Crons))
	for i, cron := range a.Crons {
		keys[i] = ledger.Key{Project: a.Project, Environment: a.Environment, App: a.App, Cron: cron.Name}
	}
	return keys
}

func (a *Agent) log() *slog.Logger {
	if a.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return a.Log
}

// settle ends the claims whose owner died: nobody knows what it had done, so
// nobody does it again.
func (a *Agent) settle(ctx context.Context, states []ledger.State) ([]ledger.Run, error) {
	var runs []ledger.Run
	now := time.Now()
	for i, state := range states {
		for _, claim := range state.Open {
			if !claim.Overdue(now) {
				continue
			}
			run := a.run(&a.Crons[i], claim.ID, claim.Due)
			run.Operation = claim.Operation
			run.Outcome, run.Attempts, run.Ended = ledger.Uncertain, claim.Attempts+1, new(now)
			run.Error = "the agent died after it had claimed this, and before it recorded what came of it"
			if claim.Operation == "" {
				run.Outcome = ledger.Cancelled
			}
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return nil, nil
	}
	settled, err := a.Ledger.Settle(ctx, runs...)
	a.tell(settled...)
	return settled, err
}

// plan decides what is due for every cron, from its state and the clock alone.
func (a *Agent) plan(states []ledger.State, from, to time.Time) []task {
	var tasks []task
	for i := range a.Crons {
		tasks = append(tasks, a.planCron(&a.Crons[i], states[i], from, to)...)
	}
	return tasks
}

func (a *Agent) planCron(cron *Cron, state ledger.State, from, to time.Time) []task {
	mark := state.Watermark
	if mark.IsZero() {
		mark = from
	}
	if refused(state.Last) && cron.Refusal == "" {
		// What came due while it was refused was not missed.
		if late := to.Add(-a.Late - 1); late.After(mark) {
			mark = late
		}
	}
	missed, onTime := a.due(cron, mark, to)
	if cron.Refusal != "" {
		return a.refuse(cron, state, append(missed, onTime...))
	}

	var tasks []task
	if n := len(missed); n > 0 {
		newest := missed[n-1]
		if !cron.SkipMissed && len(onTime) == 0 && to.Sub(newest) <= cron.MissedWithin {
			missed = missed[:n-1]
			onTime = append(onTime, newest)
		}
	}
	if n := len(missed); n > 0 {
		run := a.several(cron, missed)
		run.Outcome, run.Reason = ledger.Missed, "no agent was there when it was due"
		tasks = append(tasks, task{cron, run, false})
	}
	tasks = append(tasks, a.retry(cron, state.HandedBack, len(onTime) > 0, to)...)
	for _, due := range onTime {
		tasks = append(tasks, task{cron, a.run(cron, NewID(), due), true})
	}
	return tasks
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
			tasks = append(tasks, task{cron, run, true})
			continue
		default:
			continue
		}
		run.Ended, run.NextTry = new(to), nil
		tasks = append(tasks, task{cron, run, false})
	}
	return tasks
}

// due lists the occurrences after mark up to and including to: those that are
// missed and those that are on time.
func (a *Agent) due(cron *Cron, mark, to time.Time) (missed, onTime []time.Time) {
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
		if to.Sub(next) > a.Late {
			missed = append(missed, next)
		} else {
			onTime = append(onTime, next)
		}
	}
}

// refuse records that a cron is not acted on, once a day and reason: a preview
// environment would otherwise fill its ledger with what it does not do.
func (a *Agent) refuse(cron *Cron, state ledger.State, due []time.Time) []task {
	if len(due) == 0 {
		return nil
	}
	last := state.Last
	if refused(last) && last.Reason == cron.Refusal && sameDay(newest(*last), due[len(due)-1]) {
		return nil
	}
	run := a.several(cron, due)
	run.Outcome, run.Reason = ledger.Skipped, cron.Refusal
	return []task{{cron, run, false}}
}

// refused tells whether a record is one that refuse made.
func refused(run *ledger.Run) bool {
	return run != nil && run.Outcome == ledger.Skipped && run.Started == nil && run.Due != nil
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

func (a *Agent) run(cron *Cron, id string, due time.Time) ledger.Run {
	return ledger.Run{
		ID:         id,
		Key:        ledger.Key{Project: a.Project, Environment: a.Environment, App: a.App, Cron: cron.Name},
		Operation:  cron.Operation,
		Due:        new(due),
		Count:      1,
		Activities: []ledger.Activity{},
	}
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

// NewID makes the id of a run: 80 random bits, safe in file names and URLs.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }

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
			Key: t.run.Key, ID: t.run.ID, Due: newest(t.run), Operation: t.run.Operation, Attempts: t.run.Attempts,
			Settle: t.cron.Limit + settleMargin,
		}
		if t.act && t.run.Operation == "" {
			claims[i].Settle += wait
		}
		byID[t.run.ID] = t
	}
	won, err := a.Ledger.Claim(ctx, claims)
	if err != nil {
		return nil, err
	}
	ours := make([]task, len(won))
	for i, claim := range won {
		ours[i] = byID[claim.ID]
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
	if len(all) <= a.parallel() {
		return longest
	}
	return sum
}

func (a *Agent) parallel() int {
	if a.MaxParallel > 0 {
		return a.MaxParallel
	}
	return 2 * runtime.NumCPU()
}

// actAll acts on what was claimed. Fires go first and all together, since each
// is one short request that must not wait for a command.
func (a *Agent) actAll(ctx context.Context, tasks []task, claimed time.Time) ([]ledger.Run, error) {
	places := make(chan struct{}, a.parallel())

	var mu sync.Mutex
	var runs []ledger.Run
	var errs []error
	one := func(t task) {
		run, err := a.actOn(ctx, t, claimed)
		mu.Lock()
		defer mu.Unlock()
		runs = append(runs, run)
		errs = append(errs, err)
	}
	var fires, commands sync.WaitGroup
	for _, t := range tasks {
		if t.run.Operation != "" {
			fires.Go(func() { one(t) })
		}
	}
	fires.Wait()
	for _, queue := range queues(tasks) {
		commands.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			for _, t := range queue {
				one(t)
			}
		})
	}
	commands.Wait()
	return runs, errors.Join(errs...)
}

// actOn acts on one claimed occurrence and records what came of it.
func (a *Agent) actOn(ctx context.Context, t task, claimed time.Time) (ledger.Run, error) {
	run := t.run
	var result Result
	switch {
	case ctx.Err() != nil:
		result = Result{Outcome: ledger.Deferred, Reason: "the agent was told to stop"}
	case run.Operation != "" && time.Since(claimed) > t.cron.Limit:
		// Others may take this claim for a dead agent's by now.
		result = Result{Outcome: ledger.Deferred, Reason: "it took too long to get from the claim to the request"}
	default:
		run.Attempts++
		run.Started = new(time.Now())
		result = t.cron.Act(ctx, Occurrence{RunID: run.ID, Cron: run.Cron, Due: *run.Due})
		run.Ended = new(time.Now())
	}
	result.Into(&run)
	if run.Operation == "" && run.Outcome == ledger.Failed && run.Attempts <= t.cron.Retries {
		run.Outcome = ledger.Deferred
		run.Reason = fmt.Sprintf("attempt %d of %d failed", run.Attempts, t.cron.Retries+1)
	}
	if run.Outcome == ledger.Deferred {
		run.NextTry = new(time.Now().Add(backoff(run.Attempts)))
	}
	// Written even when the agent is told to stop, and before anything is said:
	// what was done must not be forgotten.
	err := a.Ledger.Record(context.WithoutCancel(ctx), run)
	a.tell(run)
	return run, err
}

// backoff is the wait before the next try of what was handed back: full jitter
// below a ceiling that doubles from one minute to a quarter of an hour.
func backoff(attempts int) time.Duration {
	ceiling := min(time.Minute<<min(max(attempts-1, 0), 4), 15*time.Minute)
	return mathrand.N(ceiling)
}

// Package agent is the heart: it decides what is due, claims it, acts and
// records. It knows schedules and the ledger; what acting means, and how to look
// up what came of it, are functions that it is given, so it knows no HTTP, no
// process and no SQL.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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
	// Overlaps lets several occurrences of a command that are due together run at
	// once. Otherwise they run one after the other.
	Overlaps bool
	// Telling is how people are told of its runs. Nil: they are not.
	Telling *Telling
}

// Action acts on one occurrence and says how that ended. Deferred means that
// surely nothing was done and that trying again later makes sense. It ends soon
// after ctx does.
type Action func(ctx context.Context, o Occurrence) Result

// Occurrence is what an action is told.
type Occurrence struct {
	RunID string
	Cron  string
	// Due is the occurrence; for a triggered cron it is now.
	Due time.Time
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
	run.Pending = r.Outcome == ledger.Uncertain && run.Operation != "" || r.Outcome == ledger.Fired && len(r.Activities) > 0
}

// Agent acts on the crons of one app in one environment. Its fields are not
// changed once it is in use.
type Agent struct {
	Ledger ledger.Ledger
	// Project, Environment and App are the part of the ledger's keys that all crons
	// share.
	Project, Environment, App string
	Crons                     []Cron
	// Late is how long after its due an occurrence is still on time; later it is
	// missed.
	Late time.Duration
	// LookBack is how long before its first tick a fire cron begins: a deployment
	// may have wiped the ledger between an occurrence and the tick that would have
	// acted on it. What was done meanwhile is found by Find. Zero: it begins then.
	LookBack time.Duration
	// Find lists the activities that the platform made of a run's operation for our
	// user within the last ago, the oldest first, and tells how many more may be his.
	// It is asked before a fire that may have been made already. If it cannot tell,
	// problem is how the run ends. Nil: nothing is looked up.
	Find func(ctx context.Context, run ledger.Run, ago time.Duration) (found []ledger.Activity, doubtful int, problem *Result)
	// Look reads how the activities of a run stand. Nil: nothing is looked up.
	Look func(ctx context.Context, run ledger.Run) ([]ledger.Activity, error)
	// MaxParallel bounds the commands that run at once. Zero: two for each core.
	MaxParallel int
	// Armed is called once by Run, when it has read the ledger and begun what was due
	// at the start. Run waits for it. Nil: nobody wants to know.
	Armed func()
	// Telling is how people are told of the fires that are of no cron. Nil: they are
	// not.
	Telling *Telling
	// Beat, if not nil, is called after each Tick that went well, and by Run about every
	// five minutes as long as it is well: it says to somebody else that we are there.
	Beat func(ctx context.Context)
	// Log is told of every outcome. Nil discards.
	Log *slog.Logger

	once     sync.Once
	places   chan struct{}              // one for each command that may run
	mu       sync.Mutex                 // guards what follows, and is held while it is recorded
	ours     map[string]bool            // by run ID: claimed by us and not recorded yet
	unsaid   []outcome                  // what is over, and could not be recorded yet
	underway map[string]ledger.Run      // by run ID: what is being acted on
	adopted  map[string]bool            // by id, the activities that stand for an occurrence
	waiting  map[*Cron]int              // how many commands of a cron wait for a place
	skips    map[string]int             // how often in a row a cron was skipped for overlap
	looping  bool                       // Run is what runs
	voice    *voice                     // what tells people meanwhile
	told     map[ledger.Key]ledger.Told // what people heard of crons, as it was last seen
	tellings map[string]*Telling        // by cron, those that there are
	stepped  time.Time                  // when Run last did what was due, and
	problem  error                      // why it could not
	beaten   time.Time                  // when Beat was called last
}

func (a *Agent) setUp() {
	a.once.Do(func() {
		a.places = make(chan struct{}, a.parallel())
		a.ours = map[string]bool{}
		a.underway = map[string]ledger.Run{}
		a.adopted = map[string]bool{}
		a.waiting = map[*Cron]int{}
		a.skips = map[string]int{}
		a.told = map[ledger.Key]ledger.Told{}
		a.tellings = map[string]*Telling{}
		for i := range a.Crons {
			if t := a.Crons[i].Telling; t != nil {
				a.tellings[a.Crons[i].Name] = t
			}
		}
	})
}

// settleMargin is how long after an action's limit its record is waited for,
// before the claim is taken for one of an agent that died.
const settleMargin = time.Minute

// task is an occurrence, or several missed ones, and what to do about it.
type task struct {
	cron *Cron
	run  ledger.Run
	act  bool
	// from is the watermark that it was planned from; zero for what was handed back.
	from time.Time
	// check asks whether it was done already before it is acted on: since age before
	// it was planned.
	check bool
	age   time.Duration
	// settle is the claim's.
	settle time.Duration
}

// now is the time by the ledger's clock, which all agents on it share.
func (a *Agent) now() time.Time { return a.Ledger.Now() }

// Tick acts on every occurrence up to and including to that nobody has claimed,
// and returns when all of it is done and recorded: fires first, all together,
// then commands. Meanwhile it looks up what became of earlier fires, and people are
// told. A cron that the ledger does not know begins after from. The zero time, for
// either, is now by the ledger's clock.
//
// The runs are those that were decided here, in no particular order. The error
// is the ledger's: what could not be claimed was not acted on and will be missed
// later; what was done is among the runs even if it could not be recorded.
func (a *Agent) Tick(ctx context.Context, from, to time.Time) ([]ledger.Run, error) {
	a.setUp()
	defer a.speak()()
	defer a.standBy(ctx)()
	keys, states, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	if now := a.now(); to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to
	}
	if states, err = a.begin(ctx, keys, states, from); err != nil {
		return nil, err
	}
	var b book
	b.add(a.settle(ctx, states))
	b.add(a.abandon(ctx, states, to))
	if b.err() != nil {
		return b.runs, b.err()
	}
	crons := make([]int, len(a.Crons))
	for i := range crons {
		crons[i] = i
	}
	// What was claimed before the ledger failed is ours, and nobody else's any more.
	acts, claimed, err := a.decide(ctx, crons, states, from, to, b.add)
	b.add(nil, err)
	a.actAll(ctx, acts, claimed, b.add, func() {
		a.remind(ctx, states)
		a.followAll(ctx, states, b.add)
	})
	b.add(nil, a.sayAll(ctx, unsaidLimit))
	b.add(nil, a.ahead(states, to))
	if b.err() == nil {
		a.beat(ctx)
	}
	return b.runs, b.err()
}

// book collects what is done, by many at once.
type book struct {
	mu   sync.Mutex
	runs []ledger.Run
	errs []error
}

func (b *book) add(runs []ledger.Run, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = append(b.runs, runs...)
	b.errs = append(b.errs, err)
}

func (b *book) err() error { return errors.Join(b.errs...) }

// load reads the states of all crons, behind them that of what belongs to no cron,
// and behind that those of crons that are gone.
func (a *Agent) load(ctx context.Context) (keys []ledger.Key, states []ledger.State, err error) {
	gone, err := a.gone(ctx)
	if err != nil {
		return nil, nil, err
	}
	keys = append(a.keys(), gone...)
	states, err = a.Ledger.Load(ctx, keys)
	return keys, states, err
}

// begin makes crons known that the ledger does not know, and returns the states
// with theirs.
func (a *Agent) begin(ctx context.Context, keys []ledger.Key, states []ledger.State, from time.Time) ([]ledger.State, error) {
	var commands, fires []ledger.Key
	for i, cron := range a.Crons {
		a.remember(i, states[i])
		if !states[i].Watermark.IsZero() {
			continue
		}
		begins := from
		if cron.Operation == "" {
			commands = append(commands, keys[i])
		} else {
			fires = append(fires, keys[i])
			begins = from.Add(-a.LookBack)
		}
		if n := len(commands) + len(fires); cron.Refusal == "" && n <= begunTold {
			a.log().Info("begins now, since the ledger does not know it yet", "cron", cron.Name, "from", begins)
		}
	}
	if len(commands)+len(fires) == 0 {
		return states, nil
	}
	if n := len(commands) + len(fires) - begunTold; n > 0 {
		a.log().Info("and so do others", "crons", n)
	}
	var err error
	if len(commands) > 0 {
		err = a.Ledger.Begin(ctx, commands, from)
	}
	if err == nil && len(fires) > 0 {
		err = a.Ledger.Begin(ctx, fires, from.Add(-a.LookBack))
	}
	if err != nil {
		return nil, err
	}
	// Another agent may have begun first, and elsewhere.
	return a.Ledger.Load(ctx, keys)
}

// begunTold is how many crons that begin are told of by name.
const begunTold = 20

// rounds is how often what another agent claimed meanwhile is planned again.
const rounds = 3

// decide plans what is due of some crons, claims it, with that records what needs
// no act, and returns what was won and is to be acted on, and when it was claimed.
// States are theirs, in their order, and brought up to date.
func (a *Agent) decide(ctx context.Context, crons []int, states []ledger.State, from, to time.Time, report report) (acts []task, claimed time.Time, err error) {
	// Taken before the claims, so that no other agent counts from earlier; and by our
	// own clock, since it is our own time that is counted from it.
	claimed = time.Now()
	for range rounds {
		var tasks []task
		for n, i := range crons {
			planned := a.planCron(&a.Crons[i], states[n], from, to)
			a.skipWaiting(&a.Crons[i], planned)
			tasks = append(tasks, planned...)
		}
		won, err := a.claim(ctx, tasks)
		if err != nil {
			return acts, claimed, err
		}
		var settled []ledger.Run
		for _, t := range won {
			if t.act {
				acts = append(acts, t)
			} else {
				settled = append(settled, t.run)
				a.disown(t.run.ID)
			}
		}
		if len(settled) > 0 {
			report(settled, nil)
			a.tell(settled...)
			for _, run := range settled {
				a.hear(ctx, run, 0, nil)
			}
		}
		if len(won) == len(tasks) {
			break
		}
		// Another agent was faster with some of them, and may have seen less or more.
		if err := a.reload(ctx, crons, states); err != nil {
			return acts, claimed, err
		}
	}
	return acts, claimed, nil
}

// reload reads the states of some crons anew, in their order.
func (a *Agent) reload(ctx context.Context, crons []int, states []ledger.State) error {
	keys := make([]ledger.Key, len(crons))
	for n, i := range crons {
		keys[n] = a.key(a.Crons[i].Name)
	}
	loaded, err := a.Ledger.Load(ctx, keys)
	if err != nil {
		return err
	}
	for n, i := range crons {
		states[n] = loaded[n]
		a.remember(i, loaded[n])
	}
	return nil
}

// aheadLimit is how far a watermark may lie after the clock: a few clocks of one
// project may differ by seconds.
const aheadLimit = 10 * time.Minute

// ahead complains of crons whose watermark lies in the future, because the clock
// was wrong once: they are not due before it, and would be silent about that.
func (a *Agent) ahead(states []ledger.State, to time.Time) error {
	var errs []error
	for i := range a.Crons {
		if mark := states[i].Watermark; a.Crons[i].Refusal == "" && mark.Sub(to) > aheadLimit {
			errs = append(errs, fmt.Errorf("cron %q is settled up to %s, which is in the future, and is not acted on before then: was the clock wrong once?",
				a.Crons[i].Name, mark.Format(time.RFC3339)))
		}
	}
	return errors.Join(errs...)
}

// Plan says what Tick would do, from what load reads of the ledger, and without
// changing anything. Runs that would be acted on have no outcome. Without load every
// cron is taken for one that has been known since from.
func (a *Agent) Plan(load func([]ledger.Key) []ledger.State, from, to time.Time) []ledger.Run {
	states := make([]ledger.State, len(a.Crons))
	if load != nil {
		states = load(a.keys())
	}
	var runs []ledger.Run
	for i := range a.Crons {
		if load != nil && states[i].Watermark.IsZero() && a.Crons[i].Operation != "" {
			states[i].Watermark = from.Add(-a.LookBack)
		}
		for _, t := range a.planCron(&a.Crons[i], states[i], from, to) {
			runs = append(runs, t.run)
		}
	}
	return runs
}

// ErrUnknown says that there is no cron of this name.
var ErrUnknown = errors.New("there is no such agent cron")

// Trigger acts on one cron now, whether or not it is due, and returns when that
// is done and recorded. It claims nothing, since it is no occurrence: what is due
// stays due. A run that is skipped because of its gate or a pause is not recorded.
// The error is ErrUnknown, or the ledger's beside a run that has been acted on.
func (a *Agent) Trigger(ctx context.Context, name string, force bool) (ledger.Run, error) {
	a.setUp()
	defer a.speak()()
	defer a.standBy(ctx)()
	for i := range a.Crons {
		cron := &a.Crons[i]
		if cron.Name != name {
			continue
		}
		run := a.run(cron, NewID(), time.Time{})
		run.Due = nil
		states, err := a.Ledger.Load(ctx, []ledger.Key{run.Key})
		if err != nil {
			return run, err
		}
		a.remember(i, states[0])
		refusal := cron.Refusal
		if refusal == "" && !force {
			refusal = Paused(states[0].Pause, a.now())
		}
		if refusal == "" {
			run, err := a.actOn(ctx, task{cron: cron, run: run, act: true}, time.Now())
			return run, errors.Join(err, a.sayAll(ctx, unsaidLimit))
		}
		run.Outcome, run.Reason = ledger.Skipped, refusal
		a.tell(run)
		return run, nil
	}
	return ledger.Run{}, ErrUnknown
}

func (a *Agent) key(cron string) ledger.Key {
	return ledger.Key{Project: a.Project, Environment: a.Environment, App: a.App, Cron: cron}
}

// keys are those of all crons, and behind them that of what belongs to no cron.
func (a *Agent) keys() []ledger.Key {
	keys := make([]ledger.Key, len(a.Crons), len(a.Crons)+1)
	for i, cron := range a.Crons {
		keys[i] = a.key(cron.Name)
	}
	return append(keys, a.key(""))
}

func (a *Agent) log() *slog.Logger {
	if a.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return a.Log
}

func (a *Agent) run(cron *Cron, id string, due time.Time) ledger.Run {
	return newRun(a.key(cron.Name), id, cron.Operation, due)
}

func newRun(key ledger.Key, id, operation string, due time.Time) ledger.Run {
	return ledger.Run{ID: id, Key: key, Operation: operation, Due: new(due), Count: 1, Activities: []ledger.Activity{}}
}

func (a *Agent) parallel() int {
	if a.MaxParallel > 0 {
		return a.MaxParallel
	}
	return 2 * runtime.NumCPU()
}

// NewID makes the id of a run: 80 random bits, safe in file names and URLs.
func NewID() string { return strings.ToLower(rand.Text()[:16]) }

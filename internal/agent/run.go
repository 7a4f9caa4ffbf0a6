package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// lookEvery is how often Run looks at what others left and at what became of
// fires, and the longest that it sleeps: the clock may be set at any time.
const lookEvery = time.Minute

// ledgerRetry is how soon a ledger that is out of reach is tried again.
const ledgerRetry = 5 * time.Second

// Run acts on occurrences as they come due, until ctx ends. Then it begins nothing
// new, and returns when what is under way has ended. A ledger that is out of reach
// ends nothing: what came due meanwhile is missed when it is back.
func (a *Agent) Run(ctx context.Context) {
	a.setUp()
	a.mu.Lock()
	a.looping = true
	a.mu.Unlock()
	defer a.speak()()
	defer a.standBy(ctx)()
	l := loop{
		Agent:   a,
		up:      time.Now(),
		next:    make([]time.Time, len(a.Crons)),
		retries: map[int]time.Time{},
		poke:    make(chan struct{}, 1),
	}
	// What is under way has ended before nobody stands by any more.
	defer func() {
		l.running.Wait()
		if err := l.sayAll(ctx, 0); err != nil {
			l.log().Error("the ledger could not be written", "err", err)
		}
	}()
	armed := a.Armed
	for ctx.Err() == nil {
		timer := time.NewTimer(l.step(ctx))
		if l.loaded && armed != nil {
			armed()
			armed = nil
		}
		select {
		case <-timer.C:
		case <-l.poke:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// loop is what Run keeps from one step to the next.
type loop struct {
	*Agent
	up      time.Time // when Run was called, by our own clock
	began   time.Time // the same by the ledger's; zero until that is known
	running sync.WaitGroup
	poke    chan struct{} // wakes Run before its time

	next    []time.Time // for each cron, when it is due next; zero: never
	loaded  bool        // next is known
	looked  time.Time   // when what is unsettled was looked at
	failing bool        // the ledger was out of reach the last time
	follows sync.Mutex  // held while looking up what became of fires

	mu      sync.Mutex
	retries map[int]time.Time // by cron, when what was handed back is tried again
}

// step does what is due, and says how long to sleep.
func (l *loop) step(ctx context.Context) time.Duration {
	err := l.sayAll(ctx, 0)
	if err == nil {
		err = l.act(ctx)
	}
	l.noteStep(ctx, err)
	switch {
	case err != nil && ctx.Err() != nil:
		return 0
	case err != nil:
		if !l.failing {
			l.log().Error("the ledger is out of reach; nothing is acted on until it is back", "err", err)
		}
		l.failing = true
		return ledgerRetry
	case l.failing:
		l.failing = false
		l.log().Info("the ledger is back")
	}
	return l.sleep()
}

// sleep is how long there is nothing to do.
func (l *loop) sleep() time.Duration {
	now := l.now()
	wake := now.Add(lookEvery)
	for _, next := range l.next {
		if !next.IsZero() && next.Before(wake) {
			wake = next
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, next := range l.retries {
		if next.Before(wake) {
			wake = next
		}
	}
	return min(max(wake.Sub(now), 0), lookEvery)
}

// act claims and starts what is due. The error is the ledger's. Whatever is asked
// of it may correct what it says the time is.
func (l *loop) act(ctx context.Context) error {
	// By the wall clock: it is the one that tells when something is due.
	age := l.now().Round(0).Sub(l.looked.Round(0))
	if !l.loaded || age < 0 {
		keys, states, err := l.load(ctx)
		if err != nil {
			return err
		}
		if l.began.IsZero() {
			l.began = l.now().Add(-time.Since(l.up))
		}
		if states, err = l.begin(ctx, keys, states, l.began); err != nil {
			return err
		}
		if err := l.ahead(states, l.now()); err != nil {
			l.log().Error("the clock went back, or is wrong", "err", err)
		}
		for i := range l.Crons {
			l.next[i] = l.Crons[i].Schedule.Next(states[i].Watermark)
		}
		l.loaded = true
		l.remind(ctx, states)
	}
	if l.looked.IsZero() || age >= lookEvery || age < 0 {
		if err := l.look(ctx); err != nil {
			return err
		}
		l.looked = l.now()
	}
	due := l.due(l.now())
	if len(due) == 0 {
		return nil
	}
	states := make([]ledger.State, len(due))
	if err := l.reload(ctx, due, states); err != nil {
		return err
	}
	for n, i := range due {
		l.remindOf(ctx, i, states[n])
	}
	now := l.now()
	acts, claimed, err := l.decide(ctx, due, states, l.began, now, l.report)
	l.startFires(ctx, acts, claimed, l.report, &l.running)
	l.startCommands(ctx, acts, claimed, l.report, &l.running)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range due {
		l.next[i] = l.Crons[i].Schedule.Next(now)
		delete(l.retries, i)
	}
	return nil
}

// due are the crons that have something to decide at now.
func (l *loop) due(now time.Time) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []int
	for i, next := range l.next {
		retry, handedBack := l.retries[i]
		if !next.IsZero() && !next.After(now) || handedBack && !retry.After(now) {
			due = append(due, i)
		}
	}
	return due
}

// look settles what dead agents left, notes what was handed back by others, and
// looks up what became of fires.
func (l *loop) look(ctx context.Context) error {
	unsettled, err := l.Ledger.Unsettled(ctx, l.key(""))
	if err == nil && l.Telling != nil && !slices.Contains(unsettled, l.key("")) {
		unsettled = append(unsettled, l.key("")) // nobody else tells how a bare fire ended
	}
	if err != nil || len(unsettled) == 0 {
		return err
	}
	index := map[string]int{"": len(l.Crons)}
	for i, cron := range l.Crons {
		index[cron.Name] = i
	}
	loaded, err := l.Ledger.Load(ctx, unsettled)
	if err != nil {
		return err
	}
	now := l.now()
	// In the places of their crons, the others of which have nothing to look at, and
	// behind them those of crons that are gone.
	states := make([]ledger.State, len(l.Crons)+1)
	for n, key := range unsettled {
		if i, ours := index[key.Cron]; ours {
			states[i] = loaded[n]
		} else {
			states = append(states, loaded[n])
		}
	}
	settled, err := l.settle(ctx, states)
	l.report(settled, err)
	abandoned, err := l.abandon(ctx, states, now)
	l.report(abandoned, err)
	for i := range l.Crons {
		l.handedBack(i, states[i].HandedBack)
	}
	if !l.looked.IsZero() { // else that was done when they were loaded
		l.remind(ctx, states)
	}
	l.running.Go(func() {
		if l.follows.TryLock() {
			defer l.follows.Unlock()
			l.followAll(ctx, states, l.report)
		}
	})
	return nil
}

// handedBack notes when runs of a cron are tried again.
func (l *loop) handedBack(i int, runs []ledger.Run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, run := range runs {
		if run.Outcome != ledger.Deferred || run.NextTry == nil {
			continue
		}
		if known, ok := l.retries[i]; !ok || run.NextTry.Before(known) {
			l.retries[i] = *run.NextTry
		}
	}
}

// report takes what was done. That was told already; the ledger's error was not.
func (l *loop) report(runs []ledger.Run, err error) {
	if err != nil {
		l.log().Error("the ledger could not be written", "err", err)
	}
	for _, run := range runs {
		if run.Outcome != ledger.Deferred {
			continue
		}
		for i := range l.Crons {
			if l.Crons[i].Name == run.Cron {
				l.handedBack(i, runs)
			}
		}
		select {
		case l.poke <- struct{}{}:
		default:
		}
	}
}

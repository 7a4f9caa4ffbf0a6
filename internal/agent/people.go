package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Event is something that people may want to hear of.
type Event string

// The events. Failure is whatever ended badly: failed, timed out, cancelled.
// Recovered is the first success after something bad that people were told of.
// SkippedAgain is a command that was skipped three times in a row, because the run
// before it had not ended.
const (
	Failure      Event = "failure"
	Uncertain    Event = "uncertain"
	Missed       Event = "missed"
	Recovered    Event = "recovered"
	SkippedAgain Event = "skipped"
	Success      Event = "success"
)

// Telling is how people are told of a cron.
type Telling struct {
	// On are the events that they want to hear of.
	On []Event
	// Ways are those of telling, never none. EachRun are those among them that hear of
	// every run, event or not.
	Ways, EachRun []string
	// Begin, if not nil, is told that an act begins. It does not hold it up.
	Begin func(ctx context.Context, run ledger.Run)
	// Send tells by some of the ways. Left are those by which it could not, to be
	// tried again; why says so in words, and holds no secret. It ends soon after ctx
	// does, and within seconds by itself.
	Send func(ctx context.Context, n Notice) (left []string, why string)
}

// Notice is what people are told.
type Notice struct {
	// Event is empty for what concerns only those who hear of each run.
	Event Event
	// Run has its Output.
	Run ledger.Run
	// Failures is how many runs in a row were bad, Since when the first one was; zero
	// if none was. LastSuccess is when the one before them ended; zero if none is known.
	Failures           int
	Since, LastSuccess time.Time
	// Ways are those by which to tell.
	Ways []string
}

// How long it is waited for people to be told when all else is done, how many are
// told at once, how long whoever began to tell is left in peace before he is taken
// for dead, and how long he goes on when the agent is told to stop.
const (
	tellFor     = 30 * time.Second
	tellAtOnce  = 16
	tellLease   = time.Minute
	tellInHaste = time.Second
)

// voice is what tells people while Tick, Run or Trigger is at work.
type voice struct {
	speaking sync.WaitGroup
	places   chan struct{} // one for each who may be told at once
	quiet    chan struct{} // closed when nothing more is begun
	// turns are closed when it is the next one's turn to speak of the same cron: what
	// comes later is about what people heard before. The agent's mutex guards them.
	turns map[ledger.Key]chan struct{}
}

// speak makes it possible to tell people. The function that it returns is to be
// called when everything has been done, and returns when they have been told or
// cannot be for now.
func (a *Agent) speak() (end func()) {
	v := &voice{places: make(chan struct{}, tellAtOnce), quiet: make(chan struct{}), turns: map[ledger.Key]chan struct{}{}}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.voice = v
	return func() {
		timer := time.AfterFunc(tellFor, func() { close(v.quiet) })
		defer timer.Stop()
		v.speaking.Wait()
	}
}

// aloud does something of which people hear, beside everything else, once after is
// closed. It is not done any more when the agent is told to stop, nor when time is
// up: what was to be told is noticed again at the next tick.
func (a *Agent) aloud(ctx context.Context, key ledger.Key, after <-chan struct{}, do func(ctx context.Context)) {
	done := make(chan struct{})
	a.mu.Lock()
	v := a.voice
	before := v.turns[key]
	v.turns[key] = done
	a.mu.Unlock()
	v.speaking.Go(func() {
		defer close(done)
		for _, c := range []<-chan struct{}{before, after} {
			if c != nil {
				<-c
			}
		}
		select {
		case v.places <- struct{}{}:
			defer func() { <-v.places }()
		case <-v.quiet:
			return
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
		hasty, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(ctx, func() { time.AfterFunc(tellInHaste, cancel) })()
		do(hasty)
	})
}

// foretell tells that an act begins, and returns what is closed when that is told, or
// will not be; nil if nobody is to hear of it.
func (a *Agent) foretell(ctx context.Context, cron *Cron, run ledger.Run) <-chan struct{} {
	if cron.Telling == nil || cron.Telling.Begin == nil {
		return nil
	}
	a.mu.Lock()
	v := a.voice
	a.mu.Unlock()
	told := make(chan struct{})
	v.speaking.Go(func() {
		defer close(told)
		select {
		case v.places <- struct{}{}:
			defer func() { <-v.places }()
			cron.Telling.Begin(ctx, run)
		case <-v.quiet:
		case <-ctx.Done():
		}
	})
	return told
}

// hear lets people hear of a run that was just recorded, if they are to. Skips is
// how often in a row its cron was skipped, and begun what is waited for first.
func (a *Agent) hear(ctx context.Context, run ledger.Run, skips int, begun <-chan struct{}) {
	t := a.telling(run.Key)
	if t == nil {
		return
	}
	key := toldKey(run)
	a.mu.Lock()
	told := a.told[key]
	a.mu.Unlock()
	decide := func(told ledger.Told) decision { return t.decide(run, skips, told, a.now()) }
	if d := decide(told); d.changes {
		a.keep(key, d.next) // so that the next one knows what comes before it
	} else if len(t.EachRun) == 0 {
		return
	}
	a.aloud(ctx, key, begun, func(ctx context.Context) {
		if !a.announce(ctx, t, run, decide) && len(t.EachRun) > 0 {
			a.pass(ctx, t, run)
		}
	})
}

// remind tells what should have been told already: an agent may have died before it
// had, or the message did not get through. States stand in the order of the crons,
// and behind them that of what belongs to none.
func (a *Agent) remind(ctx context.Context, states []ledger.State) {
	for i := range states[:min(len(states), len(a.Crons)+1)] {
		a.remindOf(ctx, i, states[i])
	}
}

func (a *Agent) remindOf(ctx context.Context, i int, state ledger.State) {
	t := a.Telling
	if i < len(a.Crons) {
		t = a.Crons[i].Telling
	}
	if t == nil || state.Last == nil {
		return
	}
	last, told := *state.Last, state.Told
	if i == len(a.Crons) {
		loaded, err := a.Ledger.Load(ctx, []ledger.Key{toldKey(last)})
		if err != nil {
			return // others complain of the ledger
		}
		told = loaded[0].Told
	}
	decide := func(told ledger.Told) decision { return t.late(last, told, a.now()) }
	if d := decide(told); d.changes {
		a.keep(toldKey(last), d.next)
		a.aloud(ctx, toldKey(last), nil, func(ctx context.Context) { a.announce(ctx, t, last, decide) })
	}
}

// remember keeps what the ledger says people were told of a cron, so that it need
// not be asked after each run.
func (a *Agent) remember(i int, state ledger.State) {
	if state.Told.Version > 0 && i < len(a.Crons) && a.Crons[i].Telling != nil {
		a.keep(a.key(a.Crons[i].Name), state.Told)
	}
}

// announce tells people of a run if the ledger says that nobody else has or does:
// it takes the message on, sends it, and notes what came of it. It returns whether
// there was one for us.
func (a *Agent) announce(ctx context.Context, t *Telling, run ledger.Run, decide func(ledger.Told) decision) bool {
	key := toldKey(run)
	var d decision
	for won := false; !won; {
		states, err := a.Ledger.Load(ctx, []ledger.Key{key})
		if err != nil {
			a.complain(run, err)
			return false
		}
		if d = decide(states[0].Told); !d.changes {
			a.keep(key, states[0].Told)
			return false
		}
		if won, err = a.Ledger.Tell(ctx, key, d.next); err != nil {
			a.complain(run, err)
			return false
		}
	}
	d.next.Version++
	a.keep(key, d.next)
	if len(d.next.Left) == 0 {
		return false // something is over, of which nobody wanted to hear
	}
	left, why := t.Send(ctx, a.notice(ctx, run, d))
	attrs := []any{"cron", run.Cron, "event", d.next.Event, "run", d.next.Run}
	if len(left) > 0 {
		a.log().Warn("people could not be told, which is tried again", append(attrs, "err", why)...)
	} else if why != "" {
		a.log().Warn("not everybody could be told", append(attrs, "err", why)...)
	} else {
		a.log().Info("told", append(attrs, "by", strings.Join(d.next.Left, ","))...)
	}
	a.note(ctx, key, d.next, left, why)
	return true
}

// pass tells of a run those who hear of each. That they did not is noted if it would
// make a difference to them, and nothing else is still to be told.
func (a *Agent) pass(ctx context.Context, t *Telling, run ledger.Run) {
	left, why := t.Send(ctx, Notice{Run: run, Ways: t.EachRun})
	if len(left) == 0 {
		return
	}
	a.log().Warn("a monitor could not be told", "cron", run.Cron, "run", run.ID, "err", why)
	if eventOf(run, 0) == "" {
		return
	}
	states, err := a.Ledger.Load(ctx, []ledger.Key{toldKey(run)})
	if err != nil || len(states[0].Told.Left) > 0 {
		return
	}
	next := states[0].Told
	next.Event, next.Run, next.Of, next.At, next.Tries = "", run.ID, when(run), a.now(), 1
	a.note(ctx, toldKey(run), next, left, why)
}

// note writes what came of telling. Whoever was faster meanwhile knows more.
func (a *Agent) note(ctx context.Context, key ledger.Key, told ledger.Told, left []string, why string) {
	told.Left, told.Error = left, why
	won, err := a.Ledger.Tell(context.WithoutCancel(ctx), key, told)
	if err != nil {
		a.log().Error("that people were told could not be recorded, so they may be told again", "cron", key.Cron, "err", err)
	}
	if won {
		told.Version++
		a.keep(key, told)
	}
}

func (a *Agent) complain(run ledger.Run, err error) {
	a.log().Error("the ledger does not say whether people are to be told; it is tried again", "cron", run.Cron, "run", run.ID, "err", err)
}

func (a *Agent) keep(key ledger.Key, told ledger.Told) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told[key] = told
}

// ToldKey is under which key the ledger holds what people were told of the runs of a
// key: bare fires share one, but each operation is a matter of its own.
func ToldKey(key ledger.Key, operation string) ledger.Key {
	if key.Cron == "" {
		key.Cron = operation
	}
	return key
}

func toldKey(run ledger.Run) ledger.Key { return ToldKey(run.Key, run.Operation) }

// telling is how people are told of the runs of a key; nil if they are not.
func (a *Agent) telling(key ledger.Key) *Telling {
	if key.Cron == "" {
		return a.Telling
	}
	return a.tellings[key.Cron]
}

// tellFrom is how many runs of a cron are looked at to say since when it fails.
const tellFrom = 100

// notice is what is told by a decision about a run or, if that is about an older
// one, about that.
func (a *Agent) notice(ctx context.Context, run ledger.Run, d decision) Notice {
	n := Notice{Event: Event(d.next.Event), Run: run, Ways: d.next.Left}
	history, err := a.Ledger.History(ctx, run.Key, tellFrom)
	if err != nil {
		a.log().Warn("since when it fails could not be read, and is not told", "cron", run.Cron, "err", err)
	}
	var over Notice // the streak that ended last
	for _, one := range history {
		if toldKey(one) != toldKey(run) {
			continue // a scope without a cron is everything
		}
		last := one.ID == d.next.Run
		switch eventOf(one, 0) {
		case "":
		case Success:
			if n.Failures > 0 {
				over = n
			}
			n.Failures, n.Since, n.LastSuccess = 0, time.Time{}, endOf(one)
		default:
			if n.Failures++; n.Failures == 1 {
				n.Since = when(one)
			}
		}
		if last {
			if one.ID == run.ID && one.Output == "" {
				one.Output = run.Output // not every ledger keeps it
			}
			n.Run = one
			break
		}
	}
	if n.Event == Recovered && !over.Since.Before(d.next.Since) {
		n.Failures, n.Since, n.LastSuccess = over.Failures, over.Since, over.LastSuccess
	}
	return n
}

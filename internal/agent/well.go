package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Run looks at the clock once a minute at least, so a few minutes without that are
// too many. beatEvery is how often Beat is called by it.
const (
	wellFor   = 3 * time.Minute
	beatEvery = 5 * time.Minute
)

// Well tells why Run does not do its work: it has not begun, it hangs, or the ledger
// is out of reach. Nil: it does.
func (a *Agent) Well() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch age := since(a.stepped); {
	case a.stepped.IsZero():
		return errors.New("it has not begun yet")
	case a.problem != nil:
		return fmt.Errorf("the ledger is out of reach: %w", a.problem)
	case age > wellFor:
		return fmt.Errorf("it has not looked at the clock for %s", age.Round(time.Second))
	}
	return nil
}

// noteStep notes how a step of Run went, and says that we are there if it is time.
func (a *Agent) noteStep(ctx context.Context, err error) {
	a.mu.Lock()
	a.stepped, a.problem = time.Now(), err
	due := err == nil && since(a.beaten) >= beatEvery
	if due {
		a.beaten = a.stepped
	}
	a.mu.Unlock()
	if due {
		a.beat(ctx)
	}
}

// beat says that we are there, beside everything else.
func (a *Agent) beat(ctx context.Context) {
	if a.Beat == nil {
		return
	}
	a.mu.Lock()
	v := a.voice
	a.mu.Unlock()
	v.speaking.Go(func() { a.Beat(ctx) })
}

// Begins tells people that a run begins on which the caller acts himself, if they are
// to hear of that: of `cronagent exec`. What it returns is for Ends.
func (a *Agent) Begins(ctx context.Context, run ledger.Run) <-chan struct{} {
	a.setUp()
	t := a.telling(run.Key)
	if t == nil || t.Begin == nil {
		return nil
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		t.Begin(ctx, run)
	}()
	return told
}

// Ends tells people of a run on which the caller has acted and which he has recorded,
// as they would hear of an agent's, and returns when they have been told or could
// not be. Begun is what Begins returned; nil if it never began. Without a Ledger they
// hear of each that is bad: what they heard before is not known.
func (a *Agent) Ends(ctx context.Context, run ledger.Run, begun <-chan struct{}) {
	a.setUp()
	if t := a.telling(run.Key); t != nil && a.Ledger == nil {
		if begun != nil {
			<-begun
		}
		n := Notice{Event: eventOf(run, 0), Run: run, Ways: t.Ways}
		if n.Event == Success || !slices.Contains(t.On, n.Event) {
			n.Event, n.Ways = "", t.EachRun
		}
		if len(n.Ways) > 0 {
			if _, why := t.Send(ctx, n); why != "" {
				a.log().Warn("people could not be told", "cron", run.Cron, "event", n.Event, "run", run.ID, "err", why)
			}
		}
		return
	}
	defer a.speak()()
	if states, err := a.Ledger.Load(ctx, []ledger.Key{run.Key}); err == nil {
		a.remember(0, states[0])
	}
	a.hear(ctx, run, a.countSkips(ctx, run), begun)
}

package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// cloud is the platform's side of fires: what it took, and how that stands.
type cloud struct {
	mu       sync.Mutex
	taken    []taken
	doubtful int           // activities of which it does not tell whose they are
	away     *agent.Result // what reading it comes to; nil: it can be read
	looks    int
	onFind   func() // happens while it is searched; nil: nothing does
}

type taken struct {
	ledger.Activity
	operation string
	at        time.Time
}

var away = agent.Result{Outcome: ledger.Deferred, ExitCode: new(5), Error: "503 from the API"}

// take makes an activity that goes on.
func (c *cloud) take() ledger.Activity {
	c.mu.Lock()
	defer c.mu.Unlock()
	activity := ledger.Activity{ID: fmt.Sprintf("act-%d", len(c.taken)+1), Type: "environment.backup", State: "in_progress"}
	c.taken = append(c.taken, taken{activity, "backup:create", time.Now()})
	return activity
}

// end is how all activities stand from now on.
func (c *cloud) end(state, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.taken {
		c.taken[i].State, c.taken[i].Result = state, result
	}
}

func (c *cloud) setAway(result *agent.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = result
}

// looked is how often it was asked how a run stands.
func (c *cloud) looked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks
}

func (c *cloud) find(_ context.Context, run ledger.Run, ago time.Duration) ([]ledger.Activity, int, *agent.Result) {
	if c.onFind != nil {
		c.onFind()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away != nil {
		return nil, 0, c.away
	}
	var found []ledger.Activity
	for _, t := range c.taken {
		if t.operation == run.Operation && time.Since(t.at) <= ago {
			found = append(found, t.Activity)
		}
	}
	return found, c.doubtful, nil
}

func (c *cloud) look(_ context.Context, run ledger.Run) ([]ledger.Activity, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	if c.away != nil {
		return nil, errDown
	}
	var found []ledger.Activity
	for _, known := range run.Activities {
		for _, t := range c.taken {
			if t.ID == known.ID {
				found = append(found, t.Activity)
			}
		}
	}
	return found, nil
}

// agent is one that looks here.
func (c *cloud) agent(l ledger.Ledger, crons ...agent.Cron) *agent.Agent {
	a := newAgent(l, crons...)
	a.Find, a.Look = c.find, c.look
	return a
}

// fires are taken by the cloud, but for the first ones, which nobody hears of
// again: that many requests are lost.
func (c *cloud) fires(did *acts, lost int) agent.Action {
	return func(_ context.Context, o agent.Occurrence) agent.Result {
		did.add(o)
		if did.count() <= lost {
			return agent.Result{Outcome: ledger.Uncertain, ExitCode: new(6), Error: "the connection broke"}
		}
		return agent.Result{Outcome: ledger.Fired, ExitCode: new(0), Activities: []ledger.Activity{c.take()}}
	}
}

// history is every run of a cron in short, the oldest first.
func history(t *testing.T, l ledger.Ledger, cron string) []ledger.Run {
	t.Helper()
	runs, err := l.History(t.Context(), ledger.Key{Project: "p", Environment: "main", App: "app", Cron: cron}, 1000)
	require.NoError(t, err)
	return runs
}

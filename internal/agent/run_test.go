package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// runFor lets an agent run for a while and stops it.
func runFor(t *testing.T, a *agent.Agent, d time.Duration) {
	t.Helper()
	a.Late = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	a.Run(ctx)
}

func dues(did *acts) []string {
	did.mu.Lock()
	defer did.mu.Unlock()
	var texts []string
	for _, o := range did.made {
		texts = append(texts, o.Due.UTC().Format("15:04:05"))
	}
	return texts
}

func TestRunActsWhenItIsDue(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var late []time.Duration
		cron := command(t, "*/20 * * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
			did.add(o)
			late = append(late, time.Since(o.Due))
			return succeeded
		})
		runFor(t, newAgent(l, cron), 65*time.Minute)
		assert.Equal(t, []string{"00:20:00", "00:40:00", "01:00:00"}, dues(&did))
		assert.Equal(t, []time.Duration{0, 0, 0}, late)
		assert.Equal(t, 65*time.Minute, time.Since(midnight))
	})
}

func TestRunTriesAgainWhatWasHandedBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 1 * * *", did.returning(deferred, deferred, fired)))
		runFor(t, a, 2*time.Hour)
		assert.Equal(t, 3, did.count())
		assert.Equal(t, ledger.Fired, state(t, l, "backup").Last.Outcome)
		assert.Equal(t, 3, state(t, l, "backup").Last.Attempts)
	})
}

func TestRunIsArmedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		began := time.Now()
		h := &hooked{Ledger: l, load: func() error {
			if time.Since(began) < 7*time.Minute {
				return errors.New("no such database")
			}
			return nil
		}}
		a := newAgent(h, command(t, "*/10 * * * *", func(context.Context, agent.Occurrence) agent.Result { return succeeded }))
		var armed []time.Duration
		a.Armed = func() { armed = append(armed, time.Since(began)) }
		runFor(t, a, time.Hour)
		assert.Equal(t, []time.Duration{7 * time.Minute}, armed, "when the ledger could be read")
	})
}

func TestALedgerThatIsOutOfReachIsToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var log bytes.Buffer
		var broken atomic.Bool
		h := &hooked{Ledger: l, load: func() error {
			if broken.Load() {
				return errors.New("no such database")
			}
			return nil
		}}
		a := newAgent(h, command(t, "*/10 * * * *", did.returning(succeeded)))
		a.Log = slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		a.Late = time.Minute
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx) })
		time.Sleep(15 * time.Minute)
		broken.Store(true)
		time.Sleep(20 * time.Minute)
		broken.Store(false)
		time.Sleep(10 * time.Minute)
		cancel()
		running.Wait()
		assert.Equal(t, 1, strings.Count(log.String(), "out of reach"))
		assert.Equal(t, 1, strings.Count(log.String(), "the ledger is back"))
		assert.Equal(t, []string{"00:10:00", "00:30:00", "00:40:00"}, dues(&did), "the newest missed one is caught up")
	})
}

func TestTwoAgentsShareTheWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var did acts
		var running sync.WaitGroup
		for range 3 {
			a := newAgent(reopen(t, dir), command(t, "@every 10s", did.returning(succeeded)))
			running.Go(func() { runFor(t, a, 15*time.Minute-time.Second) })
		}
		running.Wait()
		seen := map[time.Time]bool{}
		for _, o := range did.made {
			assert.False(t, seen[o.Due], "%s was acted on twice", o.Due)
			seen[o.Due] = true
		}
		assert.Equal(t, 89, len(seen))
	})
}

// TestAFireIsFoundInsteadOfRepeated: the ledger was wiped after it had been fired.
func TestAFireIsFoundInsteadOfRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var asked []time.Duration
		there := []ledger.Activity{{ID: "before", State: "complete", Result: "success"}}
		a := newAgent(l, fire(t, "0 1 * * *", did.returning(fired)))
		a.LookBack = 30 * time.Minute
		a.Look = func(context.Context, ledger.Run) ([]ledger.Activity, error) { return nil, errors.New("no") }
		a.Find = func(_ context.Context, run ledger.Run, ago time.Duration) ([]ledger.Activity, int, *agent.Result) {
			asked = append(asked, ago)
			return there, 0, nil
		}
		runs := tickAt(t, a, time.Hour+5*time.Minute)
		require.Equal(t, []string{"fired backup 01:00"}, told(runs))
		assert.Equal(t, "before", runs[0].Activities[0].ID)
		assert.Contains(t, runs[0].Reason, "done already")
		assert.Equal(t, []time.Duration{5 * time.Minute}, asked)
		assert.Zero(t, did.count())
		assert.Empty(t, tickAt(t, a, time.Hour+10*time.Minute))

		// The next one is on time, and known not to have been done.
		runs = tickAt(t, a, 25*time.Hour+time.Minute)
		require.Equal(t, []string{"fired backup 01:00"}, told(runs))
		assert.Equal(t, 1, did.count())
		assert.Len(t, asked, 1)
		// One that is caught up is looked for. What is known to be another's is not it.
		runs = tickAt(t, a, 50*time.Hour)
		require.Equal(t, []string{"fired backup 01:00"}, told(runs))
		assert.Equal(t, 2, did.count())
		assert.Equal(t, []time.Duration{5 * time.Minute, time.Hour}, asked)
	})
}

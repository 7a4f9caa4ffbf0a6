package agent_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// beats counts the calls of Beat.
type beats struct {
	mu sync.Mutex
	at []time.Duration
}

func (b *beats) beat(context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = append(b.at, time.Since(midnight))
}

func TestATickThatWentWellBeats(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var b beats
		var made acts
		h := &hooked{Ledger: l}
		a := newAgent(h, command(t, "*/5 * * * *", made.returning(failed)))
		a.Beat = b.beat
		tickAt(t, a, 0)
		tickAt(t, a, 5*time.Minute) // what fails is the cron
		h.record = func() error { return errors.New("disk full") }
		time.Sleep(time.Until(midnight.Add(10 * time.Minute)))
		_, err := a.Tick(t.Context(), time.Now(), time.Now())
		require.Error(t, err)
		assert.Equal(t, []time.Duration{0, 5 * time.Minute}, b.at)
	})
}

func TestRunBeatsAsLongAsItIsWell(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var b beats
		var made acts
		broken := errors.New("gone")
		var failing error
		var mu sync.Mutex
		hook := func() error {
			mu.Lock()
			defer mu.Unlock()
			return failing
		}
		h := &hooked{Ledger: l, load: hook, unsettled: hook}
		a := newAgent(h, command(t, "*/10 * * * *", made.returning(succeeded)))
		a.Beat = b.beat
		assert.ErrorContains(t, a.Well(), "has not begun")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx) })
		time.Sleep(12*time.Minute + 30*time.Second)
		assert.NoError(t, a.Well())
		mu.Lock()
		failing = broken
		mu.Unlock()
		time.Sleep(12 * time.Minute)
		assert.ErrorIs(t, a.Well(), broken)
		mu.Lock()
		failing = nil
		mu.Unlock()
		time.Sleep(2 * time.Minute)
		assert.NoError(t, a.Well())
		cancel()
		running.Wait()
		synctest.Wait()
		require.Len(t, b.at, 4)
		assert.Equal(t, []time.Duration{0, 5 * time.Minute, 10 * time.Minute}, b.at[:3])
		assert.Greater(t, b.at[3], 24*time.Minute)
		time.Sleep(4 * time.Minute)
		assert.ErrorContains(t, a.Well(), "has not looked at the clock")
	})
}

// Without a ledger people hear of each failure.
func TestWhoeverActsWithoutALedger(t *testing.T) {
	t.Parallel()
	var p people
	a := newAgent(nil, agent.Cron{Name: "import", Telling: p.telling(agent.Failure, agent.Success)})
	for _, outcome := range []ledger.Outcome{ledger.Failed, ledger.Failed, ledger.Succeeded} {
		a.Ends(t.Context(), ledger.Run{ID: "id", Key: ledger.Key{Cron: "import"}, Outcome: outcome}, nil)
	}
	assert.Equal(t, "failure: failed; failure: failed", p.take())
}

// Whoever acts himself is heard of like an agent's runs.
func TestWhoeverActsHimself(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		telling := p.telling()
		telling.Ways, telling.EachRun = []string{"mail", "ping"}, []string{"ping"}
		telling.Begin = func(context.Context, ledger.Run) { time.Sleep(time.Second) }
		a := newAgent(l, agent.Cron{Name: "import", Telling: telling})
		for n, c := range []struct {
			outcome ledger.Outcome
			want    string
		}{
			{ledger.Failed, "failure: failed x1 since 00:00; ping failure: failed x1 since 00:00"},
			{ledger.Failed, "ping : failed"},
			{ledger.Skipped, "ping : skipped"},
			{ledger.Succeeded, "recovered: succeeded x2 since 00:00; ping recovered: succeeded x2 since 00:00"},
		} {
			run := ledger.Run{ID: agent.NewID(), Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "import"}, Count: 1, Started: new(time.Now())}
			begun := a.Begins(t.Context(), run)
			run.Outcome, run.Ended = c.outcome, new(time.Now())
			require.NoError(t, l.Record(t.Context(), run))
			again := newAgent(l, a.Crons...) // each is a process of its own
			again.Ends(t.Context(), run, begun)
			assert.Equal(t, c.want, p.take(), n)
			time.Sleep(time.Minute)
		}
	})
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/schedule"
)

// factor is what docs/reliability.md promises: a fire of ours asks the token
// endpoint that often at most for one token.
const factor = 6

// TestDocument: the table in the document is what the program prints.
func TestDocument(t *testing.T) {
	t.Parallel()
	const document = "../../docs/reliability.md"
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	_, written, _, err := cut(string(text))
	require.NoError(t, err)
	computed, err := table(defaultAgents, defaultRate, defaultSeed)
	require.NoError(t, err)
	assert.Equal(t, computed, written, "type `go run ./bench/herd -write docs/reliability.md`, and read again what the page says about the table")
	assert.Contains(t, string(text), fmt.Sprintf("at most %d times", factor))
}

// TestFactor: however many the endpoint refuses and whatever it asks for, a fire
// of ours sends no more than what is promised, and an agent no more than that for
// each tick.
func TestFactor(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{0, 1, 40} {
		for _, s := range scenarios() {
			if !s.handsBack {
				continue
			}
			t.Run(fmt.Sprintf("%s at %d a second", s.name, rate), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(2) {
					r := simulated(t, s, 300, rate, seed)
					assert.LessOrEqual(t, r.perFire, factor)
					ticks := int(horizon / s.every)
					assert.LessOrEqual(t, r.perAgent, factor*ticks)
					for i, a := range r.agents[1:] {
						require.LessOrEqual(t, a.total, factor*a.fires, "agent %d", i+1)
						require.LessOrEqual(t, a.fires, ticks, "agent %d", i+1)
					}
				}
			})
		}
	}
	t.Run("is reached where everybody is refused", func(t *testing.T) {
		t.Parallel()
		r := simulated(t, named(t, "fixed, ours"), 300, 0, 1)
		assert.Equal(t, factor, r.perFire)
		assert.Zero(t, r.accepted)
	})
	t.Run("is exceeded by those who ask every second", func(t *testing.T) {
		t.Parallel()
		r := simulated(t, named(t, "fixed, again every second"), 300, 0, 1)
		assert.Greater(t, r.perFire, factor)
	})
}

// TestRequestsAddUp: the endpoint accepts no more than its rate, each agent once,
// and nobody asks again who is done.
func TestRequestsAddUp(t *testing.T) {
	t.Parallel()
	const agents, rate = 800, 5
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := simulated(t, s, agents, rate, 7)
			sent, accepted, asked := 0, 0, 0
			for at, second := range r.perSecond {
				require.LessOrEqual(t, second.accepted, rate, "second %d", at)
				require.Equal(t, min(second.requests, rate), second.accepted, "second %d", at)
				sent += second.requests
				accepted += second.accepted
			}
			for i, a := range r.agents[1:] {
				require.Positive(t, a.total, "agent %d never asked", i+1)
				asked += a.total
			}
			assert.Equal(t, r.requests, sent)
			assert.Equal(t, r.requests, asked)
			assert.Equal(t, r.accepted, accepted)
			assert.Equal(t, r.requests, r.refused+r.accepted)
			again := simulated(t, s, agents, rate, 7)
			assert.Equal(t, r, again, "the same seed gives the same")
		})
	}
}

// TestEverybodyIsServed: where the endpoint has room for all, all are done with
// one request each, at the minute that their spec gives them.
func TestEverybodyIsServed(t *testing.T) {
	t.Parallel()
	const agents = 500
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := simulated(t, s, agents, agents, 1)
			assert.Equal(t, agents, r.requests)
			assert.Equal(t, agents, r.inMinute)
			starts := map[time.Duration]int{}
			for _, a := range r.agents[1:] {
				starts[a.first.Truncate(max(s.every, time.Minute))]++
			}
			switch {
			case s.spec == "0 5 * * *":
				assert.Equal(t, map[time.Duration]int{0: agents}, starts)
			case s.every == tick:
				assert.Len(t, starts, 13, "at 05:00, at 06:00, and at the ticks between")
			default:
				assert.Greater(t, len(starts), 55, "nearly each minute has somebody")
			}
		})
	}
}

// TestHandBack: what the simulation takes for the waits of a fire that was handed
// back, until the tick and in it, is what the agent draws.
func TestHandBack(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 7; n++ {
		t.Run(fmt.Sprintf("after %d fires", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				spec, err := schedule.Parse("0 5 * * *", time.UTC, schedule.Seed{})
				require.NoError(t, err)
				a := agent.Agent{Ledger: handedBack{fires: n - 1}, Late: 30 * time.Minute}
				for i := range 500 {
					a.Crons = append(a.Crons, agent.Cron{
						Name: fmt.Sprint(i), Schedule: spec, Operation: "backup:create", Limit: deadline, MissedWithin: 24 * time.Hour,
						Act: func(context.Context, agent.Occurrence) agent.Result { return agent.Result{Outcome: ledger.Deferred} },
					})
				}
				runs, err := a.Tick(t.Context(), now, now)
				require.NoError(t, err)
				require.Len(t, runs, len(a.Crons))
				var before, after []time.Duration
				for _, run := range runs {
					require.Equal(t, n, run.Attempts)
					before = append(before, run.Started.Sub(now))
					after = append(after, run.NextTry.Sub(*run.Ended))
				}
				below := func(below time.Duration) time.Duration { return below }
				assertDrawn(t, spread(n-1, below), before)
				assertDrawn(t, handBack(n, below), after)
			})
		})
	}
}

// assertDrawn: many waits fill the room below their ceiling, and without one there
// is no wait.
func assertDrawn(t *testing.T, ceiling time.Duration, waits []time.Duration) {
	t.Helper()
	shortest, longest := slices.Min(waits), slices.Max(waits)
	if ceiling == 0 {
		assert.Zero(t, longest)
		return
	}
	assert.Less(t, longest, ceiling)
	assert.Greater(t, longest, ceiling*95/100)
	assert.GreaterOrEqual(t, shortest, time.Duration(0))
	assert.Less(t, shortest, ceiling*5/100)
}

// handedBack is a ledger in which every cron has a run that was handed back after
// so many fires.
type handedBack struct {
	ledger.Ledger
	fires int
}

func (handedBack) Now() time.Time { return time.Now() }

func (l handedBack) Load(_ context.Context, keys []ledger.Key) ([]ledger.State, error) {
	states := make([]ledger.State, len(keys))
	for i, key := range keys {
		states[i].Watermark = time.Now()
		states[i].HandedBack = []ledger.Run{{ID: agent.NewID(), Key: key, Operation: "backup:create", Due: new(time.Now().Add(-time.Minute)), Attempts: l.fires}}
	}
	return states, nil
}

func (handedBack) Claim(_ context.Context, claims []ledger.Claim) ([]ledger.Claim, error) {
	return claims, nil
}

func (handedBack) Unsettled(context.Context, ledger.Key) ([]ledger.Key, error) { return nil, nil }

func (handedBack) Record(context.Context, ...ledger.Run) error { return nil }

// TestMaxTries: the promise is about the constant that others rely on, too.
func TestMaxTries(t *testing.T) {
	t.Parallel()
	assert.Equal(t, factor, platform.MaxTries)
}

func TestRun(t *testing.T) {
	t.Parallel()
	document := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(document, []byte(text), 0o600))
	}
	write("before\n" + tableBegins + "old\n" + tableEnds + "after\n")
	require.NoError(t, run(50, 5, 1, document))
	want, err := table(50, 5, 1)
	require.NoError(t, err)
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+tableBegins+want+tableEnds+"after\n", string(text))

	write("no place")
	require.ErrorContains(t, run(50, 5, 1, document), document+": there is no place for the table")
	text, err = os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, "no place", string(text), "nothing is written")

	require.ErrorContains(t, run(0, 5, 1, document), "cannot simulate 0 agents")
	require.ErrorContains(t, run(maxAgents+1, 5, 1, document), "cannot simulate")
	require.ErrorContains(t, run(5, -1, 1, document), "at -1 requests a second")
	require.ErrorIs(t, run(5, 5, 1, filepath.Join(t.TempDir(), "missing.md")), os.ErrNotExist)
}

func simulated(t *testing.T, s scenario, agents, rate int, seed uint64) result {
	t.Helper()
	dues, err := firstDues(s.spec, agents, seed)
	require.NoError(t, err)
	return simulate(s, dues, rate, seed)
}

func named(t *testing.T, name string) scenario {
	t.Helper()
	for _, s := range scenarios() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no scenario is called %q", name)
	return scenario{}
}

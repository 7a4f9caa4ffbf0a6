package agent_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// counting is a ledger that counts what it is asked, and notes when.
type counting struct {
	ledger.Ledger
	mu    sync.Mutex
	calls map[string]int
	last  time.Time
	gap   time.Duration // the longest between two calls
}

func (c *counting) count(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[method]++
	if !c.last.IsZero() {
		c.gap = max(c.gap, time.Since(c.last))
	}
	c.last = time.Now()
}

func (c *counting) Load(ctx context.Context, keys []ledger.Key) ([]ledger.State, error) {
	c.count("load")
	return c.Ledger.Load(ctx, keys)
}

func (c *counting) Begin(ctx context.Context, keys []ledger.Key, at time.Time) error {
	c.count("begin")
	return c.Ledger.Begin(ctx, keys, at)
}

func (c *counting) Claim(ctx context.Context, claims []ledger.Claim) ([]ledger.Claim, error) {
	c.count("claim")
	return c.Ledger.Claim(ctx, claims)
}

func (c *counting) Record(ctx context.Context, runs ...ledger.Run) error {
	c.count("record")
	return c.Ledger.Record(ctx, runs...)
}

func (c *counting) Settle(ctx context.Context, runs ...ledger.Run) ([]ledger.Run, error) {
	c.count("settle")
	return c.Ledger.Settle(ctx, runs...)
}

func (c *counting) Unsettled(ctx context.Context, scope ledger.Key) ([]ledger.Key, error) {
	c.count("unsettled")
	return c.Ledger.Unsettled(ctx, scope)
}

func (c *counting) History(ctx context.Context, scope ledger.Key, n int) ([]ledger.Run, error) {
	c.count("history")
	return c.Ledger.History(ctx, scope, n)
}

// copies are n crons like one, each with its own name.
func copies(cron agent.Cron, n int) []agent.Cron {
	crons := make([]agent.Cron, n)
	for i := range crons {
		crons[i] = cron
		crons[i].Name = fmt.Sprintf("%s-%d", cron.Name, i)
	}
	return crons
}

func TestAnIdleHourOfRunCostsTheLedgerOneCallAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		c := counting{Ledger: l}
		runFor(t, newAgent(&c, fire(t, "0 0 1 2 *", nil)), time.Hour-time.Second)
		assert.Equal(t, map[string]int{"load": 2, "begin": 1, "unsettled": 61}, c.calls)
		assert.Equal(t, minute, c.gap)
	})
}

// TestRunDoesNothingBetweenOccurrences: neither what was handed back, nor what is
// refused, nor what is followed makes it busy.
func TestRunDoesNothingBetweenOccurrences(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did, lost acts
		var there cloud
		there.take()
		c := counting{Ledger: l}
		refused := fire(t, "30 0 * * *", nil)
		refused.Name, refused.Refusal = "refused", "not here"
		turned := fire(t, "30 0 * * *", did.returning(deferred))
		turned.Name = "back"
		followed := fire(t, "30 0 * * *", there.fires(&did, 0))
		followed.Name = "followed"
		uncertain := fire(t, "30 0 * * *", there.fires(&lost, 1))
		uncertain.Name = "uncertain"
		a := there.agent(&c, refused, turned, followed, uncertain)
		there.doubtful = 1
		runFor(t, a, time.Hour)
		back := state(t, l, "back").HandedBack
		require.Len(t, back, 1)
		attempts := back[0].Attempts
		assert.Greater(t, attempts, 3)
		// The last one may have been claimed, and handed back when the agent was stopped.
		assert.Contains(t, []int{attempts, attempts + 1}, c.calls["claim"], "one for all that is due at once, and one for each further try")
		assert.LessOrEqual(t, c.calls["unsettled"], 61)
		assert.LessOrEqual(t, c.calls["load"], 2+31+2+attempts, "at the begin, once a minute for what is unsettled, and before each claim")
		assert.LessOrEqual(t, c.calls["history"], 2+attempts, "once for each search that found something")
		assert.LessOrEqual(t, c.gap, minute)
	})
}

// TestTenThousandCronsInRun cost no more calls than one does, but for what is due.
func TestTenThousandCronsInRun(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		c := counting{Ledger: l}
		crons := copies(command(t, "0 0 1 2 *", nil), 10_000)
		now := command(t, "30 0 * * *", did.returning(succeeded))
		for i := range 50 {
			crons[i*200].Schedule, crons[i*200].Act = now.Schedule, now.Act
		}
		a := newAgent(&c, crons...)
		a.MaxParallel = 1000
		runFor(t, a, time.Hour-time.Second)
		assert.Equal(t, 50, did.count())
		for _, o := range did.made {
			require.True(t, o.Due.Equal(midnight.Add(30*minute)))
		}
		runs, err := l.History(t.Context(), ledger.Key{Project: "p", Environment: "main", App: "app"}, 10)
		require.NoError(t, err)
		require.Len(t, runs, 50)
		for _, run := range runs {
			require.True(t, run.Started.Equal(midnight.Add(30*minute)), "each starts in the moment when it is due")
		}
		assert.Equal(t, map[string]int{"load": 3, "begin": 1, "unsettled": 61, "claim": 1, "record": 50}, c.calls)
		assert.Equal(t, minute, c.gap)
		keys, err := l.Unsettled(t.Context(), ledger.Key{Project: "p", Environment: "main", App: "app"})
		require.NoError(t, err)
		assert.Empty(t, keys)
	})
}

// TestManyAgentsFireEachOccurrenceOnce, whatever the platform says to it: it takes
// it, turns it away, or is not heard of again. Some of them run, some tick.
func TestManyAgentsFireEachOccurrenceOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 20} {
		t.Run(fmt.Sprintf("%d agents", n), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				accepted := map[string]int{} // by occurrence
				tries := map[string]int{}
				var mu sync.Mutex
				act := func(_ context.Context, o agent.Occurrence) agent.Result {
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					name := o.Cron + o.Due.UTC().Format(" 15:04")
					tries[name]++
					switch (int(o.Cron[len(o.Cron)-1]) + o.Due.Minute()/10 + 7*tries[name]) % 4 {
					case 0:
						return deferred
					case 1:
						return agent.Result{Outcome: ledger.Uncertain} // it was not taken
					}
					accepted[name]++
					activity := there.take()
					there.mu.Lock()
					there.taken[len(there.taken)-1].operation = "backup:create " + o.Cron
					there.mu.Unlock()
					return agent.Result{Outcome: ledger.Fired, Activities: []ledger.Activity{activity}}
				}
				crons := copies(fire(t, "0,30 1 * * *", act), 4)
				for i := range crons {
					crons[i].Operation += " " + crons[i].Name
				}
				ledgers := []ledger.Ledger{l, reopen(t, filepath.Dir(l.Path()))}
				tickAt(t, newAgent(l, crons...), 0)
				var all sync.WaitGroup
				for i := range n {
					a := there.agent(ledgers[i/2%2], crons...)
					if i%2 == 0 {
						all.Go(func() { runFor(t, a, 3*time.Hour) })
						continue
					}
					all.Go(func() {
						for at := 55 * minute; at < 3*time.Hour; at += 5 * minute {
							tickAt(t, a, at)
						}
					})
				}
				all.Wait()
				for name, times := range accepted {
					assert.Equal(t, 1, times, name)
				}
				for _, cron := range crons {
					s := state(t, l, cron.Name)
					assert.Empty(t, s.Open)
					assert.Empty(t, s.HandedBack)
					runs := history(t, l, cron.Name)
					require.Len(t, runs, 2)
					for _, run := range runs {
						name := cron.Name + run.Due.UTC().Format(" 15:04")
						want := ledger.Missed // a newer one came due before it was taken
						if accepted[name] == 1 {
							want = ledger.Fired
						}
						assert.Equal(t, want, run.Outcome, name)
						assert.Equal(t, tries[name], run.Attempts, name)
					}
					assert.Equal(t, ledger.Fired, runs[1].Outcome, "nothing gets in the way of the last one")
				}
			})
		})
	}
}

// TestWhatADeadAgentLeft is settled by one that runs.
func TestWhatADeadAgentLeft(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		command, taken bool
		at             time.Duration // after the claim
		want           string
		acts           int
	}{
		"it may still be alive":           {false, true, 90*time.Second - 1, "", 0},
		"a fire is uncertain at first":    {false, false, 3 * minute, "uncertain x1", 0},
		"a fire that was taken":           {false, true, 4 * minute, "fired x1", 0},
		"a fire that was not is repeated": {false, false, 15 * minute, "fired x2", 1},
		"a command is not repeated":       {true, false, 30 * minute, "cancelled x1", 0},
		"nor taken for dead too early":    {true, false, 11*minute - 1, "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				cron := fire(t, "0 1 * * *", there.fires(&did, 0))
				if c.command {
					cron = command(t, "0 1 * * *", did.returning(succeeded))
				}
				a := there.agent(l, cron)
				tickAt(t, a, 0)
				time.Sleep(time.Until(midnight.Add(time.Hour)))
				settle := cron.Limit + minute
				key := ledger.Key{Project: "p", Environment: "main", App: "app", Cron: cron.Name}
				won, err := l.Claim(t.Context(), []ledger.Claim{{Key: key, ID: "dead", Due: time.Now(), Settle: settle, Operation: cron.Operation}})
				require.NoError(t, err)
				require.Len(t, won, 1)
				if c.taken {
					there.take()
				}
				runFor(t, a, c.at)
				s := state(t, l, cron.Name)
				if c.want == "" {
					assert.Len(t, s.Open, 1)
					assert.Nil(t, s.Last)
				} else {
					require.NotNil(t, s.Last)
					assert.Empty(t, s.Open)
					assert.Equal(t, "dead", s.Last.ID)
					assert.Equal(t, c.want, fmt.Sprintf("%s x%d", s.Last.Outcome, s.Last.Attempts))
				}
				assert.Equal(t, c.acts, did.count())
			})
		})
	}
}

// TestWhatWasHandedBackIsSpread: those who were turned away together come back
// together, at the next tick, and do not all knock at once.
func TestWhatWasHandedBackIsSpread(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		const n = 40
		var mu sync.Mutex
		var first, second []time.Duration
		crons := copies(fire(t, "0 1 * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
			mu.Lock()
			defer mu.Unlock()
			if len(first) < n {
				first = append(first, time.Since(o.Due))
				return deferred
			}
			second = append(second, time.Since(midnight.Add(time.Hour+5*minute)))
			return fired
		}), n)
		a := newAgent(l, crons...)
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		tickAt(t, a, time.Hour+5*minute)
		assert.Equal(t, make([]time.Duration, n), first, "the first try comes at once")
		require.Len(t, second, n)
		earliest, latest := time.Hour, time.Duration(0)
		for _, at := range second {
			earliest, latest = min(earliest, at), max(latest, at)
		}
		assert.Less(t, latest, crons[0].Limit/2)
		assert.Greater(t, latest-earliest, crons[0].Limit/5)
	})
}

// TestNothingVanishesAfterAFirstClaimWithoutARecord: its owner died at once, so
// there is no record yet, and the cron is not new any more all the same.
func TestNothingVanishesAfterAFirstClaimWithoutARecord(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "* * * * *", did.returning(fired)))
		a.LookBack = 30 * minute
		key := ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"}
		require.NoError(t, l.Begin(t.Context(), []ledger.Key{key}, midnight))
		_, err := l.Claim(t.Context(), []ledger.Claim{{Key: key, ID: "dead", Due: midnight.Add(minute), Operation: "backup:create", Settle: time.Hour}})
		require.NoError(t, err)
		assert.Equal(t, []string{"fired backup 00:10", "missed backup 00:02-00:09 x8"}, told(tickAt(t, a, 10*minute)))
	})
}

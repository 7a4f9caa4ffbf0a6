package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// ways are how an agent is started at one o'clock, when all of these tests' crons
// are due; it is told to stop by ctx.
var ways = map[string]func(ctx context.Context, t *testing.T, a *agent.Agent){
	"run": func(ctx context.Context, _ *testing.T, a *agent.Agent) {
		a.Late = time.Minute
		a.Run(ctx)
	},
	"tick": func(ctx context.Context, t *testing.T, a *agent.Agent) {
		_, err := a.Tick(ctx, time.Now(), time.Now())
		assert.NoError(t, err)
	},
}

// stopping lets an agent act at one o'clock, tells it to stop so much later, and
// calls then at that moment. It returns how long the agent took to end.
func stopping(t *testing.T, a *agent.Agent, way string, after time.Duration, then func()) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tickAt(t, a, 0)
	time.Sleep(time.Until(midnight.Add(time.Hour)))
	var running sync.WaitGroup
	running.Go(func() { ways[way](ctx, t, a) })
	time.Sleep(after)
	synctest.Wait()
	cancel()
	stopped := time.Now()
	synctest.Wait()
	then()
	running.Wait()
	return time.Since(stopped)
}

func TestToldToStop(t *testing.T) {
	t.Parallel()
	// slow acts until it is told to stop, and a while longer.
	slow := func(did *acts, result agent.Result) agent.Action {
		return func(ctx context.Context, o agent.Occurrence) agent.Result {
			did.add(o)
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return result
		}
	}
	cancelled := agent.Result{Outcome: ledger.Cancelled, ExitCode: new(-1), Error: "stopped, because the agent was told to stop"}
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var fires, commands acts
				var there cloud
				crons := []agent.Cron{
					fire(t, "0 1 * * *", slow(&fires, fired)), command(t, "0 1 * * *", slow(&commands, cancelled)),
					command(t, "0 1 * * *", slow(&commands, succeeded)), command(t, "0 1 * * *", slow(&commands, succeeded)),
				}
				for i, name := range []string{"fire", "stopped", "ended", "ended too"} {
					crons[i].Name = name
				}
				if way == "tick" {
					crons = crons[1:] // a tick's fires end before its commands begin
				}
				a := there.agent(l, crons...)
				a.MaxParallel = 2
				// Which of the three commands waits is not said.
				begun := func(cron string) bool {
					for _, o := range commands.made {
						if o.Cron == cron {
							return true
						}
					}
					return false
				}
				took := stopping(t, a, way, 12*minute, func() {
					if way == "run" {
						s := state(t, l, "fire")
						require.NotNil(t, s.Last)
						assert.Equal(t, ledger.Uncertain, s.Last.Outcome, "it may have been taken")
						assert.Contains(t, s.Last.Reason, "told to stop while it was under way")
						assert.Len(t, s.Pending, 1, "it is looked up if nobody says more")
					}
					require.Equal(t, 2, commands.count())
					for _, cron := range []string{"stopped", "ended", "ended too"} {
						s := state(t, l, cron)
						assert.Empty(t, s.Open, cron)
						require.NotNil(t, s.Last, cron)
						if begun(cron) {
							assert.Equal(t, ledger.Cancelled, s.Last.Outcome)
							assert.Equal(t, 1, s.Last.Attempts)
							assert.NotNil(t, s.Last.Ended)
						} else {
							assert.Equal(t, ledger.Deferred, s.Last.Outcome, "%s is handed back at once", cron)
							assert.Zero(t, s.Last.Attempts)
							assert.Nil(t, s.Last.Started)
							assert.Len(t, s.HandedBack, 1)
						}
					}
				})
				assert.Equal(t, 5*time.Second, took)
				want := map[string]ledger.Outcome{"stopped": ledger.Cancelled, "ended": ledger.Succeeded, "ended too": ledger.Succeeded, "fire": ledger.Fired}
				for _, cron := range crons {
					s := state(t, l, cron.Name)
					require.NotNil(t, s.Last)
					assert.Empty(t, s.Open)
					if begun(cron.Name) || cron.Name == "fire" {
						assert.Equal(t, want[cron.Name], s.Last.Outcome, "the last word is what came of %s", cron.Name)
					}
				}
			})
		})
	}
}

// TestAFireUnderWayIsUncertainUntilItHasEnded: we may be killed before that.
func TestAFireUnderWayIsUncertainUntilItHasEnded(t *testing.T) {
	t.Parallel()
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				a := there.agent(l, fire(t, "0 1 * * *", func(context.Context, agent.Occurrence) agent.Result {
					time.Sleep(10 * time.Second)
					return fired
				}))
				took := stopping(t, a, way, time.Second, func() {
					s := state(t, l, "backup")
					assert.Empty(t, s.Open)
					require.Len(t, s.Pending, 1)
					assert.Equal(t, ledger.Uncertain, s.Pending[0].Outcome)
				})
				assert.Equal(t, 9*time.Second, took)
				assert.Equal(t, ledger.Fired, state(t, l, "backup").Last.Outcome)
			})
		})
	}
}

func TestNothingIsBegunAfterAStop(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, command(t, "* 1 * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
			did.add(o)
			time.Sleep(10 * minute) // it does not heed
			return succeeded
		}))
		a.MaxParallel = 100
		took := stopping(t, a, "run", 30*time.Second, func() {})
		assert.Equal(t, 9*minute+30*time.Second, took, "Run waits for what is under way")
		assert.Equal(t, []string{"01:00:00"}, dues(&did))
	})
}

// TestWhatHasWaitedForLongIsHandedBackAsWell: longer than it may take to run, and
// yet nobody took us for dead.
func TestWhatHasWaitedForLongIsHandedBackAsWell(t *testing.T) {
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var crons []agent.Cron
				var did acts
				for n := range 4 {
					cron := command(t, "0 1 * * *", func(ctx context.Context, o agent.Occurrence) agent.Result {
						did.add(o)
						select {
						case <-time.After(9 * minute):
							return succeeded
						case <-ctx.Done():
							return agent.Result{Outcome: ledger.Cancelled}
						}
					})
					cron.Name = fmt.Sprint(n)
					crons = append(crons, cron)
				}
				a := newAgent(l, crons...)
				a.MaxParallel = 1
				stopping(t, a, way, 20*minute, func() {})
				require.Equal(t, 3, did.count())
				outcomes := map[ledger.Outcome]int{}
				for _, cron := range crons {
					s := state(t, l, cron.Name)
					require.NotNil(t, s.Last)
					assert.Empty(t, s.Open)
					outcomes[s.Last.Outcome]++
				}
				assert.Equal(t, map[ledger.Outcome]int{ledger.Succeeded: 2, ledger.Cancelled: 1, ledger.Deferred: 1}, outcomes)
			})
		})
	}
}

// TestACommandThatFailsAfterALongWaitIsTriedAgain: the same with a failure.
func TestACommandThatFailsAfterALongWaitIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var crons []agent.Cron
		var did acts
		for n := range 3 {
			cron := command(t, "0 1 * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
				did.add(o)
				time.Sleep(9 * minute)
				return failed
			})
			cron.Name, cron.Retries = fmt.Sprint(n), 1
			crons = append(crons, cron)
		}
		a := newAgent(l, crons...)
		a.MaxParallel = 1
		tickAt(t, a, 0)
		for _, run := range tickAt(t, a, time.Hour) {
			assert.Equal(t, ledger.Deferred, run.Outcome)
			assert.Len(t, state(t, l, run.Cron).HandedBack, 1)
		}
		for _, run := range tickAt(t, a, 2*time.Hour) {
			assert.Equal(t, ledger.Failed, run.Outcome)
		}
		assert.Equal(t, 6, did.count())
	})
}

// TestWhatIsClaimedIsNotForgotten when the ledger or the agent comes to an end
// right after: nobody else may act on it.
func TestWhatIsClaimedIsNotForgotten(t *testing.T) {
	t.Parallel()
	for _, stop := range []bool{false, true} {
		t.Run(map[bool]string{true: "told to stop", false: "the ledger is out of reach"}[stop], func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				crons := []agent.Cron{fire(t, "0 1 * * *", did.returning(fired)), command(t, "0 1 * * *", did.returning(succeeded))}
				other := newAgent(l, crons[0])
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				h := hooked{Ledger: l, beforeClaim: func() error {
					_, err := other.Tick(t.Context(), time.Now(), time.Now())
					return err
				}}
				h.afterClaim = func() error {
					if h.load = down; stop {
						cancel()
					}
					return nil
				}
				tickAt(t, newAgent(l, crons...), 0)
				time.Sleep(time.Hour)
				runs, err := newAgent(&h, crons...).Tick(ctx, time.Now(), time.Now())
				require.ErrorIs(t, err, errDown)
				if stop {
					assert.Equal(t, []string{"deferred import 01:00"}, told(runs))
					assert.Len(t, state(t, l, "import").HandedBack, 1)
					assert.Equal(t, 1, did.count())
				} else {
					assert.Equal(t, []string{"succeeded import 01:00"}, told(runs))
					assert.Equal(t, 2, did.count())
				}
				assert.Empty(t, state(t, l, "import").Open)
			})
		})
	}
}

// TestAnOwnerThatComesBackLate: it was suspended while it acted, or its machine was.
func TestAnOwnerThatComesBackLate(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		after  time.Duration // it claimed
		result agent.Result
		want   string
		acts   int
		other  string // what another agent, which ticks every minute, did meanwhile
	}{
		"with what it fired, after it was taken for dead":          {5 * minute, fired, "fired x1 late", 1, "uncertain"},
		"with a failure, after it was taken for dead":              {5 * minute, failed, "failed x1", 1, "uncertain"},
		"with nothing done, after it was taken for dead":           {5 * minute, deferred, "fired x2 act-2", 2, "uncertain, deferred, fired"},
		"with nothing done, after somebody else did it":            {20 * minute, deferred, "fired x2 act-2", 2, "uncertain, deferred, fired"},
		"with what it fired, after somebody else did it once more": {20 * minute, fired, "fired x1 late", 2, "uncertain, deferred, fired"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				// What the owner fires is on no list before it comes back.
				late := ledger.Activity{ID: "late", State: "in_progress"}
				theirs := fire(t, "0 1 * * *", there.fires(&did, 0))
				ours := fire(t, "0 1 * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
					did.add(o)
					time.Sleep(c.after)
					result := c.result
					if result.Outcome == ledger.Fired {
						result.Activities = []ledger.Activity{late}
					}
					return result
				})
				there.taken = []taken{{late, "backup:create", midnight}}
				owner, other := there.agent(l, ours), there.agent(l, theirs)
				tickAt(t, owner, 0)
				var running sync.WaitGroup
				running.Go(func() { tickAt(t, owner, time.Hour) })
				var told []string
				for at := minute; at <= 40*minute; at += minute {
					for _, run := range tickAt(t, other, time.Hour+at+time.Second) {
						told = append(told, string(run.Outcome))
					}
				}
				running.Wait()
				runs := history(t, l, "backup")
				require.Len(t, runs, 1)
				got := fmt.Sprintf("%s x%d", runs[0].Outcome, runs[0].Attempts)
				for _, activity := range runs[0].Activities {
					got += " " + activity.ID
				}
				assert.Equal(t, c.want, got)
				assert.Equal(t, c.other, join(told))
				assert.Equal(t, c.acts, did.count())
				s := state(t, l, "backup")
				assert.Empty(t, s.HandedBack)
				assert.Empty(t, s.Open)
			})
		})
	}
}

// TestRunDoesNotTakeItselfForDead: what is under way takes longer than it may.
func TestRunDoesNotTakeItselfForDead(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		a := newAgent(l, command(t, "0 1 * * *", func(context.Context, agent.Occurrence) agent.Result {
			time.Sleep(20 * minute)
			return succeeded
		}))
		took := stopping(t, a, "run", 15*minute, func() {})
		assert.Equal(t, 5*minute, took)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		time.Sleep(time.Until(midnight.Add(24 * time.Hour)))
		running.Go(func() { a.Run(ctx) })
		time.Sleep(time.Hour + 15*minute)
		s := state(t, l, "import")
		assert.Len(t, s.Open, 1)
		require.NotNil(t, s.Last)
		assert.Equal(t, 1, s.Last.Due.Day(), "the record is that of the day before")
		time.Sleep(10 * minute)
		assert.Equal(t, 2, state(t, l, "import").Last.Due.Day())
		cancel()
		running.Wait()
	})
}

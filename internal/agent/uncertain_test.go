package agent_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

const minute = time.Minute

func TestAnUncertainFireThatIsFoundLater(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		endsBefore bool // it was found
		result     string
		outcome    ledger.Outcome
	}{
		"while it goes on":            {false, "success", ledger.Succeeded},
		"while it goes on, and fails": {false, "failure", ledger.Failed},
		"after it has ended":          {true, "success", ledger.Succeeded},
		"after it has failed":         {true, "failure", ledger.Failed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 1)))
				tickAt(t, a, 0)
				require.Equal(t, []string{"uncertain backup 01:00"}, told(tickAt(t, a, time.Hour)))
				assert.Empty(t, tickAt(t, a, time.Hour+4*minute), "it may lie in a queue")
				there.take()
				if c.endsBefore {
					there.end("complete", c.result)
				}
				runs := tickAt(t, a, time.Hour+9*minute)
				require.Equal(t, []string{"fired backup 01:00"}, told(runs))
				assert.Equal(t, "act-1", runs[0].Activities[0].ID)
				assert.Equal(t, 0, *runs[0].ExitCode)
				assert.Empty(t, runs[0].Error)
				there.end("complete", c.result)
				runs = tickAt(t, a, time.Hour+14*minute)
				require.Equal(t, []string{string(c.outcome) + " backup 01:00"}, told(runs))
				assert.Empty(t, tickAt(t, a, time.Hour+30*minute))
				assert.Empty(t, state(t, l, "backup").Pending)
				assert.Equal(t, 1, did.count())
			})
		})
	}
}

// TestAnUncertainFireThatIsNeverFound: many agents see it at the same moments.
func TestAnUncertainFireThatIsNeverFound(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 20} {
		t.Run(fmt.Sprintf("%d agents", n), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				at := map[int]time.Duration{} // when it was fired
				cron := fire(t, "0 1 * * *", there.fires(&did, 1))
				lost := cron.Act
				cron.Act = func(ctx context.Context, o agent.Occurrence) agent.Result {
					result := lost(ctx, o)
					at[did.count()] = time.Since(midnight)
					return result
				}
				ledgers := []ledger.Ledger{l, reopen(t, filepath.Dir(l.Path())), reopen(t, filepath.Dir(l.Path()))}
				tickAt(t, newAgent(l, cron), 0)
				var all sync.WaitGroup
				for i := range n {
					all.Go(func() {
						a := there.agent(ledgers[i%len(ledgers)], cron)
						for minutes := range 30 {
							tickAt(t, a, time.Hour+time.Duration(minutes)*minute)
						}
					})
				}
				all.Wait()
				assert.Equal(t, 2, did.count())
				assert.Equal(t, time.Hour, at[1])
				assert.GreaterOrEqual(t, at[2], time.Hour+10*minute, "absence proves nothing before")
				assert.LessOrEqual(t, at[2], time.Hour+12*minute)
				runs := history(t, l, "backup")
				require.Equal(t, []string{"fired backup 01:00"}, told(runs))
				assert.Equal(t, 2, runs[0].Attempts)
				assert.Equal(t, "act-1", runs[0].Activities[0].ID)
			})
		})
	}
}

func TestAnUncertainFireThatStaysSo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		activities, doubtful int
		reason               string
	}{
		"two may be it":                 {2, 0, "2 activities may be its: act-1, act-2"},
		"nobody tells whose it is":      {0, 1, "1 activities may be its"},
		"one is, another may be":        {1, 1, "2 activities may be its: act-1"},
		"and it is not done once again": {3, 3, "6 activities may be its"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				there := cloud{doubtful: c.doubtful}
				a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 1)))
				tickAt(t, a, 0)
				tickAt(t, a, time.Hour)
				for range c.activities {
					there.take()
				}
				runs := tickAt(t, a, time.Hour+5*minute)
				require.Equal(t, []string{"uncertain backup 01:00"}, told(runs))
				assert.Contains(t, runs[0].Reason, c.reason)
				assert.Equal(t, 6, *runs[0].ExitCode)
				assert.Empty(t, tickAt(t, a, time.Hour+20*minute), "it is told once")
				assert.Empty(t, tickAt(t, a, 20*time.Hour))
				assert.Equal(t, 1, did.count())
			})
		})
	}
}

func TestAnUncertainFireThatIsNotDoneAgain(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*agent.Agent){
		"because it is too old":               func(a *agent.Agent) { a.Crons[0].MissedWithin = 5 * minute },
		"because the cron has been disabled":  func(a *agent.Agent) { a.Crons[0].Refusal = "it is disabled" },
		"because it was triggered, by a hand": nil,
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 1)))
				tickAt(t, a, 0)
				if change == nil {
					_, err := a.Trigger(t.Context(), "backup", false)
					require.NoError(t, err)
					time.Sleep(11 * minute)
				} else {
					tickAt(t, a, time.Hour)
					change(a)
					time.Sleep(11 * minute)
				}
				runs, err := a.Tick(t.Context(), time.Now(), time.Now())
				require.NoError(t, err)
				require.Len(t, runs, 1)
				assert.Equal(t, ledger.Failed, runs[0].Outcome)
				assert.Contains(t, runs[0].Reason, "it was not taken")
				assert.Equal(t, 1, *runs[0].ExitCode)
				runs, err = a.Tick(t.Context(), time.Now(), time.Now())
				require.NoError(t, err)
				assert.Empty(t, runs)
				assert.Equal(t, 1, did.count())
			})
		})
	}
}

// TestWhatCannotBeReadProvesNothing: not even after ten minutes.
func TestWhatCannotBeReadProvesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		a := there.agent(l, fire(t, "0 1 1 1 *", there.fires(&did, 1)))
		a.Crons[0].MissedWithin = 30 * 24 * time.Hour
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		there.setAway(&away)
		for at := 2 * time.Hour; at < 8*24*time.Hour; at += 6 * time.Hour {
			for _, run := range tickAt(t, a, at) {
				assert.Greater(t, at, 7*24*time.Hour, "it is given up after a week")
				assert.Equal(t, ledger.Uncertain, run.Outcome)
				assert.False(t, run.Pending)
			}
		}
		assert.Empty(t, state(t, l, "backup").Pending)
		assert.Equal(t, 1, did.count())
	})
}

// TestAnActivityThatIsAnothersIsNotTaken: but what a bare fire or a trigger did since a
// fire was due stands for one that comes late, as what is done elsewhere by hand does.
func TestAnActivityThatIsAnothersIsNotTaken(t *testing.T) {
	t.Parallel()
	others := map[string]ledger.Run{
		"a bare fire's":       {ID: "bare", Key: ledger.Key{Project: "p", Environment: "main", App: "app"}},
		"a trigger's":         {ID: "hand", Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"}},
		"another operation's": {ID: "bare", Key: ledger.Key{Project: "p", Environment: "main", App: "app"}, Operation: "source-operation:run other"},
		"another cron's":      {ID: "other", Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "other"}, Due: new(midnight)},
		"an earlier run's":    {ID: "earlier", Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"}, Due: new(midnight)},
	}
	for name, other := range others {
		for _, catchUp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, catching up %t", name, catchUp), func(t *testing.T) {
				bubble(t, func(t *testing.T, l *ledger.File) {
					var there cloud
					var did acts
					lost := 1
					if catchUp {
						lost = 0
					}
					a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, lost)))
					tickAt(t, a, 0)
					if !catchUp {
						tickAt(t, a, time.Hour)
					}
					time.Sleep(time.Until(midnight.Add(time.Hour + minute)))
					other := other // the next subtest has its own
					another := other.Operation != ""
					other.Operation, other.Outcome, other.Count = cmp.Or(other.Operation, "backup:create"), ledger.Succeeded, 1
					other.Activities, other.Started = []ledger.Activity{there.take()}, new(time.Now())
					require.NoError(t, l.Record(t.Context(), other))
					fires, want := lost+1, "act-2"
					if other.Due == nil && !another {
						fires, want = lost, "act-1"
					}
					if catchUp {
						require.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, 2*time.Hour)))
					} else {
						require.Equal(t, []string{"deferred backup 01:00"}, told(tickAt(t, a, time.Hour+11*minute)))
						require.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, time.Hour+12*minute)))
					}
					assert.Equal(t, fires, did.count())
					pending := state(t, l, "backup").Pending
					require.Len(t, pending, 1)
					assert.Equal(t, want, pending[0].Activities[0].ID)
				})
			})
		}
	}
}

// TestWhatIsUncertainByHandIsFoundOutFirst: as long as nobody knows whether the platform
// took what was asked for by hand since a fire was due, that fire waits.
func TestWhatIsUncertainByHandIsFoundOutFirst(t *testing.T) {
	t.Parallel()
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken %t", taken), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 0)))
				tickAt(t, a, 0)
				time.Sleep(time.Until(midnight.Add(2 * time.Hour)))
				require.NoError(t, l.Record(t.Context(), ledger.Run{
					ID: "hand", Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"}, Operation: "backup:create",
					Outcome: ledger.Uncertain, Pending: true, Count: 1, Started: new(time.Now()),
				}))

				require.Equal(t, []string{"deferred backup 01:00"}, told(tickAt(t, a, 2*time.Hour+minute)))
				assert.Zero(t, did.count())
				if taken {
					there.take() // the platform had queued it
				}
				want := []string{"failed", "fired"}
				if taken {
					want = []string{"fired", "fired"}
				}
				var outcomes []string
				for at := 2*time.Hour + 5*minute; at <= 2*time.Hour+30*minute; at += 5 * minute {
					for _, run := range tickAt(t, a, at) {
						if run.Outcome != ledger.Deferred {
							outcomes = append(outcomes, string(run.Outcome))
						}
					}
				}
				assert.Equal(t, want, outcomes, "what was done by hand, then the occurrence")
				if taken {
					assert.Zero(t, did.count())
				} else {
					assert.Equal(t, 1, did.count())
				}
			})
		})
	}
}

// TestWhatWasDoneOnceStandsForOneOccurrence: two crons of one operation come late, in one
// tick or in two, and it was done by hand once since both were due.
func TestWhatWasDoneOnceStandsForOneOccurrence(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{"in one tick": "0 1 * * *", "in two": "30 2 * * *"} {
		for _, recorded := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, recorded %t", name, recorded), func(t *testing.T) {
				bubble(t, func(t *testing.T, l *ledger.File) {
					there := cloud{onFind: func() { time.Sleep(time.Second) }} // both look before either records
					var did acts
					one, two := fire(t, "0 1 * * *", there.fires(&did, 0)), fire(t, second, there.fires(&did, 0))
					two.Name = "another"
					a := there.agent(l, one, two)
					tickAt(t, a, 0)
					time.Sleep(time.Until(midnight.Add(time.Hour + minute)))
					if activity := there.take(); recorded {
						bare := ledger.Run{ID: "bare", Key: ledger.Key{Project: "p", Environment: "main", App: "app"}, Count: 1}
						bare.Operation, bare.Outcome, bare.Started = "backup:create", ledger.Fired, new(time.Now())
						bare.Activities = []ledger.Activity{activity}
						require.NoError(t, l.Record(t.Context(), bare))
					}
					tickAt(t, a, 2*time.Hour)
					tickAt(t, a, 3*time.Hour)
					assert.Equal(t, 1, did.count(), "one of two is left to do")
				})
			})
		}
	}
}

// TestADoneFireIsFollowed: what was done by somebody else is told to its end.
func TestADoneFireIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 0)))
		tickAt(t, a, 0)
		time.Sleep(time.Hour + minute)
		there.take()
		there.end("complete", "failure")
		require.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, 2*time.Hour)))
		require.Equal(t, []string{"failed backup 01:00"}, told(tickAt(t, a, 2*time.Hour+minute)))
		assert.Zero(t, did.count())
	})
}

// TestASearchThatTakesTooLongIsNotFollowedByAFire: meanwhile others may have taken
// us for dead.
func TestASearchThatTakesTooLongIsNotFollowedByAFire(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		there := cloud{onFind: func() { time.Sleep(31 * time.Second) }}
		a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 0)))
		tickAt(t, a, 0)
		require.Equal(t, []string{"deferred backup 01:00"}, told(tickAt(t, a, 2*time.Hour)))
		assert.Zero(t, did.count())
		there.onFind = nil
		require.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, 2*time.Hour+5*minute)))
		assert.Equal(t, 1, did.count())
	})
}

func TestWhatBecomesOfAnAcceptedFire(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	const soon, week = 3 * time.Hour, 7 * day // after midnight
	cases := map[string]struct {
		more          int // activities
		state, result string
		away          bool
		want          string
		reason, err   string
		after         time.Duration
	}{
		"it succeeds":              {0, "complete", "success", false, "succeeded", "", "", soon},
		"all of it succeeds":       {2, "complete", "success", false, "succeeded", "", "", soon},
		"it fails":                 {0, "complete", "failure", false, "failed", "", "activity act-1 (environment.backup) has ended: failure", soon},
		"it is cancelled":          {0, "cancelled", "", false, "failed", "", "activity act-1 (environment.backup) has ended: cancelled", soon},
		"it waits for a hand":      {0, "staged", "", false, "fired", "staged", "", soon},
		"it never ends":            {0, "in_progress", "", false, "fired", "has not ended in a week", "", week},
		"nobody tells for a week":  {0, "complete", "success", true, "fired", "could not be looked up", "", week},
		"one of several goes on":   {-1, "complete", "success", false, "fired", "has not ended in a week", "", week},
		"an unknown result is bad": {0, "complete", "", false, "failed", "", "has ended: complete", soon},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var there cloud
				var did acts
				cron := fire(t, "0 1 1 1 *", func(_ context.Context, o agent.Occurrence) agent.Result {
					did.add(o)
					result := agent.Result{Outcome: ledger.Fired, Activities: []ledger.Activity{there.take()}}
					for range c.more {
						result.Activities = append(result.Activities, there.take())
					}
					return result
				})
				if c.more < 0 {
					cron.Act = func(_ context.Context, o agent.Occurrence) agent.Result {
						did.add(o)
						first, second := there.take(), there.take()
						return agent.Result{Outcome: ledger.Fired, Activities: []ledger.Activity{first, second}}
					}
				}
				a := there.agent(l, cron)
				tickAt(t, a, 0)
				require.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, time.Hour)))
				assert.Empty(t, tickAt(t, a, 2*time.Hour), "it goes on")
				there.end(c.state, c.result)
				if c.more < 0 {
					there.taken[1].State = "in_progress"
				}
				if c.away {
					there.setAway(&away)
				}
				var ends []ledger.Run
				for at := 3 * time.Hour; at <= 9*day; at += 6 * time.Hour {
					runs := tickAt(t, a, at)
					if len(runs) > 0 {
						assert.GreaterOrEqual(t, at, c.after)
						assert.LessOrEqual(t, at, c.after+6*time.Hour)
					}
					ends = append(ends, runs...)
				}
				require.Equal(t, []string{c.want + " backup 01:00"}, told(ends))
				assert.Contains(t, ends[0].Reason, c.reason)
				assert.Equal(t, c.reason == "", ends[0].Reason == "")
				assert.Contains(t, ends[0].Error, c.err)
				assert.Equal(t, c.err == "", ends[0].Error == "")
				looks := there.looked()
				tickAt(t, a, 10*day)
				assert.Equal(t, looks, there.looked(), "what is known is not looked up")
				assert.Equal(t, 1, did.count())
				assert.Equal(t, ends[0].Outcome, state(t, l, "backup").Last.Outcome)
			})
		})
	}
}

// TestRunFollowsOnceAMinute what it fired, and what somebody fired by hand.
func TestRunFollowsOnceAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		require.NoError(t, l.Record(t.Context(), ledger.Run{
			ID: "bare", Key: ledger.Key{Project: "p", Environment: "main", App: "app"}, Operation: "backup:create", Outcome: ledger.Fired,
			Count: 1, Started: new(time.Now()), Activities: []ledger.Activity{there.take()}, Pending: true,
		}))
		a := there.agent(l, fire(t, "30 0 * * *", there.fires(&did, 0)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx) })
		time.Sleep(20*minute + time.Second)
		assert.Equal(t, 21, there.looked())
		there.end("complete", "success")
		time.Sleep(minute)
		assert.Equal(t, ledger.Succeeded, history(t, l, "")[0].Outcome)
		time.Sleep(20 * minute)
		there.end("complete", "failure")
		time.Sleep(minute)
		synctest.Wait()
		assert.Equal(t, ledger.Failed, state(t, l, "backup").Last.Outcome)
		looks := there.looked()
		time.Sleep(20 * minute)
		assert.Equal(t, looks, there.looked())
		cancel()
		running.Wait()
	})
}

// TestALookThatTakesLongChangesNothing that has gone on meanwhile.
func TestALookThatTakesLongChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		fast := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 1)))
		slow := there.agent(l, fast.Crons...)
		slow.Find = func(ctx context.Context, run ledger.Run, ago time.Duration) ([]ledger.Activity, int, *agent.Result) {
			found, doubtful, problem := there.find(ctx, run, ago)
			time.Sleep(5 * minute)
			return found, doubtful, problem
		}
		tickAt(t, fast, 0)
		tickAt(t, fast, time.Hour)
		var looking sync.WaitGroup
		looking.Go(func() { assert.Empty(t, tickAt(t, slow, time.Hour+11*minute)) })
		assert.Equal(t, []string{"deferred backup 01:00"}, told(tickAt(t, fast, time.Hour+12*minute)))
		assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, fast, time.Hour+13*minute)))
		there.end("complete", "success")
		assert.Equal(t, []string{"succeeded backup 01:00"}, told(tickAt(t, fast, time.Hour+14*minute)))
		looking.Wait()
		assert.Equal(t, ledger.Succeeded, state(t, l, "backup").Last.Outcome)
		assert.Empty(t, tickAt(t, fast, 2*time.Hour))
		assert.Equal(t, 2, did.count())
	})
}

// TestOneActivityIsNotFoundTwice: two fires of one operation are uncertain, and the
// platform made one activity.
func TestOneActivityIsNotFoundTwice(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		crons := copies(fire(t, "0 1 * * *", there.fires(&did, 2)), 2)
		a := there.agent(&slowHistory{l}, crons...)
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		there.take()
		for at := minute; at < 30*minute; at += minute {
			tickAt(t, a, time.Hour+at)
		}
		var ids []string
		for _, cron := range crons {
			for _, activity := range state(t, l, cron.Name).Last.Activities {
				ids = append(ids, activity.ID)
			}
		}
		assert.ElementsMatch(t, []string{"act-1", "act-2"}, ids, "the other one was not taken, and is done again")
		assert.Equal(t, 3, did.count())
	})
}

// slowHistory is a ledger that takes a moment.
type slowHistory struct{ ledger.Ledger }

func (l *slowHistory) History(ctx context.Context, scope ledger.Key, n int) ([]ledger.Run, error) {
	runs, err := l.Ledger.History(ctx, scope, n)
	time.Sleep(time.Millisecond)
	return runs, err
}

// A look at the first attempt must not hand back the second one, which is
// uncertain as well, and only a moment old.
func TestALateLookAtAnEarlierAttemptIsNotTheNextOnes(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var there cloud
		var did acts
		fast := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 2)))
		fast.Crons[0].Limit = 10 * time.Second
		slow := there.agent(l, fast.Crons...)
		slow.Find = func(ctx context.Context, run ledger.Run, ago time.Duration) ([]ledger.Activity, int, *agent.Result) {
			found, doubtful, problem := there.find(ctx, run, ago)
			time.Sleep(20 * time.Second)
			return found, doubtful, problem
		}
		tickAt(t, fast, 0)
		tickAt(t, fast, time.Hour) // uncertain
		done := make(chan bool)
		go func() {
			defer close(done)
			tickAt(t, slow, time.Hour+11*minute-time.Second) // sees the first attempt, and takes a while
		}()
		tickAt(t, fast, time.Hour+11*minute)             // hands it back
		tickAt(t, fast, time.Hour+11*minute+time.Second) // sends it again: uncertain again
		<-done
		s := state(t, l, "backup")
		assert.Equal(t, 2, did.count())
		assert.Empty(t, s.HandedBack, "the second request may have been taken, and nobody has looked for it yet")
		assert.Len(t, s.Pending, 1)
	})
}

// A ledger that was put back to what it was yesterday does not know what was fired
// today; the platform does.
func TestARestoredLedgerFiresNothingAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 1 * * *", did.returning(fired)))
		a.LookBack = 30 * time.Minute
		a.Look = func(context.Context, ledger.Run) ([]ledger.Activity, error) {
			return []ledger.Activity{{ID: "act1", State: "complete", Result: "success"}}, nil
		}
		var there []ledger.Activity
		a.Find = func(context.Context, ledger.Run, time.Duration) ([]ledger.Activity, int, *agent.Result) {
			return there, 0, nil
		}
		tickAt(t, a, time.Hour)
		yesterday, err := os.ReadFile(l.Path())
		require.NoError(t, err)
		tickAt(t, a, 25*time.Hour)
		require.Equal(t, 2, did.count())

		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), yesterday, 0o600))
		restored := newAgent(reopen(t, dir), a.Crons...)
		restored.LookBack, restored.Look, restored.Find = a.LookBack, a.Look, a.Find
		there = []ledger.Activity{{ID: "act2", State: "complete", Result: "success"}}
		runs := tickAt(t, restored, 25*time.Hour+6*time.Minute)
		assert.Equal(t, 2, did.count())
		assert.Contains(t, join(told(runs)), "fired backup 01:00")
	})
}

// What a cron left that was renamed or removed is settled, and not tried again.
func TestACronThatIsGoneIsSettled(t *testing.T) {
	for _, loop := range []bool{false, true} {
		t.Run(fmt.Sprintf("run %t", loop), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				a := newAgent(l, fire(t, "0 1 * * *", did.returning(deferred)))
				tickAt(t, a, 0)
				tickAt(t, a, time.Hour)
				require.Len(t, state(t, l, "backup").HandedBack, 1)
				key := ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "other"}
				_, err := l.Claim(t.Context(), []ledger.Claim{{Key: key, ID: "dead", Due: time.Now(), Operation: "backup:create", Settle: time.Minute}})
				require.NoError(t, err)

				a = newAgent(l, fire(t, "0 5 * * *", did.returning(fired)))
				a.Crons[0].Name = "renamed"
				a.Look = func(context.Context, ledger.Run) ([]ledger.Activity, error) {
					return []ledger.Activity{{ID: "act1", State: "complete", Result: "success"}}, nil
				}
				a.Find = func(context.Context, ledger.Run, time.Duration) ([]ledger.Activity, int, *agent.Result) {
					return []ledger.Activity{{ID: "act1", State: "pending"}}, 0, nil
				}
				if loop {
					runFor(t, a, 10*time.Minute)
				} else {
					for at := 70 * time.Minute; at < 90*time.Minute; at += 5 * time.Minute {
						tickAt(t, a, at)
					}
				}
				last := state(t, l, "backup").Last
				assert.Equal(t, ledger.Missed, last.Outcome)
				assert.Contains(t, last.Reason, "configured no longer")
				assert.Equal(t, ledger.Succeeded, state(t, l, "other").Last.Outcome)
				unsettled, err := l.Unsettled(t.Context(), ledger.Key{Project: "p", Environment: "main", App: "app"})
				require.NoError(t, err)
				assert.Empty(t, unsettled)
				assert.Equal(t, 1, did.count())
			})
		})
	}
}

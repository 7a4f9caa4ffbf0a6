package agent_test

import (
	"context"
	"errors"
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

var errDown = errors.New("the ledger is down")

func down() error { return errDown }

func TestWithoutALedgerNothingIsDone(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hooked{
		"load":                    {load: down},
		"begin":                   {begin: down},
		"claim":                   {beforeClaim: down},
		"claim, but it was taken": {afterClaim: down},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				whole := newAgent(l, fire(t, "0 1 * * *", did.returning(fired)))
				h.Ledger = l
				broken := newAgent(&h, whole.Crons...)
				if name != "begin" {
					tickAt(t, whole, 0)
				}
				time.Sleep(time.Hour)
				runs, err := broken.Tick(t.Context(), midnight, time.Now())
				require.ErrorIs(t, err, errDown)
				assert.Empty(t, runs)
				assert.Zero(t, did.count())
				if name == "claim" {
					assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, whole, 2*time.Hour)), "it is missed, and caught up")
				}
			})
		})
	}
}

func TestWhatCouldNotBeRecordedIsDoneOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		command bool
		outcome ledger.Outcome
		limit   time.Duration
	}{
		"fire":    {false, ledger.Uncertain, 30 * time.Second},
		"command": {true, ledger.Cancelled, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				cron := fire(t, "0 1 * * *", did.returning(deferred, fired))
				if c.command {
					cron = command(t, "0 1 * * *", did.returning(deferred, succeeded))
				}
				other := newAgent(l, cron)
				tickAt(t, other, 0)
				require.Equal(t, ledger.Deferred, tickAt(t, other, time.Hour)[0].Outcome)
				// The second try is made, and then the agent dies as it were.
				broken := newAgent(&hooked{Ledger: l, record: down}, cron)
				time.Sleep(time.Hour)
				runs, err := broken.Tick(t.Context(), time.Now(), time.Now())
				require.ErrorIs(t, err, errDown)
				require.Len(t, runs, 1, "what was done is told all the same")
				assert.Contains(t, []ledger.Outcome{ledger.Fired, ledger.Succeeded}, runs[0].Outcome)

				until := 2*time.Hour + c.limit + time.Minute
				assert.Empty(t, tickAt(t, other, until-1), "it may still be alive")
				settled := tickAt(t, other, until)
				require.Len(t, settled, 1)
				assert.Equal(t, runs[0].ID, settled[0].ID)
				assert.Equal(t, c.outcome, settled[0].Outcome)
				assert.Equal(t, cron.Operation, settled[0].Operation)
				assert.Equal(t, 2, settled[0].Attempts, "the one before the claim is counted")
				assert.Contains(t, settled[0].Error, "the agent died")
				assert.Empty(t, tickAt(t, other, until+time.Hour))
				assert.Equal(t, 2, did.count())
			})
		})
	}
}

func TestAnOwnerThatComesBackInTimeIsNotOverruled(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		cron := fire(t, "0 1 * * *", did.returning(fired))
		tickAt(t, newAgent(l, cron), 0)
		time.Sleep(time.Hour)
		var lost *ledger.Run
		broken := newAgent(&hooked{Ledger: l, record: down}, cron)
		runs, err := broken.Tick(t.Context(), time.Now(), time.Now())
		require.ErrorIs(t, err, errDown)
		lost = &runs[0]
		time.Sleep(time.Hour)
		// Its record arrives after the other agent has loaded the open claim.
		late := &lateOwner{Ledger: l, owner: func() { require.NoError(t, l.Record(t.Context(), *lost)) }}
		assert.Empty(t, tickAt(t, newAgent(late, cron), 2*time.Hour))
		assert.Equal(t, ledger.Fired, state(t, l, "backup").Last.Outcome)
	})
}

// lateOwner lets a claim's owner act between Load and Settle.
type lateOwner struct {
	ledger.Ledger
	owner func()
}

func (l *lateOwner) Settle(ctx context.Context, runs ...ledger.Run) ([]ledger.Run, error) {
	l.owner()
	return l.Ledger.Settle(ctx, runs...)
}

func TestALostClaimIsNotActedOn(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var ours, theirs acts
		winner := newAgent(l, fire(t, "0 * * * *", theirs.returning(fired)))
		loser := newAgent(&hooked{Ledger: l, beforeClaim: func() error {
			_, err := winner.Tick(t.Context(), time.Now(), time.Now())
			return err
		}}, fire(t, "0 * * * *", ours.returning(fired)))
		tickAt(t, winner, 0)
		assert.Empty(t, tickAt(t, loser, time.Hour))
		assert.Empty(t, tickAt(t, loser, 5*time.Hour+45*time.Minute), "neither what was missed")
		assert.Zero(t, ours.count())
		assert.Equal(t, 2, theirs.count())
	})
}

// TestWhatAFasterAgentLeavesIsTakenAtOnce: its clock stands behind ours, so it saw
// less.
func TestWhatAFasterAgentLeavesIsTakenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var ours, theirs acts
		behind := newAgent(l, fire(t, "*/30 * * * *", theirs.returning(fired)))
		a := newAgent(&hooked{Ledger: l, beforeClaim: func() error {
			_, err := behind.Tick(t.Context(), midnight, midnight.Add(90*time.Minute))
			return err
		}}, fire(t, "*/30 * * * *", ours.returning(fired)))
		tickAt(t, behind, 0)
		assert.Equal(t, []string{"fired backup 02:00"}, told(tickAt(t, a, 2*time.Hour)))
		assert.Equal(t, 1, theirs.count())
		assert.Empty(t, tickAt(t, a, 2*time.Hour))
	})
}

func TestAClaimThatTookTooLongIsHandedBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		slow := func() error { time.Sleep(30*time.Second + 1); return nil }
		crons := []agent.Cron{fire(t, "0 1 * * *", did.returning(fired)), command(t, "0 1 * * *", did.returning(succeeded))}
		tickAt(t, newAgent(l, crons...), 0)
		runs := tickAt(t, newAgent(&hooked{Ledger: l, afterClaim: slow}, crons...), time.Hour)
		require.Equal(t, []string{"deferred backup 01:00", "succeeded import 01:00"}, told(runs))
		assert.Zero(t, runs[0].Attempts)
		assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, newAgent(l, crons...), time.Hour+5*time.Minute)))
		assert.Equal(t, 2, did.count())
	})
}

func TestFiresGoFirstAndTogether(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var mu sync.Mutex
		starts := map[time.Duration]int{}
		now, most := 0, 0
		begin := midnight.Add(time.Hour)
		act := func(operation bool) agent.Action {
			return func(context.Context, agent.Occurrence) agent.Result {
				mu.Lock()
				starts[time.Since(begin)]++
				if !operation {
					now++
					most = max(most, now)
				}
				mu.Unlock()
				time.Sleep(10 * time.Second)
				mu.Lock()
				if !operation {
					now--
				}
				mu.Unlock()
				return succeeded
			}
		}
		var crons []agent.Cron
		for n := range 5 {
			f, c := fire(t, "0 1 * * *", act(true)), command(t, "0 1 * * *", act(false))
			f.Name, c.Name = fmt.Sprintf("fire-%d", n), fmt.Sprintf("command-%d", n)
			crons = append(crons, c, f)
		}
		a := newAgent(l, crons...)
		a.MaxParallel = 2
		tickAt(t, a, 0)
		assert.Len(t, tickAt(t, a, time.Hour), 10)
		assert.Equal(t, 2, most)
		assert.Equal(t, map[time.Duration]int{0: 5, 10 * time.Second: 2, 20 * time.Second: 2, 30 * time.Second: 1}, starts)
	})
}

func TestACommandThatWaitsForItsPlaceIsNotTakenForDead(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		slow := func(_ context.Context, o agent.Occurrence) agent.Result {
			did.add(o)
			time.Sleep(10 * time.Minute)
			return succeeded
		}
		var crons []agent.Cron
		for n := range 5 {
			c := command(t, "0 1 * * *", slow)
			c.Name = fmt.Sprintf("command-%d", n)
			crons = append(crons, c)
		}
		a, other := newAgent(l, crons...), newAgent(reopen(t, filepath.Dir(l.Path())), crons...)
		a.MaxParallel = 1
		tickAt(t, a, 0)
		done := make(chan []ledger.Run)
		go func() { done <- tickAt(t, a, time.Hour) }()
		for at := 5 * time.Minute; at < 50*time.Minute; at += 5 * time.Minute {
			assert.Empty(t, tickAt(t, other, time.Hour+at+time.Second))
		}
		assert.Len(t, <-done, 5)
		assert.Equal(t, 5, did.count())
	})
}

func TestThreeAgentsActOnceOnEachOccurrenceOfADay(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		second := reopen(t, filepath.Dir(l.Path()))
		var did acts
		crons := []agent.Cron{fire(t, "*/30 * * * *", nil), command(t, "*/40 * * * *", nil), fire(t, "H H * * *", nil)}
		for i := range crons {
			crons[i].Name = fmt.Sprint(i)
			tries := map[string]int{}
			var mu sync.Mutex
			crons[i].Act = func(_ context.Context, o agent.Occurrence) agent.Result {
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				// The first try of every second one is handed back.
				if tries[o.RunID]++; tries[o.RunID] == 1 && o.Due.Hour()%2 == 0 {
					return deferred
				}
				did.add(o)
				return succeeded
			}
		}
		const day = 24 * time.Hour
		tickAt(t, newAgent(l, crons...), 0)
		var all sync.WaitGroup
		for n, ledgers := range []ledger.Ledger{l, l, second} {
			all.Go(func() {
				a := newAgent(ledgers, crons...)
				for at := 5 * time.Minute; at <= day+30*time.Minute; at += 5 * time.Minute {
					// The first and the third at the very same moment.
					tickAt(t, a, at+time.Duration(n%2)*time.Second)
				}
			})
		}
		all.Wait()
		seen := map[string]int{}
		for _, o := range did.made {
			seen[o.Cron+o.Due.String()]++
		}
		want := 0
		for _, cron := range crons {
			for due := cron.Schedule.Next(midnight); !due.After(midnight.Add(day)); due = cron.Schedule.Next(due) {
				want++
				assert.Equal(t, 1, seen[cron.Name+due.String()], "%s at %s", cron.Name, due)
			}
			assert.Empty(t, state(t, l, cron.Name).Open)
		}
		assert.Equal(t, 48+48+1, want)
		for o, n := range seen {
			assert.Equal(t, 1, n, o)
		}
	})
}

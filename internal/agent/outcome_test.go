package agent_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

func TestAHandedBackFireIsTriedAgainUntilItIsTooOld(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		cron := fire(t, "0 1 * * *", did.returning(deferred))
		cron.MissedWithin = time.Hour
		a := newAgent(l, cron)
		tickAt(t, a, 0)
		first := tickAt(t, a, time.Hour)
		require.Equal(t, []string{"deferred backup 01:00"}, told(first))
		id := first[0].ID
		var next time.Time
		for at := time.Hour; at <= 2*time.Hour; at += 30 * time.Second {
			time.Sleep(time.Until(midnight.Add(at)))
			waiting := state(t, l, "backup").HandedBack
			require.Len(t, waiting, 1)
			next = *waiting[0].NextTry
			attempts := waiting[0].Attempts
			assert.LessOrEqual(t, next.Sub(*waiting[0].Ended), min(time.Minute<<(attempts-1), 15*time.Minute))
			runs := tickAt(t, a, at)
			if next.After(midnight.Add(at)) {
				require.Empty(t, runs, "before its next try")
				continue
			}
			require.Len(t, runs, 1)
			assert.Equal(t, ledger.Deferred, runs[0].Outcome)
			assert.Equal(t, id, runs[0].ID)
			assert.Equal(t, attempts+1, runs[0].Attempts)
		}
		attempts := did.count()
		assert.Greater(t, attempts, 4)
		last := tickAt(t, a, 2*time.Hour+1)
		require.Equal(t, []string{"failed backup 01:00"}, told(last))
		assert.Equal(t, id, last[0].ID)
		assert.Equal(t, attempts, last[0].Attempts)
		assert.Contains(t, last[0].Reason, "gave up after")
		assert.Equal(t, deferred.Error, last[0].Error, "why it failed is still told")
		assert.Nil(t, last[0].NextTry)
		assert.Equal(t, attempts, did.count())
		assert.Empty(t, state(t, l, "backup").HandedBack)
		assert.Empty(t, tickAt(t, a, 3*time.Hour))
	})
}

func TestAHandedBackFireThatIsTakenInTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 * * * *", did.returning(deferred, fired)))
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		runs := tickAt(t, a, time.Hour+20*time.Minute)
		assert.Equal(t, []string{"fired backup 01:00"}, told(runs))
		assert.Empty(t, runs[0].Error)
		assert.Nil(t, runs[0].NextTry)
		assert.Equal(t, 0, *runs[0].ExitCode)
		assert.Empty(t, tickAt(t, a, time.Hour+30*time.Minute))
		assert.Equal(t, 2, did.count())
	})
}

// A backup that could not be taken all night is taken once when the platform
// answers again, not once for every hour of the night.
func TestWhatWasHandedBackGivesWayToWhatIsNewer(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 1-3 * * *", did.returning(deferred, deferred, deferred, fired)))
		tickAt(t, a, 0)
		assert.Equal(t, []string{"deferred backup 01:00"}, told(tickAt(t, a, time.Hour)))
		runs := tickAt(t, a, 2*time.Hour)
		assert.Equal(t, []string{"deferred backup 02:00", "missed backup 01:00"}, told(runs))
		assert.Contains(t, runs[0].Reason+runs[1].Reason, "a later occurrence has come due")
		assert.Equal(t, []string{"deferred backup 03:00", "missed backup 02:00"}, told(tickAt(t, a, 3*time.Hour)))
		assert.Equal(t, []string{"fired backup 03:00"}, told(tickAt(t, a, 3*time.Hour+20*time.Minute)))
		assert.Empty(t, tickAt(t, a, 4*time.Hour))
		assert.Equal(t, 4, did.count())
	})
}

// Two that were handed back in one tick: the newer one is tried again.
func TestOfSeveralHandedBackTheNewestIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		cron := command(t, "*/10 1 * * *", did.returning(failed, failed, failed, succeeded))
		cron.Retries = 1
		a := newAgent(l, cron)
		tickAt(t, a, 0)
		assert.Equal(t, []string{"deferred import 01:30", "deferred import 01:40", "deferred import 01:50"}, told(tickAt(t, a, 2*time.Hour))[:3])
		assert.Equal(t, []string{"missed import 01:30", "missed import 01:40", "succeeded import 01:50"}, told(tickAt(t, a, 2*time.Hour+20*time.Minute)))
		assert.Equal(t, 4, did.count())
	})
}

// Several backups at once are worth one.
func TestOfSeveralFiresThatAreOnTimeTheNewestIsMade(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "*/10 * * * *", did.returning(fired)))
		tickAt(t, a, 0)
		assert.Equal(t, []string{"fired backup 00:30", "missed backup 00:10-00:20 x2"}, told(tickAt(t, a, 35*time.Minute)))
		assert.Equal(t, []string{"fired backup 01:40", "missed backup 00:40-01:30 x6"}, told(tickAt(t, a, 105*time.Minute)))
		assert.Equal(t, 2, did.count())
	})
}

// Occurrences of one command that are due together run in their order, unless
// they may overlap.
func TestOccurrencesOfOneCommandQueueUp(t *testing.T) {
	for _, overlaps := range []bool{false, true} {
		t.Run(fmt.Sprintf("overlaps %t", overlaps), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				cron := command(t, "*/10 * * * *", func(_ context.Context, o agent.Occurrence) agent.Result {
					did.add(o)
					time.Sleep(time.Minute)
					return succeeded
				})
				cron.Overlaps = overlaps
				a := newAgent(l, cron)
				a.MaxParallel = 10
				tickAt(t, a, 0)
				tickAt(t, a, 30*time.Minute)
				took := time.Since(midnight.Add(30 * time.Minute))
				require.Equal(t, 3, did.count())
				if overlaps {
					assert.Equal(t, time.Minute, took)
					return
				}
				assert.Equal(t, 3*time.Minute, took)
				for i, o := range did.made {
					assert.Equal(t, midnight.Add(time.Duration(i+1)*10*time.Minute), o.Due.UTC())
				}
			})
		})
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		retries int
		fire    bool
		results []agent.Result
		want    string
	}{
		"a command that fails, as often as it may":  {2, false, []agent.Result{failed}, "deferred, deferred, failed"},
		"until it succeeds":                         {5, false, []agent.Result{failed, succeeded}, "deferred, succeeded"},
		"not without retries":                       {0, false, []agent.Result{failed}, "failed"},
		"not what was stopped at its limit":         {3, false, []agent.Result{{Outcome: ledger.TimedOut}}, "timed_out"},
		"not what was skipped":                      {3, false, []agent.Result{{Outcome: ledger.Skipped, Reason: "overlap"}}, "skipped"},
		"not a fire that failed for good":           {3, true, []agent.Result{failed}, "failed"},
		"not a fire of which nobody knows":          {3, true, []agent.Result{{Outcome: ledger.Uncertain}}, "uncertain"},
		"a fire that gave up for now, without them": {0, true, []agent.Result{deferred, deferred, deferred, fired}, "deferred, deferred, deferred, fired"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				cron := command(t, "0 1 * * *", did.returning(c.results...))
				if c.fire {
					cron = fire(t, "0 1 * * *", did.returning(c.results...))
				}
				cron.Retries = c.retries
				a := newAgent(l, cron)
				tickAt(t, a, 0)
				var outcomes []string
				for at := time.Hour; at < 6*time.Hour; at += 20 * time.Minute {
					for _, run := range tickAt(t, a, at) {
						outcomes = append(outcomes, string(run.Outcome))
						assert.Equal(t, len(outcomes), run.Attempts)
						assert.Equal(t, run.Outcome == ledger.Deferred, run.NextTry != nil)
						assert.NotNil(t, run.Started)
						if run.Outcome == ledger.Deferred && !c.fire {
							assert.Equal(t, fmt.Sprintf("attempt %d of %d failed", run.Attempts, c.retries+1), run.Reason)
							assert.Equal(t, "exit code 1", run.Error)
						}
					}
				}
				assert.Equal(t, c.want, join(outcomes))
				assert.Equal(t, strings.Count(c.want, ",")+1, did.count())
			})
		})
	}
}

func TestARefusalIsRecordedOnceADay(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "*/10 * * * *", did.returning(fired)))
		a.Crons[0].Refusal = "this is a development environment"
		const day = 24 * time.Hour
		var days []string
		total := 0
		for at := time.Duration(0); at < 4*day; at += 10 * time.Minute {
			for _, run := range tickAt(t, a, at) {
				assert.Equal(t, ledger.Skipped, run.Outcome)
				assert.Equal(t, a.Crons[0].Refusal, run.Reason)
				assert.Nil(t, run.Started)
				days = append(days, time.Now().Format("02"))
				total += run.Count
			}
		}
		assert.Equal(t, "01, 02, 03, 04", join(days))
		assert.Equal(t, 3*144, total, "each is counted once, those of the last day tomorrow")

		a.Crons[0].Refusal = "it is disabled"
		runs := tickAt(t, a, 4*day-time.Second)
		require.Len(t, runs, 1, "another reason is told at once")
		assert.Equal(t, "it is disabled", runs[0].Reason)
		assert.Empty(t, tickAt(t, a, 4*day-time.Second))

		assert.Len(t, tickAt(t, a, 4*day), 1, "and the new day has its own")
		assert.Empty(t, tickAt(t, a, 4*day+10*time.Minute))
		a.Crons[0].Refusal = ""
		runs = tickAt(t, a, 4*day+2*time.Hour)
		assert.Equal(t, []string{"fired backup 02:00", "missed backup 01:30-01:50 x3"}, told(runs),
			"what is on time is done, what came due before was not missed")
		assert.Equal(t, 1, did.count())
		assert.Equal(t, []string{"fired backup 05:00", "missed backup 02:10-04:50 x17"}, told(tickAt(t, a, 4*day+5*time.Hour)),
			"from then on it can be missed")
	})
}

func TestARefusedCronKeepsWhatItHandedBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 1 * * *", did.returning(deferred, fired)))
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		a.Crons[0].Refusal = "it is disabled"
		assert.Empty(t, tickAt(t, a, 2*time.Hour))
		a.Crons[0].Refusal = ""
		assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, 3*time.Hour)))
	})
}

func TestStoppedBeforeTheClaim(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 * * * *", did.returning(fired)))
		tickAt(t, a, 0)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		runs, err := a.Tick(ctx, time.Now(), time.Now())
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, runs)
		assert.Zero(t, did.count())
		assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, time.Hour+time.Minute)))
	})
}

func TestStoppedBetweenClaimAndAct(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		ctx, cancel := context.WithCancel(t.Context())
		crons := []agent.Cron{fire(t, "0 1 * * *", did.returning(fired)), command(t, "0 1 * * *", did.returning(succeeded)), fire(t, "0 1 * * *", nil)}
		crons[2].Name, crons[2].Refusal = "other", "not here"
		a := newAgent(&hooked{Ledger: l, afterClaim: func() error { cancel(); return nil }}, crons...)
		tickAt(t, newAgent(l, crons...), 0)
		time.Sleep(time.Hour)
		runs, err := a.Tick(ctx, time.Now(), time.Now())
		require.NoError(t, err, "it is recorded all the same")
		require.Equal(t, []string{"deferred backup 01:00", "deferred import 01:00", "skipped other 01:00"}, told(runs))
		for _, run := range runs {
			assert.Zero(t, run.Attempts)
			assert.Nil(t, run.Started, "nothing was started")
			assert.Nil(t, run.Ended)
		}
		assert.Zero(t, did.count())
		assert.Empty(t, state(t, l, "other").Open)
		runs = tickAt(t, newAgent(l, crons...), time.Hour+2*time.Minute)
		require.Equal(t, []string{"fired backup 01:00", "succeeded import 01:00"}, told(runs))
		assert.Equal(t, 1, runs[0].Attempts)
	})
}

func TestStoppedWhileActing(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		act := func(ctx context.Context, o agent.Occurrence) agent.Result {
			did.add(o)
			<-ctx.Done()
			return agent.Result{Outcome: ledger.Cancelled}
		}
		a := newAgent(l, command(t, "*/10 * * * *", act))
		a.MaxParallel = 1
		tickAt(t, a, 0)
		time.Sleep(30 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		runs, err := a.Tick(ctx, time.Now(), time.Now())
		require.NoError(t, err)
		outcomes := map[ledger.Outcome]int{}
		for _, run := range runs {
			outcomes[run.Outcome]++
		}
		assert.Equal(t, map[ledger.Outcome]int{ledger.Cancelled: 1, ledger.Deferred: 2}, outcomes, "those that waited are handed back")
		assert.Equal(t, 1, did.count())
		s := state(t, l, "import")
		assert.Empty(t, s.Open)
		assert.Len(t, s.HandedBack, 2)
	})
}

// A clock that was once far ahead leaves a watermark that nothing comes due
// after: that is said at every tick.
func TestAWatermarkInTheFutureIsNotSilent(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 * * * *", did.returning(fired)))
		wrong := midnight.AddDate(10, 0, 0)
		_, err := a.Tick(t.Context(), wrong, wrong)
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		for range 2 {
			runs, err := a.Tick(t.Context(), time.Now(), time.Now())
			require.ErrorContains(t, err, `cron "backup" is settled up to 2010-01-01T00:00:00Z, which is in the future`)
			assert.Empty(t, runs)
		}
		assert.Zero(t, did.count())
	})
}

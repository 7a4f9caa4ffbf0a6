package agent_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

func TestTheFirstTickBeginsNow(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var log bytes.Buffer
		a := newAgent(l, fire(t, "*/5 * * * *", did.returning(fired)))
		a.Log = slog.New(slog.NewTextHandler(&log, nil))
		assert.Empty(t, tickAt(t, a, 12*time.Minute))
		assert.Contains(t, log.String(), "begins now")
		assert.Contains(t, log.String(), "cron=backup")
		assert.Empty(t, tickAt(t, a, 14*time.Minute))
		log.Reset()
		runs := tickAt(t, a, 15*time.Minute)
		require.Equal(t, []string{"fired backup 00:15"}, told(runs))
		assert.NotContains(t, log.String(), "begins now")
		assert.Contains(t, log.String(), `level=INFO msg=fired cron=backup due=2000-01-01T00:15:00.000Z operation=backup:create activity=act1`)
		assert.Empty(t, tickAt(t, a, 15*time.Minute))

		run := runs[0]
		require.Len(t, did.made, 1)
		assert.Equal(t, agent.Occurrence{RunID: run.ID, Cron: "backup", Due: midnight.Add(15 * time.Minute)}, did.made[0])
		assert.Regexp(t, "^[a-z2-7]{16}$", run.ID)
		assert.Equal(t, ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"}, run.Key)
		assert.Equal(t, 1, run.Attempts)
		assert.Equal(t, fired.Activities, run.Activities)
		assert.True(t, run.Started.Equal(midnight.Add(15*time.Minute)))
		assert.NotNil(t, run.Ended)
		assert.Nil(t, run.NextTry)
		last := state(t, l, "backup").Last
		require.NotNil(t, last)
		assert.Equal(t, run.ID, last.ID)
	})
}

func TestTheLogHasTheZoneOfTheCronAlsoOfWhatTheLedgerHasInUTC(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var log bytes.Buffer
		cron := fire(t, "15 1 * * *", did.returning(fired))
		cron.Schedule = parse(t, "15 1 * * *", "Europe/Paris")
		a := newAgent(l, cron)
		a.Log = slog.New(slog.NewTextHandler(&log, nil))
		a.Look = func(context.Context, ledger.Run) ([]ledger.Activity, error) {
			return []ledger.Activity{{ID: "act1", Type: "environment.backup", State: "complete", Result: "success"}}, nil
		}
		assert.Empty(t, tickAt(t, a, 12*time.Minute))
		require.Len(t, tickAt(t, a, 15*time.Minute), 1)
		assert.Contains(t, log.String(), "msg=fired cron=backup due=2000-01-01T01:15:00.000+01:00")
		require.Len(t, tickAt(t, a, 20*time.Minute), 1)
		assert.Contains(t, log.String(), "msg=succeeded cron=backup due=2000-01-01T01:15:00.000+01:00")
	})
}

func TestWhatATickDoesAboutTheTimeSinceTheLast(t *testing.T) {
	t.Parallel()
	const hour, minute = time.Hour, time.Minute
	cases := map[string]struct {
		spec   string
		skip   bool
		within time.Duration // zero: a day
		ticks  []time.Duration
		want   []string
	}{
		"nothing before it is due":      {"0 * * * *", false, 0, []time.Duration{hour - 1}, nil},
		"due now":                       {"0 * * * *", false, 0, []time.Duration{hour}, []string{"succeeded import 01:00"}},
		"once only":                     {"0 * * * *", false, 0, []time.Duration{hour, hour + 1, hour + minute}, []string{"succeeded import 01:00"}},
		"on time to the last moment":    {"0 * * * *", true, 0, []time.Duration{hour + 30*minute}, []string{"succeeded import 01:00"}},
		"then missed":                   {"0 * * * *", true, 0, []time.Duration{hour + 30*minute + 1}, []string{"missed import 01:00"}},
		"missed, and caught up":         {"0 * * * *", false, 0, []time.Duration{hour + 30*minute + 1}, []string{"succeeded import 01:00"}},
		"the newest is caught up":       {"0 * * * *", false, 0, []time.Duration{5*hour + 45*minute}, []string{"missed import 01:00-04:00 x4", "succeeded import 05:00"}},
		"several skipped are one":       {"0 * * * *", true, 0, []time.Duration{5*hour + 45*minute}, []string{"missed import 01:00-05:00 x5"}},
		"not while another is on time":  {"0 * * * *", false, 0, []time.Duration{3*hour + 10*minute}, []string{"missed import 01:00-02:00 x2", "succeeded import 03:00"}},
		"one missed, one on time":       {"0 * * * *", false, 0, []time.Duration{2*hour + 10*minute}, []string{"missed import 01:00", "succeeded import 02:00"}},
		"caught up to the last moment":  {"0 * * * *", false, 40 * minute, []time.Duration{hour + 40*minute}, []string{"succeeded import 01:00"}},
		"too old to catch up":           {"0 * * * *", false, 40 * minute, []time.Duration{hour + 40*minute + 1}, []string{"missed import 01:00"}},
		"all that are on time":          {"*/10 * * * *", false, 0, []time.Duration{30 * minute}, []string{"succeeded import 00:10", "succeeded import 00:20", "succeeded import 00:30"}},
		"each in its tick":              {"*/10 * * * *", false, 0, []time.Duration{14 * minute, 21 * minute, 31 * minute}, []string{"succeeded import 00:10", "succeeded import 00:20", "succeeded import 00:30"}},
		"more than is looked at singly": {"@every 1s", true, hour, []time.Duration{100 * hour}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				cron := command(t, c.spec, did.returning(succeeded))
				cron.SkipMissed = c.skip
				if c.within > 0 {
					cron.MissedWithin = c.within
				}
				a := newAgent(l, cron)
				a.MaxParallel = 1
				require.Empty(t, tickAt(t, a, 0))
				if c.spec == "@every 1s" {
					time.Sleep(c.ticks[0])
					runs := a.Plan(loading(t, l), time.Now(), time.Now())
					// 100,000 one by one, then those of the last hour.
					require.Equal(t, 100_000+1800-1, runs[0].Count)
					assert.True(t, runs[0].Due.Equal(midnight.Add(time.Second)))
					assert.Len(t, runs, 1+1801)
					return
				}
				var runs []ledger.Run
				for _, at := range c.ticks {
					runs = append(runs, tickAt(t, a, at)...)
				}
				assert.Equal(t, join(c.want), join(told(runs)))
				assert.Empty(t, tickAt(t, a, c.ticks[len(c.ticks)-1]))
				s := state(t, l, "import")
				assert.Empty(t, s.Open, "everything is recorded")
				ids := map[string]bool{}
				acted := 0
				for _, run := range runs {
					ids[run.ID] = true
					if run.Outcome == ledger.Missed {
						assert.Nil(t, run.Started)
						assert.Nil(t, run.Ended)
						assert.Zero(t, run.Attempts)
						assert.NotEmpty(t, run.Reason)
					} else {
						acted++
						assert.Equal(t, "done\n", run.Output)
					}
				}
				assert.Len(t, ids, len(runs))
				assert.Equal(t, acted, did.count())
			})
		})
	}
}

func TestAClockThatGoesBackRepeatsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 * * * *", did.returning(fired)))
		tickAt(t, a, 0)
		tickAt(t, a, 3*time.Hour)
		require.Equal(t, 1, did.count())
		for _, to := range []time.Time{midnight, midnight.Add(time.Hour), midnight.Add(2 * time.Hour), midnight.Add(3 * time.Hour)} {
			runs, err := a.Tick(t.Context(), to, to)
			if to.Equal(midnight.Add(3 * time.Hour)) {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "which is in the future")
			}
			assert.Empty(t, runs)
		}
		assert.Equal(t, 1, did.count())
	})
}

func TestTheEndOfTimeIsTheEndOfASchedule(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		a := newAgent(l, fire(t, "* * * * *", nil))
		end := time.Unix(1<<40, 0)
		assert.Empty(t, a.Plan(nil, end, end.Add(time.Hour)))
	})
}

func TestClockChangesInParis(t *testing.T) {
	t.Parallel()
	nights := map[string]struct {
		day   time.Time // the local midnight before
		hours int       // in that day
		once  string    // when 30 2 * * * is due, in UTC
	}{
		"forward": {time.Date(2000, 3, 25, 23, 0, 0, 0, time.UTC), 23, "01:00"},
		"back":    {time.Date(2000, 10, 28, 22, 0, 0, 0, time.UTC), 25, "00:30"},
	}
	for name, night := range nights {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var daily, half, hourly acts
				crons := []agent.Cron{
					command(t, "@daily", daily.returning(succeeded)), command(t, "@daily", half.returning(succeeded)), command(t, "@daily", hourly.returning(succeeded)),
				}
				for i, spec := range []string{"30 2 * * *", "*/30 * * * *", "0 * * * *"} {
					crons[i].Name, crons[i].Schedule = spec, parse(t, spec, "Europe/Paris")
				}
				a := newAgent(l, crons...)
				tickAt(t, a, night.day.Sub(midnight)-1)
				for at := time.Duration(0); at < time.Duration(night.hours)*time.Hour; at += 15 * time.Minute {
					tickAt(t, a, night.day.Sub(midnight)+at)
				}
				require.Equal(t, 1, daily.count())
				assert.Equal(t, night.once, daily.made[0].Due.UTC().Format("15:04"))
				assert.Equal(t, 2*night.hours, half.count())
				assert.Equal(t, night.hours, hourly.count())
			})
		})
	}
}

func TestTenThousandCronsInOneTick(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		crons := copies(fire(t, "0 1 * * *", did.returning(fired)), 10_000)
		for i := range crons {
			if i%100 != 0 {
				crons[i].Refusal = "not here"
			}
		}
		a := newAgent(l, crons...)
		require.Empty(t, tickAt(t, a, 0))
		runs := tickAt(t, a, time.Hour)
		assert.Len(t, runs, 10_000)
		assert.Equal(t, 100, did.count())
		assert.Empty(t, tickAt(t, a, time.Hour+time.Minute))
		assert.Zero(t, l.Damaged())
	})
}

// loading reads a ledger for Plan.
func loading(t *testing.T, l ledger.Ledger) func([]ledger.Key) []ledger.State {
	return func(keys []ledger.Key) []ledger.State {
		states, err := l.Load(t.Context(), keys)
		require.NoError(t, err)
		return states
	}
}

func TestPlanOnlySays(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 * * * *", did.returning(deferred)), command(t, "0 * * * *", did.returning(succeeded)))
		a.Crons[1].Refusal = "not here"
		plan := func(from time.Time, fresh bool) []string {
			if fresh {
				return told(a.Plan(nil, from, time.Now()))
			}
			return told(a.Plan(loading(t, l), from, time.Now()))
		}
		assert.Empty(t, plan(time.Now(), false))
		assert.Zero(t, state(t, l, "backup").Watermark, "an unknown cron stays unknown")
		tickAt(t, a, 0)
		time.Sleep(time.Hour)
		for range 2 {
			assert.Equal(t, []string{" backup 01:00", "skipped import 01:00"}, plan(midnight, false))
		}
		assert.Zero(t, did.count())
		tickAt(t, a, time.Hour)
		time.Sleep(20 * time.Minute)
		assert.Equal(t, []string{" backup 01:00"}, plan(midnight, false), "handed back: it would be acted on")
		time.Sleep(2 * time.Hour)
		a.Crons[0].MissedWithin = time.Hour
		assert.Equal(t, []string{" backup 03:00", "failed backup 01:00", "missed backup 02:00"}, plan(midnight, false))
		assert.Equal(t, []string{" backup 03:00", "missed backup 01:00-02:00 x2", "skipped import 01:00-03:00 x3"}, plan(midnight, true))
	})
}

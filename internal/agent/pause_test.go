package agent_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// pause pauses a cron, or without a name all of them; zero ends that.
func pause(t *testing.T, l ledger.Ledger, cron string, d time.Duration) {
	t.Helper()
	p := ledger.Pause{Reason: "migration"}
	if d > 0 {
		p.Until = time.Now().Add(d)
	}
	require.NoError(t, l.Pause(t.Context(), []ledger.Key{{Project: "p", Environment: "main", App: "app", Cron: cron}}, p))
}

func TestAPause(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	cases := map[string]struct {
		pause func(t *testing.T, l ledger.Ledger) // half past midnight
		ticks []time.Duration
		want  []string // of the hourly backup; the import, at the same times, is never paused by itself
		other []string
	}{
		"of one cron": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "backup", 2*hour) }, []time.Duration{hour, 2 * hour, 3 * hour},
			[]string{"skipped 01:00", "fired 03:00"}, []string{"succeeded 01:00", "succeeded 02:00", "succeeded 03:00"},
		},
		"of all": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "", 2*hour) }, []time.Duration{hour, 2 * hour, 3 * hour},
			[]string{"skipped 01:00", "fired 03:00"}, []string{"skipped 01:00", "succeeded 03:00"},
		},
		"of both, of which the longer counts": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "", hour); pause(t, l, "backup", 2*hour) },
			[]time.Duration{hour, 2 * hour, 3 * hour},
			[]string{"skipped 01:00", "fired 03:00"}, []string{"skipped 01:00", "succeeded 02:00", "succeeded 03:00"},
		},
		"that was ended": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "backup", 2*hour); pause(t, l, "backup", 0) }, []time.Duration{hour, 2 * hour},
			[]string{"fired 01:00", "fired 02:00"}, []string{"succeeded 01:00", "succeeded 02:00"},
		},
		"that ends at the very moment": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "backup", 90*minute) }, []time.Duration{hour, 2 * hour},
			[]string{"skipped 01:00", "fired 02:00"}, []string{"succeeded 01:00", "succeeded 02:00"},
		},
		"after which nothing of it is missed": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "", 5*hour+10*minute) }, []time.Duration{hour, 2 * hour, 5*hour + 45*minute, 6 * hour},
			[]string{"skipped 01:00", "fired 06:00"}, []string{"skipped 01:00", "succeeded 06:00"},
		},
		"of which nobody took notice": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "", 5*hour+10*minute) }, []time.Duration{5*hour + 45*minute, 6 * hour},
			[]string{"fired 06:00"}, []string{"succeeded 06:00"},
		},
		"but what came due afterwards is": {
			func(t *testing.T, l ledger.Ledger) { pause(t, l, "", hour) }, []time.Duration{hour, 4*hour + 45*minute},
			[]string{"skipped 01:00", "missed 02:00-03:00 x2", "fired 04:00"}, []string{"skipped 01:00", "missed 02:00-03:00 x2", "succeeded 04:00"},
		},
		"and what came due before": {
			func(t *testing.T, l ledger.Ledger) { time.Sleep(2 * hour); pause(t, l, "", hour) }, []time.Duration{4*hour + 10*minute},
			[]string{"missed 01:00-02:00 x2", "fired 04:00"}, []string{"missed 01:00-02:00 x2", "succeeded 04:00"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				a := newAgent(l, fire(t, "0 * * * *", did.returning(fired)), command(t, "0 * * * *", did.returning(succeeded)))
				tickAt(t, a, 0)
				time.Sleep(30 * minute)
				c.pause(t, l)
				for _, at := range c.ticks {
					tickAt(t, a, at)
				}
				short := func(cron string) string {
					var texts []string
					for _, run := range history(t, l, cron) {
						texts = append(texts, strings.Replace(told([]ledger.Run{run})[0], " "+cron, "", 1))
						if run.Outcome == ledger.Skipped {
							assert.Regexp(t, `^paused until 2000-01-01T0\d:\d0:00Z: migration$`, run.Reason)
						}
					}
					return join(texts)
				}
				assert.Equal(t, join(c.want), short("backup"))
				assert.Equal(t, join(c.other), short("import"))
			})
		})
	}
}

// TestATriggerDuringAPauseIsNotItsEnd for what came due meanwhile.
func TestATriggerDuringAPauseIsNotItsEnd(t *testing.T) {
	for _, force := range []bool{false, true} {
		bubbleOf := func(t *testing.T, l *ledger.File) {
			var did acts
			a := newAgent(l, command(t, "15 * * * *", did.returning(succeeded)))
			tickAt(t, a, 0)
			pause(t, l, "import", 10*time.Hour)
			tickAt(t, a, time.Hour+15*minute)
			time.Sleep(8 * time.Hour)
			run, err := a.Trigger(t.Context(), "import", force)
			require.NoError(t, err)
			want := 0
			if force {
				assert.Equal(t, ledger.Succeeded, run.Outcome)
				want = 1
			} else {
				assert.Equal(t, ledger.Skipped, run.Outcome)
				assert.Contains(t, run.Reason, "paused until 2000-01-01T10:00:00Z: migration")
			}
			assert.Equal(t, want, did.count())
			assert.Empty(t, tickAt(t, a, 10*time.Hour), "the one at 9:15 was not missed")
			assert.Equal(t, []string{"succeeded import 10:15"}, told(tickAt(t, a, 10*time.Hour+15*minute)))
		}
		t.Run(map[bool]string{true: "by force", false: "in vain"}[force], func(t *testing.T) { bubble(t, bubbleOf) })
	}
}

func TestAPauseHoldsWhatWasHandedBack(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, fire(t, "0 1 * * *", did.returning(deferred, fired)))
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		pause(t, l, "", 3*time.Hour)
		for at := time.Hour + minute; at < 4*time.Hour; at += 10 * minute {
			assert.Empty(t, tickAt(t, a, at))
		}
		assert.Equal(t, []string{"fired backup 01:00"}, told(tickAt(t, a, 4*time.Hour)))
	})
}

func TestRunKeepsAPauseAndItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		a := newAgent(l, command(t, "*/10 * * * *", did.returning(succeeded)))
		a.Late = minute
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx) })
		time.Sleep(15 * minute)
		pause(t, l, "", 30*minute)
		time.Sleep(20 * minute)
		assert.Equal(t, []string{"00:10:00"}, dues(&did))
		time.Sleep(20 * minute) // it has ended by itself
		assert.Equal(t, []string{"00:10:00", "00:50:00"}, dues(&did))
		pause(t, l, "import", 100*time.Hour)
		time.Sleep(20 * minute)
		pause(t, l, "import", 0)
		time.Sleep(20 * minute)
		cancel()
		running.Wait()
		assert.Equal(t, []string{"00:10:00", "00:50:00", "01:20:00", "01:30:00"}, dues(&did))
		for _, run := range history(t, l, "import") {
			assert.NotEqual(t, ledger.Missed, run.Outcome)
		}
	})
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(t *testing.T, a *agent.Agent)
		cron   string
		force  bool
		acted  bool
		want   ledger.Outcome
		reason string
	}{
		"acts now":                      {nil, "import", false, true, ledger.Succeeded, ""},
		"not on a cron that is refused": {func(_ *testing.T, a *agent.Agent) { a.Crons[1].Refusal = "not here" }, "import", false, false, ledger.Skipped, "not here"},
		"not even by force":             {func(_ *testing.T, a *agent.Agent) { a.Crons[1].Refusal = "not here" }, "import", true, false, ledger.Skipped, "not here"},
		"not while it is paused":        {func(t *testing.T, a *agent.Agent) { pause(t, a.Ledger, "import", minute) }, "import", false, false, ledger.Skipped, "paused until"},
		"nor while all are":             {func(t *testing.T, a *agent.Agent) { pause(t, a.Ledger, "", minute) }, "import", false, false, ledger.Skipped, "paused until"},
		"but by force":                  {func(t *testing.T, a *agent.Agent) { pause(t, a.Ledger, "", minute) }, "import", true, true, ledger.Succeeded, ""},
		"not for others' pauses":        {func(t *testing.T, a *agent.Agent) { pause(t, a.Ledger, "backup", minute) }, "import", false, true, ledger.Succeeded, ""},
		"and is not tried again later":  {nil, "backup", false, true, ledger.Deferred, ""},
		"not even if it may be retried": {func(t *testing.T, a *agent.Agent) {
			a.Crons[1].Act = (&acts{}).returning(failed)
			a.Crons[1].Retries = 3
		}, "import", false, false, ledger.Failed, ""},
		"a pause that is over is none":   {func(t *testing.T, a *agent.Agent) { pause(t, a.Ledger, "", minute); time.Sleep(minute) }, "import", false, true, ledger.Succeeded, ""},
		"a cron that is not known yet":   {func(_ *testing.T, a *agent.Agent) { a.Crons[1].Name = "new" }, "new", false, true, ledger.Succeeded, ""},
		"a name that no cron has is not": {nil, "imports", false, false, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				a := newAgent(l, fire(t, "0 1 * * *", did.returning(deferred)), command(t, "0 1 * * *", did.returning(succeeded)))
				tickAt(t, a, 0)
				if c.change != nil {
					c.change(t, a)
				}
				run, err := a.Trigger(t.Context(), c.cron, c.force)
				if c.want == "" {
					require.ErrorIs(t, err, agent.ErrUnknown)
					assert.Zero(t, did.count())
					return
				}
				require.NoError(t, err)
				assert.Equal(t, c.want, run.Outcome)
				assert.Contains(t, run.Reason, c.reason)
				assert.Nil(t, run.Due)
				assert.Nil(t, run.NextTry)
				assert.Equal(t, c.acted, did.count() == 1)
				if c.acted {
					assert.True(t, time.Now().Equal(did.made[0].Due))
					assert.Equal(t, run.ID, did.made[0].RunID)
				}
				runs := history(t, l, c.cron)
				if c.want == ledger.Skipped {
					assert.Empty(t, runs, "a refusal is said, and leaves no trace")
				} else {
					require.Len(t, runs, 1)
					assert.Equal(t, run.ID, runs[0].ID)
					assert.Equal(t, c.want, runs[0].Outcome)
				}
				before := did.count()
				tickAt(t, a, 30*minute)
				assert.Equal(t, before, did.count(), "nothing of it is left")
				if c.cron != "new" && !strings.Contains(c.reason, "not here") {
					tickAt(t, a, time.Hour)
					assert.Len(t, history(t, l, c.cron), len(runs)+1, "what is due stays due")
				}
			})
		})
	}
}

func TestSeveralSkipsInARowAreWarnedOf(t *testing.T) {
	t.Parallel()
	skipped := agent.Result{Outcome: ledger.Skipped, Reason: "the run before it has not ended yet"}
	cases := map[string]struct {
		results []agent.Result
		want    int
	}{
		"three":                      {[]agent.Result{skipped, skipped, skipped, succeeded}, 1},
		"four are warned of once":    {[]agent.Result{skipped, skipped, skipped, skipped, succeeded}, 1},
		"two are none":               {[]agent.Result{skipped, skipped, succeeded}, 0},
		"nor are three not in a row": {[]agent.Result{skipped, skipped, succeeded, skipped, succeeded}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				var log bytes.Buffer
				a := newAgent(l, command(t, "0 * * * *", did.returning(c.results...)))
				a.Log = slog.New(slog.NewTextHandler(&log, nil))
				tickAt(t, a, 0)
				for at := time.Hour; at <= 5*time.Hour; at += time.Hour {
					tickAt(t, a, at)
				}
				assert.Equal(t, c.want, strings.Count(log.String(), `level=WARN msg="skipped several times in a row`))
			})
		})
	}
}

// TestWhatWasRefusedIsNoOverlap: it is skipped as well.
func TestWhatWasRefusedIsNoOverlap(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var log bytes.Buffer
		a := newAgent(l, command(t, "0 12 * * *", (&acts{}).returning(agent.Result{Outcome: ledger.Skipped})))
		a.Log = slog.New(slog.NewTextHandler(&log, nil))
		tickAt(t, a, 0)
		a.Crons[0].Refusal = "it is disabled"
		require.Len(t, tickAt(t, a, 12*time.Hour), 1)
		require.Len(t, tickAt(t, a, 36*time.Hour), 1)
		a.Crons[0].Refusal = ""
		require.Len(t, tickAt(t, a, 60*time.Hour), 1)
		assert.NotContains(t, log.String(), "in a row")
		tickAt(t, a, 84*time.Hour)
		tickAt(t, a, 108*time.Hour)
		assert.Contains(t, log.String(), "in a row")
	})
}

package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// people are told, and keep what they hear.
type people struct {
	mu    sync.Mutex
	heard []string
	full  []agent.Notice
	deaf  []string      // the ways by which nothing gets through
	slow  time.Duration // how long it takes to tell
}

func (p *people) telling(on ...agent.Event) *agent.Telling {
	if on == nil {
		on = []agent.Event{agent.Failure, agent.Uncertain, agent.Missed, agent.Recovered}
	}
	return &agent.Telling{On: on, Ways: []string{"mail"}, Send: p.send}
}

func (p *people) send(ctx context.Context, n agent.Notice) (left []string, why string) {
	p.mu.Lock()
	slow := p.slow
	p.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return n.Ways, "told to stop"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, way := range n.Ways {
		if slices.Contains(p.deaf, way) {
			left = append(left, way)
			continue
		}
		text := fmt.Sprintf("%s: %s", n.Event, n.Run.Outcome)
		if way != "mail" {
			text = way + " " + text
		}
		if n.Run.Due != nil {
			text += " " + n.Run.Due.UTC().Format("15:04")
		}
		if n.Failures > 0 && n.Event != "" {
			text += fmt.Sprintf(" x%d since %s", n.Failures, n.Since.UTC().Format("15:04"))
		}
		p.heard = append(p.heard, text)
		p.full = append(p.full, n)
	}
	if len(left) > 0 {
		why = "nobody answers"
	}
	return left, why
}

// take returns what was heard since it was last called.
func (p *people) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := strings.Join(p.heard, "; ")
	p.heard = nil
	return heard
}

func (p *people) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// import is a command that is due every ten minutes and ends as results say, told
// to people.
func importing(t *testing.T, p *people, on []agent.Event, results ...agent.Result) agent.Cron {
	t.Helper()
	var a acts
	cron := command(t, "*/10 * * * *", a.returning(results...))
	cron.Telling = p.telling(on...)
	return cron
}

func tickAll(t *testing.T, a *agent.Agent, p *people, minutes ...int) []string {
	t.Helper()
	var heard []string
	for _, m := range minutes {
		tickAt(t, a, time.Duration(m)*time.Minute)
		heard = append(heard, p.take())
	}
	return heard
}

func TestPeopleHearOnceOfAStreak(t *testing.T) {
	timedOut := agent.Result{Outcome: ledger.TimedOut, Error: "stopped at its time limit"}
	for name, c := range map[string]struct {
		on      []agent.Event
		results []agent.Result
		want    []string
	}{
		"once, and when it is over": {nil, []agent.Result{succeeded, failed, timedOut, failed, succeeded, succeeded, failed, succeeded}, []string{
			"", "failure: failed 00:20 x1 since 00:20", "", "", "recovered: succeeded 00:50 x3 since 00:20", "", "failure: failed 01:10 x1 since 01:10", "recovered: succeeded 01:20 x1 since 01:10"}},
		"from the first run on": {nil, []agent.Result{failed, failed, succeeded}, []string{"failure: failed 00:10 x1 since 00:10", "", "recovered: succeeded 00:30 x2 since 00:10"}},
		"not when it is over":   {[]agent.Event{agent.Failure}, []agent.Result{failed, failed, succeeded, failed}, []string{"failure: failed 00:10 x1 since 00:10", "", "", "failure: failed 00:40 x1 since 00:40"}},
		"only when it is over":  {[]agent.Event{agent.Recovered}, []agent.Result{failed, succeeded}, []string{"", ""}},
		"of every success":      {[]agent.Event{agent.Success, agent.Failure}, []agent.Result{succeeded, failed, failed, succeeded, succeeded}, []string{"success: succeeded 00:10", "failure: failed 00:20 x1 since 00:20", "", "success: succeeded 00:40", "success: succeeded 00:50"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var p people
				a := newAgent(l, importing(t, &p, c.on, c.results...))
				tickAt(t, a, 0)
				for n, want := range c.want {
					at := 10 * (n + 1)
					assert.Equal(t, []string{want}, tickAll(t, a, &p, at), at)
					assert.Equal(t, []string{""}, tickAll(t, a, &p, at+5), "nothing more between two runs")
					// A new process remembers.
					if n%2 == 1 {
						again := newAgent(l, a.Crons...)
						a = again
					}
				}
			})
		})
	}
}

// What people hear is the run with what it printed, and what went before.
func TestWhatPeopleHear(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		bad := failed
		bad.Output = "no space left\n"
		a := newAgent(l, importing(t, &p, nil, succeeded, bad, succeeded))
		for m := 0; m <= 30; m += 10 {
			tickAt(t, a, time.Duration(m)*time.Minute)
		}
		require.Len(t, p.full, 2)
		n := p.full[0]
		assert.Equal(t, "no space left\n", n.Run.Output)
		assert.Equal(t, "exit code 1", n.Run.Error)
		assert.True(t, n.LastSuccess.Equal(midnight.Add(10*time.Minute)), n.LastSuccess)
		assert.Equal(t, []string{"mail"}, n.Ways)
		told := state(t, l, "import").Told
		assert.Equal(t, "recovered", told.Event)
		assert.Equal(t, p.full[1].Run.ID, told.Run)
		assert.Empty(t, told.Streak)
		assert.Empty(t, told.Left)
		assert.True(t, told.At.Equal(midnight.Add(30*time.Minute)))
	})
}

// A message that does not get through is sent by the next tick, and the one after it,
// for as long as it is about the newest run.
func TestAMessageThatDoesNotGetThrough(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{deaf: []string{"mail"}}
		cron := importing(t, &p, nil, failed, succeeded)
		cron.Schedule = parse(t, "0 * * * *", "UTC")
		cron.Telling.Ways = []string{"mail", "webhook"}
		a := newAgent(l, cron)
		assert.Equal(t, []string{"", "webhook failure: failed 01:00 x1 since 01:00", ""}, tickAll(t, a, &p, 0, 60, 65))
		told := state(t, l, "import").Told
		assert.Equal(t, []string{"mail"}, told.Left)
		assert.Equal(t, 2, told.Tries)
		assert.Equal(t, "nobody answers", told.Error)
		p.deaf = nil
		assert.Equal(t, []string{"failure: failed 01:00 x1 since 01:00", ""}, tickAll(t, a, &p, 70, 75), "not by the way that had worked")
		told = state(t, l, "import").Told
		assert.Empty(t, told.Left)
		assert.Empty(t, told.Error)
		assert.Equal(t, 3, told.Tries)

		// So it is when it is over.
		p.deaf = []string{"mail"}
		assert.Equal(t, []string{"webhook recovered: succeeded 02:00 x1 since 01:00"}, tickAll(t, a, &p, 120))
		p.deaf = nil
		assert.Equal(t, []string{"recovered: succeeded 02:00 x1 since 01:00", ""}, tickAll(t, newAgent(l, cron), &p, 125, 130))
	})
}

func TestANewerRunTakesTheMessageOver(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{deaf: []string{"mail"}}
		a := newAgent(l, importing(t, &p, nil, failed, failed, succeeded, succeeded))
		trigger := func() string {
			_, err := a.Trigger(t.Context(), "import", false)
			require.NoError(t, err)
			return p.take()
		}
		assert.Equal(t, []string{"", "", ""}, tickAll(t, a, &p, 0, 10, 15))
		p.deaf = nil
		assert.Equal(t, "failure: failed x2 since 00:10", trigger(), "nobody had heard of the first one")
		p.deaf = []string{"mail"}
		assert.Equal(t, []string{"", ""}, tickAll(t, a, &p, 20, 25))
		p.deaf = nil
		assert.Equal(t, "recovered: succeeded x2 since 00:10", trigger(), "nor that it was over")
		assert.Equal(t, []string{""}, tickAll(t, a, &p, 29))
	})
}

// An agent that dies between a record and the message leaves that to the next, and
// one that dies while it sends is waited for: twice is better than never.
func TestWhoeverTellsMayDie(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		cron := importing(t, &p, nil, failed)
		cron.Schedule = parse(t, "0 * * * *", "UTC")
		silent := cron
		silent.Telling = nil
		tickAt(t, newAgent(l, silent), 0)
		tickAt(t, newAgent(l, silent), time.Hour) // and dies
		assert.Equal(t, []string{"failure: failed 01:00 x1 since 01:00", ""}, tickAll(t, newAgent(l, cron), &p, 65, 70))

		key := ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "import"}
		told := state(t, l, "import").Told
		told.Left, told.At = []string{"mail"}, time.Now()
		won, err := l.Tell(t.Context(), key, told) // and dies
		require.NoError(t, err)
		require.True(t, won)
		time.Sleep(30 * time.Second)
		_, err = newAgent(l, cron).Tick(t.Context(), time.Now(), time.Now())
		require.NoError(t, err)
		assert.Empty(t, p.take(), "he may be at it still")
		assert.Equal(t, []string{"failure: failed 01:00 x1 since 01:00", ""}, tickAll(t, newAgent(l, cron), &p, 75, 80))
	})
}

// Of many agents that share a ledger one tells.
func TestOneOfManyTells(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{slow: time.Second}
		var crons []agent.Cron
		for n := range 20 {
			cron := importing(t, &p, nil, failed, succeeded)
			cron.Name = fmt.Sprintf("import %d", n)
			crons = append(crons, cron)
		}
		for m := 0; m <= 20; m += 5 {
			time.Sleep(time.Until(midnight.Add(time.Duration(m) * time.Minute)))
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					_, err := newAgent(l, crons...).Tick(t.Context(), time.Now(), time.Now())
					assert.NoError(t, err)
				})
			}
			all.Wait()
		}
		counts := map[string]int{}
		for _, n := range p.full {
			counts[string(n.Event)+" "+n.Run.Cron]++
		}
		assert.Len(t, counts, 40)
		for what, n := range counts {
			assert.Equal(t, 1, n, what)
		}
	})
}

// An agent that finds that another one was faster does not tell.
func TestAnotherAgentIsFaster(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		h := &hooked{Ledger: l}
		h.beforeTell = func(key ledger.Key, told ledger.Told) error {
			h.beforeTell = nil
			_, err := l.Tell(t.Context(), key, told)
			return err
		}
		a := newAgent(h, importing(t, &p, nil, failed))
		assert.Equal(t, []string{"", ""}, tickAll(t, a, &p, 0, 10))
		assert.Nil(t, h.beforeTell)
	})
}

// What a monitor did not hear is of no interest any more when it has heard of a newer
// run.
func TestWhatIsOutOfDateIsNotTold(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{deaf: []string{"ping"}}
		cron := importing(t, &p, nil, succeeded)
		cron.Telling.Ways, cron.Telling.EachRun = []string{"mail", "ping"}, []string{"ping"}
		a := newAgent(l, cron)
		tickAll(t, a, &p, 0, 10)
		require.Equal(t, []string{"ping"}, state(t, l, "import").Told.Left)
		p.deaf = nil
		_, err := a.Trigger(t.Context(), "import", false)
		require.NoError(t, err)
		assert.Equal(t, "ping : succeeded", p.take())
		assert.Equal(t, []string{""}, tickAll(t, a, &p, 15))
		assert.Empty(t, state(t, l, "import").Told.Left)
	})
}

// Telling holds up no fire and no command.
func TestTellingHoldsNothingUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{slow: 5 * time.Second}
		var a acts
		fires := fire(t, "*/10 * * * *", a.returning(failed))
		fires.Telling = p.telling()
		fires.Telling.EachRun = []string{"mail"}
		fires.Telling.Begin = func(ctx context.Context, _ ledger.Run) { time.Sleep(5 * time.Second) }
		runs := command(t, "*/10 * * * *", a.returning(succeeded))
		runs.Telling = p.telling()
		agents := newAgent(l, fires, runs)
		tickAt(t, agents, 0)
		began := midnight.Add(10 * time.Minute)
		got := tickAt(t, agents, 10*time.Minute)
		for _, run := range got {
			assert.True(t, run.Ended.Equal(began), "%s ended %s", run.Cron, run.Ended)
		}
		assert.Equal(t, 2, a.count())
		assert.Equal(t, 10*time.Second, time.Since(began), "the end is told after the beginning")
		assert.Equal(t, "failure: failed 00:10 x1 since 00:10", p.take())
	})
}

// Where nobody can be told in time, the rest is left to the next tick.
func TestTimeToTellIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{slow: 5 * time.Second, deaf: []string{"mail"}}
		var crons []agent.Cron
		for n := range 130 {
			cron := importing(t, &p, nil, failed)
			cron.Name, cron.Schedule = fmt.Sprintf("import %d", n), parse(t, "0 * * * *", "UTC")
			crons = append(crons, cron)
		}
		a := newAgent(l, crons...)
		a.MaxParallel = 130
		tickAt(t, a, 0)
		tickAt(t, a, time.Hour)
		assert.Less(t, time.Since(midnight.Add(time.Hour)), 40*time.Second)
		p.slow, p.deaf = 0, nil
		tickAt(t, a, 65*time.Minute)
		assert.Len(t, p.full, 130)
	})
}

// What became of a fire that was accepted is told when it is known.
func TestPeopleHearWhatBecameOfAFire(t *testing.T) {
	look := func(result *string) func(context.Context, ledger.Run) ([]ledger.Activity, error) {
		return func(context.Context, ledger.Run) ([]ledger.Activity, error) {
			if *result == "" {
				return nil, errors.New("not yet")
			}
			return []ledger.Activity{{ID: "act1", State: "complete", Result: *result}}, nil
		}
	}
	t.Run("of a cron", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *ledger.File) {
			var p people
			var made acts
			result := ""
			cron := fire(t, "0 * * * *", made.returning(fired))
			cron.Telling = p.telling()
			a := newAgent(l, cron)
			a.Look = look(&result)
			assert.Equal(t, []string{"", "", ""}, tickAll(t, a, &p, 0, 60, 65), "accepted is not done")
			result = "failure"
			assert.Equal(t, []string{"failure: failed 01:00 x1 since 01:00", ""}, tickAll(t, a, &p, 70, 75))
			result = ""
			assert.Equal(t, []string{""}, tickAll(t, a, &p, 120), "accepted is no recovery")
			result = "success"
			assert.Equal(t, []string{"recovered: succeeded 02:00 x1 since 01:00", ""}, tickAll(t, a, &p, 125, 130))

			// The end of an older one comes while a newer one has not ended.
			result = ""
			assert.Equal(t, []string{"", ""}, tickAll(t, a, &p, 180, 240))
			a.Look = func(_ context.Context, run ledger.Run) ([]ledger.Activity, error) {
				if run.Due.Equal(midnight.Add(4 * time.Hour)) {
					return nil, errors.New("not yet")
				}
				return []ledger.Activity{{ID: "act1", State: "complete", Result: "failure"}}, nil
			}
			p.deaf = []string{"mail"}
			assert.Equal(t, []string{""}, tickAll(t, a, &p, 245))
			p.deaf = nil
			assert.Equal(t, []string{"failure: failed 03:00 x1 since 03:00", ""}, tickAll(t, a, &p, 250, 255))
		})
	})
	t.Run("that was bare", func(t *testing.T) {
		bubble(t, func(t *testing.T, l *ledger.File) {
			var p people
			result := ""
			a := newAgent(l)
			a.Look, a.Telling = look(&result), p.telling()
			n := 0
			record := func(operation string, outcome ledger.Outcome, pending bool) {
				n++
				require.NoError(t, l.Record(t.Context(), ledger.Run{
					ID: fmt.Sprint("bare", n), Key: ledger.Key{Project: "p", Environment: "main", App: "app"}, Operation: operation,
					Outcome: outcome, Started: new(time.Now()), Ended: new(time.Now()), Pending: pending, Activities: []ledger.Activity{{ID: "act1"}}, Count: 1,
				}))
			}
			record("backup:create", ledger.Fired, true)
			assert.Equal(t, []string{""}, tickAll(t, a, &p, 5))
			result = "failure"
			assert.Equal(t, []string{"failure: failed x1 since 00:00", ""}, tickAll(t, a, &p, 10, 15))
			record("backup:create", ledger.Failed, false)
			assert.Equal(t, []string{"", ""}, tickAll(t, a, &p, 20, 25), "once of a streak")
			record("environment:redeploy", ledger.Failed, false)
			assert.Equal(t, []string{"failure: failed x1 since 00:25", ""}, tickAll(t, a, &p, 30, 35), "another operation is another matter")
			record("backup:create", ledger.Fired, true)
			result = "success"
			assert.Equal(t, []string{"recovered: succeeded x2 since 00:00", ""}, tickAll(t, a, &p, 40, 45))
		})
	})
}

func TestPeopleHearHowAnUncertainFireEnded(t *testing.T) {
	for name, c := range map[string]struct {
		found []ledger.Activity
		ends  string
		want  []string
	}{
		"it was taken":      {[]ledger.Activity{{ID: "act1"}}, "success", []string{"uncertain: uncertain 01:00 x1 since 01:00", "", "", "recovered: succeeded 01:00"}},
		"it was, and fails": {[]ledger.Activity{{ID: "act1"}}, "failure", []string{"uncertain: uncertain 01:00 x1 since 01:00", "", "", "failure: failed 01:00 x1 since 01:00"}},
		"it was not taken":  {nil, "", []string{"uncertain: uncertain 01:00 x1 since 01:00", "", "", "failure: failed 01:00 x1 since 01:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var p people
				var made acts
				cron := fire(t, "0 * * * *", made.returning(agent.Result{Outcome: ledger.Uncertain, ExitCode: new(6)}))
				cron.Telling, cron.MissedWithin = p.telling(), 0
				a := newAgent(l, cron)
				a.Find = func(context.Context, ledger.Run, time.Duration) ([]ledger.Activity, int, *agent.Result) {
					if time.Since(midnight) < 66*time.Minute {
						return nil, 0, nil
					}
					return c.found, 0, nil
				}
				a.Look = func(context.Context, ledger.Run) ([]ledger.Activity, error) {
					return []ledger.Activity{{ID: "act1", State: "complete", Result: c.ends}}, nil
				}
				tickAt(t, a, 0)
				// That it failed once long ago has nothing to do with it.
				for n, outcome := range []ledger.Outcome{ledger.Failed, ledger.Succeeded} {
					require.NoError(t, l.Record(t.Context(), ledger.Run{ID: string(outcome), Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "backup"},
						Operation: "backup:create", Outcome: outcome, Due: new(midnight.Add(time.Duration(n-9) * time.Hour)), Count: 1}))
				}
				assert.Equal(t, c.want, tickAll(t, a, &p, 60, 65, 69, 75))
				assert.Equal(t, []string{""}, tickAll(t, a, &p, 80))
			})
		})
	}
}

func TestPeopleHearOfWhatWasMissed(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		cron := importing(t, &p, nil, succeeded)
		cron.SkipMissed = true
		a := newAgent(l, cron)
		assert.Equal(t, []string{"", "", "missed: missed 00:20 x1 since 00:50; recovered: succeeded 01:00 x1 since 00:50"}, tickAll(t, a, &p, 0, 10, 85))
	})
}

// A claim whose owner died is told of when it is settled.
func TestPeopleHearOfDeadAgents(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		cron := importing(t, &p, nil, succeeded)
		a := newAgent(l, cron)
		tickAt(t, a, 0)
		_, err := l.Claim(t.Context(), []ledger.Claim{{Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "import"}, ID: "dead", Due: midnight.Add(10 * time.Minute), Settle: time.Minute}})
		require.NoError(t, err)
		assert.Equal(t, []string{"failure: cancelled 00:10 x1 since 00:10", ""}, tickAll(t, a, &p, 12, 15))
		assert.Equal(t, []string{"recovered: succeeded 00:20 x1 since 00:10"}, tickAll(t, a, &p, 20))
	})
}

// Three skips in a row are worth a message, one or two are not. If it then fails,
// that is another matter.
func TestPeopleHearOfSkips(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		skipped := agent.Result{Outcome: ledger.Skipped, Reason: "the run before it has not ended yet"}
		on := []agent.Event{agent.SkippedAgain, agent.Failure, agent.Recovered}
		a := newAgent(l, importing(t, &p, on, skipped, skipped, succeeded, skipped, skipped, skipped, skipped, failed, failed, succeeded))
		assert.Equal(t, []string{"", "", "", "", "", "", "skipped: skipped 01:00", "", "failure: failed 01:20 x1 since 01:20", "", "recovered: succeeded 01:40 x2 since 01:20"},
			tickAll(t, a, &p, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100))
	})
}

// Who hears of each run hears of its beginning too.
func TestMonitorsHearOfEachRun(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		cron := importing(t, &p, nil, succeeded, failed, failed, succeeded, succeeded)
		cron.Telling.Ways, cron.Telling.EachRun = []string{"mail", "ping"}, []string{"ping"}
		cron.Telling.Begin = func(_ context.Context, run ledger.Run) {
			time.Sleep(time.Second)
			p.set(func() { p.heard = append(p.heard, "begins "+run.Due.UTC().Format("15:04")) })
		}
		a := newAgent(l, cron)
		assert.Equal(t, []string{"",
			"begins 00:10; ping : succeeded 00:10",
			"begins 00:20; failure: failed 00:20 x1 since 00:20; ping failure: failed 00:20 x1 since 00:20",
			"begins 00:30; ping : failed 00:30",
			"begins 00:40; recovered: succeeded 00:40 x2 since 00:20; ping recovered: succeeded 00:40 x2 since 00:20",
			"begins 00:50; ping : succeeded 00:50"}, tickAll(t, a, &p, 0, 10, 20, 30, 40, 50))

		// A success that a monitor did not hear of would be an alarm.
		p.deaf = []string{"ping"}
		tickAll(t, a, &p, 60, 65)
		assert.Equal(t, []string{"ping"}, state(t, l, "import").Told.Left)
		p.deaf = nil
		assert.Equal(t, []string{"ping : succeeded 01:00", ""}, tickAll(t, a, &p, 66, 67))
	})
}

func TestRunTellsPeople(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		p := people{deaf: []string{"mail"}}
		cron := importing(t, &p, nil, failed, failed, succeeded)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		a := newAgent(l, cron)
		running.Go(func() { a.Run(ctx) })
		time.Sleep(10*time.Minute + 30*time.Second)
		assert.NotEmpty(t, state(t, l, "import").Told.Left)
		p.set(func() { p.deaf = nil })
		time.Sleep(time.Minute)
		assert.Equal(t, "failure: failed 00:10 x1 since 00:10", p.take(), "within a minute")
		time.Sleep(10 * time.Minute)
		assert.Empty(t, p.take())
		p.set(func() { p.slow = time.Hour })
		time.Sleep(time.Until(midnight.Add(30*time.Minute + time.Second)))
		stopped := time.Now()
		cancel()
		running.Wait()
		assert.Equal(t, time.Second, time.Since(stopped), "who is being told is given a second more")
		assert.Empty(t, p.take())
		assert.Equal(t, "recovered", state(t, l, "import").Told.Event)
		p.set(func() { p.slow = 0 })

		ctx, cancel = context.WithCancel(t.Context())
		running.Go(func() { newAgent(l, cron).Run(ctx) })
		synctest.Wait()
		assert.Equal(t, "recovered: succeeded 00:30 x2 since 00:10", p.take(), "as soon as it is there again")
		cancel()
		running.Wait()
	})
}

// Others die between their records and their messages. Run notices when it comes up,
// and when the cron is due again.
func TestRunTellsForTheDead(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		cron := importing(t, &p, nil, succeeded)
		record := func(id string) {
			require.NoError(t, l.Record(t.Context(), ledger.Run{ID: id, Key: ledger.Key{Project: "p", Environment: "main", App: "app", Cron: "import"},
				Outcome: ledger.Failed, Due: new(time.Now()), Count: 1}))
		}
		record("before")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		running.Go(func() { newAgent(l, cron).Run(ctx) })
		time.Sleep(time.Minute + 30*time.Second)
		assert.Equal(t, "failure: failed 00:00 x1 since 00:00", p.take())
		time.Sleep(10 * time.Minute)
		assert.Equal(t, "recovered: succeeded 00:10 x1 since 00:00", p.take())
		record("meanwhile")
		time.Sleep(8 * time.Minute)
		assert.Empty(t, p.take(), "nothing is asked of the ledger meanwhile")
		time.Sleep(time.Minute)
		assert.Equal(t, "failure: failed 00:11 x1 since 00:11; recovered: succeeded 00:20 x1 since 00:11", p.take())
		cancel()
		running.Wait()
	})
}

func TestTriggerTellsPeople(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		a := newAgent(l, importing(t, &p, nil, failed, succeeded))
		tickAt(t, a, 0)
		for _, want := range []string{"failure: failed x1 since 00:00", "recovered: succeeded x1 since 00:00"} {
			_, err := a.Trigger(t.Context(), "import", false)
			require.NoError(t, err)
			assert.Equal(t, want, p.take())
			time.Sleep(time.Second)
		}
	})
}

// A ledger that fails keeps nothing from being done, and nothing from being told
// later.
func TestTellingWithoutALedger(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var p people
		h := &hooked{Ledger: l}
		cron := importing(t, &p, nil, failed)
		a := newAgent(h, cron)
		tickAt(t, a, 0)
		h.record = func() error {
			h.load = func() error { return errors.New("gone") }
			return nil
		}
		time.Sleep(time.Until(midnight.Add(10 * time.Minute)))
		runs, err := a.Tick(t.Context(), time.Now(), time.Now())
		require.NoError(t, err)
		assert.Equal(t, []string{"failed import 00:10"}, told(runs))
		assert.Empty(t, p.take())
		h.load, h.record = nil, nil
		assert.Equal(t, []string{"failure: failed 00:10 x1 since 00:10"}, tickAll(t, a, &p, 15))
	})
}

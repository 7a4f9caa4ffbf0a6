package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// once is a cron that makes a backup, was due some minutes ago, and will not be due
// again while a test runs.
func once(now time.Time) (cron string, due time.Time) {
	spec, age := onceSpec(now)
	return fmt.Sprintf(`"backup": {"spec": %q, "fire": "backup:create"}`, spec), now.Truncate(time.Second).Add(-age)
}

// onceSpec is its spec, and how long ago it was due.
func onceSpec(now time.Time) (spec string, age time.Duration) {
	for every := int64(1500); ; every++ {
		if age := now.Unix() % every; age >= 300 && age <= 600 {
			return fmt.Sprintf("@every %ds", every), time.Duration(age) * time.Second
		}
	}
}

// TestKilledAtEachStepOfAFire: the process dies at a step between the claim and
// the record. Nothing is sent again before it is known that nothing was taken; what
// was taken is found.
func TestKilledAtEachStepOfAFire(t *testing.T) {
	t.Parallel()
	type step struct {
		command string
		faults  []sandbox.Fault
		come    func(s *stage) bool // the step has come
		taken   bool                // the platform took the operation
		races   bool                // or not: the process is a little faster than we are
		ended   bool                // its outcome is recorded
	}
	cases := map[string]step{}
	for name, c := range map[string]step{
		"the claim is written": {come: func(s *stage) bool { return len(s.entries("claim")) > 0 }, races: true},
		"the token is asked for": {faults: []sandbox.Fault{{On: "token", DelayBefore: time.Hour}},
			come: func(s *stage) bool { return len(s.server.Requests()) == 1 }},
		"it reads whether it was done already": {faults: []sandbox.Fault{{On: "get", DelayBefore: time.Hour}},
			come: func(s *stage) bool { return len(s.server.Requests()) == 2 }},
		"the POST has arrived": {faults: []sandbox.Fault{{On: "post", DelayBefore: time.Hour}},
			come: func(s *stage) bool { return len(s.server.Requests()) == 3 }},
		"the platform has acted": {faults: []sandbox.Fault{{On: "post", DelayAfter: time.Hour}}, taken: true,
			come: func(s *stage) bool { return len(s.server.Accepted()) == 1 }},
		"the answer is out": {taken: true, races: true,
			come: func(s *stage) bool { all := s.server.Requests(); return len(all) == 3 && all[2].Status != 0 }},
		"the outcome is recorded": {taken: true, ended: true,
			come: func(s *stage) bool { return len(s.entries("run")) > 0 }},
	} {
		for _, command := range []string{"run", "tick"} {
			c.command = command
			cases[command+": "+name] = c
		}
	}
	together(t, cases, func(t *testing.T, c step) {
		cron, due := once(time.Now())
		s := newStage(t, application(cron), nil)
		require.NoError(t, s.server.Fault(c.faults...))
		killed := s.live(c.command)
		for !c.come(s) && !killed.over() {
			if !c.races && !c.ended {
				time.Sleep(time.Millisecond)
			}
		}
		require.True(t, c.come(s), "it ended: %s", killed.out.String())
		killed.kill()
		s.server.ClearFaults()
		s.atRest()

		// It is due no more, and nobody knows what came of it.
		claims := s.entries("claim")
		require.Len(t, claims, 1)
		assert.True(t, claims[0].Due.Equal(due))
		posted := len(s.server.Accepted())
		if !c.races {
			assert.Equal(t, c.taken, posted == 1)
		}
		ended := len(s.entries("run")) > 0
		assert.True(t, ended || !c.ended)
		s.tick()
		require.Len(t, s.server.Accepted(), posted, "it was fired again")
		if ended {
			assert.Equal(t, 1, posted)
			assert.Contains(t, []ledger.Outcome{ledger.Fired, ledger.Succeeded}, s.newest()[claims[0].ID].Outcome)
			return
		}
		require.Empty(t, s.entries("run"), "it was settled while its owner could be alive")

		// Its time is up.
		s.rewrite(func(e *entry) {
			if e.Event == "claim" {
				e.age("at", e.Settle)
			}
		})
		s.tick()
		require.Equal(t, ledger.Uncertain, s.newest()[claims[0].ID].Outcome)
		s.tick()
		run := s.newest()[claims[0].ID]
		require.Len(t, s.server.Accepted(), posted, "it was fired again")
		if posted == 1 {
			assert.Equal(t, ledger.Fired, run.Outcome)
		} else {
			// Absence proves nothing, for ten minutes.
			require.Equal(t, ledger.Uncertain, run.Outcome)
			s.rewrite(func(e *entry) {
				if e.Event == "run" {
					e.age("started", 10*time.Minute)
				}
			})
			s.tick()
			require.Equal(t, ledger.Deferred, s.newest()[claims[0].ID].Outcome)
			require.Empty(t, s.server.Accepted())
			s.tick()
			run = s.newest()[claims[0].ID]
			assert.Equal(t, ledger.Fired, run.Outcome)
			assert.Equal(t, 2, run.Attempts)
		}
		require.Len(t, s.server.Accepted(), 1)
		require.Len(t, run.Activities, 1)
		assert.Equal(t, s.server.Accepted()[0].Activities[0], run.Activities[0].ID)
		assert.Len(t, s.newest(), 1)
	})
}

// TestKilledWhileACommandRuns: the command goes on without us, no second one is
// begun beside it, and its occurrence is not run again.
func TestKilledWhileACommandRuns(t *testing.T) {
	t.Parallel()
	together(t, map[string]string{"run": "run", "tick": "tick"}, func(t *testing.T, command string) {
		s := newStage(t, application(`"import": {"spec": "@every 1s", "commands": {"start": "echo $CRONAGENT_RUN_ID >> began; while [ ! -e end ]; do sleep 0.05; done; echo $CRONAGENT_RUN_ID >> done"}}`), nil)
		s.tick() // begins now
		s.until("an occurrence", func() bool { return time.Since(s.entries("begin")[0].At) > 1100*time.Millisecond })
		killed := s.live(command)
		s.until("the command", func() bool { return len(s.words("app/began")) == 1 })
		killed.kill()
		victim := s.words("app/began")[0]
		assert.Nil(t, s.newest()[victim])
		assert.Empty(t, s.words("app/done"))

		time.Sleep(1100 * time.Millisecond) // the next one is due
		s.tick()
		assert.Equal(t, []string{victim}, s.words("app/began"), "it was begun again beside the first")
		for id, run := range s.newest() {
			assert.Contains(t, []ledger.Outcome{ledger.Skipped, ledger.Missed}, run.Outcome)
			assert.NotEqual(t, victim, id)
		}
		s.rewrite(func(e *entry) {
			if e.Event == "claim" && e.ID == victim {
				e.age("at", e.Settle)
			}
		})
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "app/end"), nil, 0o600))
		s.until("the end of the command", func() bool { return len(s.words("app/done")) == 1 })
		s.tick()
		require.NotNil(t, s.newest()[victim])
		assert.Equal(t, ledger.Cancelled, s.newest()[victim].Outcome)
		assert.Contains(t, s.newest()[victim].Error, "the agent died")
		began := s.words("app/began")
		assert.Len(t, began, len(unique(began)), "an occurrence was run twice")
	})
}

// TestKilledTwice: of two fires of one kind whose owner died, one was taken. One of
// them is found to be it, not both.
func TestKilledTwice(t *testing.T) {
	t.Parallel()
	first, _ := once(time.Now())
	second := strings.Replace(first, "backup", "second", 1)
	s := newStage(t, application(first+", "+second), nil)
	require.NoError(t, s.server.Fault(
		sandbox.Fault{On: "post", Times: 1, DelayAfter: time.Hour}, sandbox.Fault{On: "post", Times: 1, DelayBefore: time.Hour},
		// Neither sees what the other did.
		sandbox.Fault{On: "get", DelayAfter: 500 * time.Millisecond}))
	killed := s.live("tick")
	s.until("two POSTs", func() bool {
		posts := 0
		for _, r := range s.server.Requests() {
			if strings.HasSuffix(r.Path, "/backup") {
				posts++
			}
		}
		return posts == 2 && len(s.server.Accepted()) == 1
	})
	killed.kill()
	s.atRest()
	s.rewrite(func(e *entry) {
		if e.Event == "claim" {
			e.age("at", e.Settle)
		}
	})
	s.tick()
	s.tick()
	assert.Len(t, ofOneRunEach(t, s), 1)
	assert.Len(t, s.newest(), 2)
	assert.Len(t, s.server.Accepted(), 1)
}

// TestKilledAtRandom kills agents around the moments at which something is due, and
// compares their ledgers with what the fake platform saw and with what the commands
// wrote.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	lanes, kills := 12, 17
	if os.Getenv("CRONAGENT_LONG") != "" {
		kills = 100
	}
	var open, all atomic.Int64
	together(t, numbered(lanes), func(t *testing.T, _ int) {
		s := newStage(t, application(`
			"backup": {"spec": "@every 1s", "fire": "backup:create"},
			"update": {"spec": "@every 2s", "fire": "source-operation:run update"},
			"import": {"spec": "@every 1s", "commands": {"start": "echo $CRONAGENT_RUN_ID >> began; sleep 0.05; echo $CRONAGENT_RUN_ID >> done"}}`), nil)
		require.NoError(t, s.server.Fault(
			sandbox.Fault{On: "post", DelayBefore: 10 * time.Millisecond, DelayAfter: 20 * time.Millisecond},
			sandbox.Fault{On: "token", DelayBefore: 10 * time.Millisecond}))
		// A first run that is recorded: before there is one the platform is asked
		// what was done, and its answer is exact to two seconds only.
		s.tick()
		begin := time.Now()
		for n := range kills {
			command := "run"
			if n%4 == 3 {
				command = "tick"
			}
			l := s.live(command)
			if command == "run" {
				s.until("the agent", func() bool { return strings.Contains(l.out.String(), "msg=running") })
				time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
			}
			time.Sleep(rand.N(120 * time.Millisecond))
			l.kill()
		}
		s.atRest()
		died := account(t, s, begin)
		open.Add(int64(len(died)))
		all.Add(int64(kills))

		// The time of all that died is up.
		s.rewrite(func(e *entry) {
			if e.Event == "claim" && died[e.ID] {
				e.fields["settle"] = 0
			}
		})
		s.tick()
		now := s.newest()
		for id := range died {
			if assert.NotNil(t, now[id], "%s was not settled", id) {
				want := ledger.Uncertain
				if now[id].Operation == "" {
					want = ledger.Cancelled
				}
				assert.Equal(t, want, now[id].Outcome)
			}
		}
		assert.Empty(t, account(t, s, begin))
		s.tick()
		ofOneRunEach(t, s)
	})
	t.Logf("%d kills, %d occurrences without an outcome", all.Load(), open.Load())
	assert.NotZero(t, open.Load(), "no kill came between a claim and its record")
}

// TestKilledAfterClaimingWhatWasMissed: several occurrences that nobody acts on are
// claimed as one. If its owner dies then, they are all accounted for.
func TestKilledAfterClaimingWhatWasMissed(t *testing.T) {
	t.Parallel()
	for range 30 {
		s := newStage(t, application(`"backup": {"spec": "@every 1s", "fire": "backup:create"}`), nil)
		s.tick()
		// As if nobody had been there for a while.
		s.rewrite(func(e *entry) {
			if e.Event != "begin" {
				e.age("due", 20*time.Second)
			}
		})
		watermark := *s.entries("claim")[0].Due
		l := s.live("tick")
		for len(s.entries("claim")) == 1 && !l.over() {
		}
		l.kill()
		s.atRest()
		if died := account(t, s, watermark); len(died) == 1 {
			return
		}
	}
	t.Error("no kill came between the claims and the fire")
}

// TestADeploymentWipesTheStateDirectory at any time between the due of a backup
// and the ticks after it: it is made once. Neither one of ours that was made before
// it was due, nor one that a colleague made, stands for it.
func TestADeploymentWipesTheStateDirectory(t *testing.T) {
	t.Parallel()
	sequences := 10
	if os.Getenv("CRONAGENT_LONG") != "" {
		sequences = 100
	}
	together(t, numbered(sequences), func(t *testing.T, _ int) {
		cron, due := once(time.Now())
		s := newStage(t, application(cron), nil)
		require.NoError(t, s.server.Happen(sandbox.Event{By: sandbox.DefaultUser, At: due.Add(-time.Minute)}))
		require.NoError(t, s.server.Happen(sandbox.Event{By: sandbox.Colleague, At: due.Add(time.Minute)}))
		wipe := func() { require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "state"))) }
		cut := func(fault sandbox.Fault, come func() bool) {
			require.NoError(t, s.server.Fault(fault))
			l := s.live("tick")
			for !come() && !l.over() {
				time.Sleep(time.Millisecond)
			}
			l.kill()
			s.server.ClearFaults()
			s.atRest()
		}
		events := map[string]func(){
			"wipe": wipe,
			"tick": func() { s.tick() },
			"tick killed before the platform acts": func() {
				before := len(s.server.Requests())
				cut(sandbox.Fault{On: "post", DelayBefore: time.Hour}, func() bool {
					all := s.server.Requests()
					return len(all) > before && strings.HasSuffix(all[len(all)-1].Path, "/backup")
				})
			},
			"tick killed after the platform acted": func() {
				before := len(s.server.Accepted())
				cut(sandbox.Fault{On: "post", DelayAfter: time.Hour}, func() bool { return len(s.server.Accepted()) > before })
			},
		}
		var names, happened []string
		for name := range events {
			names = append(names, name)
		}
		for range 5 {
			name := names[rand.N(len(names))]
			happened = append(happened, name)
			events[name]()
			require.LessOrEqual(t, len(s.server.Accepted()), 1, "after %q", happened)
		}
		wipe()
		s.tick()
		assert.Len(t, s.server.Accepted(), 1, "after %q, a wipe and a tick", happened)
		s.tick()
		assert.Len(t, s.server.Accepted(), 1, "after %q, a wipe and two ticks", happened)
	})
}

func numbered(n int) map[string]int {
	all := map[string]int{}
	for i := range n {
		all[fmt.Sprint(i)] = i
	}
	return all
}

// account compares the ledger with what the fake platform saw and with what the
// commands wrote, for crons named by what they do. It returns the runs that are
// claimed and have no record. Everything that came due after begin and up to the
// watermarks must be in the ledger, once.
func account(t *testing.T, s *stage, begin time.Time) (died map[string]bool) {
	t.Helper()
	every := map[string]int64{"backup": 1, "update": 2, "import": 1}
	operations := map[string]string{"backup": "backup", "source-operation": "update"}
	runs, claims, died := s.newest(), map[string]entry{}, map[string]bool{}
	owners, marks := map[string]map[int64]string{}, map[string]int64{}
	note := func(cron string, due int64, id string) {
		if owners[cron] == nil {
			owners[cron] = map[int64]string{}
		}
		if other := owners[cron][due]; other != "" && other != id {
			t.Errorf("%s of %s belongs to two runs, %s and %s", cron, time.Unix(due, 0).UTC(), other, id)
		}
		owners[cron][due] = id
	}
	for _, e := range s.entries("claim") {
		claims[e.ID] = e
		note(e.Cron, e.Due.Unix(), e.ID)
		marks[e.Cron] = max(marks[e.Cron], e.Due.Unix())
		died[e.ID] = runs[e.ID] == nil
	}
	maps.DeleteFunc(died, func(_ string, dead bool) bool { return !dead })
	ofActivity := ofOneRunEach(t, s)
	for id, run := range runs {
		assert.Contains(t, claims, id, "it was not claimed")
		last, count := run.Due.Unix(), 0
		if run.Until != nil {
			last = run.Until.Unix()
		}
		for due := run.Due.Unix(); due <= last; due += every[run.Cron] {
			note(run.Cron, due, id)
			count++
		}
		assert.Equal(t, run.Count, count)
		if run.Operation != "" && (run.Outcome == ledger.Fired || run.Outcome == ledger.Succeeded) {
			assert.Len(t, run.Activities, 1)
		}
	}
	for cron, mark := range marks {
		for due := begin.Unix() + 1; due <= mark; due++ {
			if due%every[cron] == 0 && owners[cron][due] == "" {
				t.Errorf("%s of %s has vanished", cron, time.Unix(due, 0).UTC())
			}
		}
	}

	// What was taken is of a run that says so, or of one that died soon after its
	// claim, another one each.
	open := map[string][]time.Time{}
	for id, claim := range claims {
		if died[id] || runs[id].Outcome == ledger.Uncertain {
			open[claim.Cron] = append(open[claim.Cron], claim.At)
		}
	}
	for _, at := range open {
		slices.SortFunc(at, time.Time.Compare)
	}
	for _, taken := range s.server.Accepted() {
		cron := operations[taken.Operation]
		if id := ofActivity[taken.Activities[0]]; id != "" {
			assert.False(t, taken.Time.Before(claims[id].At), "%s was fired before it was claimed", id)
			continue
		}
		i := slices.IndexFunc(open[cron], func(at time.Time) bool { return !taken.Time.Before(at) && taken.Time.Sub(at) < 5*time.Second })
		if i < 0 {
			t.Errorf("%s was fired at %s and belongs to no occurrence", cron, taken.Time.UTC())
			continue
		}
		open[cron] = slices.Delete(open[cron], i, i+1)
	}

	began, done := s.words("app/began"), s.words("app/done")
	assert.Len(t, began, len(unique(began)), "an occurrence was run twice")
	for _, id := range began {
		assert.Contains(t, claims, id)
	}
	for id, run := range runs {
		if run.Operation == "" && run.Outcome != ledger.Cancelled {
			ran := run.Outcome == ledger.Succeeded
			assert.Equal(t, ran, slices.Contains(began, id), "%s", run.Outcome)
			assert.Equal(t, ran, slices.Contains(done, id), "%s", run.Outcome)
		}
	}
	return died
}

// ofOneRunEach tells which run each activity is of.
func ofOneRunEach(t *testing.T, s *stage) map[string]string {
	t.Helper()
	of := map[string]string{}
	for id, run := range s.newest() {
		for _, activity := range run.Activities {
			assert.Empty(t, of[activity.ID], "two runs take activity %s for theirs", activity.ID)
			of[activity.ID] = id
		}
	}
	return of
}

func unique(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}

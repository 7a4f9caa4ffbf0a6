package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/schedule"
)

// machine is one whose wall clock can be set. The clock of a bubble cannot, so
// what the agent is told of it is, and its timers go on: as when a clock is set, or
// a machine comes back from being suspended.
type machine struct {
	t      *testing.T
	set    time.Duration // how far its wall clock is from the bubble's
	ledger *ledger.File
	log    bytes.Buffer
	agent  *Agent
	loop   *loop
}

const jumpSpec = "*/10 * * * *"

func newMachine(t *testing.T, dir string) *machine {
	t.Helper()
	l, err := ledger.OpenFile(t.Context(), dir)
	require.NoError(t, err)
	s, err := schedule.Parse(jumpSpec, time.UTC, schedule.NewSeed("p", "app", "import"))
	require.NoError(t, err)
	m := &machine{t: t, ledger: l}
	m.agent = &Agent{
		Ledger: shifted{l, m}, Project: "p", Environment: "main", App: "app", Late: time.Minute, Log: slog.New(slog.NewTextHandler(&m.log, nil)),
		Crons: []Cron{{
			Name: "import", Schedule: s, Limit: time.Minute, MissedWithin: 24 * time.Hour,
			Act: func(context.Context, Occurrence) Result { return Result{Outcome: ledger.Succeeded} },
		}},
	}
	m.agent.setUp()
	return m
}

// shifted is the machine's ledger: its clock is the machine's.
type shifted struct {
	*ledger.File
	m *machine
}

func (s shifted) Now() time.Time { return s.m.now() }

func (m *machine) now() time.Time { return time.Now().Round(0).Add(m.set) }

// run runs the agent for a while of the machine's uptime, as Run does.
func (m *machine) run(d time.Duration) {
	if m.loop == nil {
		m.loop = &loop{
			Agent: m.agent, up: time.Now(), next: make([]time.Time, len(m.agent.Crons)), retries: map[int]time.Time{}, poke: make(chan struct{}, 1),
		}
	}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Second) {
		require.NoError(m.t, m.loop.act(m.t.Context()))
		m.loop.running.Wait()
	}
}

// tick lets the agent tick every five minutes for a while.
func (m *machine) tick(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Minute) {
		_, err := m.agent.Tick(m.t.Context(), m.now(), m.now())
		if err != nil {
			fmt.Fprintln(&m.log, err)
		}
	}
}

func (m *machine) history() string {
	runs, err := m.ledger.History(m.t.Context(), m.agent.key("import"), 1000)
	require.NoError(m.t, err)
	var texts []string
	for _, run := range runs {
		text := run.Due.UTC().Format("2 15:04")
		if run.Count > 1 {
			text += fmt.Sprintf(" to %s x%d", run.Until.UTC().Format("2 15:04"), run.Count)
		}
		if run.Outcome != ledger.Succeeded {
			text += " " + string(run.Outcome)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// TestTheWallClockJumps: nothing is done twice, nothing is lost without a word, and
// what is silent says so. The clock stands at 0:25 on the first day when it jumps,
// and half an hour is lived after that.
func TestTheWallClockJumps(t *testing.T) {
	t.Parallel()
	const hour, day = time.Hour, 24 * time.Hour
	const before = "1 00:10, 1 00:20, "
	cases := map[string]struct {
		jump, then time.Duration // then: it is set right after 15 minutes
		run, tick  string
		complains  bool
	}{
		"no jump": {0, 0, before + "1 00:30, 1 00:40, 1 00:50", before + "1 00:30, 1 00:40, 1 00:50", false},
		"forward by seconds": {
			20 * time.Second, 0, before + "1 00:30, 1 00:40, 1 00:50", before + "1 00:30, 1 00:40, 1 00:50", false,
		},
		"forward over one": {
			5*time.Minute + 30*time.Second, 0, before + "1 00:30, 1 00:40, 1 00:50, 1 01:00", before + "1 00:30, 1 00:40, 1 00:50", false,
		},
		"forward by hours, or suspended": {
			3 * hour, 0,
			before + "1 00:30 to 1 03:10 x17 missed, 1 03:20, 1 03:30, 1 03:40, 1 03:50",
			before + "1 00:30 to 1 02:50 x15 missed, 1 03:00, 1 03:10, 1 03:20, 1 03:30, 1 03:40, 1 03:50", false,
		},
		"forward by days, or suspended": {
			3 * day, 0,
			before + "1 00:30 to 4 00:10 x431 missed, 4 00:20, 4 00:30, 4 00:40, 4 00:50",
			before + "1 00:30 to 3 23:50 x429 missed, 4 00:00, 4 00:10, 4 00:20, 4 00:30, 4 00:40, 4 00:50", false,
		},
		"back by seconds": {
			-20 * time.Second, 0, before + "1 00:30, 1 00:40, 1 00:50", before + "1 00:30, 1 00:40", false,
		},
		"back over one": {-6 * time.Minute, 0, before + "1 00:30, 1 00:40", before + "1 00:30, 1 00:40", false},
		"back by hours": {-3 * hour, 0, strings.TrimSuffix(before, ", "), strings.TrimSuffix(before, ", "), true},
		"back by days":  {-3 * day, 0, strings.TrimSuffix(before, ", "), strings.TrimSuffix(before, ", "), true},
		"back by hours, and right again": {
			-3 * hour, 3 * hour, before + "1 00:30 missed, 1 00:40, 1 00:50", before + "1 00:30, 1 00:40, 1 00:50", true,
		},
		"forward by hours, and right again": {
			3 * hour, -3 * hour,
			before + "1 00:30 to 1 03:10 x17 missed, 1 03:20, 1 03:30",
			before + "1 00:30 to 1 02:50 x15 missed, 1 03:00, 1 03:10, 1 03:20, 1 03:30", true,
		},
	}
	for name, c := range cases {
		for _, way := range []string{"run", "tick"} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					m := newMachine(t, dir)
					live, want := m.run, c.run
					if way == "tick" {
						m.agent.Late, m.agent.MaxParallel = 30*time.Minute, 1
						live, want = m.tick, c.tick
					}
					live(25 * time.Minute)
					m.set += c.jump
					live(15 * time.Minute)
					m.set += c.then
					live(15 * time.Minute)
					assert.Equal(t, want, m.history())
					assert.Equal(t, c.complains, strings.Contains(m.log.String(), "which is in the future"), m.log.String())
				})
			})
		}
	}
}

// TestTheLoopNeverSleepsLongerThanAMinute, whatever is due when and whatever the
// clock was set to while it worked.
func TestTheLoopNeverSleepsLongerThanAMinute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set, next, retry, want time.Duration // from the bubble's clock; zero: there is none
	}{
		"nothing is due":              {0, 0, 0, time.Minute},
		"far from now":                {0, 5 * time.Hour, 0, time.Minute},
		"soon":                        {0, 20 * time.Second, 0, 20 * time.Second},
		"a retry is sooner":           {0, 20 * time.Second, 10 * time.Second, 10 * time.Second},
		"it is due already":           {0, -20 * time.Second, 0, 0},
		"the clock was set back":      {-3 * time.Hour, -2 * time.Hour, 0, time.Minute},
		"the clock was set ahead":     {3 * time.Hour, 2 * time.Hour, 0, 0},
		"a retry is due since long":   {0, 0, -24 * time.Hour, 0},
		"a retry is due in long time": {0, 0, 24 * time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := &machine{set: c.set}
				l := loop{Agent: &Agent{Ledger: shifted{nil, m}}, next: make([]time.Time, 2), retries: map[int]time.Time{}}
				if c.next != 0 {
					l.next[1] = time.Now().Round(0).Add(c.next)
				}
				if c.retry != 0 {
					l.retries[0] = time.Now().Round(0).Add(c.retry)
				}
				assert.Equal(t, c.want, l.sleep())
			})
		})
	}
}

// TestBackoffIsFullJitter: anything from nothing to a ceiling that doubles, so that
// those who were turned away together do not come back together.
func TestBackoffIsFullJitter(t *testing.T) {
	t.Parallel()
	for attempts, minutes := range []int{1, 1, 2, 4, 8, 15, 15, 15, 15} {
		ceiling := time.Duration(minutes) * time.Minute
		const n = 2000
		tenths := make([]int, 10)
		for range n {
			wait := backoff(attempts)
			if wait < 0 || wait >= ceiling {
				t.Fatalf("attempt %d waits %s, not less than %s", attempts, wait, ceiling)
			}
			tenths[int(10*wait/ceiling)]++
		}
		for i, got := range tenths {
			assert.InDelta(t, n/10, got, 100, "attempt %d, tenth %d", attempts, i) // seven sigma
		}
	}
	assert.Less(t, backoff(1_000_000), 15*time.Minute)
}

package agent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
)

// TestOverlapInRun: a command that is due every ten minutes and takes 25. What
// keeps its runs apart is a lock that the action takes, as the real one does.
func TestOverlapInRun(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		queue, allow bool
		took         time.Duration
		want         []string // the dues, and when each began
	}{
		"skip":                 {false, false, 25 * minute, []string{"00:10 at 00:10", "00:20 skipped", "00:30 skipped", "00:40 at 00:40", "00:50 skipped"}},
		"queue":                {true, false, 25 * minute, []string{"00:10 at 00:10", "00:20 at 00:35", "00:30 at 01:00", "00:40 at 01:25", "00:50 at 01:50"}},
		"allow":                {false, true, 25 * minute, []string{"00:10 at 00:10", "00:20 at 00:20", "00:30 at 00:30", "00:40 at 00:40", "00:50 at 00:50"}},
		"skip, if it is short": {false, false, 5 * minute, []string{"00:10 at 00:10", "00:20 at 00:20", "00:30 at 00:30", "00:40 at 00:40", "00:50 at 00:50"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				lock := make(chan struct{}, 1)
				cron := command(t, "*/10 0 * * *", func(context.Context, agent.Occurrence) agent.Result {
					switch {
					case c.allow:
					case c.queue:
						lock <- struct{}{}
						defer func() { <-lock }()
					default:
						select {
						case lock <- struct{}{}:
							defer func() { <-lock }()
						default:
							return agent.Result{Outcome: ledger.Skipped, Reason: "the run before it has not ended yet"}
						}
					}
					began := time.Now()
					time.Sleep(c.took)
					return agent.Result{Outcome: ledger.Succeeded, Output: began.UTC().Format("15:04")}
				})
				cron.Overlaps, cron.Limit = c.allow, 3*time.Hour
				a := newAgent(l, cron)
				a.MaxParallel = 10
				runFor(t, a, 3*time.Hour)
				var got []string
				for _, run := range history(t, l, "import") {
					text := run.Due.UTC().Format("15:04")
					if run.Outcome == ledger.Skipped {
						assert.NotNil(t, run.Started)
						got = append(got, text+" skipped")
					} else {
						got = append(got, text+" at "+run.Output)
					}
				}
				slices.Sort(got) // they are recorded in the order in which they end
				assert.Equal(t, c.want, got)
			})
		})
	}
}

// TestRunRetriesAtTheTimesThatItSays.
func TestRunRetriesAtTheTimesThatItSays(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		var next []time.Time
		late := map[int]time.Duration{}
		cron := command(t, "0 1 * * *", func(ctx context.Context, o agent.Occurrence) agent.Result {
			if n := did.count(); n > 0 {
				late[n] = time.Since(next[n-1])
			}
			did.add(o)
			return failed
		})
		cron.Retries = 5
		h := noting{Ledger: l, note: func(run ledger.Run) {
			if run.NextTry != nil {
				next = append(next, *run.NextTry)
			}
		}}
		a := newAgent(&h, cron)
		tickAt(t, a, 50*minute)
		runFor(t, a, 3*time.Hour)
		require.Equal(t, 6, did.count())
		require.Len(t, next, 5)
		for n, d := range late {
			assert.Zero(t, d, "try %d", n)
		}
		s := state(t, l, "import")
		assert.Equal(t, ledger.Failed, s.Last.Outcome)
		assert.Equal(t, 6, s.Last.Attempts)
	})
}

// noting is a ledger that tells of what is recorded.
type noting struct {
	ledger.Ledger
	note func(ledger.Run)
}

func (n *noting) Record(ctx context.Context, runs ...ledger.Run) error {
	for _, run := range runs {
		n.note(run)
	}
	return n.Ledger.Record(ctx, runs...)
}

// TestRunThroughTheNightsOnWhichClocksChange: each occurrence once, in the moment
// when it is due.
func TestRunThroughTheNightsOnWhichClocksChange(t *testing.T) {
	t.Parallel()
	nights := map[string]struct {
		zone string
		day  time.Time // the local midnight before, or the hour before it
		spec string
		want string // in UTC
	}{
		"a fixed time that is skipped":        {"Europe/Paris", time.Date(2000, 3, 25, 23, 0, 0, 0, time.UTC), "30 2 * * *", "26 01:00"},
		"a fixed time that comes twice":       {"Europe/Paris", time.Date(2000, 10, 28, 22, 0, 0, 0, time.UTC), "30 2 * * *", "29 00:30"},
		"several skipped are one":             {"Europe/Paris", time.Date(2000, 3, 25, 23, 0, 0, 0, time.UTC), "0,30 2 * * *", "26 01:00"},
		"a wild one goes by what passes":      {"Europe/Paris", time.Date(2000, 3, 25, 23, 0, 0, 0, time.UTC), "*/30 0-3 * * *", "25 23:30, 26 00:00, 26 00:30, 26 01:00, 26 01:30"},
		"and again when the hour comes twice": {"Europe/Paris", time.Date(2000, 10, 28, 22, 0, 0, 0, time.UTC), "*/30 2 * * *", "29 00:00, 29 00:30, 29 01:00, 29 01:30"},
		"half an hour, forward":               {"Australia/Lord_Howe", time.Date(2000, 8, 26, 13, 0, 0, 0, time.UTC), "15 2,3 * * *", "26 15:30, 26 16:15"},
		"half an hour, back":                  {"Australia/Lord_Howe", time.Date(2000, 3, 25, 12, 30, 0, 0, time.UTC), "45 1 * * *", "25 14:45"},
		"a midnight that there is not":        {"America/Santiago", time.Date(2000, 10, 15, 3, 0, 0, 0, time.UTC), "0 0 * * 0", "15 04:00"},
	}
	for name, night := range nights {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				late := time.Duration(0)
				cron := command(t, "@daily", func(_ context.Context, o agent.Occurrence) agent.Result {
					did.add(o)
					late = max(late, time.Since(o.Due))
					return succeeded
				})
				cron.Schedule = parse(t, night.spec, night.zone)
				time.Sleep(time.Until(night.day))
				runFor(t, newAgent(l, cron), 12*time.Hour)
				var got []string
				for _, o := range did.made {
					got = append(got, o.Due.UTC().Format("2 15:04"))
				}
				assert.Equal(t, night.want, strings.Join(got, ", "))
				assert.Zero(t, late)
			})
		})
	}
}

// TestRunWithoutALedger acts on nothing, whatever the ledger cannot do, and what
// came due is missed when it is back.
func TestRunWithoutALedger(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(*hooked){
		"it cannot be read":          func(h *hooked) { h.load = down },
		"it cannot be claimed in":    func(h *hooked) { h.beforeClaim = down },
		"not even at the beginning":  func(h *hooked) { h.load, h.begin = down, down },
		"it cannot be begun with":    func(h *hooked) { h.begin = down },
		"what is left is not told":   func(h *hooked) { h.unsettled = down },
		"nothing can be done at all": func(h *hooked) { h.load, h.begin, h.beforeClaim, h.record, h.unsettled = down, down, down, down, down },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				var log lockedLog
				var broken sync.Mutex // held while it is broken
				b := breakable{hooked: hooked{Ledger: l}, broken: &broken}
				breaks(&b.hooked)
				a := newAgent(&b, fire(t, "*/10 * * * *", did.returning(fired)))
				a.Log, a.Late = log.logger(), minute
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				broken.Lock()
				running.Go(func() { a.Run(ctx) })
				time.Sleep(35 * minute)
				assert.Zero(t, did.count())
				assert.Equal(t, 1, log.count("out of reach"))
				broken.Unlock()
				time.Sleep(minute)
				assert.Equal(t, []string{"00:30:00"}, dues(&did), "the newest one is caught up")
				time.Sleep(5 * minute)
				cancel()
				running.Wait()
				assert.Equal(t, []string{"fired backup 00:30", "fired backup 00:40", "missed backup 00:10-00:20 x2"}, told(history(t, l, "backup")))
				assert.Equal(t, 1, log.count("the ledger is back"))
				assert.Equal(t, 1, log.count("out of reach"))
			})
		})
	}
}

// breakable is a ledger whose hooks count only while it is broken.
type breakable struct {
	hooked
	broken *sync.Mutex
}

func (b *breakable) now() ledger.Ledger {
	if b.broken.TryLock() {
		b.broken.Unlock()
		return b.Ledger
	}
	return &b.hooked
}

func (b *breakable) Load(ctx context.Context, keys []ledger.Key) ([]ledger.State, error) {
	return b.now().Load(ctx, keys)
}

func (b *breakable) Begin(ctx context.Context, keys []ledger.Key, at time.Time) error {
	return b.now().Begin(ctx, keys, at)
}

func (b *breakable) Claim(ctx context.Context, claims []ledger.Claim) ([]ledger.Claim, error) {
	return b.now().Claim(ctx, claims)
}

func (b *breakable) Record(ctx context.Context, runs ...ledger.Run) error {
	return b.now().Record(ctx, runs...)
}

func (b *breakable) Unsettled(ctx context.Context, scope ledger.Key) ([]ledger.Key, error) {
	return b.now().Unsettled(ctx, scope)
}

// TestAFirstTickLooksBack for what was due while there was no ledger: a deployment
// may have wiped it. Only fires do, since what was done can be found.
func TestAFirstTickLooksBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   time.Duration
		away bool
		want []string
	}{
		"to one that was due":               {time.Hour + 20*minute, false, []string{"fired backup 01:00"}},
		"but not further":                   {time.Hour + 30*minute + 1, false, nil},
		"and not if it cannot be told":      {time.Hour + 20*minute, true, []string{"deferred backup 01:00"}},
		"nothing was due in that half hour": {59 * minute, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, l *ledger.File) {
				var did acts
				var there cloud
				a := there.agent(l, fire(t, "0 1 * * *", there.fires(&did, 0)), command(t, "0 1 * * *", did.returning(succeeded)))
				a.LookBack = 30 * minute
				if c.away {
					there.setAway(&away)
				}
				assert.Equal(t, fmt.Sprint(c.want), fmt.Sprint(told(tickAt(t, a, c.at))))
				want := 0
				if len(c.want) > 0 && !c.away {
					want = 1
				}
				assert.Equal(t, want, did.count())
			})
		})
	}
}

// TestWhatWaitsForAPlaceDoesNotPileUp: an hour of it would else run at once when
// there is a place again.
func TestWhatWaitsForAPlaceDoesNotPileUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *ledger.File) {
		var did acts
		slow := command(t, "0 1 * * *", func(context.Context, agent.Occurrence) agent.Result {
			time.Sleep(30 * time.Minute)
			return succeeded
		})
		slow.Name = "slow"
		a := newAgent(l, slow, command(t, "* 1 * * *", did.returning(succeeded)))
		a.MaxParallel = 1
		runFor(t, a, 95*time.Minute)
		n := 0
		for _, o := range did.made {
			if o.Due.Before(midnight.Add(90 * time.Minute)) {
				n++
			}
		}
		assert.LessOrEqual(t, n, 2, "of the half hour in which there was no place")
		skipped := 0
		for _, run := range history(t, l, "import") {
			if run.Outcome == ledger.Skipped {
				skipped++
				assert.Contains(t, run.Reason, "waits for others to end")
			}
		}
		assert.Greater(t, skipped, 20)
	})
}

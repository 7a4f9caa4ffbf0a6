package database_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/dbtest"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/ledgertest"
)

// seedVariable repeats one seed of TestDatabaseAgreesWithTheFile.
const seedVariable = "CRONAGENT_TEST_SEED"

// TestDatabaseAgreesWithTheFile does the same to a file and to a database, which two
// ledgers share as two containers would, and compares what they say after each step.
func TestDatabaseAgreesWithTheFile(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if text := os.Getenv(seedVariable); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seeds = []uint64{seed}
	}
	onEach(t, func(t *testing.T, server *dbtest.Server) {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				file, err := ledger.OpenFile(t.Context(), t.TempDir())
				require.NoError(t, err)
				t.Cleanup(func() { file.Close() })
				config := fresh(t, server)
				p := &pair{
					t: t, Rand: rand.New(rand.NewPCG(seed, 0)), file: file,
					shared: []ledger.Ledger{open(t, config), open(t, config)}, ids: map[ledger.Key][]string{},
				}
				for p.step = range 250 {
					p.act()
					p.compare()
					if t.Failed() {
						t.Fatalf("in step %d; repeat it with %s=%d", p.step, seedVariable, seed)
					}
				}
			})
		}
	})
}

// pair are the two ledgers, to which the same is done.
type pair struct {
	t *testing.T
	*rand.Rand
	file   ledger.Ledger
	shared []ledger.Ledger
	step   int
	ids    map[ledger.Key][]string // of the runs that there were, the newest last
}

// The crons of the test. The bare one is that of what no cron asked for.
var (
	bare    = ledger.Key{Project: ledgertest.Backup.Project, Environment: "main", App: "app"}
	preview = ledger.Key{Project: bare.Project, Environment: "preview", App: "app", Cron: "backup"}
	every   = []ledger.Key{ledgertest.Backup, ledgertest.Sweep, preview, bare}
)

// database is one of those that share the database.
func (p *pair) database() ledger.Ledger { return p.shared[p.IntN(len(p.shared))] }

func (p *pair) key() ledger.Key { return every[p.IntN(len(every))] }

func (p *pair) chance(percent int) bool { return p.IntN(100) < percent }

func (p *pair) state(key ledger.Key) ledger.State { return ledgertest.Load(p.t, p.file, key) }

// act does one thing to both.
func (p *pair) act() {
	var what string
	var got, want any
	var errs [2]error
	switch n := p.IntN(100); {
	case n < 5:
		keys := []ledger.Key{p.key(), p.key()}
		at := ledgertest.Started.Add(time.Duration(p.IntN(9)) * time.Minute)
		what = "begin"
		errs = [2]error{p.file.Begin(p.t.Context(), keys, at), p.database().Begin(p.t.Context(), keys, at)}
	case n < 45:
		claims := p.claims()
		what = fmt.Sprintf("claim %s", text(claims))
		inFile, err := p.file.Claim(p.t.Context(), claims)
		inDatabase, err2 := p.database().Claim(p.t.Context(), claims)
		errs = [2]error{err, err2}
		want, got = settledClaims(inFile), settledClaims(inDatabase)
	case n < 80:
		runs := p.runs()
		what = fmt.Sprintf("record %s", text(runs))
		errs = [2]error{p.file.Record(p.t.Context(), runs...), p.database().Record(p.t.Context(), runs...)}
	case n < 86:
		key := p.key()
		told := p.state(key).Told
		told.Version -= p.IntN(2) * p.IntN(2)
		told.Event, told.Run, told.Error, told.Left = "failure", fmt.Sprint(p.step), "an \xff \x00 error", nil
		told.At = ledgertest.Started.Add(time.Duration(p.IntN(1e9))).In(time.FixedZone("", 3600))
		if p.chance(50) {
			told.Left = []string{"mail"}
		}
		what = fmt.Sprintf("tell %s", text(told))
		inFile, err := p.file.Tell(p.t.Context(), key, told)
		inDatabase, err2 := p.database().Tell(p.t.Context(), key, told)
		errs = [2]error{err, err2}
		want, got = inFile, inDatabase
	case n < 95:
		runs := p.settlements()
		what = fmt.Sprintf("settle %s", text(runs))
		inFile, err := p.file.Settle(p.t.Context(), runs...)
		inDatabase, err2 := p.database().Settle(p.t.Context(), runs...)
		errs = [2]error{err, err2}
		want, got = idsOf(inFile), idsOf(inDatabase)
	default:
		keys := []ledger.Key{p.key(), p.key()}
		pause := ledger.Pause{Reason: fmt.Sprintf("step %d, with \xff in it", p.step)}
		if p.chance(70) {
			pause.Until = time.Now().Add(time.Duration(p.IntN(200)-50) * time.Minute)
		}
		what = fmt.Sprintf("pause %s", text(pause))
		errs = [2]error{p.file.Pause(p.t.Context(), keys, pause), p.database().Pause(p.t.Context(), keys, pause)}
	}
	require.NoError(p.t, errs[0], what)
	require.NoError(p.t, errs[1], what)
	require.Equal(p.t, want, got, what)
}

// claims are some that may be won, and some that may not.
func (p *pair) claims() (claims []ledger.Claim) {
	for range 1 + p.IntN(4) {
		key := p.key()
		if key == bare {
			continue
		}
		state := p.state(key)
		claim := ledger.Claim{Key: key, Attempts: p.IntN(3), Operation: []string{"", "backup:create"}[p.IntN(2)]}
		if p.chance(50) {
			claim.Settle = time.Hour
		}
		mark := state.Watermark
		if mark.IsZero() {
			mark = ledgertest.Started
		}
		if back := state.HandedBack; len(back) > 0 && p.chance(60) {
			run := back[p.IntN(len(back))]
			claim.ID, claim.Due = run.ID, *run.Due
			if p.chance(15) {
				claim.Due = claim.Due.Add(-time.Second)
			}
		} else {
			claim.ID = fmt.Sprintf("%d-%d", p.step, len(claims))
			// Dues that differ by less than a database tells apart are not apart.
			claim.Due = mark.Add(time.Duration(p.IntN(5)-1) * time.Minute).In(time.FixedZone("", 3600*p.IntN(9)))
		}
		if p.chance(40) {
			claim.From = state.Watermark.Add(time.Duration(p.IntN(2)) * time.Duration(p.IntN(2)) * time.Minute)
		}
		if p.chance(25) {
			claim.Run = new(p.run(key, claim.ID, &claim.Due))
		}
		p.ids[key] = append(p.ids[key], claim.ID)
		claims = append(claims, claim)
		if p.chance(10) {
			claims = append(claims, claim)
		}
	}
	return claims
}

// runs are records of runs that are claimed, handed back, pending, over or new.
func (p *pair) runs() (runs []ledger.Run) {
	for range 1 + p.IntN(3) {
		key := p.key()
		state := p.state(key)
		switch {
		case len(state.Open) > 0 && p.chance(60):
			claim := state.Open[p.IntN(len(state.Open))]
			runs = append(runs, p.run(key, claim.ID, &claim.Due))
		case len(state.Pending) > 0 && p.chance(50):
			run := state.Pending[p.IntN(len(state.Pending))]
			runs = append(runs, p.run(key, run.ID, run.Due))
		case len(state.HandedBack) > 0 && p.chance(50):
			run := state.HandedBack[p.IntN(len(state.HandedBack))]
			runs = append(runs, p.run(key, run.ID, run.Due))
		case len(p.ids[key]) > 0 && p.chance(30) && key != bare:
			ids := p.ids[key]
			id := ids[max(0, len(ids)-1-p.IntN(20))]
			// Whether it is over: what is handed back has one due.
			if !slices.ContainsFunc(state.HandedBack, func(run ledger.Run) bool { return run.ID == id }) {
				run := p.run(key, id, nil)
				runs = append(runs, run)
			}
		default:
			run := p.run(key, fmt.Sprintf("%d-bare-%d", p.step, len(runs)), nil)
			p.ids[key] = append(p.ids[key], run.ID)
			runs = append(runs, run)
		}
	}
	return runs
}

var outcomes = []ledger.Outcome{
	ledger.Fired, ledger.Succeeded, ledger.Failed, ledger.Skipped, ledger.Deferred, ledger.Deferred,
	ledger.Uncertain, ledger.TimedOut, ledger.Cancelled, ledger.Missed,
}

func (p *pair) run(key ledger.Key, id string, due *time.Time) ledger.Run {
	run := ledger.Run{
		ID: id, Key: key, Outcome: outcomes[p.IntN(len(outcomes))], Due: due, Count: 1 + p.IntN(3), Attempts: p.IntN(3),
		Reason: fmt.Sprintf("in step %d: \x00 \u2028 <&> '\"\\", p.step), Error: "an \xff error", Output: "printed 🌙\n",
		Operation: []string{"", "backup:create", "bad \xff \x00"}[p.IntN(3)],
	}
	if run.Outcome != ledger.Deferred {
		run.Pending = p.chance(30)
	} else if p.chance(50) {
		run.NextTry = new(ledgertest.Started.Add(time.Duration(p.IntN(1e9))))
	}
	if p.chance(50) {
		run.Started, run.ExitCode = new(ledgertest.Started.Add(time.Duration(p.IntN(1e9)))), new(p.IntN(7))
		run.Activities = []ledger.Activity{{ID: fmt.Sprint(p.step), State: "in_progress"}}
	}
	return run
}

// settlements are for claims and pending runs, some of which have nothing to settle.
func (p *pair) settlements() (runs []ledger.Run) {
	seen := map[string]bool{}
	for range 1 + p.IntN(3) {
		key := p.key()
		state := p.state(key)
		run := p.run(key, fmt.Sprintf("%d-none", p.step), nil)
		if len(state.Open) > 0 && p.chance(50) {
			claim := state.Open[p.IntN(len(state.Open))]
			run = p.run(key, claim.ID, &claim.Due)
		} else if len(state.Pending) > 0 {
			before := state.Pending[p.IntN(len(state.Pending))]
			run = p.run(key, before.ID, before.Due)
			if p.chance(70) {
				run.Attempts = before.Attempts
			}
		}
		if id := text(key) + run.ID; !seen[id] {
			seen[id] = true
			runs = append(runs, run)
		}
	}
	return runs
}

// compare asks both for everything.
func (p *pair) compare() {
	l := p.database()
	inFile, err := p.file.Load(p.t.Context(), every)
	require.NoError(p.t, err)
	inDatabase, err := l.Load(p.t.Context(), every)
	require.NoError(p.t, err)
	for i, key := range every {
		assert.Equal(p.t, stateText(inFile[i]), stateText(inDatabase[i]), key)
	}
	scope := bare
	if p.chance(20) {
		scope.Environment = preview.Environment
	}
	want, err := p.file.Unsettled(p.t.Context(), scope)
	require.NoError(p.t, err)
	got, err := l.Unsettled(p.t.Context(), scope)
	require.NoError(p.t, err)
	assert.Equal(p.t, want, got, "unsettled")

	if p.chance(15) {
		n := []int{0, 1, 3, 50, ledger.KeepRuns}[p.IntN(5)]
		scope := []ledger.Key{{}, bare, ledgertest.Backup, preview, {Project: "none"}}[p.IntN(5)]
		inFile, err := p.file.History(p.t.Context(), scope, n)
		require.NoError(p.t, err)
		inDatabase, err := l.History(p.t.Context(), scope, n)
		require.NoError(p.t, err)
		assert.Equal(p.t, runTexts(inFile), runTexts(inDatabase), "the last %d of %v", n, scope)
	}
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func idsOf(runs []ledger.Run) (ids []string) {
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	return ids
}

// settledClaims are claims without what cannot be the same: when each was made.
func settledClaims(claims []ledger.Claim) (texts []string) {
	for _, claim := range claims {
		claim.At = time.Time{}
		texts = append(texts, text(claim))
	}
	return texts
}

func stateText(s ledger.State) []string {
	texts := []string{"watermark " + s.Watermark.UTC().Format(time.RFC3339Nano), "last " + text(s.Last), "told " + text(s.Told)}
	for _, run := range s.HandedBack {
		texts = append(texts, "back "+text(run))
	}
	for _, run := range s.Pending {
		texts = append(texts, "pending "+text(run))
	}
	for _, claim := range settledClaims(s.Open) {
		texts = append(texts, "open "+claim)
	}
	if s.Pause != nil {
		texts = append(texts, fmt.Sprintf("pause until %s: %q", s.Pause.Until.UTC().Truncate(time.Microsecond), s.Pause.Reason))
	}
	return texts
}

// runTexts are runs by their crons: what one call recorded of several crons has no
// order among them.
func runTexts(runs []ledger.Run) map[ledger.Key][]string {
	texts := map[ledger.Key][]string{}
	for _, run := range runs {
		texts[run.Key] = append(texts[run.Key], text(run))
	}
	return texts
}

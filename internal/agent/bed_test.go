package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// midnight is when every bubble's clock starts.
var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// bubble runs a test in fake time, with a file ledger of its own.
func bubble(t *testing.T, test func(t *testing.T, l *ledger.File)) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { test(t, reopen(t, dir)) })
}

func reopen(t *testing.T, dir string) *ledger.File {
	t.Helper()
	l, err := ledger.OpenFile(t.Context(), dir)
	require.NoError(t, err)
	return l
}

func parse(t *testing.T, spec, zone string) *schedule.Schedule {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	s, err := schedule.Parse(spec, location, schedule.NewSeed("p", "app", "cron"))
	require.NoError(t, err)
	return s
}

// acts are what actions were asked to do.
type acts struct {
	mu   sync.Mutex
	made []agent.Occurrence
}

func (a *acts) add(o agent.Occurrence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made = append(a.made, o)
}

func (a *acts) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.made)
}

// returning is an action that ends with these results, the last one again and
// again.
func (a *acts) returning(results ...agent.Result) agent.Action {
	return func(_ context.Context, o agent.Occurrence) agent.Result {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.made = append(a.made, o)
		result := results[0]
		results = results[min(1, len(results)-1):]
		return result
	}
}

func fire(t *testing.T, spec string, act agent.Action) agent.Cron {
	t.Helper()
	return agent.Cron{
		Name: "backup", Schedule: parse(t, spec, "UTC"), Operation: "backup:create", Act: act,
		Limit: 30 * time.Second, MissedWithin: 24 * time.Hour,
	}
}

func command(t *testing.T, spec string, act agent.Action) agent.Cron {
	t.Helper()
	cron := fire(t, spec, act)
	cron.Name, cron.Operation, cron.Limit = "import", "", 10*time.Minute
	return cron
}

func newAgent(l ledger.Ledger, crons ...agent.Cron) *agent.Agent {
	return &agent.Agent{Ledger: l, Project: "p", Environment: "main", App: "app", Crons: crons, Late: 30 * time.Minute}
}

// tickAt waits until so long after midnight and lets the agent tick.
func tickAt(t *testing.T, a *agent.Agent, at time.Duration) []ledger.Run {
	t.Helper()
	time.Sleep(time.Until(midnight.Add(at)))
	runs, err := a.Tick(t.Context(), time.Now(), time.Now())
	require.NoError(t, err)
	return runs
}

// told are runs in short: outcome, cron, due, until and count if there are several.
func told(runs []ledger.Run) []string {
	texts := []string{}
	for _, run := range runs {
		text := fmt.Sprintf("%s %s %s", run.Outcome, run.Cron, run.Due.UTC().Format("15:04"))
		if run.Until != nil || run.Count != 1 {
			text += fmt.Sprintf("-%s x%d", run.Until.UTC().Format("15:04"), run.Count)
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

func state(t *testing.T, l ledger.Ledger, cron string) ledger.State {
	t.Helper()
	states, err := l.Load(t.Context(), []ledger.Key{{Project: "p", Environment: "main", App: "app", Cron: cron}})
	require.NoError(t, err)
	return states[0]
}

// hooked is a ledger in which something happens, before or after a method or
// instead of it. Nil: nothing does.
type hooked struct {
	ledger.Ledger
	load, begin, record     func() error
	unsettled               func() error
	beforeClaim, afterClaim func() error
	beforeTell              func(ledger.Key, ledger.Told) error
}

func call(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

func (h *hooked) Load(ctx context.Context, keys []ledger.Key) ([]ledger.State, error) {
	if err := call(h.load); err != nil {
		return nil, err
	}
	return h.Ledger.Load(ctx, keys)
}

func (h *hooked) Begin(ctx context.Context, keys []ledger.Key, at time.Time) error {
	if err := call(h.begin); err != nil {
		return err
	}
	return h.Ledger.Begin(ctx, keys, at)
}

func (h *hooked) Claim(ctx context.Context, claims []ledger.Claim) ([]ledger.Claim, error) {
	if err := call(h.beforeClaim); err != nil {
		return nil, err
	}
	won, err := h.Ledger.Claim(ctx, claims)
	if hookErr := call(h.afterClaim); hookErr != nil {
		return nil, hookErr
	}
	return won, err
}

func (h *hooked) Unsettled(ctx context.Context, scope ledger.Key) ([]ledger.Key, error) {
	if err := call(h.unsettled); err != nil {
		return nil, err
	}
	return h.Ledger.Unsettled(ctx, scope)
}

func (h *hooked) Tell(ctx context.Context, key ledger.Key, told ledger.Told) (bool, error) {
	if h.beforeTell != nil {
		if err := h.beforeTell(key, told); err != nil {
			return false, err
		}
	}
	return h.Ledger.Tell(ctx, key, told)
}

func (h *hooked) Record(ctx context.Context, runs ...ledger.Run) error {
	if err := call(h.record); err != nil {
		return err
	}
	return h.Ledger.Record(ctx, runs...)
}

var (
	fired     = agent.Result{Outcome: ledger.Fired, ExitCode: new(0), Activities: []ledger.Activity{{ID: "act1"}}}
	succeeded = agent.Result{Outcome: ledger.Succeeded, ExitCode: new(0), Output: "done\n"}
	failed    = agent.Result{Outcome: ledger.Failed, ExitCode: new(1), Error: "exit code 1"}
	deferred  = agent.Result{Outcome: ledger.Deferred, ExitCode: new(5), Error: "503 from the API"}
)

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lockedLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// join is one text of many, for messages.
func join(texts []string) string { return strings.Join(texts, ", ") }

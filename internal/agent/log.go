package agent

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// tell logs what came of runs.
func (a *Agent) tell(runs ...ledger.Run) {
	for _, run := range runs {
		attrs := []slog.Attr{slog.String("cron", run.Cron)}
		if run.Due != nil {
			due := *run.Due
			if run.Operation != "" && due.Location() == time.UTC { // it is one that was looked up in the ledger
				if i := slices.IndexFunc(a.Crons, func(c Cron) bool { return c.Name == run.Cron }); i >= 0 {
					due = due.In(a.Crons[i].Schedule.Zone())
				}
			}
			attrs = append(attrs, slog.Time("due", due))
		}
		add := func(name, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(name, value))
			}
		}
		add("operation", run.Operation)
		if run.Count > 1 {
			attrs = append(attrs, slog.Int("count", run.Count))
		}
		var activities []string
		for _, activity := range run.Activities {
			activities = append(activities, activity.ID)
		}
		add("activity", strings.Join(activities, ",")) // a JSON object has a name once
		if run.Operation == "" && run.ExitCode != nil {
			attrs = append(attrs, slog.Int("exit", *run.ExitCode))
		}
		add("reason", run.Reason)
		add("err", run.Error)
		if run.Started != nil && run.Ended != nil {
			attrs = append(attrs, slog.Duration("took", run.Ended.Sub(*run.Started).Round(time.Millisecond)))
		}
		add("run", run.ID)
		a.log().LogAttrs(context.Background(), level(run.Outcome), string(run.Outcome), attrs...)
	}
}

func level(o ledger.Outcome) slog.Level {
	switch o {
	case ledger.Fired, ledger.Succeeded:
		return slog.LevelInfo
	case ledger.Skipped, ledger.Deferred, ledger.Cancelled:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// skipsInARow is how many skips for overlap are worth a warning.
const skipsInARow = 3

// countSkips tells how often in a row a command has been skipped because the run
// before it had not ended, and warns of it once: it takes longer than its spec
// allows for.
func (a *Agent) countSkips(ctx context.Context, run ledger.Run) int {
	skipped := func(run ledger.Run) bool { return run.Outcome == ledger.Skipped && run.Started != nil }
	a.mu.Lock()
	if a.skips[run.Cron]++; !skipped(run) {
		a.skips[run.Cron] = 0
	}
	looping, n := a.looping, a.skips[run.Cron]
	a.mu.Unlock()
	if looping {
		// Whoever stays up need not ask the ledger.
		if n == skipsInARow {
			a.sayOfSkips(run)
		}
		return n
	}
	if !skipped(run) {
		return 0
	}
	last, err := a.Ledger.History(context.WithoutCancel(ctx), run.Key, skipsInARow+1)
	if err != nil {
		return 1
	}
	n = 0
	for _, run := range slices.Backward(last) {
		if !skipped(run) {
			break
		}
		n++
	}
	if n == skipsInARow {
		a.sayOfSkips(run)
	}
	return n
}

func (a *Agent) sayOfSkips(run ledger.Run) {
	a.log().Warn("skipped several times in a row: it takes longer than from one occurrence to the next", "cron", run.Cron, "times", skipsInARow)
}

package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// tell logs what came of runs.
func (a *Agent) tell(runs ...ledger.Run) {
	for _, run := range runs {
		attrs := []slog.Attr{slog.String("cron", run.Cron), slog.Time("due", *run.Due)}
		add := func(name, value string) {
			if value != "" {
				attrs = append(attrs, slog.String(name, value))
			}
		}
		add("operation", run.Operation)
		if run.Count > 1 {
			attrs = append(attrs, slog.Int("count", run.Count))
		}
		for _, activity := range run.Activities {
			add("activity", activity.ID)
		}
		if run.Operation == "" && run.ExitCode != nil {
			attrs = append(attrs, slog.Int("exit", *run.ExitCode))
		}
		add("reason", run.Reason)
		add("err", run.Error)
		if run.Started != nil && run.Ended != nil {
			attrs = append(attrs, slog.Duration("took", run.Ended.Sub(*run.Started).Round(time.Millisecond)))
		}
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

package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Load implements ledger.Ledger.
func (l *Ledger) Load(ctx context.Context, keys []ledger.Key) ([]ledger.State, error) {
	states := make([]ledger.State, 0, len(keys))
	for some := range slices.Chunk(keys, atOnce) {
		loaded, err := l.load(ctx, some)
		if err != nil {
			return nil, err
		}
		// A database that was restored, or emptied: what we know to be taken stays taken.
		// Or it was taken since it was read, and then there is nothing to change.
		var behind []ledger.Key
		for i, key := range some {
			if l.seenOf(key).After(loaded[i].Watermark) {
				behind = append(behind, key)
			}
			l.see(key, loaded[i].Watermark)
		}
		if len(behind) > 0 {
			if err := l.change(ctx, behind, func(context.Context, *change) error { return nil }); err != nil {
				return nil, err
			}
			if loaded, err = l.load(ctx, some); err != nil {
				return nil, err
			}
		}
		states = append(states, loaded...)
	}
	return states, nil
}

// line is what a query of load returns: of a cron, of a run that has not ended, or
// the time.
type line struct {
	kind, id         string
	at, until, since sql.NullTime
	text             string
	settle, attempts int64
	run, state       sql.NullString
	record, told     sql.NullString
}

// load reads states.
func (l *Ledger) load(ctx context.Context, keys []ledger.Key) ([]ledger.State, error) {
	crons, runs, err := l.lines(ctx, keys)
	if err != nil {
		return nil, err
	}
	states := make([]ledger.State, len(keys))
	for i, key := range keys {
		if states[i], err = state(key, crons, runs); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// lines reads what there is of crons with one statement, since what two of them say
// may not fit together: the rows of the crons, with their last runs, and the runs
// that have not ended, by the crons' ids.
func (l *Ledger) lines(ctx context.Context, keys []ledger.Key) (crons map[string]line, runs map[string][]line, err error) {
	ids := map[string]bool{}
	for _, key := range keys {
		if err := check(key); err != nil {
			return nil, nil, err
		}
		ids[idOf(key)], ids[scopeOf(key)] = true, true // the general pause is that of no cron
	}
	all := anys(slices.Collect(maps.Keys(ids)))
	crons, runs = map[string]line{}, map[string][]line{}
	err = l.do(ctx, 0, func(ctx context.Context) error {
		clear(crons)
		clear(runs)
		asked := time.Now()
		rows, err := l.db.QueryContext(ctx, l.engine.text(`
SELECT 'cron', c.id, c.watermark, c.paused_until, c.paused_at, c.pause_reason, c.seq, c.seq, l.run_id, l.state, l.record, c.told
FROM {crons} c LEFT JOIN {runs} l ON l.run_id = c.last_run AND l.cron_id = c.id WHERE c.id IN `+list(len(all))+`
UNION ALL
SELECT 'run', r.cron_id, r.due, r.claimed_at, r.claimed_at, r.operation, r.settle, r.attempts, r.run_id, r.state, r.record, NULL
FROM {runs} r WHERE r.cron_id IN `+list(len(all))+` AND r.state <> 'ended'
UNION ALL
SELECT 'now', '', {now}, {now}, {now}, '', 0, 0, '', '', NULL, NULL`), append(slices.Clone(all), all...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r line
			if err := rows.Scan(&r.kind, &r.id, &r.at, &r.until, &r.since, &r.text, &r.settle, &r.attempts, &r.run, &r.state, &r.record, &r.told); err != nil {
				return err
			}
			switch r.kind {
			case "cron":
				crons[r.id] = r
			case "run":
				runs[r.id] = append(runs[r.id], r)
			default:
				l.measure(r.at.Time, asked)
			}
		}
		return rows.Err()
	})
	return crons, runs, err
}

// state is what the lines say of a cron.
func state(key ledger.Key, crons map[string]line, runs map[string][]line) (s ledger.State, err error) {
	id := idOf(key)
	for _, id := range []string{id, scopeOf(key)} {
		if p := crons[id].pause(); p != nil && (s.Pause == nil || p.Until.After(s.Pause.Until)) {
			s.Pause = p
		}
	}
	s.Watermark = crons[id].at.Time.UTC()
	if s.Watermark.IsZero() {
		s.Watermark = time.Time{}
	}
	if s.Told, err = parseTold(crons[id].told.String, key); err != nil {
		return s, err
	}
	if last := crons[id]; last.record.Valid {
		run, err := last.parse(key)
		if err != nil {
			return s, err
		}
		run.Output = ""
		s.Last = &run
	}
	for _, r := range runs[id] {
		if r.state.String == open {
			s.Open = append(s.Open, ledger.Claim{
				Key: key, ID: r.run.String, Due: r.at.Time.UTC(), Settle: time.Duration(r.settle), At: r.until.Time.UTC(),
				Operation: r.text, Attempts: int(r.attempts),
			})
			continue
		}
		run, err := r.parse(key)
		if err != nil {
			return s, err
		}
		if r.state.String == deferred {
			s.HandedBack = append(s.HandedBack, run)
		} else {
			s.Pending = append(s.Pending, run)
		}
	}
	s.Sort()
	return s, nil
}

// pause is a cron's own; nil if there is none, or it was ended.
func (r line) pause() *ledger.Pause {
	if !r.until.Valid {
		return nil
	}
	return &ledger.Pause{Until: r.until.Time.UTC(), Reason: r.text, At: r.since.Time.UTC()}
}

func (r line) parse(key ledger.Key) (run ledger.Run, err error) {
	return parse(r.record.String, key, r.run.String)
}

func parse(record string, key ledger.Key, id string) (run ledger.Run, err error) {
	if err := json.Unmarshal([]byte(record), &run); err != nil {
		return run, fmt.Errorf("the ledger's record of run %s of cron %q cannot be read: %w", id, key.Cron, err)
	}
	return run, nil
}

// Unsettled implements ledger.Ledger.
func (l *Ledger) Unsettled(ctx context.Context, scope ledger.Key) ([]ledger.Key, error) {
	if scope.Cron != "" {
		return nil, fmt.Errorf("what is unsettled can be asked of an app, not of the cron %q alone", scope.Cron)
	}
	var keys []ledger.Key
	err := l.do(ctx, 0, func(ctx context.Context) error {
		keys = nil
		asked := time.Now()
		// The time comes along, whether or not there is anything.
		rows, err := l.db.QueryContext(ctx, l.engine.text(`
SELECT 1, c.cron, {now} FROM {crons} c WHERE c.id IN (SELECT r.cron_id FROM {runs} r WHERE r.scope = ? AND r.state <> 'ended')
UNION ALL
SELECT 1, c.cron, {now} FROM {crons} c WHERE c.scope = ? AND c.untold > 0
UNION ALL
SELECT 0, '', {now}`), scopeOf(scope), scopeOf(scope))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind int
			var now time.Time
			key := scope
			if err := rows.Scan(&kind, &key.Cron, &now); err != nil {
				return err
			}
			if kind == 1 {
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			} else {
				l.measure(now, asked)
			}
		}
		return rows.Err()
	})
	ledger.SortKeys(keys)
	return keys, err
}

// History implements ledger.Ledger.
func (l *Ledger) History(ctx context.Context, scope ledger.Key, n int) ([]ledger.Run, error) {
	if n <= 0 {
		return nil, nil
	}
	where, args := "TRUE", []any{}
	switch {
	case scope.Cron != "":
		where, args = "cron_id = ?", []any{idOf(scope)}
	case scope.Project != "":
		where, args = "scope = ?", []any{scopeOf(scope)}
	}
	var records []string
	err := l.do(ctx, 0, func(ctx context.Context) error {
		records = nil
		rows, err := l.db.QueryContext(ctx, l.engine.text(`
SELECT record FROM (
	SELECT record, first_at, cron_id, seq, ROW_NUMBER() OVER (PARTITION BY cron_id ORDER BY seq DESC) AS place
	FROM {runs} WHERE record IS NOT NULL AND `+where+`) newest
WHERE place <= ? ORDER BY first_at, cron_id, seq`), append(args, int64(n))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var record string
			if err := rows.Scan(&record); err != nil {
				return err
			}
			records = append(records, record)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	runs := make([]ledger.Run, len(records))
	for i, record := range records {
		if runs[i], err = parse(record, scope, ""); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

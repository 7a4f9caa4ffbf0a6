package database

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Begin implements ledger.Ledger.
func (l *Ledger) Begin(ctx context.Context, keys []ledger.Key, at time.Time) error {
	return l.change(ctx, keys, func(_ context.Context, c *change) error {
		for _, row := range c.rows {
			if row.watermark.IsZero() {
				row.watermark, row.changed = stamp(at), true
			}
		}
		return nil
	})
}

// Claim implements ledger.Ledger.
func (l *Ledger) Claim(ctx context.Context, claims []ledger.Claim) ([]ledger.Claim, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	claims = slices.Clone(claims)
	keys := make([]ledger.Key, len(claims))
	for i := range claims {
		claim := &claims[i]
		if err := checkID(claim.ID); err != nil {
			return nil, err
		}
		if claim.Run != nil {
			run, err := claim.Run.Kept()
			if err != nil {
				return nil, err
			}
			if _, err := l.encode(run); err != nil {
				return nil, err
			}
			claim.Run = &run
		}
		claim.Due = stamp(claim.Due) // as it is compared
		keys[i] = claim.Key
	}
	// By it a claim that was made, and whose answer was lost, is known again.
	token := rand.Text()
	asked := 0
	var won []ledger.Claim
	err := l.change(ctx, keys, func(ctx context.Context, c *change) error {
		won, asked = nil, asked+1
		var known []string // those that may be in the database already
		for _, claim := range claims {
			if asked > 1 || !claim.Due.After(c.rows[claim.Key].watermark) {
				known = append(known, claim.ID)
			}
		}
		if err := c.read(ctx, known); err != nil {
			return err
		}
		planned := map[ledger.Key]time.Time{} // the watermarks before this call
		for key, row := range c.rows {
			planned[key] = row.watermark
		}
		told := map[*runRow]bool{}
		for _, claim := range claims {
			row, r := c.rows[claim.Key], c.run(claim.Key, claim.ID)
			switch {
			case r != nil && r.token == token && !r.put:
				// Ours, since the call before, if nobody has settled it meanwhile.
				if !told[r] && (r.state == open || claim.Run != nil) {
					told[r] = true
					claim.At = r.claimedAt.Time.UTC()
					won = append(won, claim)
				}
				continue
			case claim.Due.After(row.watermark) && (claim.From.IsZero() || stamp(claim.From).Equal(planned[claim.Key])):
				row.watermark, row.changed = claim.Due, true
			case r != nil && r.state == deferred && r.token != token && r.due.Time.Equal(claim.Due):
			default:
				continue
			}
			claim.At = c.now
			if r == nil {
				r = &runRow{key: claim.Key, id: claim.ID}
			}
			r.due, r.claimedAt, r.settle = nullStamp(claim.Due), nullStamp(claim.At), int64(claim.Settle)
			r.operation, r.attempts, r.token = claim.Operation, claim.Attempts, token
			r.state = open
			c.write(r)
			if claim.Run != nil {
				if err := c.record(*claim.Run, open); err != nil {
					return err
				}
			}
			won = append(won, claim)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return won, nil
}

// Record implements ledger.Ledger. Calls that come at the same time share one
// transaction.
func (l *Ledger) Record(ctx context.Context, runs ...ledger.Run) error {
	if len(runs) == 0 {
		return nil
	}
	kept, err := l.kept(runs)
	if err != nil {
		return err
	}
	return l.records.Do(ctx, l.busy, kept, func(take func() [][]ledger.Run) error {
		return l.put(ctx, slices.Concat(take()...), "", nil)
	})
}

// kept are runs as they are kept, after a look whether they can be: what is wrong
// with one must not fail what is written with it.
func (l *Ledger) kept(runs []ledger.Run) ([]ledger.Run, error) {
	kept := make([]ledger.Run, len(runs))
	for i, run := range runs {
		if err := cmp.Or(checkID(run.ID), check(run.Key)); err != nil {
			return nil, err
		}
		run, err := run.Kept()
		if err != nil {
			return nil, err
		}
		if _, err := l.encode(run); err != nil {
			return nil, err
		}
		kept[i] = run
	}
	return kept, nil
}

// put records those of the runs that may be, as their rows and the database's time
// tell, and leaves the token with them, if there is one. Nil: all of them.
func (l *Ledger) put(ctx context.Context, runs []ledger.Run, token string, may func(r *runRow, run ledger.Run, now time.Time) bool) error {
	keys, ids := make([]ledger.Key, len(runs)), make([]string, len(runs))
	for i, run := range runs {
		keys[i], ids[i] = run.Key, run.ID
	}
	// What each was when it was first looked at: asked again, because the answer was
	// lost, it would be what we have made of it.
	var was []string
	return l.change(ctx, keys, func(ctx context.Context, c *change) error {
		if err := c.read(ctx, ids); err != nil {
			return err
		}
		again := was != nil
		if !again {
			was = make([]string, len(runs))
		}
		for i, run := range runs {
			r := c.run(run.Key, run.ID)
			if r != nil && !again {
				was[i] = r.state
			}
			if may != nil && !may(r, run, c.now) {
				continue
			}
			if err := c.record(run, was[i]); err != nil {
				return err
			}
			if token != "" {
				r.token = token
			}
		}
		return nil
	})
}

// Settle implements ledger.Ledger.
func (l *Ledger) Settle(ctx context.Context, runs ...ledger.Run) ([]ledger.Run, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	kept, err := l.kept(runs)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	settled := map[ledger.Key][]string{}
	err = l.put(ctx, kept, token, func(r *runRow, run ledger.Run, now time.Time) bool {
		settled[run.Key] = slices.DeleteFunc(settled[run.Key], func(id string) bool { return id == run.ID })
		if r == nil {
			return false
		}
		overdue := r.state == open && !now.Before(r.claimedAt.Time.Add(time.Duration(r.settle)))
		ours := r.token == token && !r.put // we have, and the answer was lost
		if !ours && !overdue && (r.state != pending || r.attempts != run.Attempts) {
			return false
		}
		settled[run.Key] = append(settled[run.Key], run.ID)
		return !ours
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(runs), func(run ledger.Run) bool { return !slices.Contains(settled[run.Key], run.ID) }), nil
}

// Pause implements ledger.Ledger.
func (l *Ledger) Pause(ctx context.Context, keys []ledger.Key, p ledger.Pause) error {
	return l.change(ctx, keys, func(_ context.Context, c *change) error {
		for _, row := range c.rows {
			row.pause, row.changed = p.Kept(c.now), true
		}
		return nil
	})
}

// Tell implements ledger.Ledger.
func (l *Ledger) Tell(ctx context.Context, key ledger.Key, told ledger.Told) (won bool, err error) {
	want := told.Kept()
	asked := 0
	err = l.change(ctx, []ledger.Key{key}, func(_ context.Context, c *change) error {
		row := c.rows[key]
		// The answer to the call before may have been lost.
		asked++
		won = row.told.Version == told.Version || asked > 1 && reflect.DeepEqual(row.told, want)
		if row.told.Version == told.Version {
			row.told, row.changed = want, true
		}
		return nil
	})
	return won && err == nil, err
}

// toldText is what people were told as the table keeps it.
func toldText(told ledger.Told) (text sql.NullString, err error) {
	if told.Version == 0 {
		return text, nil
	}
	data, err := json.Marshal(told)
	return sql.NullString{String: string(data), Valid: true}, err
}

func parseTold(text string, key ledger.Key) (told ledger.Told, err error) {
	if text == "" {
		return told, nil
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		return told, fmt.Errorf("what the ledger says people were told of cron %q cannot be read: %w", key.Cron, err)
	}
	return told, nil
}

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
	slices.SortFunc(keys, ledger.Key.Compare)
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

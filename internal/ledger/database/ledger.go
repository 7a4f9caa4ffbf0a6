package database

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
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
	records := make([]record, len(claims)) // of those that bring one
	for i := range claims {
		claim := &claims[i]
		if err := checkID(claim.ID); err != nil {
			return nil, err
		}
		if claim.Run != nil {
			all, err := l.kept([]ledger.Run{*claim.Run})
			if err != nil {
				return nil, err
			}
			records[i] = all[0]
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
		for i, claim := range claims {
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
				c.record(records[i], open)
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
	return l.records.Do(ctx, l.busy, kept, func(take func() [][]record) error {
		return l.put(ctx, slices.Concat(take()...), "", nil)
	})
}

// record is a run as it is kept.
type record struct {
	ledger.Run
	text string
}

// kept are the records of runs, if there can be one of each: what is wrong with one
// must not fail what is written with it. They are made before the cron's row is
// locked, since others wait for that.
func (l *Ledger) kept(runs []ledger.Run) ([]record, error) {
	kept := make([]record, len(runs))
	for i, run := range runs {
		if err := cmp.Or(checkID(run.ID), check(run.Key)); err != nil {
			return nil, err
		}
		run, err := run.Kept()
		if err != nil {
			return nil, err
		}
		text, err := l.encode(run)
		if err != nil {
			return nil, err
		}
		kept[i] = record{run, text}
	}
	return kept, nil
}

// put writes those of the records that may be, as their rows and the database's time
// tell, and leaves the token with them, if there is one. Nil: all of them.
func (l *Ledger) put(ctx context.Context, runs []record, token string, may func(r *runRow, run ledger.Run, now time.Time) bool) error {
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
			if may != nil && !may(r, run.Run, c.now) {
				continue
			}
			c.record(run, was[i])
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

package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// row is a cron's row.
type row struct {
	id        string
	watermark time.Time // zero: the cron is not known yet
	seq       int64     // the place of the newest run
	last      string    // the run that State.Last is
	pause     ledger.Pause
	told      ledger.Told
	changed   bool
}

// The states of a run. Whoever settles things looks for those that have not ended.
const (
	open     = "open"
	deferred = "deferred"
	pending  = "pending"
	ended    = "ended"
)

// runRow is a run's row.
type runRow struct {
	key       ledger.Key
	id        string
	state     string
	seq       sql.NullInt64 // its place among the cron's runs, from its first record on
	firstAt   sql.NullTime  // when that was
	due       sql.NullTime
	claimedAt sql.NullTime
	settle    int64 // nanoseconds
	operation string
	attempts  int
	token     string  // of the call that claimed it
	record    *string // nil: there is none yet, or it stays as it is
	put       bool    // it is among those to be written
}

// change is one transaction. The rows of its crons are locked, so what it reads
// stands until it ends.
type change struct {
	l    *Ledger
	conn *sql.Conn
	now  time.Time
	rows map[ledger.Key]*row
	runs map[string][]*runRow // by run ID, those that were read or put
	put  []*runRow
	// behind is how many watermarks the database had before those that we have seen.
	behind int
}

// change locks the rows of some crons, and makes those that are not there; lets do
// decide; and writes what it has changed, all of it or nothing. Do may be called
// several times, and the last time counts.
func (l *Ledger) change(ctx context.Context, keys []ledger.Key, do func(ctx context.Context, c *change) error) error {
	unique := map[ledger.Key]bool{}
	for _, key := range keys {
		if err := check(key); err != nil {
			return err
		}
		unique[key] = true
	}
	if len(unique) == 0 {
		return nil
	}
	var c *change
	err := l.do(ctx, len(unique), func(ctx context.Context) error {
		c = &change{l: l, rows: map[ledger.Key]*row{}, runs: map[string][]*runRow{}}
		conn, err := l.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		c.conn = conn
		return transact(ctx, conn, func() error {
			if err := c.lock(ctx, slices.Collect(maps.Keys(unique))); err != nil {
				return err
			}
			if err := do(ctx, c); err != nil {
				return err
			}
			return c.flush(ctx)
		})
	})
	if err != nil {
		return err
	}
	for key, row := range c.rows {
		l.see(key, row.watermark)
	}
	if c.behind > 0 {
		l.Note("the database was restored or emptied: the watermarks of %d crons were behind what this agent has seen, and were set forward, so that nothing is done twice", c.behind)
	}
	return nil
}

// seenOf is the latest watermark of a cron that is known to have been taken.
func (l *Ledger) seenOf(key ledger.Key) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[key]
}

func (l *Ledger) see(key ledger.Key, watermark time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if watermark.After(l.seen[key]) {
		l.seen[key] = watermark
	}
}

// check refuses what a database would not keep as it is.
func check(key ledger.Key) error {
	if err := key.Check(); err != nil {
		return err
	}
	for _, part := range []string{key.Project, key.Environment, key.App, key.Cron} {
		if strings.ContainsRune(part, 0) {
			return fmt.Errorf("the name %q of a project, environment, app or cron holds a zero byte", part)
		}
	}
	return nil
}

// longestID is the room that a run's ID has.
const longestID = 128

func checkID(id string) error {
	if err := ledger.CheckID(id); err != nil {
		return err
	}
	if len(id) > longestID || strings.ContainsRune(id, 0) {
		return fmt.Errorf("the run ID %q is longer than %d bytes, or holds a zero byte", id, longestID)
	}
	return nil
}

// idOf is what a key is called in the tables: servers differ in how long a key may
// be, and in which letters they take for the same.
func idOf(key ledger.Key) string {
	hash := sha256.New()
	for _, part := range []string{key.Project, key.Environment, key.App, key.Cron} {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func scopeOf(key ledger.Key) string {
	key.Cron = ""
	return idOf(key)
}

// atOnce is how many rows one statement is about: servers bound the parameters.
const atOnce = 500

// stamp is a time as the database keeps it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// nullStamp is stamp, with the zero time for none.
func nullStamp(t time.Time) sql.NullTime { return sql.NullTime{Time: stamp(t), Valid: !t.IsZero()} }

var cronColumns = []string{"id", "scope", "project", "environment", "app", "cron", "watermark", "seq", "last_run", "paused_until", "pause_reason", "paused_at", "told", "untold"}

// lock reads and locks the rows, in an order that is the same for everybody, so
// that no two wait for each other.
func (c *change) lock(ctx context.Context, keys []ledger.Key) error {
	byID := make(map[string]ledger.Key, len(keys))
	for _, key := range keys {
		byID[idOf(key)] = key
	}
	ids := slices.Sorted(maps.Keys(byID))
	for some := range slices.Chunk(ids, atOnce) {
		if err := c.lockSome(ctx, some, byID); err != nil {
			return err
		}
		var missing []any
		for _, id := range some {
			if key := byID[id]; c.rows[key] == nil {
				missing = append(missing, id, scopeOf(key), key.Project, key.Environment, key.App, key.Cron, nil, 0, "", nil, "", nil, nil, 0)
			}
		}
		if len(missing) == 0 {
			continue
		}
		// Another agent may be making the same ones.
		insert := c.l.engine.insert("{crons}", cronColumns, 1, len(missing)/len(cronColumns), true)
		if _, err := c.conn.ExecContext(ctx, insert, missing...); err != nil {
			return err
		}
		if err := c.lockSome(ctx, some, byID); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) lockSome(ctx context.Context, ids []string, byID map[string]ledger.Key) error {
	asked := time.Now()
	rows, err := c.conn.QueryContext(ctx, c.l.engine.text("SELECT id, watermark, seq, last_run, paused_until, pause_reason, paused_at, told, {now} FROM {crons} WHERE id IN "+
		list(len(ids))+" ORDER BY id FOR UPDATE"), anys(ids)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	some := false
	for rows.Next() {
		some = true
		var r row
		var watermark, until, at sql.NullTime
		var told sql.NullString
		if err := rows.Scan(&r.id, &watermark, &r.seq, &r.last, &until, &r.pause.Reason, &at, &told, &c.now); err != nil {
			return err
		}
		r.watermark, r.pause.Until, r.pause.At = watermark.Time.UTC(), until.Time.UTC(), at.Time.UTC()
		key := byID[r.id]
		if r.told, err = parseTold(told.String, key); err != nil {
			return err
		}
		// What we know to be taken stays taken, whatever the database was restored to.
		if seen := c.l.seenOf(key); seen.After(r.watermark) {
			r.watermark, r.changed = seen, true
			c.behind++
		}
		c.rows[key] = &r
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if some {
		c.now = c.now.UTC()
		c.l.measure(c.now, asked)
	}
	return nil
}

func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, value := range values {
		all[i] = value
	}
	return all
}

// read reads the rows of runs, as far as they are there.
func (c *change) read(ctx context.Context, ids []string) error {
	byID := map[string]ledger.Key{}
	for key, row := range c.rows {
		byID[row.id] = key
	}
	for some := range slices.Chunk(ids, atOnce) {
		rows, err := c.conn.QueryContext(ctx, c.l.engine.text("SELECT run_id, cron_id, state, seq, first_at, due, claimed_at, settle, operation, attempts, token FROM {runs} WHERE run_id IN "+
			list(len(some))), anys(some)...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r runRow
			var cron string
			if err := rows.Scan(&r.id, &cron, &r.state, &r.seq, &r.firstAt, &r.due, &r.claimedAt, &r.settle, &r.operation, &r.attempts, &r.token); err != nil {
				rows.Close()
				return err
			}
			if key, ours := byID[cron]; ours {
				r.key = key
				c.runs[r.id] = append(c.runs[r.id], &r)
			}
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

// run is the row of a run as it stands, with what this change has done to it; nil if
// there is none.
func (c *change) run(key ledger.Key, id string) *runRow {
	for _, r := range c.runs[id] {
		if r.key == key {
			return r
		}
	}
	return nil
}

// write notes a row to be written.
func (c *change) write(r *runRow) {
	if c.run(r.key, r.id) == nil {
		c.runs[r.id] = append(c.runs[r.id], r)
	}
	if !r.put {
		r.put = true
		c.put = append(c.put, r)
	}
}

// record changes a run, which was read, by its record, which ends what the run was
// before; was is its state before.
func (c *change) record(run record, was string) {
	row, r := c.rows[run.Key], c.run(run.Key, run.ID)
	if r == nil {
		r = &runRow{key: run.Key, id: run.ID, operation: run.Operation}
	}
	// The newest run is one that was not known to be unsettled: what an older one
	// comes to does not make it the newest.
	if row.last == "" || row.last == run.ID || was != deferred && was != pending {
		row.last, row.changed = run.ID, true
	}
	if !r.seq.Valid {
		row.seq++
		row.changed = true
		r.seq, r.firstAt = sql.NullInt64{Int64: row.seq, Valid: true}, nullStamp(c.now)
	}
	switch {
	case run.Outcome == ledger.Deferred && run.Due != nil:
		r.state = deferred
	case run.Pending:
		r.state = pending
	default:
		r.state = ended
	}
	if run.Due != nil {
		r.due = nullStamp(*run.Due)
	}
	r.attempts, r.record = run.Attempts, &run.text
	c.write(r)
}

// longestRecord bounds a record, so that no server's limit of a statement is ever
// reached by what an API answered.
const longestRecord = 256 << 10

func (l *Ledger) encode(run ledger.Run) (string, error) {
	if !l.output {
		run.Output = ""
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(run); err != nil {
		return "", err
	}
	if text.Len() > longestRecord {
		return "", fmt.Errorf("a record of %d bytes is longer than a ledger keeps", text.Len())
	}
	return strings.TrimSpace(text.String()), nil
}

// How many runs of a cron are kept, and how many more there may be before the
// oldest are removed.
const (
	keepRuns  = ledger.KeepRuns
	pruneRuns = 20
)

var runColumns = []string{"run_id", "cron_id", "scope", "state", "seq", "first_at", "due", "claimed_at", "settle", "operation", "attempts", "token", "record"}

// flush writes what was changed.
func (c *change) flush(ctx context.Context) error {
	var claimed, recorded [][]any
	for _, r := range c.put {
		values := []any{r.id, c.rows[r.key].id, scopeOf(r.key), r.state, r.seq, r.firstAt, r.due, r.claimedAt, r.settle, plain(r.operation), r.attempts, r.token}
		if r.record == nil { // it stays as it is
			claimed = append(claimed, values)
		} else {
			recorded = append(recorded, append(values, *r.record))
		}
	}
	last := len(runColumns) - 1
	if err := c.insert(ctx, "{runs}", runColumns[:last], 2, claimed); err != nil {
		return err
	}
	if err := c.insert(ctx, "{runs}", runColumns, 2, recorded); err != nil {
		return err
	}
	var crons [][]any
	for key, r := range c.rows {
		if r.changed {
			told, err := toldText(r.told)
			if err != nil {
				return err
			}
			crons = append(crons, []any{r.id, scopeOf(key), key.Project, key.Environment, key.App, key.Cron,
				nullStamp(r.watermark), r.seq, r.last, nullStamp(r.pause.Until), plain(r.pause.Reason), nullStamp(r.pause.At), told, min(len(r.told.Left), 1)})
		}
	}
	if err := c.insert(ctx, "{crons}", cronColumns, 1, crons); err != nil {
		return err
	}
	return c.prune(ctx)
}

// plain is a text with U+FFFD for what a server refuses in one, as JSON has it for the
// most part: a record must not be lost for what somebody typed.
func plain(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// mostAtOnce bounds what one statement holds, in bytes, about: servers bound it.
const mostAtOnce = 1 << 20

func (c *change) insert(ctx context.Context, table string, columns []string, key int, rows [][]any) error {
	for len(rows) > 0 {
		n := 0
		for size := 0; n < min(len(rows), atOnce) && size < mostAtOnce; n++ {
			for _, value := range rows[n] {
				if text, ok := value.(string); ok {
					size += len(text)
				}
			}
		}
		if _, err := c.conn.ExecContext(ctx, c.l.engine.insert(table, columns, key, n, false), slices.Concat(rows[:n]...)...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// prune removes the oldest runs of the crons that have got some more.
func (c *change) prune(ctx context.Context) error {
	due := map[ledger.Key]bool{}
	for _, r := range c.put {
		if r.seq.Valid && r.seq.Int64 > keepRuns && r.seq.Int64%pruneRuns == 0 {
			due[r.key] = true
		}
	}
	for key := range due {
		row := c.rows[key]
		if _, err := c.conn.ExecContext(ctx, c.l.engine.text("DELETE FROM {runs} WHERE cron_id = ? AND seq <= ? AND state = '"+ended+"'"), row.id, row.seq-keepRuns); err != nil {
			return err
		}
	}
	return nil
}

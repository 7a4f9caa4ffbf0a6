package database

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cronagent/cronagent/internal/ledger"
)

// Reader is what a database's ledger held at one moment, for who only looks at it.
// It makes and changes nothing. Its methods are safe for concurrent use.
type Reader struct {
	l      *Ledger
	at     time.Time // when it was read
	empty  bool      // there are no tables yet
	keys   []ledger.Key
	states map[ledger.Key]ledger.State
	own    map[ledger.Key]*ledger.Pause
}

// errNoTables is for who must not make them.
var errNoTables = errors.New("the ledger has no tables yet")

// Read reads the ledger. One that has no tables yet is an empty one. The caller
// calls Close.
func Read(ctx context.Context, c Config) (*Reader, error) {
	l, err := Open(c)
	if err != nil {
		return nil, err
	}
	l.looksOnly = true
	r := &Reader{l: l, at: time.Now(), states: map[ledger.Key]ledger.State{}, own: map[ledger.Key]*ledger.Pause{}}
	err = r.read(ctx)
	if errors.Is(err, errNoTables) {
		r.empty, err = true, nil
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) read(ctx context.Context) error {
	ids := map[string]ledger.Key{}
	err := r.l.do(ctx, 0, func(ctx context.Context) error {
		clear(ids)
		rows, err := r.l.db.QueryContext(ctx, r.l.engine.text("SELECT id, project, environment, app, cron FROM {crons}"))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var key ledger.Key
			if err := rows.Scan(&id, &key.Project, &key.Environment, &key.App, &key.Cron); err != nil {
				return err
			}
			ids[id] = key
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, key := range ids {
		r.keys = append(r.keys, key)
	}
	ledger.SortKeys(r.keys)
	for some := range slices.Chunk(r.keys, atOnce) {
		crons, runs, err := r.l.lines(ctx, some)
		if err != nil {
			return err
		}
		for _, key := range some {
			if r.states[key], err = state(key, crons, runs); err != nil {
				return err
			}
			r.own[key] = crons[idOf(key)].pause()
		}
	}
	return nil
}

// Name says for a person which database it is.
func (r *Reader) Name() string { return r.l.name }

// Written is nil: a database does not tell when it was last written.
func (r *Reader) Written() *time.Time { return nil }

// lookAgain is how soon a reader is taken to be out of date: a database does not tell
// whether it was written, and to read it costs it something.
const lookAgain = 3 * time.Second

// Changed tells whether it is worth reading again.
func (r *Reader) Changed() (bool, error) { return time.Since(r.at) >= lookAgain, nil }

// Close lets go of the connection.
func (r *Reader) Close() error { return r.l.Close() }

// Keys are the crons in scope that the ledger knows, sorted; the scope is History's.
func (r *Reader) Keys(scope ledger.Key) []ledger.Key {
	return slices.DeleteFunc(slices.Clone(r.keys), func(key ledger.Key) bool { return !scope.Contains(key) })
}

// Load returns the state of each key, in the order of keys.
func (r *Reader) Load(keys []ledger.Key) []ledger.State {
	states := make([]ledger.State, len(keys))
	for i, key := range keys {
		known, ok := r.states[key]
		if !ok {
			key.Cron = ""
			known.Pause = r.own[key]
		}
		states[i] = known
	}
	return states
}

// OwnPause is the pause that was set for exactly this key, where State's may be the
// general one; nil if there was none, or it was ended.
func (r *Reader) OwnPause(key ledger.Key) *ledger.Pause { return r.own[key] }

// History is Ledger's, as it stands now.
func (r *Reader) History(scope ledger.Key, n int) ([]ledger.Run, error) {
	if r.empty {
		return nil, nil
	}
	return r.l.History(context.Background(), scope, n)
}

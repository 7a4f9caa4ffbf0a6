package main

import (
	"context"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/ledger/database"
)

// openedLedger is the ledger for who writes to it: the file of this container, or the
// project's database.
type openedLedger interface {
	ledger.Ledger
	// Name is for a person: the file's path, or which database.
	Name() string
	// Notes are sentences for the log, each told once; Noted lets one receive when
	// there are some.
	Notes() []string
	Noted() <-chan struct{}
	Close() error
}

// openLedger opens the ledger of this container. A database is connected to when
// something is asked of it, so that it is out of reach is found out then.
func openLedger(ctx context.Context, env envdetect.Environment) (openedLedger, error) {
	if err := env.LedgerError(); err != nil {
		return nil, err
	}
	if env.Database != nil {
		return database.Open(databaseConfig(env))
	}
	if env.StateProblem != "" {
		return nil, errState(env)
	}
	l, err := ledger.OpenFile(ctx, env.StateDir)
	if err != nil {
		return nil, &usageError{err, "set CRONAGENT_STATE_DIR to a folder that can be written to, or define a mount named .cronagent"}
	}
	return l, nil
}

// recorded is a run as a ledger keeps it, which is how every command prints it: in UTC.
func recorded(run ledger.Run) ledger.Run {
	if kept, err := run.Kept(); err == nil {
		return kept
	}
	return run
}

// allRecorded is recorded for a list, which is never nil.
func allRecorded(runs []ledger.Run) []ledger.Run {
	all := make([]ledger.Run, len(runs))
	for i, run := range runs {
		all[i] = recorded(run)
	}
	return all
}

// errState is for whoever needs the state directory.
func errState(env envdetect.Environment) error {
	return usage("set CRONAGENT_STATE_DIR to a folder of this container that can be written to, or define a mount named .cronagent",
		"state directory %s: %s", env.StateDir, env.StateProblem)
}

func databaseConfig(env envdetect.Environment) database.Config {
	d := env.Database
	return database.Config{
		Engine: database.Engine(d.Scheme), Relationship: d.Relationship, Host: d.Host, Port: d.Port,
		User: d.User, Password: d.Password, Name: d.Name, Output: env.LedgerOutput,
	}
}

// readBook is a ledger as it stood at one moment, for who changes nothing.
type readBook interface {
	// Name is as in openedLedger.
	Name() string
	// Written is when the ledger was last written; nil if there is none yet, or if it
	// does not tell.
	Written() *time.Time
	// Changed tells whether it may stand otherwise by now.
	Changed() (bool, error)
	// Keys are the crons in scope that it knows, sorted; the scope is that of
	// ledger.Ledger's History.
	Keys(scope ledger.Key) []ledger.Key
	Load(keys []ledger.Key) []ledger.State
	// OwnPause is the pause that was set for exactly this key; nil if there is none.
	OwnPause(key ledger.Key) *ledger.Pause
	History(scope ledger.Key, n int) ([]ledger.Run, error)
	Close() error
}

// readLedger reads the ledger. A folder that an agent must not use can be read
// nevertheless.
func readLedger(env envdetect.Environment) (readBook, error) {
	return readLedgerWithin(context.Background(), env)
}

// readLedgerWithin is readLedger for who does not wait longer for a database than ctx
// lasts.
func readLedgerWithin(ctx context.Context, env envdetect.Environment) (readBook, error) {
	if err := env.LedgerError(); err != nil {
		return nil, err
	}
	if env.Database != nil {
		return database.Read(ctx, databaseConfig(env))
	}
	book, err := ledger.ReadFile(env.StateDir)
	if err != nil {
		return nil, &usageError{err, "run it as the user who runs the crons; look at the folder with: cronagent env"}
	}
	return book, nil
}

// ledgerIsSettled refuses a setting that names no ledger, or a configuration that names
// another one than this container's: two agents with two ledgers would both act.
func (p proc) ledgerIsSettled(env envdetect.Environment, app *appconfig.App) error {
	if err := env.LedgerError(); err != nil {
		return err
	}
	wanted := app.Settings.Ledger
	switch {
	case wanted == "" || p.getenv("CRONAGENT_LEDGER") != "" || wanted == env.Ledger || wanted == "auto" && env.Database != nil:
	case env.Phase == envdetect.Local:
		if wanted != "file" {
			p.warn("off the platform the ledger is a file, and not the relationship %q; CRONAGENT_LEDGER says otherwise", wanted)
		}
	default:
		return usage("redeploy, so that the container's variables are those of the configuration, or set CRONAGENT_LEDGER",
			"variables.cronagent.ledger is %q in %s, but %q in this container", wanted, app.File, env.Ledger)
	}
	return nil
}

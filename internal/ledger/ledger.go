// Package ledger is where occurrences are claimed and runs recorded. It knows
// nothing of schedules or of what a run does. The file ledger serves one
// container, any number of processes in it.
package ledger

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Key names a cron everywhere: two apps of a project may have crons of one name.
type Key struct {
	Project     string `json:"project"`
	Environment string `json:"environment"`
	App         string `json:"app"`
	Cron        string `json:"cron"`
}

// check refuses what JSON would change: a ledger would not find it again, and
// let it be claimed again and again.
func (k Key) check() error {
	for _, part := range []string{k.Project, k.Environment, k.App, k.Cron} {
		if !utf8.ValidString(part) {
			return fmt.Errorf("the name %q of a project, environment, app or cron is not valid UTF-8", part)
		}
	}
	return nil
}

// Outcome is how a run ended, or stands.
type Outcome string

// The outcomes. Fired means accepted by the platform; what became of it is
// Succeeded or Failed once it is known. Deferred was handed back: surely nothing
// was accepted, and it will be tried again.
const (
	Fired     Outcome = "fired"
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed"
	Skipped   Outcome = "skipped"
	Deferred  Outcome = "deferred"
	Uncertain Outcome = "uncertain"
	TimedOut  Outcome = "timed_out"
	Cancelled Outcome = "cancelled"
	Missed    Outcome = "missed"
)

// Run is one record: an occurrence, or a bare fire, and what came of it. Its
// JSON is what `fire --json` prints; every name is always there.
type Run struct {
	// ID is the same from the claim to the last record of an occurrence.
	ID string `json:"id"`
	Key
	// Operation is empty for a command.
	Operation string  `json:"operation"`
	Outcome   Outcome `json:"outcome"`
	// Reason says in words why it was skipped, deferred or missed, or what was out
	// of the ordinary about an outcome.
	Reason string `json:"reason"`
	// Due is the occurrence; nil for what no schedule asked for. For several
	// missed occurrences in one record it is the first, Until the last, and Count
	// how many; otherwise Until is nil and Count 1.
	Due   *time.Time `json:"due"`
	Until *time.Time `json:"until"`
	Count int        `json:"count"`
	// Started and Ended are real times; nil if nothing was started or is over.
	Started *time.Time `json:"started"`
	Ended   *time.Time `json:"ended"`
	// Attempts is how often it was acted on, over all hand-backs.
	Attempts int `json:"attempts"`
	// NextTry is when a deferred run may be claimed again; nil otherwise.
	NextTry    *time.Time `json:"next_try"`
	Activities []Activity `json:"activities"`
	// ExitCode is the command's, or for an operation what `cronagent fire` exits
	// with; nil if there is none.
	ExitCode *int   `json:"exit_code"`
	Error    string `json:"error"`
	// Output is the end of what a command printed, at most 4 KiB.
	Output string `json:"output"`
}

// Activity is one that the platform made of an accepted operation.
type Activity struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	State  string `json:"state"`
	Result string `json:"result"`
}

// Claim asks for the right to act on one occurrence.
type Claim struct {
	Key
	// ID is the run's.
	ID  string    `json:"id"`
	Due time.Time `json:"due"`
	// Settle is how long after the claim its outcome is due at the latest; after
	// it, a claim without a record belongs to an agent that died.
	Settle time.Duration `json:"settle"`
	// At is when it was claimed; the ledger sets it.
	At time.Time `json:"at"`
	// Operation is as in Run, and Attempts what it was before, for the record of a
	// claim whose owner died.
	Operation string `json:"operation"`
	Attempts  int    `json:"attempts"`
}

// Overdue tells whether a claim without a record belongs to an agent that died.
func (c Claim) Overdue(now time.Time) bool { return now.Sub(c.At) >= c.Settle }

// State is what the ledger knows of one cron.
type State struct {
	// Watermark is the latest occurrence that is claimed or settled. Zero: the cron
	// is not known yet.
	Watermark time.Time
	// HandedBack are the deferred runs, which may be claimed again.
	HandedBack []Run
	// Open are the claims that have no record yet.
	Open []Claim
	// Last is the newest record; nil if there is none.
	Last *Run
}

// Ledger is what an agent needs. All methods are safe for concurrent use, by
// many processes too.
type Ledger interface {
	// Load returns the state of each key, in the order of keys.
	Load(ctx context.Context, keys []Key) ([]State, error)
	// Begin makes crons known that are not: their watermark becomes at. A cron that
	// is known keeps its own.
	Begin(ctx context.Context, keys []Key, at time.Time) error
	// Claim claims occurrences, all of them with one write, those of one cron in
	// order. It returns those that were won, as they stand in the ledger: an
	// occurrence is won if it lies after its cron's watermark, which it becomes, or
	// if it was handed back. After an error none may be acted on.
	Claim(ctx context.Context, claims []Claim) ([]Claim, error)
	// Record writes runs. A later record of the same ID replaces an earlier one.
	Record(ctx context.Context, runs ...Run) error
	// Settle records runs in place of their owners, and returns those that it
	// recorded: those whose claims are still open and overdue. An owner may have
	// recorded its own since they were loaded, and that one stands.
	Settle(ctx context.Context, runs ...Run) ([]Run, error)
}

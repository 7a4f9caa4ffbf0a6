// Package ledger is where occurrences are claimed and runs recorded. It knows
// nothing of schedules or of what a run does. The file ledger is here, and serves
// one container, any number of processes in it; the one for several containers is
// in the package database.
package ledger

import (
	"cmp"
	"context"
	"fmt"
	"sort"
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

// Check refuses what JSON would change: a ledger would not find it again, and
// let it be claimed again and again.
func (k Key) Check() error {
	for _, part := range []string{k.Project, k.Environment, k.App, k.Cron} {
		if !utf8.ValidString(part) {
			return fmt.Errorf("the name %q of a project, environment, app or cron is not valid UTF-8", part)
		}
	}
	return nil
}

// SortKeys sorts keys by their order.
func SortKeys(keys []Key) { sortBy(keys, Key.Compare) }

// sortBy is slices.SortFunc, of which one for each type of element is 20 KB of the
// binary.
func sortBy[T any](all []T, compare func(a, b T) int) {
	sort.Slice(all, func(i, j int) bool { return compare(all[i], all[j]) < 0 })
}

// Compare orders keys as a reader would.
func (k Key) Compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Project, other.Project), cmp.Compare(k.Environment, other.Environment),
		cmp.Compare(k.App, other.App), cmp.Compare(k.Cron, other.Cron))
}

// Contains tells whether a key is in the scope k: everything if k has no project,
// all of an app if it has no cron.
func (k Key) Contains(key Key) bool {
	if k.Project == "" {
		return true
	}
	if k.Cron == "" {
		key.Cron = ""
	}
	return k == key
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
	// Pending says that its end is not known yet and will be looked up: a fired
	// operation whose activities have not ended, or an uncertain one. Whoever
	// records the run decides; the ledger only keeps it.
	Pending bool `json:"pending"`
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
	// From is the watermark that the claim was planned from. A new occurrence is
	// won only if the watermark still is From, or an earlier claim of the same call
	// moved it from there. Zero: whatever the watermark is, if Due lies after it.
	// It says nothing about a run that was handed back, and is not kept.
	From time.Time `json:"-"`
	// Settle is how long after the claim its outcome is due at the latest; after
	// it, a claim without a record belongs to an agent that died.
	Settle time.Duration `json:"settle"`
	// At is when it was claimed; the ledger sets it.
	At time.Time `json:"at"`
	// Operation is as in Run, and Attempts what it was before, for the record of a
	// claim whose owner died.
	Operation string `json:"operation"`
	Attempts  int    `json:"attempts"`
	// Run is what it comes to if nobody acts on it: recorded with the same write, so
	// that nobody can die between the two. Nil: the outcome is recorded later.
	Run *Run `json:"-"`
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
	// Pending are the runs whose newest record is Pending, by Due, or by Started if
	// they have none.
	Pending []Run
	// Last is the newest run, as its newest record has it but for its Output, which
	// only History reads; nil if there is none. A later record of an older run that
	// was handed back or pending does not make that one the newest.
	Last *Run
	// Pause is the pause that counts for this cron, its own or the general one,
	// whichever ends later. It is here too when it has ended: compare Until with the
	// time. Nil: there was none, or it was ended.
	Pause *Pause
	// Told is what people were told of this cron, as Tell wrote it last; its Version
	// is zero if they were told nothing yet.
	Told Told
}

// Told is what people were told of a cron's runs, and what is still to be told. It
// is the agent's: the ledger compares Version, looks whether there is something
// Left, and keeps the rest as it is.
type Told struct {
	// Version counts the changes, so that of several agents one tells.
	Version int `json:"version"`
	// Event is what the newest message is about: "failure", "recovered", ... Empty:
	// there was none, only Left.
	Event string `json:"event"`
	// Run is the ID of the run that it is about, and Of the instant that this run
	// belongs to.
	Run string    `json:"run"`
	Of  time.Time `json:"of,omitzero"`
	// Streak is the event by which people heard of the failures that go on; empty if
	// none do, or nobody was to hear of them. Since is when these began.
	Streak string    `json:"streak"`
	Since  time.Time `json:"since,omitzero"`
	// At is when it was tried last to tell, and Tries how often it was.
	At    time.Time `json:"at,omitzero"`
	Tries int       `json:"tries"`
	// Left are the ways by which it could not be told yet: "mail", "webhook", "ping".
	// With an empty Error somebody is at it since At, or has died.
	Left []string `json:"left,omitempty"`
	// Error says why it could not be told. It holds no address but a host.
	Error string `json:"error"`
}

// Kept is what is told as a ledger keeps it, over what it had before.
func (t Told) Kept() Told {
	t.Version++
	for _, at := range []*time.Time{&t.Of, &t.Since, &t.At} {
		*at = at.UTC().Round(0)
	}
	t.Error = cut(t.Error)
	return t
}

// Pause is a time in which crons are not acted on.
type Pause struct {
	// Until is when it ends by itself. Zero: it is over, which is how one is ended.
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
	// At is when it began; the ledger sets it.
	At time.Time `json:"at"`
}

// KeepRuns is how many runs of each cron a ledger keeps at least, beside those that
// are not settled.
const KeepRuns = 100

// Unreachable is the error of a ledger that cannot be asked now, and may be later:
// a database that restarts, or takes no more connections.
type Unreachable struct {
	// Ledger names it for a person: what it is and where, without credentials.
	Ledger string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("the ledger is out of reach: %s: %v", e.Ledger, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }

// Ledger is what an agent needs. All methods are safe for concurrent use, by
// many processes too.
type Ledger interface {
	// Now is the time by the ledger's clock, as far as it is known: the one by which
	// occurrences come due, and claims are overdue. One that several machines share
	// has one clock for all of them, measured whenever it is asked something; that of
	// a file is the machine's. It asks nobody, and never fails.
	Now() time.Time
	// Load returns the state of each key, in the order of keys.
	Load(ctx context.Context, keys []Key) ([]State, error)
	// Begin makes crons known that are not: their watermark becomes at. A cron that
	// is known keeps its own.
	Begin(ctx context.Context, keys []Key, at time.Time) error
	// Claim claims occurrences, all of them with one write, those of one cron in
	// order. It returns those that were won, as they stand in the ledger: an
	// occurrence is won if it lies after its cron's watermark, which it becomes, and
	// that was From, or if it was handed back. After an error none may be acted on.
	Claim(ctx context.Context, claims []Claim) ([]Claim, error)
	// Record writes runs. A later record of the same ID replaces an earlier one.
	Record(ctx context.Context, runs ...Run) error
	// Settle records runs in place of their owners, and returns those that it
	// recorded: those whose claims are still open and overdue, and those that are
	// still pending after as many attempts. An owner may have recorded its own since they were loaded, or
	// another agent may have settled them and gone on from there, and that stands.
	Settle(ctx context.Context, runs ...Run) ([]Run, error)
	// Pause pauses crons, each in place of the pause that it had; a zero Until ends
	// that. A key without a cron is the general pause, which counts for every cron of
	// its project, environment and app. The two are apart: ending the general pause
	// does not end a cron's own one, and a cron is not taken out of the general pause
	// by ending its own.
	Pause(ctx context.Context, keys []Key, p Pause) error
	// Tell replaces what State has as Told of a cron, unless somebody else did since
	// it was loaded, which is when its Version is not the one that is there: then it
	// changes nothing and tells false. It is written with the next Version. A cron
	// need not be known, and does not become so.
	Tell(ctx context.Context, key Key, told Told) (bool, error)
	// Unsettled returns the keys of a project, environment and app that have a run
	// handed back, a claim open, a run pending or something Left to be told, sorted. A
	// key without a cron stands for the bare fires. The scope's Cron must be empty.
	Unsettled(ctx context.Context, scope Key) ([]Key, error)
	// History returns the newest n runs of each cron in scope, each with its newest
	// record, at the place of its first one, oldest first. A scope without a cron
	// means all crons and the bare fires of its project, environment and app; an
	// empty Project means everything there is.
	History(ctx context.Context, scope Key, n int) ([]Run, error)
}

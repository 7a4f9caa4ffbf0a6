// Package appconfig reads an app's configuration into checked crons: the crons
// that the platform runs and those that the agent runs. It reads what the
// platform reads, .platform.app.yaml, .platform/applications.yaml and
// .upsun/*.yaml, or what a container is given of it, PLATFORM_APPLICATION and
// PLATFORM_VARIABLES.
//
// Everything is checked here, once: unknown keys, wrong types, specs that
// cannot be. A problem in anything that the agent acts on means no result at
// all, with every problem named; a problem in a cron of the platform is carried
// in that cron, because the platform may well accept what is refused here.
//
// The package touches nothing but the files that it reads. It knows no
// environment, no clock and no network.
package appconfig

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/schedule"
)

// Scheduler is who runs a cron.
type Scheduler string

// Platform crons stand in the app's crons: and are run by the platform. Agent
// crons stand in variables.cronagent.crons and are run by the agent.
const (
	Platform Scheduler = "platform"
	Agent    Scheduler = "agent"
)

// Overlap is what happens to an occurrence that comes due while the cron's
// previous one still runs.
type Overlap string

// The values of overlap. Skip is the default.
const (
	OverlapSkip  Overlap = "skip"
	OverlapQueue Overlap = "queue"
	OverlapAllow Overlap = "allow"
)

// Missed is what happens to occurrences that nobody acted on in time.
type Missed string

// The values of missed. Once is the default: act on the newest one only.
const (
	MissedOnce Missed = "once"
	MissedSkip Missed = "skip"
)

// AnyEnvironment stands in EnvironmentTypes for every type.
const AnyEnvironment = "any"

// EnvironmentTypes are the words that may stand in Cron.EnvironmentTypes, and
// wherever else a person names types of environment.
func EnvironmentTypes() []string {
	return []string{"production", "staging", "development", "local", AnyEnvironment}
}

// What an agent cron gets if it does not say. The platform documents the first
// two for its own crons; 86400 s is its maximum as well.
const (
	DefaultTimeout         = 24 * time.Hour
	DefaultShutdownTimeout = 10 * time.Second
	DefaultMissedWithin    = 24 * time.Hour
)

// Cron is one checked entry. A Cron with a Problem has whatever could be read
// and must not be run.
type Cron struct {
	Name      string
	Scheduler Scheduler
	// Position is where the cron's name stands. At tells more.
	Position Position

	// Spec is the spec as written.
	Spec string
	// Schedule is the parsed spec; nil only if there is a Problem. An agent cron's
	// H is drawn from project, app and name, and stands open if the project is not
	// known. A platform cron's H always does: only the platform knows what it draws.
	Schedule *schedule.Schedule
	// Zone is the time zone that the spec is read in, never nil without a Problem.
	Zone *time.Location

	// Fire is the operation that a fire cron calls; nil for a command cron.
	Fire *operation.Request
	// Start is what a command cron runs, by a shell. Stop is run to end it; empty
	// means SIGTERM.
	Start, Stop string

	// EnvironmentTypes are the types of environment that an agent cron acts on,
	// never empty; nil for a platform cron, which runs wherever the platform runs it.
	EnvironmentTypes []string
	// Timeout is when a running command is stopped, at most 24 hours.
	Timeout time.Duration
	// ShutdownTimeout is the time from stopping to SIGKILL. Zero means at once:
	// the default of 10 s has been filled in.
	ShutdownTimeout time.Duration

	// The following are an agent cron's alone, with their defaults filled in, and
	// zero in a platform cron but for Enabled, which is true.

	Overlap Overlap
	// Retries is how often a failed command is tried again.
	Retries int
	Missed  Missed
	// MissedWithin is how old a missed occurrence may be to be acted on. Zero means
	// that none is.
	MissedWithin time.Duration
	// Enabled is false for a cron that is configured and not to be acted on.
	Enabled bool
	// Env is added to the command's environment. It may hold secrets: it belongs
	// in no log, record or listing.
	Env map[string]string
	// Notify is the cron's own, in the place of the settings'; nil if it has none.
	Notify *Notify

	// Problem says why a platform cron cannot be read; it is an Errors. Agent crons
	// never have one: their problems leave no App.
	Problem error

	keys []keyPosition
}

type keyPosition struct {
	key string
	at  Position
}

// At returns where the value of one of the cron's keys stands ("spec",
// "commands.start", "cmd", "timeout"), and whether the key is there at all: a
// cron with "cmd" has its Start from the deprecated key, one with "commands" but
// without "commands.start" gives commands as a plain string.
func (c *Cron) At(key string) (Position, bool) {
	for _, k := range c.keys {
		if k.key == key {
			return k.at, true
		}
	}
	return c.Position, false
}

// App is the configuration of one app, as far as anybody here needs it.
type App struct {
	// Name is the app's name, without the part that names a worker. It is empty if
	// the file does not tell and nobody asked for an app by name.
	Name string
	// File is where the app is configured, as a person would type it, or
	// "PLATFORM_APPLICATION".
	File string
	// Dir is the app's directory, in which its commands run.
	Dir string
	// Zone is the zone of the app's crons that have none of their own; UTC if the
	// app names none. ZoneKnown is false in a container whose configuration does
	// not tell: there is no timezone key, not even null, which would mean UTC.
	Zone      *time.Location
	ZoneKnown bool
	// Crons are the platform's crons, then the agent's, each in the order of the
	// file.
	Crons []Cron
	// Problem says what is wrong with the platform's crons as a whole (they are no
	// map, one is there twice); it is an Errors. Like a Cron's Problem it does not
	// concern the agent's crons.
	Problem error
	// Settings are those of variables.cronagent but for its crons.
	Settings Settings
	// Mounts are the app's mounts by path, as written.
	Mounts map[string]Mount
	// Workers are the start commands of the app's workers, by the worker's name.
	Workers map[string]string
	// SourceOperations and Operations are the names of the app's source operations and
	// of its runtime operations, in the order of the file.
	SourceOperations, Operations []string
}

// Settings are what variables.cronagent sets for all agent crons.
type Settings struct {
	// Timezone is the name of the zone of agent crons without one of their own;
	// empty if it is not set.
	Timezone string
	// Ledger is as written, empty if it is not set.
	Ledger string
	// LedgerOutput tells whether a ledger in a database keeps what commands printed.
	LedgerOutput bool
	// Notify is for all agent crons that have none of their own; nil if it is not set.
	Notify *Notify
	// Heartbeat is asked for as long as the agent is well.
	Heartbeat URL
}

// Mount is one writable mount of the app.
type Mount struct {
	// Source is the kind, such as local, storage, tmp or service.
	Source string
	// SourcePath is the directory inside the source.
	SourcePath string
	// Service is the service of a mount of the kind service.
	Service string
}

// Position is a place in the configuration.
type Position struct {
	// File is the path as a person would type it. What was read from a variable has
	// the variable's name and the keys instead, and no line:
	// "PLATFORM_VARIABLES:cronagent:crons.NAME".
	File string
	// Line and Column count from 1. Zero: not known.
	Line, Column int
}

// String is "file:line:column", without what is not known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Error is one problem in a configuration.
type Error struct {
	Position
	// App and Cron name what is concerned; empty if it is no single one.
	App, Cron string
	// Message says what is wrong, Hint what to do. The hint is no part of Error().
	Message, Hint string

	cause error
}

// Error is `file:line:column: cron "name": message`.
func (e *Error) Error() string {
	var b strings.Builder
	if at := e.Position.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if e.Cron != "" {
		fmt.Fprintf(&b, "cron %q: ", e.Cron)
	}
	b.WriteString(e.Message)
	return b.String()
}

// Unwrap returns what the problem was found by, if that is more than text: a
// *schedule.Error, an *operation.UnknownError, an fs.ErrNotExist.
func (e *Error) Unwrap() error { return e.cause }

// Errors are all problems that were found, in the order of the file. Every error
// of this package is one, also if it holds a single problem.
type Errors []*Error

// errorLines bounds the text of Errors: whoever has ten thousand broken crons
// wants to see what kind of mistake it is.
const errorLines = 100

// Error has a line for each problem, at most 100.
func (e Errors) Error() string {
	var b strings.Builder
	for i, one := range e {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i == errorLines {
			fmt.Fprintf(&b, "and %d more", len(e)-i)
			break
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Unwrap makes errors.Is and errors.As look at each problem.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// err is e as an error that is nil when there is nothing to say.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// sort puts the problems of each file in the order of their lines. Files stay
// in the order in which they came up.
func (e Errors) sort() {
	order := map[string]int{}
	for _, one := range e {
		if _, ok := order[one.Position.File]; !ok {
			order[one.Position.File] = len(order)
		}
	}
	slices.SortStableFunc(e, func(a, b *Error) int {
		if d := order[a.Position.File] - order[b.Position.File]; d != 0 {
			return d
		}
		if d := a.Position.Line - b.Position.Line; d != 0 {
			return d
		}
		return a.Position.Column - b.Position.Column
	})
}

package main

import (
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/ledger"
)

// statusObject is what `status --json` prints.
type statusObject struct {
	// Ledger is the file that was read, and Written when it was last written, which
	// is as of when all this is known; nil if there is none yet. Or Ledger is the
	// database, which does not tell when.
	Ledger  string     `json:"ledger"`
	Written *time.Time `json:"written"`
	// PausedUntil is the end of the general pause.
	PausedUntil *time.Time `json:"paused_until"`
	PauseReason string     `json:"pause_reason"`
	// NotifyProblems are what keeps people from being told.
	NotifyProblems []string     `json:"notify_problems"`
	Crons          []statusCron `json:"crons"`
	// Runs are those of fire and exec: the last one of each operation or name, or
	// more of those that were named.
	Runs []ledger.Run `json:"runs"`
}

// statusCron is an agent cron in `status --json`.
type statusCron struct {
	Name string `json:"name"`
	// Scheduler is "agent", or "platform" for a cron of the platform that run acts on
	// elsewhere.
	Scheduler string `json:"scheduler"`
	// Configured is false for one that only the ledger knows.
	Configured bool `json:"configured"`
	// PausedUntil is the end of the pause that is on, its own or the general one.
	PausedUntil *time.Time `json:"paused_until"`
	PauseReason string     `json:"pause_reason"`
	// Next is as if there were no pause; nil if it is not known.
	Next *time.Time `json:"next"`
	// Streak is how many runs failed since the last success.
	Streak      int         `json:"streak"`
	LastSuccess *time.Time  `json:"last_success"`
	Last        *ledger.Run `json:"last"`
	// Open are what is claimed and has no record yet.
	Open []openClaim `json:"open"`
	// Pending are the runs of which the end is not known yet.
	Pending []ledger.Run `json:"pending"`
	// Told is what people were told last; nil: nothing.
	Told *toldObject `json:"told"`
	// Runs are there only if it was named.
	Runs *[]ledger.Run `json:"runs,omitempty"`
}

type openClaim struct {
	ID        string    `json:"id"`
	Due       time.Time `json:"due"`
	ClaimedAt time.Time `json:"claimed_at"`
	// Overdue says that the agent that claimed it has died.
	Overdue bool `json:"overdue"`
}

// toldObject is what people were told of a cron.
type toldObject struct {
	// Event is what it was about; empty if only a ping was to be sent.
	Event string    `json:"event"`
	Run   string    `json:"run"`
	At    time.Time `json:"at"`
	Tries int       `json:"tries"`
	// Left are the ways by which it could not be told yet, and Error says why.
	Left  []string `json:"left"`
	Error string   `json:"error"`
}

func toldFields(told ledger.Told) *toldObject {
	if told.Run == "" {
		return nil
	}
	return &toldObject{told.Event, told.Run, told.At, told.Tries, append([]string{}, told.Left...), told.Error}
}

func (v *look) statusJSON(chosen []*job, byName bool) statusObject {
	s := statusObject{Ledger: v.book.Name(), Written: v.book.Written(), Crons: []statusCron{}, Runs: []ledger.Run{}, NotifyProblems: append([]string{}, v.notifyProblems...)}
	s.PausedUntil, s.PauseReason = pauseFields(pauseOn(v.book.OwnPause(v.key("")), v.now))
	for _, j := range chosen {
		runs := append([]ledger.Run{}, j.runs[max(0, len(j.runs)-shownRuns):]...)
		if j.bare {
			if !byName && len(runs) > 1 {
				runs = runs[len(runs)-1:]
			}
			s.Runs = append(s.Runs, runs...)
			continue
		}
		c := statusCron{
			Name: j.name, Scheduler: string(appconfig.Agent), Configured: j.cron != nil,
			Streak: j.streak(), LastSuccess: j.lastSuccess(), Last: j.last(),
			Open: []openClaim{}, Pending: append([]ledger.Run{}, j.state.Pending...), Told: toldFields(j.told),
		}
		c.PausedUntil, c.PauseReason = pauseFields(pauseOn(j.state.Pause, v.now))
		if j.cron != nil {
			c.Scheduler, c.Next = string(j.cron.Scheduler), describe(j.cron, v.env, v.now).Next
		}
		for _, claim := range j.state.Open {
			c.Open = append(c.Open, openClaim{claim.ID, claim.Due, claim.At, claim.Overdue(v.now)})
		}
		if byName {
			c.Runs = &runs
		}
		s.Crons = append(s.Crons, c)
	}
	return s
}

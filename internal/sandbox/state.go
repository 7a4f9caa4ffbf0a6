package sandbox

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// operation is something that can be done to an environment by POST.
type operation struct {
	path     string // the last part of the path, and with # before it the link; or a name
	activity string
	did      string // "created a backup of", for descriptions
	from, to string // the environment's status before and after it
}

// operations lists what is served. It is a function so that nobody can change
// the list.
func operations() []operation {
	return []operation{
		{"backup", "environment.backup", "created a backup of", "active", "active"},
		{"redeploy", "environment.redeploy", "redeployed environment", "active", "active"},
		{"source-operation", "environment.source-operation", "ran a source operation on", "active", "active"},
		{"pause", "environment.pause", "paused environment", "active", "paused"},
		{"resume", "environment.resume", "resumed environment", "paused", "active"},
		{"synchronize", "environment.synchronize", "synchronized environment", "active", "active"},
	}
}

// deed is an operation that somebody may do, and asked for.
type deed struct {
	operation
	// change, if not nil, is what else changes, before the activities are made.
	change func()
	// entity, if not nil, is what was created: the answer is then 201 and holds it.
	entity func() object
	// whole, if not nil, is the whole answer, with 201.
	whole func() object
	// quiet says that it becomes no activity, and empty that the answer is a 204.
	quiet, empty bool
	user         User
	environment  string
	request      int
	body         string
	safe         bool
	source       string // the source operation's name
	count        int    // how many activities it becomes
	outcome      Outcome
}

// pending is what will happen when the server's clock reaches a time.
type pending struct {
	due    time.Time
	happen func(at time.Time)
}

// activity is one activity; its state follows from the clock.
type activity struct {
	id, kind    string
	environment string
	by          User
	created     time.Time
	outcome     Outcome
	did         string
	backup      string // the backup's name, if it is one
	safe        bool
	source      string
	automated   bool
	// backupDeleted says that the backup is there no more, and cancelled when
	// somebody ended the activity; zero: nobody has.
	backupDeleted bool
	cancelled     time.Time
}

// Activity is an activity as it stands.
type Activity struct {
	ID, Type, Environment string
	// By is the name of who caused it, or Platform.
	By string
	// State and Result are those of the API; Result is empty while there is none.
	State, Result string
	Created       time.Time
	// Completed is zero until the activity has ended.
	Completed time.Time
	// Backup is the name of the backup, if it is one.
	Backup string
}

// Event is something that a person or the platform does by other ways than a
// request to this Server.
type Event struct {
	// Environment is an environment's id; empty means "main".
	Environment string
	// Type is the activity's type; empty means "environment.backup".
	Type string
	// By is the name of a user, or Platform.
	By string
	// At is when it happens by the server's clock. Zero means now. It may lie in
	// the past, and in the future: nothing is seen of it before.
	At time.Time
	// Outcome is how its activity ends.
	Outcome Outcome
}

// Happen makes an event happen, or plans it. The error says that there is no
// such user or environment, or no such outcome.
func (s *Server) Happen(e Event) error {
	if e.Environment == "" {
		e.Environment = "main"
	}
	if e.Type == "" {
		e.Type = "environment.backup"
	}
	by := User{ID: "admin"}
	if e.By != Platform {
		if by = s.User(e.By); by.ID == "" {
			return fmt.Errorf("event: there is no user %q", e.By)
		}
	}
	if err := (&Fault{Outcome: e.Outcome}).check(); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	now := s.opts.Now()
	if e.At.IsZero() {
		e.At = now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.environment(e.Environment) == nil {
		return fmt.Errorf("event: there is no environment %q", e.Environment)
	}
	did := "ran " + e.Type + " on"
	for _, o := range operations() {
		if o.activity == e.Type {
			did = o.did
		}
	}
	s.later = append(s.later, pending{e.At, func(at time.Time) {
		s.add(activity{
			kind: e.Type, environment: e.Environment, by: by, created: at, outcome: e.Outcome,
			did: did, safe: true, automated: e.By == Platform,
		})
	}})
	s.advance(now)
	return nil
}

// advance lets everything happen that is due.
func (s *Server) advance(now time.Time) {
	slices.SortStableFunc(s.later, func(a, b pending) int { return a.due.Compare(b.due) })
	for len(s.later) > 0 && !s.later[0].due.After(now) {
		next := s.later[0]
		s.later = s.later[1:]
		next.happen(next.due)
	}
}

// perform does d and returns the activities.
func (s *Server) perform(d deed, at time.Time) []*activity {
	if d.change != nil {
		d.change()
	}
	if d.quiet {
		d.count = 0
	}
	var made []*activity
	done := Accepted{
		Time: at, Request: d.request, User: d.user.Username, Environment: d.environment,
		Operation: d.path, Body: d.body,
	}
	for range d.count {
		a := s.add(activity{
			kind: d.activity, environment: d.environment, by: d.user, created: at, outcome: d.outcome,
			did: d.did, safe: d.safe, source: d.source,
		})
		made = append(made, a)
		done.Activities = append(done.Activities, a.id)
	}
	s.accepted = append(s.accepted, done)
	if d.to != "" {
		s.environment(d.environment).Status = d.to
	}
	return made
}

// add stores an activity under a new id. The order is that of creation.
func (s *Server) add(a activity) *activity {
	a.id = randomID(13)
	if a.kind == "environment.backup" {
		a.backup = randomID(26)
	}
	i := len(s.activities)
	for i > 0 && s.activities[i-1].created.After(a.created) {
		i--
	}
	s.activities = slices.Insert(s.activities, i, &a)
	return &a
}

func randomID(length int) string {
	return strings.ToLower(rand.Text())[:length]
}

// state is the activity's state and result at a time, and when it began to run
// and ended; zero times mean that it has not.
func (s *Server) state(a *activity, now time.Time) (state, result string, started, ended time.Time) {
	whole := max(s.opts.ActivityDuration, 0)
	start, end := a.created.Add(whole/5), a.created.Add(whole)
	if !a.cancelled.IsZero() {
		if start.After(a.cancelled) {
			start = a.cancelled
		}
		return "cancelled", "", start, a.cancelled
	}
	switch {
	case a.outcome == Staged:
		return "staged", "", started, ended
	case now.Before(start):
		return "pending", "", started, ended
	case now.Before(end) || a.outcome == Unfinished:
		return "in_progress", "", start, ended
	case a.outcome == Cancelled:
		return "cancelled", "", start, end
	case a.outcome == Failure:
		return "complete", "failure", start, end
	}
	return "complete", "success", start, end
}

// percent is how much of an activity is done: by the clock, and all of it only
// when it has ended.
func (s *Server) percent(a *activity, now time.Time) int {
	_, _, started, ended := s.state(a, now)
	switch {
	case started.IsZero():
		return 0
	case !ended.IsZero():
		return 100
	}
	return int(min(100*now.Sub(a.created)/max(s.opts.ActivityDuration, 1), 99))
}

// logItem is one entry of an activity's log.
type logItem struct {
	at      time.Time
	message string
}

// log is the activity's log as it stands: an item when it begins to run, and after
// each further fifth of its time. It is sealed a tenth of that time before the
// activity ends, since the platform's logs were seen to end before the activities.
func (s *Server) log(a *activity, now time.Time) (items []logItem, sealed bool) {
	state, _, started, _ := s.state(a, now)
	if state == "pending" || state == "staged" {
		return nil, false
	}
	whole := max(s.opts.ActivityDuration, 0)
	items = append(items, logItem{started, "Started " + a.kind + "\n"})
	for step := range 3 {
		if at := started.Add(time.Duration(step+1) * whole / 5); !at.After(now) {
			items = append(items, logItem{at, fmt.Sprintf("Step %d of 3 is done\n", step+1)})
		}
	}
	return items, a.outcome != Unfinished && !a.created.Add(whole*9/10).After(now)
}

// Activities returns all activities of the project, the oldest first.
func (s *Server) Activities() []Activity {
	now := s.opts.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	all := make([]Activity, len(s.activities))
	for i, a := range s.activities {
		state, result, _, ended := s.state(a, now)
		all[i] = Activity{
			ID: a.id, Type: a.kind, Environment: a.environment, By: a.by.Username,
			State: state, Result: result, Created: a.created, Completed: ended, Backup: a.backup,
		}
	}
	return all
}

func (s *Server) environment(id string) *Environment {
	for i := range s.environments {
		if s.environments[i].ID == id {
			return &s.environments[i]
		}
	}
	return nil
}

func (s *Server) setEnvironment(e Environment) {
	if e.Type == "" {
		e.Type = "development"
	}
	if e.Status == "" {
		e.Status = "active"
	}
	if e.Crons == "" {
		e.Crons = "running"
	}
	if e.MachineName == "" {
		slug := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, strings.ToLower(e.ID))
		e.MachineName = slug + "-abc1234"
	}
	if old := s.environment(e.ID); old != nil {
		*old = e
		return
	}
	s.environments = append(s.environments, e)
}

// available reports whether an operation on e is offered to u. Only preview
// environments can be paused, and have a parent to synchronize from.
func (e *Environment) available(o operation, u User) bool {
	preview := o.to == "paused" || o.path == "synchronize"
	return e.Status == o.from && !e.Dirty && u.Role.operates(e.Type) && (!preview || e.Type != "production")
}

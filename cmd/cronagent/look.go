package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/operation"
)

// look is what the commands have before them that look at runs, or pause them:
// where this is, what is configured, and the ledger as it stands.
type look struct {
	env envdetect.Environment
	// app is nil if the configuration cannot be read, which has been said.
	app *appconfig.App
	// zone is for times that belong to no cron.
	zone *time.Location
	now  time.Time
	book readBook
	// notifyProblems are what keeps people from being told.
	notifyProblems []string
}

// lookAround reads the configuration and the ledger. The ledger alone will do: one
// looks just when something is broken.
func (p proc) lookAround(config configFlags) (*look, error) {
	env, err := p.detect(config.vendor)
	if err != nil {
		return nil, err
	}
	v := &look{env: env, zone: time.UTC, now: time.Now()}
	if v.app, err = loadApp(config, env); err != nil {
		if config.file != "" || config.app != "" {
			return nil, err
		}
		v.app = nil
		if _, problems := errors.AsType[appconfig.Errors](err); problems {
			p.warnProblem(err)
		} else {
			p.warn("the crons' configuration is not known: %v", err)
		}
	} else {
		v.zone = v.app.Zone
	}
	if env.StateProblem != "" {
		p.warn("state directory %s: %s", env.StateDir, env.StateProblem)
	}
	if v.book, err = readLedger(env); err != nil {
		return nil, err
	}
	if file, ok := v.book.(*ledger.Reader); ok && file.Damaged() > 0 {
		p.warn("%s: %s", file.Name(), damagedText(file.Damaged()))
	}
	return v, nil
}

// damagedText says of how many lines of a ledger nothing is known.
func damagedText(n int) string {
	if n == 1 {
		return "1 line could not be read and was passed over"
	}
	return fmt.Sprintf("%d lines could not be read and were passed over", n)
}

// apps are the names of the app in the ledger's keys. Crons have the
// configuration's; what fire and exec do has the container's, which off the
// platform there is none of.
func (v *look) apps() []string {
	if v.app == nil || v.app.Name == v.env.App {
		return []string{v.env.App}
	}
	return []string{v.app.Name, v.env.App}
}

func (v *look) key(cron string) ledger.Key { return cronKey(v.env, v.apps()[0], cron) }

func cronKey(env envdetect.Environment, app, cron string) ledger.Key {
	return ledger.Key{Project: env.Project, Environment: env.ID, App: app, Cron: cron}
}

// scope is whose runs are looked at: those of this environment and app, since a
// mount is copied with its environment. Off the platform it is all that there is,
// among it what was fired at environments that were named.
func (v *look) scope() ledger.Key {
	if v.env.Phase != envdetect.Runtime {
		return ledger.Key{}
	}
	return v.key("")
}

// job is something that has runs: an agent cron, or whatever fire called or exec
// ran under one name.
type job struct {
	key  ledger.Key
	name string
	// cron is nil for what is not configured; bare says that it is no agent
	// cron and never was one.
	cron *appconfig.Cron
	bare bool
	// runs are the newest ones, oldest first.
	runs []ledger.Run
	// state is empty for what fire called.
	state ledger.State
	// told is what people were told of it.
	told ledger.Told
}

// jobs are the agent's crons of the configuration, in its order; those that only
// the ledger knows; then what fire and exec did. Each has its newest n runs.
func (v *look) jobs(n int) ([]*job, error) {
	type id struct {
		key       ledger.Key
		operation string
	}
	var all []*job
	known := map[id]*job{}
	add := func(i id, j *job) *job {
		known[i] = j
		all = append(all, j)
		return j
	}
	if v.app != nil {
		for i := range v.app.Crons {
			if c := &v.app.Crons[i]; c.Scheduler == appconfig.Agent {
				add(id{key: v.key(c.Name)}, &job{key: v.key(c.Name), name: c.Name, cron: c})
			}
		}
	}
	runs, err := v.book.History(v.scope(), n)
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		i := id{key: run.Key}
		name := run.Cron
		if name == "" {
			i.operation, name = run.Operation, run.Operation
		}
		j := known[i]
		if j == nil {
			j = add(i, &job{key: run.Key, name: name, bare: true})
		}
		// What has a due was asked for by a schedule.
		j.bare = j.bare && run.Due == nil
		j.runs = append(j.runs, run)
	}
	// Claimed, but nothing recorded yet.
	for _, key := range v.book.Keys(v.scope()) {
		if i := (id{key: key}); key.Cron != "" && known[i] == nil && len(v.book.Load([]ledger.Key{key})[0].Open) > 0 {
			add(i, &job{key: key, name: key.Cron})
		}
	}
	for _, j := range all {
		if j.cron == nil && !j.bare {
			j.cron = v.platformCron(j.key)
		}
	}
	slices.SortStableFunc(all, func(a, b *job) int { return a.rank() - b.rank() })
	for _, j := range all {
		if j.key.Cron != "" {
			j.state = v.book.Load([]ledger.Key{j.key})[0]
			j.told = j.state.Told
		} else {
			j.told = v.book.Load([]ledger.Key{agent.ToldKey(j.key, j.name)})[0].Told
		}
	}
	return all, nil
}

// platformCron is the platform's cron that run acts on under a key off the
// platform, which it names crons.NAME; nil if it is none.
func (v *look) platformCron(key ledger.Key) *appconfig.Cron {
	name, ok := strings.CutPrefix(key.Cron, "crons.")
	if !ok || v.app == nil || v.env.Platform {
		return nil
	}
	for i := range v.app.Crons {
		if c := &v.app.Crons[i]; c.Scheduler == appconfig.Platform && c.Name == name && c.Problem == nil {
			return c
		}
	}
	return nil
}

func (j *job) rank() int {
	switch {
	case j.cron != nil:
		return 0
	case !j.bare:
		return 1
	}
	return 2
}

// choose finds the jobs that names mean: by the cron's name, by exec's, by the
// operation that fire called.
func (v *look) choose(all []*job, names []string) ([]*job, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []*job
	for _, name := range names {
		found := named(all, name)
		if len(found) == 0 {
			canonical, ok := operationName(name)
			if !ok {
				return nil, v.unknown(all, name)
			}
			if found = named(all, canonical); len(found) == 0 {
				found = []*job{{key: v.key(""), name: canonical, bare: true}}
			}
		}
		for _, j := range found {
			if !slices.Contains(chosen, j) {
				chosen = append(chosen, j)
			}
		}
	}
	return chosen, nil
}

func named(all []*job, name string) (found []*job) {
	for _, j := range all {
		if j.name == name || j.key.Cron == "" && strings.HasPrefix(j.name, name+" ") {
			found = append(found, j)
		}
	}
	return found
}

// operationName is the name that an operation has in records.
func operationName(name string) (string, bool) {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "", false
	}
	o, ok := operation.Lookup(words[0])
	if !ok {
		return "", false
	}
	words[0] = o.Name
	return strings.Join(words, " "), true
}

// unknown is the error for a name that nothing has.
func (v *look) unknown(all []*job, name string) error {
	if v.app != nil {
		for _, c := range v.app.Crons {
			if c.Name == name {
				return usage("have its command run by: cronagent exec --name "+name+" -- COMMAND",
					"the platform runs the cron %q, and nothing is recorded of it here", name)
			}
		}
	}
	var names []string
	for _, j := range all {
		if !slices.Contains(names, j.name) {
			names = append(names, j.name)
		}
	}
	hint := nearest.Hint(name, names, "there is: "+someNames(names))
	if len(names) == 0 {
		hint = "there are no agent crons, and nothing is recorded in " + v.book.Name()
	}
	if meant := operation.MeantOperations(name); len(meant) > 0 && len(nearest.Words(name, names)) == 0 {
		hint = nearest.Ask(meant, hint)
	}
	return usage(hint, "nothing is known of a cron or operation %q", name)
}

// in is the zone that times of a job are told in.
func (v *look) in(j *job) *time.Location {
	if j.cron != nil && j.cron.Zone != nil {
		return j.cron.Zone
	}
	return v.zone
}

// began is when a run began, or what stands for that; zero if it does not tell.
func began(run ledger.Run) time.Time {
	for _, at := range []*time.Time{run.Started, run.Ended, run.Until, run.Due} {
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}

// when is an instant as one reads it: how long ago, and by the clock.
func (v *look) when(at time.Time, zone *time.Location) string {
	if at.IsZero() {
		return "-"
	}
	return ago(v.now.Sub(at)) + ", " + clock(at.Truncate(time.Second).In(zone))
}

func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "in " + about(-d)
	case d < time.Second:
		return "just now"
	}
	return about(d) + " ago"
}

// about is a length of time in its one or two largest units.
func about(d time.Duration) string {
	const day = 24 * time.Hour
	two := func(n time.Duration, unit string, m time.Duration, small string) string {
		if m == 0 {
			return fmt.Sprintf("%d%s", n, unit)
		}
		return fmt.Sprintf("%d%s%d%s", n, unit, m, small)
	}
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Hour:
		return two(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	case d < 2*day:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	case d < 10*day:
		return two(d/day, "d", d%day/time.Hour, "h")
	}
	return fmt.Sprintf("%dd", d/day)
}

// took is how long a run took; "-" if it did not begin or has not ended.
func took(run ledger.Run) string {
	if run.Started == nil || run.Ended == nil {
		return "-"
	}
	return about(max(run.Ended.Sub(*run.Started), 0))
}

// pauses are the pauses that are on, by the cron of the app that each keeps from acting,
// and that of everything; nil if there is none. The platform's own crons are not paused
// by us. That the ledger cannot be read is a warning: whoever lists crons need not have
// one.
func (p proc) pauses(app *appconfig.App, env envdetect.Environment, now time.Time) (of map[*appconfig.Cron]*ledger.Pause, general *ledger.Pause) {
	book, err := readLedger(env)
	if err != nil {
		p.warn("what is paused is not known: %v", err)
		return nil, nil
	}
	defer book.Close()
	of = map[*appconfig.Cron]*ledger.Pause{}
	for i := range app.Crons {
		if c := &app.Crons[i]; c.Scheduler == appconfig.Agent {
			of[c] = pauseOn(book.Load([]ledger.Key{cronKey(env, app.Name, c.Name)})[0].Pause, now)
		}
	}
	return of, pauseOn(book.OwnPause(cronKey(env, app.Name, "")), now)
}

// pauseOn is the pause if it is on; nil if not.
func pauseOn(p *ledger.Pause, now time.Time) *ledger.Pause {
	if p == nil || !p.Until.After(now) {
		return nil
	}
	return p
}

// pauseFields are a pause in JSON.
func pauseFields(p *ledger.Pause) (until *time.Time, reason string) {
	if p == nil {
		return nil, ""
	}
	return &p.Until, p.Reason
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/schedule"
)

// The checks of the platform. All of them only read.

// use is an operation that a cron fires at this environment.
type use struct {
	cron    string
	request *operation.Request
}

// usesOf are the operations that the crons fire here, as far as their text tells.
func (p proc) usesOf(app *appconfig.App, env envdetect.Environment) []use {
	if app == nil {
		return nil
	}
	var all []use
	for i := range app.Crons {
		c := &app.Crons[i]
		acts := env.Phase == envdetect.Runtime
		if c.Scheduler == appconfig.Agent {
			acts = c.Enabled && refusal(c.EnvironmentTypes, env.Type) == ""
		}
		switch {
		case !acts:
		case c.Fire != nil:
			all = append(all, use{c.Name, c.Fire})
		default:
			for _, words := range callsOf(p, c.Start) {
				if o := fired(words, env); o != nil {
					all = append(all, use{c.Name, &operation.Request{Operation: o.Name, Link: o.Link, Already: o.Already, Activity: o.Activity}})
				}
			}
		}
	}
	return all
}

// fired is the operation that a call fires at this environment; nil if it fires none, or
// elsewhere.
func fired(words []string, env envdetect.Environment) *operation.Operation {
	name := filepath.Base(words[0])
	if !slices.Contains(ourNames, name) {
		return nil
	}
	var o *operation.Operation
	elsewhere, here, anyType, fire := false, false, false, false
	for _, word := range words[1:] {
		option, value, _ := strings.Cut(word, "=")
		switch option {
		case "-h", "--help":
			return nil
		case "-e", "--environment", "-p", "--project":
			elsewhere = true
		case "--environment-types":
			anyType = true
		case "fire":
			fire = true
		}
		// "$PLATFORM_BRANCH" is this environment.
		here = here || strings.Contains(word, "PLATFORM_") || word == env.ID || value == env.ID && value != ""
		if known, ok := operation.Lookup(word); ok && o == nil {
			o = known
		}
	}
	switch {
	case o == nil || o.Effect == operation.Reads || o.Link == "":
	case elsewhere && !here:
	case fire && !env.Production && !anyType: // it has a gate of its own
	default:
		return o
	}
	return nil
}

func (d *doctor) api(ctx context.Context) []*finding {
	ctx, cancel := question(ctx)
	defer cancel()
	var err error
	if d.answer, err = d.client.Reach(ctx); err != nil {
		d.known = thePlace
		f := d.unanswered(d.env.APIURL, err)
		if d.env.Phase == envdetect.Local {
			f.Status = isWarning
		}
		return []*finding{f}
	}
	d.known = max(d.known, anAnswer)
	return []*finding{answerFinding(d.env.APIURL, d.answer.Took)}
}

func answerFinding(url string, took time.Duration) *finding {
	if took > slowAnswer {
		return warning("a fire has 30 s, which is enough; if it is always so, ask the vendor", url, "it answered in %d ms, which is slow", took.Milliseconds())
	}
	return well(url, "it answered in %d ms", took.Milliseconds())
}

// slowAnswer is from when on an answer is worth a warning.
const slowAnswer = 3 * time.Second

func (d *doctor) clock(context.Context) []*finding {
	return []*finding{clockFinding(d.answer.Ahead, d.answer.Dated)}
}

// From when on a clock that differs is worth a word. Crons that are to the minute can
// be told from what was due before at five minutes no more.
const (
	clockWarning = 30 * time.Second
	clockProblem = 5 * time.Minute
)

func clockFinding(ahead time.Duration, dated bool) *finding {
	const hint = "have the clock set; crons are due by it, and what the platform dates is compared with it"
	which := "ahead of"
	if ahead < 0 {
		which = "behind"
	}
	off := ahead.Abs().Round(time.Second)
	text := fmt.Sprintf("this clock is %s %s the platform's", off, which)
	switch {
	case !dated:
		return warning("a gateway in between may have taken it out; compare with: date -u", "", "the API's answer has no date to compare the clock with")
	case off >= clockProblem:
		return trouble(hint, "", "%s", text)
	case off > clockWarning:
		return warning(hint, "", "%s", text)
	case off <= time.Second:
		return well("", "this clock is the platform's, to the second")
	}
	return well("", "%s", text)
}

func (d *doctor) token(ctx context.Context) []*finding {
	name := d.env.TokenVariable
	if d.env.Phase == envdetect.Build {
		return nil
	}
	if name == "" || d.p.token(d.env).IsZero() {
		if d.env.Phase == envdetect.Local || len(d.uses) == 0 && (d.app != nil || !d.env.Production) {
			return []*finding{well("", "there is none, and nothing here needs one")}
		}
		d.known = min(d.known, anAnswer)
		_, hint := codeAndHint(&platform.Error{Kind: platform.Unauthorized, Reason: platform.NoToken})
		return []*finding{trouble(hint, "", "there is no API token")}
	}
	if d.known < anAnswer {
		return []*finding{well(name, "it is set; whether it is accepted was not asked")}
	}
	ctx, cancel := question(ctx)
	defer cancel()
	me, err := d.client.Me(ctx)
	if err != nil {
		return []*finding{d.unanswered(name, err)}
	}
	d.known = theUser
	whose := cmp.Or(me.Username, me.ID)
	if me.Email != "" {
		whose += " (" + me.Email + ")"
	}
	return []*finding{well(name, "it is accepted, and belongs to user %s", whose)}
}

func (d *doctor) environment(ctx context.Context) []*finding {
	ctx, cancel := question(ctx)
	defer cancel()
	var err error
	id := d.env.ID
	if d.remote, err = d.client.Environment(ctx, d.target); err != nil {
		return []*finding{d.unanswered(id, err)}
	}
	d.known = ourTarget
	e := d.remote
	var all []*finding
	add := func(f *finding) { all = append(all, f.in(d.env)) }
	switch {
	case e.Status == "active":
	case e.Status == "dirty":
		all = append(all, warning("nothing, unless it stays so", id, "something is under way on it, and it takes no operation meanwhile"))
	default:
		hint, kind := "activate it first: "+d.call("environment:activate"), "environment.deactivate"
		if e.Status == "paused" {
			hint, kind = "resume it first: "+d.call("environment:resume"), "environment.pause"
		}
		add(trouble(hint, id, "it is %s%s, and only an active environment takes operations", cmp.Or(e.Status, "in a state that is not told"),
			d.last(ctx, kind, " since ")))
	}
	if e.Type != "" && d.env.Type != "" && d.env.Phase == envdetect.Runtime && e.Type != d.env.Type {
		f := trouble("redeploy it, so that the container's variables are right: "+d.call("environment:redeploy"), id, "the platform has it as %s, and this container as %s, by which crons are chosen", e.Type, d.env.Type)
		if e.Type != envdetect.ProductionType && !d.env.Production {
			f.Status = isWarning
		}
		all = append(all, f)
	}
	if e.HasStagedActivities {
		add(trouble("deploy them: "+d.call("environment:deploy"), id, "changes wait for a deployment by hand, and it takes no operation meanwhile"))
	}
	if e.Deployment != nil && !e.Deployment.Successful {
		all = append(all, warning("see: "+d.call("activity:list"), id, "its last deployment failed"))
	}
	if len(all) == 0 {
		all = append(all, well(id, "it can be read, is active, and is of type %s", cmp.Or(e.Type, "unknown")))
	}
	return all
}

// operations asks of each operation that the crons fire whether the platform offers it
// to the token's user.
func (d *doctor) operations(ctx context.Context) []*finding {
	var all []*finding
	var fine []string
	done := map[string]bool{}
	for _, u := range d.uses {
		name := u.request.String()
		if done[u.request.Operation] {
			continue
		}
		done[u.request.Operation] = true
		ctx, cancel := question(ctx)
		e := d.client.Offers(ctx, d.target, d.remote, *u.request)
		cancel()
		switch {
		case e == nil:
			fine = append(fine, name)
		case e.Reason == platform.NotActive || e.Reason == platform.Staged, e.Reason == platform.NotAvailable && d.remote.Status == "dirty": // has been said
		case e.Reason == platform.Busy:
			all = append(all, warning(platformHint(e), name, "%s", e.Detail))
		default:
			all = append(all, trouble(platformHint(e), name, "the cron %q could not fire it now: %s", u.cron, e.Detail))
		}
	}
	if len(fine) > 0 {
		all = append(all, well(strings.Join(fine, ", "), "offered to the token's user"))
	}
	return all
}

// last is a text that ends with how long ago the environment's newest activity of a type
// was; empty if that is not known.
func (d *doctor) last(ctx context.Context, kind, text string) string {
	at := d.client.Newest(ctx, d.target, kind)
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s%s (%s)", text, clock(at.In(d.zone())), ago(d.now.Sub(at)))
}

// zone is that of times that belong to no cron.
func (d *doctor) zone() *time.Location {
	if d.app == nil {
		return time.UTC
	}
	return d.app.Zone
}

// crons looks at whether the platform's crons run. Since when they do not the API does
// not tell: it was after the last of them.
func (d *doctor) crons(ctx context.Context) []*finding {
	state := d.remote.Deployment
	if state == nil || state.Crons.Status == "" && !state.Crons.Enabled {
		if d.remote.Status != "active" {
			return nil
		}
		return []*finding{warning("see: cronagent environment:info deployment_state", d.target.Environment, "the API does not tell how the platform's crons stand")}
	}
	since := ""
	if at, err := time.Parse(time.RFC3339Nano, state.At); err == nil {
		since = ", the last deployment was " + ago(d.now.Sub(at))
	}
	redeploy := "deploy, which starts them again: " + d.call("environment:redeploy")
	if !state.Crons.Enabled || state.Crons.Status != "running" {
		ctx, cancel := question(ctx)
		defer cancel()
		since += d.last(ctx, "environment.cron", ", the last of them began ")
	}
	switch {
	case !state.Crons.Enabled:
		return []*finding{trouble("switch them on for this environment", d.target.Environment, "the platform's crons are switched off%s", since).in(d.env)}
	case state.Crons.Status != "running":
		return []*finding{trouble(redeploy, d.target.Environment, "the platform's crons are %s, which it does to environments that nobody deploys%s", state.Crons.Status, since).in(d.env)}
	}
	return []*finding{well(d.target.Environment, "the platform's crons are running%s", since)}
}

// instances looks for containers that would each act, which only the API knows of.
func (d *doctor) instances(context.Context) []*finding {
	if len(d.acting()) == 0 {
		return nil
	}
	var all []*finding
	looked := map[string]bool{}
	for _, a := range actors(d.app) {
		what, scale := "the app "+d.app.Name, d.remote.Sizing.Webapps[d.app.Name]
		if a.worker != "" {
			what, scale = fmt.Sprintf("the worker %q", a.worker), d.remote.Sizing.Workers[d.app.Name+"--"+a.worker]
		}
		n := scale.Instances
		if looked[a.worker] {
			continue
		}
		looked[a.worker] = true
		switch {
		case n < 2:
		case d.env.Database == nil:
			all = append(all, trouble("leave one instance, or set CRONAGENT_LEDGER (or variables.cronagent.ledger) to a relationship to PostgreSQL, MariaDB or MySQL, which they can share",
				d.env.ID, "%s has %d instances, each with a ledger of its own: what one has done the others do not know (%s)", what, n, a.does).in(d.env))
		default:
			all = append(all, well(d.env.ID, "%s has %d instances, which share the ledger", what, n))
		}
	}
	return all
}

// interval compares the platform's crons with what the project allows.
func (d *doctor) interval(ctx context.Context) []*finding {
	ctx, cancel := question(ctx)
	defer cancel()
	settings, err := d.client.Settings(ctx, d.target.Project)
	if e, ok := errors.AsType[*platform.Error](err); ok && e.Kind == platform.Unavailable {
		return []*finding{d.unanswered(d.target.Project, err)}
	}
	if err != nil || settings.MinimumInterval == nil && settings.MaximumJitter == nil {
		return nil // not everybody may read them
	}
	d.settings = &settings
	var said []string
	var all []*finding
	if least := settings.MinimumInterval; least != nil {
		said = append(said, fmt.Sprintf("at least %s apart", plural(*least, "minute")))
		if d.app != nil {
			for i := range d.app.Crons {
				c := &d.app.Crons[i]
				if c.Scheduler == appconfig.Platform && c.Problem == nil && c.Schedule != nil && shortest(c.Schedule, d.now) < time.Duration(*least)*time.Minute {
					all = append(all, warning("write a spec that says what happens; for shorter ones there is cronagent run", c.Name, "its spec %q asks for more than the project allows, so the platform starts it every %s at the most", c.Spec, plural(*least, "minute")))
				}
			}
		}
	}
	if most := settings.MaximumJitter; most != nil {
		said = append(said, fmt.Sprintf("up to %s late", plural(*most, "minute")))
		if time.Duration(*most)*time.Minute >= lateInTick {
			all = append(all, warning("use cronagent run in a worker, which is on time", d.target.Project, "the platform may start tick %s late, and what is later than %s counts as missed", plural(*most, "minute"), lateInTick))
		}
	}
	return append([]*finding{well(d.target.Project, "the platform starts crons %s", strings.Join(said, ", "))}, all...)
}

// shortest is the shortest time between two of the next occurrences of a schedule.
func shortest(s *schedule.Schedule, from time.Time) time.Duration {
	if s.Open() {
		drawn, err := schedule.Parse(s.String(), s.Zone(), schedule.NewSeed("", "", ""))
		if err != nil {
			return time.Duration(1<<63 - 1)
		}
		s = drawn
	}
	least := time.Duration(1<<63 - 1)
	for last, i := s.Next(from), 0; !last.IsZero() && i < 60; i++ {
		next := s.Next(last)
		if !next.IsZero() {
			least = min(least, next.Sub(last))
		}
		last = next
	}
	return least
}

func (d *doctor) backups(ctx context.Context) []*finding {
	if !slices.ContainsFunc(d.uses, func(u use) bool { return u.request.Operation == "backup:create" }) {
		return nil
	}
	ctx, cancel := question(ctx)
	defer cancel()
	backups, err := d.client.Backups(ctx, d.target)
	if err != nil {
		f := d.unanswered(d.target.Environment, err)
		f.Status = isWarning
		return []*finding{f}
	}
	if len(backups) == 0 {
		return []*finding{well(d.target.Environment, "there is no backup yet%s", d.quota())}
	}
	var newest, oldest time.Time
	manual := 0
	for _, b := range backups {
		if b.Created.After(newest) {
			newest = b.Created
		}
		if oldest.IsZero() || b.Created.Before(oldest) {
			oldest = b.Created
		}
		if !b.Automated {
			manual++
		}
	}
	return []*finding{well(d.target.Environment, "%s, %d of them by hand or by crons, the newest %s, the oldest %s%s",
		plural(len(backups), "backup"), manual, ago(d.now.Sub(newest)), ago(d.now.Sub(oldest)), d.quota())}
}

// quota says how many backups are kept, if it is known.
func (d *doctor) quota() string {
	if d.settings == nil {
		return ""
	}
	kept := d.settings.Retention[d.remote.Type]
	var text []string
	if kept.MaxBackups > 0 {
		text = append(text, fmt.Sprintf("at most %d are kept", kept.MaxBackups))
	}
	if kept.Default.Manual > 0 {
		text = append(text, fmt.Sprintf("at most %d of those by hand or by crons", kept.Default.Manual))
	}
	if len(text) == 0 {
		return ""
	}
	return "; " + strings.Join(text, ", ") + ", and then a new one takes the place of the oldest"
}

// activitiesLooked is how many cron activities are looked at.
const activitiesLooked = 20

// activities looks at how the platform's crons ended.
func (d *doctor) activities(ctx context.Context) []*finding {
	ctx, cancel := question(ctx)
	defer cancel()
	all, err := d.client.CronActivities(ctx, d.target, activitiesLooked)
	if err != nil {
		f := d.unanswered(d.target.Environment, err)
		f.Status = isWarning
		return []*finding{f}
	}
	ended, failed := 0, 0
	var newest *platform.CronActivity
	for i, a := range all {
		if a.State != "complete" {
			continue
		}
		ended++
		if a.Result == "failure" {
			failed++
			if newest == nil {
				newest = &all[i]
			}
		}
	}
	switch {
	case len(all) == 0 && d.app != nil && slices.ContainsFunc(d.app.Crons, func(c appconfig.Cron) bool { return c.Scheduler == appconfig.Platform }):
		return []*finding{warning("wait for the first one, or look at: "+d.call("log cron"), d.target.Environment, "the platform has run no cron here that it knows of")}
	case len(all) == 0:
		return nil
	case newest != nil:
		name := newest.ID
		if newest.Cron != "" {
			name = fmt.Sprintf("cron %q, %s", newest.Cron, newest.ID)
		}
		return []*finding{warning("see: "+d.call("activity:log ")+newest.ID, d.target.Environment, "%d of the newest of the platform's cron activities failed (of %d that ended), last %s: %s",
			failed, ended, ago(d.now.Sub(newest.Created)), name)}
	}
	return []*finding{well(d.target.Environment, "none of the newest of the platform's cron activities failed (%d), the last was %s", len(all), ago(d.now.Sub(all[0].Created)))}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
)

// The checks of this container.

// ourNames are the names under which this program is called.
var ourNames = []string{"cronagent", "platform", "upsun", "webpaas"}

const reinstall = "install it again: the lines for the build hook are in README.md"

func (d *doctor) binary(context.Context) []*finding {
	if d.own == nil {
		return []*finding{warning(reinstall, d.self, "where this program is cannot be found out, so its links and PATH are not looked at")}
	}
	return []*finding{well(d.self, "cronagent %s", versionText())}
}

// isOurs tells whether this program is at a path, under whatever name or link.
func (d *doctor) isOurs(path string) bool {
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, d.own)
}

// links looks at the vendors' names beside the binary.
func (d *doctor) links(context.Context) []*finding {
	if d.own == nil {
		return nil
	}
	var found []*finding
	var ours []string
	dir := filepath.Dir(d.self)
	for _, name := range ourNames[1:] {
		path := filepath.Join(dir, name)
		_, missing := os.Lstat(path)
		_, err := os.Stat(path)
		switch {
		case missing != nil:
		case err != nil:
			found = append(found, trouble("remove it, or "+reinstall, path, "it is a link that leads nowhere: %v", reasonOf(err)))
		case d.isOurs(path):
			ours = append(ours, name)
		}
	}
	switch {
	case len(ours) > 0:
		found = append(found, well(dir, "%s beside it %s", strings.Join(ours, ", "), map[bool]string{true: "is a link to it", false: "are links to it"}[len(ours) == 1]))
	case len(found) == 0:
		found = append(found, well(dir, "the names platform, upsun and webpaas are not beside it, so crons that call these call another program"))
	}
	return found
}

func reasonOf(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func (d *doctor) phase(context.Context) []*finding {
	if d.known < thePlace {
		_, hint := codeAndHint(d.err)
		return []*finding{trouble(cmp.Or(hint, "look at it with: cronagent env"), "", "where this is cannot be told: %v", d.err)}
	}
	e := d.env
	switch e.Phase {
	case envdetect.Build:
		return []*finding{well(string(e.Phase), "nothing can be fired in a build, and there is no environment to look at yet")}
	case envdetect.Local:
		text := "this is no container of the platform"
		if d.known < theAPI && !d.alone {
			text += "; PLATFORM_PROJECT, PLATFORM_BRANCH and a token are not all set, so the platform is not asked"
		}
		return []*finding{well(string(e.Phase), "%s", text)}
	}
	where := "app " + e.App
	if e.Worker != "" {
		where += ", worker " + e.Worker
	}
	return []*finding{well(string(e.Phase), "environment %s (%s) of project %s, %s", e.ID, cmp.Or(e.Type, "type not known"), e.Project, where)}
}

func (d *doctor) variables(context.Context) []*finding {
	var all []*finding
	for _, text := range d.env.Warnings {
		all = append(all, warning("look at it with: cronagent env", "", "%s", text))
	}
	return all
}

func (d *doctor) config(context.Context) []*finding {
	if d.app == nil {
		_, hint := codeAndHint(d.err)
		if problems, ok := errors.AsType[appconfig.Errors](d.err); ok && len(problems) > 0 {
			hint = configHint(problems[0])
		}
		f := trouble(cmp.Or(hint, "look at it with: cronagent list"), d.env.ConfigSource, "it cannot be read: %s", firstLine(d.err))
		if d.env.Phase != envdetect.Runtime && d.selected.file == "" { // a build may not have it either
			f.Status = isWarning
		}
		return []*finding{f}
	}
	count := map[appconfig.Scheduler]int{}
	var all []*finding
	for _, c := range d.app.Crons {
		count[c.Scheduler]++
		if c.Problem != nil {
			all = append(all, warning("look at it with: cronagent list", c.Name, "this cron of the platform is not understood: %s", firstLine(c.Problem)))
		}
	}
	if d.app.Problem != nil {
		all = append(all, warning("look at it with: cronagent list", "", "%s", firstLine(d.app.Problem)))
	}
	return append([]*finding{well(d.app.File, "%s of the platform, %s of the agent", plural(count[appconfig.Platform], "cron"), plural(count[appconfig.Agent], "cron"))}, all...)
}

// state looks at the state directory without writing to it.
func (d *doctor) state(context.Context) []*finding {
	const where = "set CRONAGENT_STATE_DIR to a folder of this container that can be written to, or define a mount named .cronagent"
	dir := d.env.StateDir
	if d.env.Phase == envdetect.Build {
		return nil // it is another one at run time
	}
	if d.env.StateProblem != "" {
		return []*finding{trouble(where, dir, "%s", d.env.StateProblem)}
	}
	there := dir
	info, err := os.Stat(there)
	for errors.Is(err, fs.ErrNotExist) && there != filepath.Dir(there) {
		there = filepath.Dir(there)
		info, err = os.Stat(there)
	}
	switch {
	case err != nil:
		return []*finding{trouble(where, dir, "it cannot be used: %v", reasonOf(err))}
	case !info.IsDir():
		return []*finding{trouble(where, dir, "it cannot be used: %s is no folder", there)}
	case unix.Access(there, unix.W_OK|unix.X_OK) != nil:
		return []*finding{trouble(where+"; if you are not the user who runs the crons, ask as that one", dir, "%s cannot be written to", there)}
	case d.env.StateWarning != "":
		return []*finding{warning("define a mount named .cronagent, or put the ledger into a database", dir, "it does not outlive a deployment, which may then lose what is due just then")}
	}
	return []*finding{well(dir, "%s", d.env.Reasons["state_dir"])}
}

// ledgerLimit is how long doctor waits for the ledger.
const ledgerLimit = 6 * time.Second

func (d *doctor) ledger(ctx context.Context) []*finding {
	if d.env.Phase == envdetect.Build {
		return nil
	}
	err := d.env.LedgerError()
	if err == nil && d.app != nil {
		err = d.p.ledgerIsSettled(d.env, d.app)
	}
	if err == nil && d.unasked() {
		return []*finding{well(d.env.Ledger, "the database at %s is not asked here; cronagent status asks it", d.env.LedgerAddress)}
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, ledgerLimit)
		defer cancel()
		d.v = &look{env: d.env, app: d.app, zone: time.UTC, now: d.now}
		if d.app != nil {
			d.v.zone = d.app.Zone
		}
		d.v.book, err = readLedgerWithin(ctx, d.env)
	}
	if err == nil {
		defer d.v.book.Close()
		d.jobs, err = d.v.jobs(runsLooked)
		d.paused = pauseOn(d.v.book.OwnPause(d.v.key("")), d.now)
	}
	if err != nil {
		_, hint := codeAndHint(err)
		return []*finding{trouble(cmp.Or(hint, "look at it with: cronagent env"), d.env.Ledger, "%s", firstLine(err))}
	}
	name := d.v.book.Name()
	written := d.v.book.Written()
	d.read, d.written = true, written
	var newest time.Time
	for _, j := range d.jobs {
		if run := j.last(); run != nil && run.Started != nil && run.Started.After(newest) {
			newest = *run.Started
		}
	}
	var text string
	switch {
	case !newest.IsZero():
		text = "the newest run on record was " + ago(d.now.Sub(newest))
	case d.everSeen():
		text = "the crons are known, and no run is on record yet"
	default:
		text = "no run is on record yet"
	}
	if written != nil {
		text += ", last written " + ago(d.now.Sub(*written))
	}
	if file, ok := d.v.book.(*ledger.Reader); ok && file.Damaged() > 0 {
		return []*finding{warning("keep a copy of the file if it happens again: another program may write to it, or the disk was full", name, "%s; %s", damagedText(file.Damaged()), text)}
	}
	return []*finding{well(name, "%s", text)}
}

// unasked tells whether the ledger is a database that is not asked.
func (d *doctor) unasked() bool { return d.alone && d.env.Database != nil }

// runsLooked is how many runs of each job are looked at.
const runsLooked = 20

// acting are the agent crons that are acted on here.
func (d *doctor) acting() (crons []*appconfig.Cron) {
	if d.app == nil {
		return nil
	}
	for i := range d.app.Crons {
		c := &d.app.Crons[i]
		if c.Scheduler == appconfig.Agent && c.Enabled && refusal(c.EnvironmentTypes, d.env.Type) == "" {
			crons = append(crons, c)
		}
	}
	return crons
}

// everSeen tells whether an agent has ever looked at one of the crons that are acted on
// here.
func (d *doctor) everSeen() bool {
	acting := d.acting()
	return slices.ContainsFunc(d.jobs, func(j *job) bool { return slices.Contains(acting, j.cron) && !j.state.Watermark.IsZero() })
}

// agent looks for who acts on the agent crons: nobody is a silence, and two with a
// ledger each are a double.
func (d *doctor) agent(context.Context) []*finding {
	if d.app == nil || d.env.Phase != envdetect.Runtime {
		return nil
	}
	n := len(d.acting())
	all := actors(d.app)
	var does []string
	for _, a := range all {
		does = append(does, a.does)
	}
	workers := slices.ContainsFunc(all, func(a actor) bool { return a.worker != all[0].worker })
	switch {
	case n == 0:
		return nil
	case workers && d.env.Database == nil:
		return []*finding{trouble("leave it to one of them, or set CRONAGENT_LEDGER (or variables.cronagent.ledger) to a relationship to PostgreSQL, MariaDB or MySQL, which they can share",
			"", "more than one container acts on the same crons, each with a ledger of its own: %s", strings.Join(does, "; "))}
	case len(all) > 0:
		f := well("", "%s, for %s", strings.Join(does, "; "), plural(n, "agent cron"))
		if d.env.Database == nil && all[0].worker != d.env.Worker {
			f.Message += "; its ledger is in its own container: call cronagent doctor there for what it has done"
		}
		return []*finding{f}
	case d.unasked():
		return []*finding{well("", "%s; nothing in %s calls tick or run, and whether somebody does is in the ledger", plural(n, "agent cron"), d.app.File)}
	case d.everSeen():
		return []*finding{well("", "%s; nothing in %s calls tick or run, but somebody has", plural(n, "agent cron"), d.app.File)}
	}
	return []*finding{trouble("add a cron of the platform that calls it: spec '*/5 * * * *', commands: start: cronagent tick",
		"", "nobody acts on the %s: no cron of the platform calls cronagent tick, and no worker runs cronagent", plural(n, "agent cron"))}
}

// runs looks for what was due and nobody acted on, and for what did not end well.
func (d *doctor) runs(context.Context) []*finding {
	var all []*finding
	acting := d.acting()
	if d.paused != nil {
		all = append(all, warning("cronagent resume", "", "everything is %s", pausedText(d.paused, d.v.zone)))
	}
	paused := map[string][]string{} // who else, by until when and why
	mine := d.v != nil && d.app != nil && !(d.env.Database == nil && d.elsewhere())
	for _, j := range d.jobs {
		look := "cronagent status " + shellWord(j.name)
		if slices.Contains(acting, j.cron) && mine && d.env.Phase == envdetect.Runtime {
			due := d.v.unseen(j)
			switch {
			case !due.IsZero():
				f := trouble("see why cronagent tick is not called: is it in the crons, are they running (below), what does the log say: "+d.call("log cron"),
					j.name, "it was due %s, and nobody acted on it", clock(due.In(d.v.in(j))))
				f.together = "they were due, and nobody acted on them"
				all = append(all, f)
			case j.state.Watermark.IsZero() && len(actors(d.app)) > 0:
				all = append(all, warning("wait for the next tick, or call: cronagent tick", j.name, "no agent has looked at it yet"))
			}
		}
		run := j.last()
		switch {
		case run == nil:
		case run.Outcome == ledger.Uncertain && !run.Pending:
			all = append(all, trouble("look at the activities of the environment, then repeat it if need be: "+look, j.name, "whether the platform took it could not be found out"))
		case run.Outcome == ledger.Uncertain:
			all = append(all, warning("do not repeat it before tick or run have found out: "+look, j.name, "the platform may have taken it, or not"))
		case j.streak() > 0:
			f := warning(look, j.name, "%s", failures(j.streak()))
			f.together = "failed the last time"
			all = append(all, f)
		}
		for _, claim := range j.state.Open {
			if claim.Overdue(d.now) {
				all = append(all, warning("the next tick settles it; see: "+look, j.name, "it was begun %s and never recorded: its agent died", ago(d.now.Sub(claim.At))))
			}
		}
		if text := d.v.untoldText(j); text != "" && j.told.Error != "" {
			all = append(all, warning("see what keeps it: docs/notifications.md", j.name, "people could not be told: %s", text))
		}
		if pause := pauseOn(j.state.Pause, d.now); pause != nil && (d.paused == nil || !pause.Until.Equal(d.paused.Until)) {
			text := pausedText(pause, d.v.in(j))
			paused[text] = append(paused[text], j.name)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(paused)) {
		var names []string
		for _, name := range paused[text] {
			names = append(names, shellWord(name))
		}
		all = append(all, warning("cronagent resume "+strings.Join(names, " "), strings.Join(paused[text], ", "), "%s", text))
	}
	if len(all) == 0 && mine && d.everSeen() {
		all = append(all, well("", "nothing is overdue, and what ran last ended well"))
	}
	return all
}

// elsewhere tells whether only another container acts on the crons.
func (d *doctor) elsewhere() bool {
	all := actors(d.app)
	return len(all) > 0 && !slices.ContainsFunc(all, func(a actor) bool { return a.worker == d.env.Worker })
}

// people looks at whether somebody would hear of a failure.
func (d *doctor) people(context.Context) []*finding {
	if d.app == nil || d.env.Phase == envdetect.Build {
		return nil
	}
	var all []*finding
	for _, text := range d.p.notifyProblems(d.env, d.app) {
		all = append(all, trouble("set what is missing on this environment and redeploy, or change notify (docs/notifications.md)", "", "%s", text))
	}
	if len(all) > 0 {
		return all
	}
	told := slices.ContainsFunc(d.acting(), func(c *appconfig.Cron) bool { return !cmp.Or(c.Notify, d.app.Settings.Notify).Quiet() })
	mail := "mail is possible"
	if d.p.getenv("PLATFORM_SMTP_HOST") == "" {
		mail = "mail is off here"
	}
	switch {
	case told:
		return []*finding{well("", "whoever is to be told can be; %s", mail)}
	case d.env.Production && len(d.acting()) > 0 && d.app.Settings.Heartbeat.IsZero():
		return []*finding{warning("set notify, or a heartbeat, under variables.cronagent (docs/notifications.md)", "", "nobody is told when a cron fails; %s", mail)}
	}
	who := "nobody"
	if d.env.Production && !d.app.Settings.Heartbeat.IsZero() {
		who = "nobody but who watches the heartbeat"
	}
	return []*finding{well("", "%s is to be told here; %s", who, mail)}
}

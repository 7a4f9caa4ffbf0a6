package check

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/cronagent/cronagent/internal/appconfig"
)

// callsAgent tells whether a command calls cronagent with this word.
func (c *command) callsAgent(word string) bool {
	if c == nil || c.script == nil {
		return false
	}
	calls := c.script.Calls()
	for i := range calls {
		if call := &calls[i]; len(call.Words) > 1 && program(call) == "cronagent" && call.Words[1].Text == word {
			return true
		}
	}
	return false
}

// checkAgent looks at whether somebody acts on the agent's crons, and how well.
func (a *app) checkAgent() {
	var agents []*cron
	var tick *cron
	for _, c := range a.crons {
		switch {
		case c.platform() && c.command.callsAgent("tick"):
			if tick == nil || c.Schedule != nil && tick.Schedule == nil {
				tick = c
			}
		case !c.platform() && c.Enabled:
			agents = append(agents, c)
		}
	}
	var workers []string
	for _, name := range slices.Sorted(maps.Keys(a.workers)) {
		if a.workers[name].callsAgent("run") || a.workers[name].callsAgent("tick") {
			workers = append(workers, name)
		}
	}
	where := appconfig.Position{File: a.config.File}
	if w, ok := a.written.Get("variables", "cronagent", "crons"); ok {
		where = w.Position()
	}
	if len(agents) > 0 && tick == nil && len(workers) == 0 && !a.mentionsAgent() {
		a.add("no-agent", a.name, "", where, "", "nothing acts on these crons: no cron calls cronagent tick, and no worker runs cronagent")
	}
	if tick != nil || len(workers) > 0 {
		for _, c := range a.crons {
			if c.platform() {
				c.checkMove()
			}
		}
	}
	if len(agents) == 0 {
		return
	}
	a.checkShared(tick, workers)
	if tick != nil || len(workers) > 0 {
		a.checkState(tick, workers)
	}
	if tick != nil && len(workers) == 0 && tick.Schedule != nil {
		least, _ := tick.gaps()
		for _, c := range agents {
			_, set := c.At("timeout")
			if c.Fire != nil || least == 0 || c.Timeout <= least {
				continue
			}
			how := "may take up to " + spell(c.Timeout)
			if !set {
				how = "has no timeout, and may take up to " + spell(c.Timeout)
			}
			c.add("long-under-tick", c.at("timeout"), "", "it %s, and tick, which waits for it, is due %s: until then nothing else of the app runs", how, every(least))
		}
	}
	a.checkMail(agents)
}

// mentionsAgent tells whether a command of the app may call the agent in a way that
// its text does not tell.
func (a *app) mentionsAgent() bool {
	unclear := func(c *command) bool {
		return c != nil && (c.script == nil || strings.Contains(c.text, "cronagent tick") || strings.Contains(c.text, "cronagent run"))
	}
	for _, c := range a.crons {
		if c.platform() && (c.command == nil || unclear(c.command)) {
			return true
		}
	}
	for _, c := range a.workers {
		if unclear(c) {
			return true
		}
	}
	return false
}

// setting is a variable that the app sets itself.
func (a *app) setting(name string) (string, appconfig.Written) {
	w, _ := a.written.Get("variables", "env", name)
	text, _ := w.Scalar()
	return text, w
}

// inFile tells whether the ledger is a file, as far as the configuration says.
func (a *app) inFile() bool {
	name, _ := a.setting("CRONAGENT_LEDGER")
	if name == "" {
		name = a.config.Settings.Ledger
	}
	return !a.opts.Shared && (name == "" || name == "file")
}

// checkShared looks for containers that each have a ledger of their own.
func (a *app) checkShared(tick *cron, workers []string) {
	if !a.inFile() || tick == nil && len(workers) < 2 || len(workers) == 0 {
		return
	}
	first, rest := "", workers
	if tick != nil {
		first = fmt.Sprintf("the cron %q calls cronagent tick", tick.Name)
	} else {
		first, rest = fmt.Sprintf("the worker %q runs cronagent", workers[0]), workers[1:]
	}
	for _, name := range rest {
		a.add("two-agents", a.name, "", a.workers[name].at.Position(), "", "%s, and so does this worker, which is another container: both would act on the same crons", first)
	}
}

// checkState looks at where the ledger lies.
func (a *app) checkState(tick *cron, workers []string) {
	if !a.inFile() || a.opts.Lasts {
		return
	}
	at := appconfig.Position{File: a.config.File}
	if tick != nil {
		at = tick.Position
	} else if len(workers) > 0 {
		at = a.workers[workers[0]].at.Position()
	}
	dir, written := a.setting("CRONAGENT_STATE_DIR")
	if dir == "" {
		dir = "/app/.cronagent"
	} else {
		at = written.Position()
	}
	if !path.IsAbs(dir) {
		dir = path.Join("/app", dir)
	}
	for name, mount := range a.config.Mounts {
		folder := path.Join("/app", name)
		if !below(dir, folder) {
			continue
		}
		switch mount.Source {
		case "tmp", "temporary":
			a.add("state-lost", a.name, "", at, "", "the mount %q is emptied by each deployment, and the ledger with it", name)
		case "service", "storage":
			a.add("state-lost", a.name, "", at, "give it a mount with source: local (on Upsun: instance), or keep the ledger in a database",
				"the mount %q is on a network, where locks cannot be relied on: cronagent refuses it", name)
		}
		return
	}
	a.add("state-lost", a.name, "", at, "", "no mount holds %s: each deployment empties the ledger, and what was due just then may be lost", dir)
}

// checkMail looks for mail that previews do not send.
func (a *app) checkMail(agents []*cron) {
	for _, c := range agents {
		n := c.Notify
		if n == nil {
			n = a.config.Settings.Notify
		}
		if n == nil || len(n.Mail) == 0 || !n.Webhook.IsZero() {
			continue
		}
		if !slices.Contains(c.EnvironmentTypes, "production") && !slices.Contains(c.EnvironmentTypes, appconfig.AnyEnvironment) {
			c.add("notify-lost", n.Position, "switch mail on there, or name a webhook as well", "it acts on previews only, which send no mail unless that is switched on")
		}
	}
}

// operations are what a cron does to its environment.
func (c *cron) operations() (all []string) {
	if c.Fire != nil && c.Enabled {
		return []string{c.Fire.String()}
	}
	if c.command == nil || !c.Enabled {
		return nil
	}
	for _, p := range c.command.calls {
		if p.op.Fires && !p.hasOption("--environment", 'e') {
			all = append(all, p.what())
		}
	}
	return all
}

// checkTwins looks for apps of one project that do the same to its environment.
func (c *checker) checkTwins(apps []*app) {
	type key struct{ project, operation string }
	first := map[key]*cron{}
	for _, a := range apps {
		for _, cron := range a.crons {
			for _, what := range cron.operations() {
				k := key{a.source.Project(), what}
				other := first[k]
				if other == nil {
					first[k] = cron
					continue
				}
				if other.app.name != a.name {
					cron.add("same-operation", cron.Position, "", "it fires %s, and so does the cron %q of the app %q", what, other.Name, other.app.name)
				}
			}
		}
	}
}

package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/notify"
	"github.com/cronagent/cronagent/internal/platform"
)

// circles make of the configuration how people are told from this container.
type circles struct {
	p   proc
	env envdetect.Environment
	app string
	// where names this place in titles instead of the environment; empty if it does not.
	where   string
	secrets []platform.Token
	// log is told of what could not be told; nil: it is said on standard error.
	log *slog.Logger
	// problems are what keeps people from being told, each once, in the order found.
	problems []string
	// senders and tellings are those that were made already: thousands of crons may
	// share one notify.
	senders  map[*appconfig.Notify]*notify.Sender
	tellings map[circle]*agent.Telling
}

// circle is what crons have in common that people are told of in the same way.
type circle struct {
	notify *appconfig.Notify
	zone   *time.Location
}

func (p proc) circles(env envdetect.Environment, app string) *circles {
	env.Application = nil // it may be large, and is held for as long as people are told
	return &circles{p: p, env: env, app: app, senders: map[*appconfig.Notify]*notify.Sender{}, tellings: map[circle]*agent.Telling{}}
}

// hide makes a secret one that is never sent. What is very short would be found in
// ordinary words.
func (c *circles) hide(secret string) {
	if len(secret) >= minMasked {
		c.secrets = append(c.secrets, platform.NewToken(secret))
	}
}

func (c *circles) mask(text string) string {
	for _, secret := range c.secrets {
		text = secret.Redact(text)
	}
	return text
}

func (c *circles) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.problems, text) {
		c.problems = append(c.problems, text)
	}
}

// sender is who tells, as far as this container can. Nil: nobody can be told.
func (c *circles) sender(n *appconfig.Notify) *notify.Sender {
	if n.Quiet() {
		return nil
	}
	if s, made := c.senders[n]; made {
		return s
	}
	if len(c.senders) == 0 { // not before: it decodes the container's variables
		for _, secret := range c.p.secrets(c.env) {
			c.hide(secret)
		}
	}
	c.senders[n] = nil
	s := &notify.Sender{
		SMTP: c.p.getenv("PLATFORM_SMTP_HOST"), From: c.from(), UserAgent: c.p.userAgent(), Mask: c.mask,
		Webhook: c.resolve("webhook", n.Webhook), Ping: c.resolve("ping", n.Ping),
	}
	for _, address := range n.Mail {
		s.To = append(s.To, c.addresses(address)...)
	}
	if len(n.Mail) > 0 && s.SMTP == "" {
		problem := "mail is off on this environment (PLATFORM_SMTP_HOST is empty), so nobody is told by mail"
		if c.env.Platform {
			problem += "; switch it on with: " + c.env.Vendor.Command + " environment:info enable_smtp true"
		}
		c.problem("%s", problem)
	}
	if len(s.Ways()) > 0 {
		c.senders[n] = s
	}
	return c.senders[n]
}

// secretPath is how long the path of an address must be to be taken for a secret, in
// bytes.
const secretPath = 20

// resolve is the address that a setting means.
func (c *circles) resolve(what string, u appconfig.URL) string {
	text := u.Reveal()
	if name, ok := strings.CutPrefix(text, "$"); ok {
		text = strings.TrimSpace(c.variable(name))
		if text == "" {
			c.problem("the variable %s, which %s is to come from, is not set", name, what)
			return ""
		}
		if why := appconfig.CheckURL(text); why != "" {
			c.problem("the variable %s, which %s comes from, %s", name, what, why)
			return ""
		}
	}
	if text != "" {
		c.hide(text)
		// What tools say of a request; a short path is an ordinary word.
		if parsed, err := url.Parse(text); err == nil && len(parsed.RequestURI()) >= secretPath {
			c.hide(strings.TrimLeft(parsed.RequestURI(), "/"))
		}
	}
	return text
}

// variable is the value of a variable: one of the environment, or of the project or
// environment without the prefix env:, which are in PLATFORM_VARIABLES only.
func (c *circles) variable(name string) string {
	if value := c.p.getenv(name); value != "" {
		return value
	}
	var text string
	if json.Unmarshal(c.env.Variables[name], &text) != nil {
		return ""
	}
	return text
}

// addresses are those that a setting means: one, or all that a variable holds.
func (c *circles) addresses(text string) []string {
	name, ok := strings.CutPrefix(text, "$")
	if !ok {
		return []string{text}
	}
	value := c.variable(name)
	if strings.TrimSpace(value) == "" {
		c.problem("the variable %s, which mail is to come from, is not set", name)
		return nil
	}
	list, err := mail.ParseAddressList(value)
	if err != nil {
		c.problem("the variable %s, which mail comes from, holds no address", name)
		return nil
	}
	var all []string
	for _, one := range list {
		all = append(all, one.String())
	}
	return all
}

// from is the sender of mails: MAILFROM, else cronagent at the domain of the site,
// for which the platform signs.
func (c *circles) from() string {
	from := strings.TrimSpace(c.p.getenv("MAILFROM"))
	if from != "" {
		if _, err := mail.ParseAddress(from); err == nil {
			return from
		}
		c.problem("the variable MAILFROM holds no address, and is not used")
	}
	domain, _ := os.Hostname()
	if site := primarySite(c.p.getenv("PLATFORM_ROUTES")); site != "" {
		domain = site
	}
	from = "cronagent@" + domain
	if _, err := mail.ParseAddress(from); err != nil {
		return "cronagent@localhost"
	}
	return from
}

// primarySite is the host of the primary route of PLATFORM_ROUTES; empty if there is
// none.
func primarySite(encoded string) string {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return ""
	}
	var routes map[string]struct {
		Primary bool `json:"primary"`
	}
	if json.Unmarshal(text, &routes) != nil {
		return ""
	}
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		if parsed, err := url.Parse(route); err == nil && routes[route].Primary {
			return parsed.Hostname()
		}
	}
	return ""
}

// minHidden is how long the value of a cron's own variable must be to be looked for
// in what its command printed, in bytes.
const minHidden = 4

// telling is how people are told of one cron, or of what is no cron; nil if they are
// not. Vars are the values of the cron's own variables, which may be secrets: they
// are taken out of what its command printed.
func (c *circles) telling(n *appconfig.Notify, zone *time.Location, vars []string) *agent.Telling {
	s := c.sender(n)
	if s == nil {
		return nil
	}
	if t := c.tellings[circle{n, zone}]; t != nil && len(vars) == 0 {
		return t
	}
	t := &agent.Telling{Ways: s.Ways()}
	if len(vars) == 0 {
		c.tellings[circle{n, zone}] = t
	}
	for _, event := range n.On {
		t.On = append(t.On, agent.Event(event))
	}
	if slices.Contains(t.Ways, notify.Ping) {
		t.EachRun = []string{notify.Ping}
		t.Begin = func(ctx context.Context, run ledger.Run) {
			if err := s.Start(ctx, run.ID); err != nil {
				c.warn("a monitor could not be told that a run begins", run.Cron, err.Error())
			}
		}
	}
	var own []string
	for _, value := range vars {
		for line := range strings.Lines(value + "\n" + strings.TrimSpace(value)) {
			if line = strings.TrimRight(line, "\r\n"); len(line) >= minHidden {
				own = append(own, line)
			}
		}
	}
	slices.SortFunc(own, func(a, b string) int { return len(b) - len(a) })
	t.Send = func(ctx context.Context, notice agent.Notice) (left []string, why string) {
		m := c.message(notice)
		m.Zone = zone
		for _, value := range own {
			for _, text := range []*string{&m.Run.Output, &m.Run.Error} {
				*text = strings.ReplaceAll(*text, value, strings.Repeat("*", len(value)))
			}
		}
		left, why = s.Send(ctx, m, notice.Ways)
		if why != "" && c.log == nil { // else the agent tells it
			c.warn("not everybody could be told", notice.Run.Cron, why)
		}
		return left, why
	}
	return t
}

// warn says what could not be told.
func (c *circles) warn(what, cron, why string) {
	switch {
	case c.log == nil:
		c.p.warn("%s", strings.TrimPrefix(fmt.Sprintf("%s: %s: %s", cron, what, why), ": "))
	case cron == "":
		c.log.Warn(what, "err", why)
	default:
		c.log.Warn(what, "cron", cron, "err", why)
	}
}

// message is a notice in the words that are sent.
func (c *circles) message(n agent.Notice) notify.Message {
	run := n.Run
	m := notify.Message{
		Event: string(n.Event), Project: run.Project, Environment: run.Environment, App: run.App, Cron: run.Cron, Operation: run.Operation,
		Failures: n.Failures, Since: pointer(n.Since), LastSuccess: pointer(n.LastSuccess), Look: c.look(run), Where: c.where,
		Run: notify.Run{
			ID: run.ID, Outcome: string(run.Outcome), Reason: run.Reason, Due: run.Due, Until: run.Until, Count: run.Count,
			Started: run.Started, Ended: run.Ended, Attempts: run.Attempts, ExitCode: run.ExitCode, Error: run.Error,
			Output: run.Output, Pending: run.Pending,
		},
	}
	if run.Environment == c.env.ID && run.Project == c.env.Project {
		m.EnvironmentType = c.env.Type
	}
	for _, a := range run.Activities {
		m.Run.Activities = append(m.Run.Activities, notify.Activity{ID: a.ID, Type: a.Type, State: a.State, Result: a.Result})
	}
	return m
}

// look are the commands by which one looks further.
func (c *circles) look(run ledger.Run) []string {
	name := run.Cron
	commands := []string{"cronagent status " + shellWord(name)}
	if name == "" {
		commands[0] = "cronagent status " + shellWord(run.Operation)
	} else if run.Operation == "" {
		commands = append(commands, "cronagent logs "+shellWord(name))
	}
	if !c.env.Platform || run.Project == "" {
		return commands
	}
	at := fmt.Sprintf("-p %s -e %s", shellWord(run.Project), shellWord(run.Environment))
	for i, command := range commands {
		commands[i] = fmt.Sprintf("%s ssh %s -A %s %s", c.env.Vendor.Command, at, shellWord(c.app), shellWord(command))
	}
	for _, activity := range run.Activities {
		commands = append(commands, fmt.Sprintf("%s activity:log %s %s", c.env.Vendor.Command, at, shellWord(activity.ID)))
	}
	return commands
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord is a word as one types it in a shell.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func pointer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// notifyProblems are what keeps people from being told of what this container acts
// on.
func (p proc) notifyProblems(env envdetect.Environment, app *appconfig.App) []string {
	if app == nil {
		return nil
	}
	c := p.circles(env, app.Name)
	for _, cron := range app.Crons {
		if cron.Scheduler == appconfig.Agent && cron.Enabled && refusal(cron.EnvironmentTypes, env.Type) == "" {
			c.sender(cmp.Or(cron.Notify, app.Settings.Notify))
		}
	}
	if env.Production {
		c.sender(app.Settings.Notify)
		c.resolve("heartbeat", app.Settings.Heartbeat)
	}
	return c.problems
}

// tellPeople makes an agent tell people, and returns what keeps it from that.
func (p proc) tellPeople(a *agent.Agent, env envdetect.Environment, app *appconfig.App) []string {
	c := p.circles(env, app.Name)
	c.log = a.Log
	general := app.Settings.Notify
	configured := map[string]*appconfig.Cron{}
	for i := range app.Crons {
		if cron := &app.Crons[i]; cron.Scheduler == appconfig.Agent {
			configured[cron.Name] = cron
		}
	}
	acts := false
	for i := range a.Crons {
		cron := &a.Crons[i]
		if of := configured[cron.Name]; of != nil && cron.Refusal == "" {
			acts = true
			cron.Telling = c.telling(cmp.Or(of.Notify, general), of.Zone, slices.Collect(maps.Values(of.Env)))
		}
	}
	// Where nothing is acted on there may be no mail, and need be none.
	if acts || env.Production {
		a.Telling = c.telling(general, app.Zone, nil)
	}
	// A preview that says that all is well would hide that production does not.
	if env.Production {
		if beat := c.resolve("heartbeat", app.Settings.Heartbeat); beat != "" {
			a.Beat = func(ctx context.Context) {
				if err := notify.Beat(ctx, beat, p.userAgent()); err != nil {
					c.warn("the heartbeat was not heard", "", err.Error())
				}
			}
		}
	}
	c.env.Variables = nil // all has been resolved
	return c.problems
}

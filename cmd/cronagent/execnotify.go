package main

import (
	"cmp"
	"context"
	"errors"
	"net/mail"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
)

// notifyFlags say who is told how a command ended: what notify says of a cron.
type notifyFlags struct {
	mail          []string
	webhook, ping string
	on            []string
}

func (n *notifyFlags) flag(fs *pflag.FlagSet) {
	fs.StringArrayVar(&n.mail, "mail", nil, "tell these `addresses` by mail, through PLATFORM_SMTP_HOST (default: MAILTO)")
	fs.StringVar(&n.webhook, "webhook", "", "tell this `URL` by a POST of JSON; '$NAME' takes it from a variable, so that it is no argument")
	fs.StringVar(&n.ping, "ping", "", "signal beginning and end to this `URL`, as healthchecks.io has it; '$NAME' as for --webhook")
	fs.StringSliceVar(&n.on, "notify-on", appconfig.DefaultEvents(), "tell of these `events`: "+strings.Join(appconfig.Events(), ", "))
	oneOf(fs, "notify-on", "event", appconfig.Events())
}

func (n *notifyFlags) check() error {
	for _, address := range n.mail {
		if _, err := mail.ParseAddressList(address); err != nil && !appconfig.IsVariable(address) {
			return usage("for example: --mail ops@example.com", "--mail %q is not an address", address)
		}
	}
	for _, u := range []struct{ flag, text string }{{"--webhook", n.webhook}, {"--ping", n.ping}} {
		if u.text == "" || appconfig.IsVariable(u.text) {
			continue
		}
		if problem := appconfig.CheckURL(u.text); problem != "" {
			return usage("write https://HOST/PATH, or '$NAME' to take it from the variable NAME", "%s %s", u.flag, problem)
		}
	}
	return nil
}

// execPeople are those who hear how a command ended.
type execPeople struct {
	p       proc
	env     envdetect.Environment
	telling *agent.Telling // nil: nobody
	begun   <-chan struct{}
}

func (p proc) execPeople(env envdetect.Environment, opts execOptions, vars []string) *execPeople {
	n := &appconfig.Notify{Mail: opts.notify.mail, Webhook: appconfig.NewURL(opts.notify.webhook), Ping: appconfig.NewURL(opts.notify.ping), On: opts.notify.on}
	if to := strings.TrimSpace(p.getenv("MAILTO")); n.Mail == nil && to != "" {
		n.Mail = []string{"$MAILTO"}
	}
	c := p.circles(env, env.App)
	c.where = p.getenv("MAILHOST")
	var values []string
	for _, v := range vars {
		_, value, _ := strings.Cut(v, "=")
		values = append(values, value)
	}
	e := &execPeople{p: p, env: env, telling: c.telling(n, nil, values)}
	for _, problem := range c.problems {
		p.warn("%s", problem)
	}
	return e
}

func (e *execPeople) agent(l ledger.Ledger, key ledger.Key) *agent.Agent {
	return &agent.Agent{
		Ledger: l, Project: key.Project, Environment: key.Environment, App: key.App,
		Crons: []agent.Cron{{Name: key.Cron, Telling: e.telling}},
	}
}

func (e *execPeople) hearBegin(ctx context.Context, run ledger.Run) {
	e.begun = e.agent(nil, run.Key).Begins(ctx, run)
}

// How long people are told at the end, whatever happens to the ledger, and how long
// if a signal has come.
const (
	hearLimit   = 12 * time.Second
	hearInHaste = time.Second
)

// hear tells people how a run ended that has been recorded.
func (e *execPeople) hear(ctx context.Context, run ledger.Run) {
	if e.telling == nil {
		return
	}
	limit := hearLimit
	if ctx.Err() != nil {
		limit = hearInHaste
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	// Asked whether it answers, since nothing here may hang on a volume that is stuck.
	l, err := within(func(ctx context.Context) (ledger.Ledger, error) {
		l, err := openLedger(ctx, e.env)
		if err != nil {
			return nil, err
		}
		_, err = l.Load(ctx, []ledger.Key{run.Key})
		return l, err
	})
	if err != nil {
		l = nil
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		e.agent(l, run.Key).Ends(ctx, run, e.begun)
	}()
	select {
	case <-told:
	case <-time.After(limit + hearInHaste):
		e.p.warn("%s: people could not be told: %v", run.Cron, cmp.Or(ctx.Err(), errors.New("it takes too long")))
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/notify"
)

// metrics is a page in Prometheus's text format. Its families are in the order in
// which they were begun.
type metrics struct {
	order    []string
	families map[string]*family
}

type family struct {
	help    string
	samples []string
}

// gauge adds a sample. Labels are names and values in turn; each value is one of a
// set that does not grow with time.
func (m *metrics) gauge(name, help string, value float64, labels ...string) {
	f := m.families[name]
	if f == nil {
		f = &family{help: help}
		if m.families == nil {
			m.families = map[string]*family{}
		}
		m.families[name] = f
		m.order = append(m.order, name)
	}
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + `="` + labelEscapes.Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
	f.samples = append(f.samples, b.String())
}

// labelEscapes are those of the text format.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (m *metrics) writeTo(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, name := range m.order {
		f := m.families[name]
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, f.help, name)
		for _, sample := range f.samples {
			b.WriteString(sample)
		}
	}
	return b.Flush()
}

func (m *metrics) truth(name, help string, value bool, labels ...string) {
	m.gauge(name, help, map[bool]float64{true: 1}[value], labels...)
}

func (m *metrics) instant(name, help string, t *time.Time, labels ...string) {
	if t != nil && !t.IsZero() {
		m.gauge(name, help, float64(t.UnixMilli())/1000, labels...)
	}
}

// general adds what is of no cron. Ledger is why the ledger could not be read.
func (m *metrics) general(ledger error) {
	m.gauge("cronagent_build_info", "The version that runs; always 1.", 1, "version", versionText())
	m.truth("cronagent_ledger_up", "Whether the ledger could be read.", ledger == nil)
}

// maxOperations bounds the operations that have metrics.
const maxOperations = 50

// jobs adds those crons that are configured, and the operations that fire called. What
// exec ran is not among them, nor what was called with an argument that differs each
// time, a backup to delete for example: labels must not become more and more.
func (m *metrics) jobs(v *look, all []*job) {
	seen := map[string]bool{}
	operations := 0
	for _, j := range all {
		if seen[j.name] {
			continue
		}
		if j.cron == nil {
			name, _, argument := strings.Cut(j.name, " ")
			if j.key.Cron != "" || argument && name != "source-operation:run" || operations == maxOperations {
				continue
			}
			operations++
		}
		seen[j.name] = true
		m.job(v, j)
	}
}

func (m *metrics) job(v *look, j *job) {
	label := []string{"cron", j.name}
	m.instant("cronagent_cron_last_success_timestamp_seconds", "When the last success on record was.", j.lastSuccess(), label...)
	if run := j.last(); run != nil {
		at := began(*run)
		m.instant("cronagent_cron_last_run_timestamp_seconds", "When the last run began.", &at, label...)
		if run.Started != nil && run.Ended != nil {
			m.gauge("cronagent_cron_last_run_duration_seconds", "How long the last run took; of an operation, until it was accepted.",
				max(run.Ended.Sub(*run.Started), 0).Seconds(), label...)
		}
		m.gauge("cronagent_cron_last_run_outcome", "The outcome of the last run, as a label; always 1.", 1, append(label, "outcome", string(run.Outcome))...)
	}
	missed, uncertain := 0, 0
	for _, run := range j.runs {
		switch run.Outcome {
		case ledger.Missed:
			missed += run.Count
		case ledger.Uncertain:
			uncertain++
		}
	}
	m.gauge("cronagent_cron_failure_streak", "How many runs failed since the last success.", float64(j.streak()), label...)
	m.gauge("cronagent_cron_missed_occurrences", "How many occurrences were missed, among the last 100 runs.", float64(missed), label...)
	m.gauge("cronagent_cron_uncertain_runs", "Of how many runs it is not known whether the platform took them, among the last 100.", float64(uncertain), label...)
	m.gauge("cronagent_cron_pending_runs", "Of how many runs the end is still to be looked up.", float64(len(j.pending())), label...)
	m.truth("cronagent_cron_untold", "Whether a message about it could not be sent yet.", v.untoldText(j) != "", label...)
	c := j.cron
	if c == nil {
		return
	}
	acts := c.Enabled && v.refused(c) == "" && c.Schedule != nil && !c.Schedule.Open()
	m.truth("cronagent_cron_acted_on", "Whether it is acted on here: it is enabled, and meant for this type of environment.", acts, label...)
	m.truth("cronagent_cron_paused", "Whether it is paused.", pauseOn(j.state.Pause, v.now) != nil, label...)
	if acts {
		due := c.Schedule.Next(v.now)
		m.instant("cronagent_cron_next_due_timestamp_seconds", "When it is due next.", &due, label...)
	}
}

// metricsPage makes the page of run: of the ledger as it stands, and of the agent.
func metricsPage(env envdetect.Environment, app *appconfig.App, a *agent.Agent, w io.Writer) error {
	var m metrics
	v := &look{env: env, app: app, zone: app.Zone, now: time.Now()}
	all, err := v.readJobs()
	m.general(err)
	m.truth("cronagent_agent_up", "Whether the agent looks at the clock and reaches its ledger.", a.Well() == nil)
	m.jobs(v, all)
	return m.writeTo(w)
}

// readJobs reads the ledger and returns what it knows of all crons.
func (v *look) readJobs() (all []*job, err error) {
	if v.book, err = readLedger(v.env); err != nil {
		return nil, err
	}
	defer v.book.Close()
	return v.jobs(historyOf)
}

// statusPage is what `status --format prometheus` prints.
func (v *look) statusPage(w io.Writer, chosen []*job) error {
	var m metrics
	m.general(nil)
	m.jobs(v, chosen)
	return m.writeTo(w)
}

// listenFlags say where run answers monitors.
type listenFlags struct {
	address  string
	anywhere bool
}

// serve answers monitors until ctx ends. The function that it returns waits for the
// end. Without an address it does nothing.
func (f listenFlags) serve(ctx context.Context, env envdetect.Environment, app *appconfig.App, a *agent.Agent) (wait func(), err error) {
	if f.address == "" {
		if f.anywhere {
			return nil, usage("for example: --listen 0.0.0.0:9100 --listen-anywhere", "--listen-anywhere is for --listen only")
		}
		return func() {}, nil
	}
	listen := notify.Listen
	if f.anywhere {
		listen = notify.ListenAnywhere
	}
	l, err := listen(f.address)
	if elsewhere, ok := errors.AsType[*notify.NotLoopback](err); ok {
		return nil, usage("for example: --listen 127.0.0.1:9100; or add --listen-anywhere if that is meant", "--listen: %v", elsewhere)
	}
	if err != nil {
		return nil, usage("for example: --listen 127.0.0.1:9100", "--listen %s: %v", f.address, err)
	}
	pages := &notify.Pages{Health: a.Well, Metrics: func(w io.Writer) error { return metricsPage(env, app, a, w) }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := pages.Serve(ctx, l); err != nil {
			a.Log.Error("monitors are answered no more", "err", err)
		}
	}()
	a.Log.Info("answering monitors", "address", l.Addr().String(), "paths", "/healthz /metrics")
	return func() { <-done }, nil
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
	"github.com/cronagent/cronagent/internal/platform"
)

func newDoctor(p proc) *cobra.Command {
	var config configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "doctor",
		SuggestFor: []string{"diagnose", "test"},
		Short:      "find what is wrong, from this container to the platform and back",
		Long: `Look at all that a cron needs, and say of each thing whether it is well: this
program and PATH, the configuration, who acts on the crons and who is told, the
ledger; the API and the clock, the token and whose it is, the environment, whether
the role suffices for each operation that the crons fire, and how the platform's
crons stand. It fires nothing, writes nothing, and takes 30 seconds at the most.

Each line begins with ok, warning or problem, and with the code under which
docs/doctor.md explains it. The exit code is 1 if there is a problem, and 0 if there
are warnings at the most; 2 is usage.`,
		Example: "  cronagent doctor\n  cronagent doctor --json | jq -r '.[] | select(.status == \"problem\") | .hint'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.doctor(cmd.Context(), config, asJSON) },
	}
	config.add(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// The values of finding.Status.
const (
	isOK      = "ok"
	isWarning = "warning"
	isProblem = "problem"
)

// finding is one line of what doctor says.
type finding struct {
	// Code is the check's, and an interface: docs/doctor.md has a section for each.
	Code   string `json:"code"`
	Status string `json:"status"`
	// Subject is what it is about; it may be empty.
	Subject string `json:"subject"`
	Message string `json:"message"`
	// Hint says what to do; it is empty if all is well.
	Hint string `json:"hint"`

	// together is the message where one line is made of several that differ in
	// details only; empty if they are not to be one.
	together string
}

// well, warning and trouble are not inlined into the hundred places that say something.
//
//go:noinline
func well(subject, format string, args ...any) *finding {
	return &finding{Status: isOK, Subject: subject, Message: fmt.Sprintf(format, args...)}
}

//go:noinline
func warning(hint, subject, format string, args ...any) *finding {
	return &finding{Status: isWarning, Subject: subject, Message: fmt.Sprintf(format, args...), Hint: hint}
}

//go:noinline
func trouble(hint, subject, format string, args ...any) *finding {
	return &finding{Status: isProblem, Subject: subject, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// text is what it is about, and what there is to say of it.
func (f *finding) text() string {
	if f.Subject == "" {
		return f.Message
	}
	return f.Subject + ": " + f.Message
}

// codeLimit is the code of what is said if there was no time for all checks.
const codeLimit = "limit"

// in makes a problem a warning unless it is one of production: elsewhere nothing is
// fired, or nobody waits for it.
func (f *finding) in(env envdetect.Environment) *finding {
	if f.Status == isProblem && !env.Production {
		f.Status = isWarning
	}
	return f
}

// knowledge is what a check needs to be known already. Each includes those before it.
type knowledge int

const (
	nothing   knowledge = iota
	thePlace            // where this is
	theAPI              // that there is somebody to ask
	anAnswer            // that the API answers
	theUser             // whose token it is
	ourTarget           // that project and environment can be read
)

// checks are in the order of the way from the container to the platform and back.
var checks = []struct {
	code  string
	needs knowledge
	look  func(*doctor, context.Context) []*finding
}{
	{"binary", nothing, (*doctor).binary},
	{"links", nothing, (*doctor).links},
	{"phase", nothing, (*doctor).phase},
	{"path", nothing, (*doctor).path},
	{"variables", thePlace, (*doctor).variables},
	{"config", thePlace, (*doctor).config},
	{"state", thePlace, (*doctor).state},
	{"ledger", thePlace, (*doctor).ledger},
	{"agent", thePlace, (*doctor).agent},
	{"runs", thePlace, (*doctor).runs},
	{"people", thePlace, (*doctor).people},
	{"api", theAPI, (*doctor).api},
	{"clock", anAnswer, (*doctor).clock},
	{"token", thePlace, (*doctor).token},
	{"environment", theUser, (*doctor).environment},
	{"instances", ourTarget, (*doctor).instances},
	{"operations", ourTarget, (*doctor).operations},
	{"crons", ourTarget, (*doctor).crons},
	{"interval", ourTarget, (*doctor).interval},
	{"backups", ourTarget, (*doctor).backups},
	{"activities", ourTarget, (*doctor).activities},
}

// doctor is what the checks find out for each other.
type doctor struct {
	p        proc
	now      time.Time
	selected configFlags
	// self is where this program is, and own what is there; nil: that is not known.
	self string
	own  os.FileInfo
	// known is how far it has got.
	known knowledge
	env   envdetect.Environment
	app   *appconfig.App // nil: it cannot be read
	// alone says that nobody is asked: neither the platform nor a database.
	alone bool
	err   error // why one of the two is not known
	uses  []use
	// read says that the ledger was, written when that was last written to, if it tells.
	read    bool
	written *time.Time
	jobs    []*job
	paused  *ledger.Pause // that of everything, if it is on
	v       *look
	client  *platform.Client
	cli     string // the name of the platform's own tool
	// secrets are those of this container.
	secrets []string
	target  platform.Target
	answer  platform.Reached
	remote  platform.Environment
	// settings are the project's; nil: they cannot be read.
	settings *platform.Settings
}

// The bounds of how long doctor takes, and one question.
const (
	doctorLimit   = 30 * time.Second
	questionLimit = 5 * time.Second
)

func (p proc) doctor(ctx context.Context, config configFlags, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	d := &doctor{p: p, now: time.Now(), selected: config}
	if err := d.detect(); err != nil {
		return err
	}
	findings := d.examine(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	count := map[string]int{}
	for _, f := range findings {
		count[f.Status]++
	}
	if err := p.tellFindings(findings, count, asJSON); err != nil {
		return err
	}
	if count[isProblem] > 0 {
		return codeError(exitFailed)
	}
	return nil
}

// examine makes all checks for which enough is known.
func (d *doctor) examine(ctx context.Context) []*finding {
	findings := []*finding{}
	add := func(code string, all ...*finding) {
		for _, f := range all {
			f.Code = code
			f.Subject, f.Message, f.Hint = d.clean(f.Subject), d.clean(f.Message), d.clean(f.Hint)
			findings = append(findings, f)
		}
	}
	var left []string
	for _, check := range checks {
		switch {
		case check.needs > d.known:
		case ctx.Err() != nil:
			left = append(left, check.code)
		default:
			add(check.code, check.look(d, ctx)...)
		}
	}
	if len(left) > 0 {
		add(codeLimit, trouble("run it again when the platform answers faster", "", "%s are over; not looked at: %s", doctorLimit, strings.Join(left, ", ")))
	}
	return findings
}

// detect finds out where this is. The error is one of usage.
func (d *doctor) detect() error {
	if self, err := os.Executable(); err == nil {
		d.self = self
		d.own, _ = os.Stat(self)
	}
	d.env, d.err = d.p.detect(d.selected.vendor)
	if d.err != nil {
		if e, ok := errors.AsType[*envdetect.Error](d.err); ok && e.Variable == "--vendor" {
			return d.err
		}
		d.secrets = d.p.tokens()
		return nil
	}
	d.known = thePlace
	if d.app, d.err = loadApp(d.selected, d.env); d.err != nil {
		d.app = nil
	}
	d.client = d.p.client(d.env)
	d.client.Grace = 0
	d.cli = cliName(d.env.Vendor)
	d.secrets = d.p.secrets(d.env)
	d.target = platform.Target{Project: d.env.Project, Environment: d.env.ID}
	d.uses = d.p.usesOf(d.app, d.env)
	// A build has no environment yet, and off the platform there is somebody to ask
	// only if a project and a token are named.
	here := d.env.Phase == envdetect.Runtime
	if !d.alone && (here || d.env.Phase == envdetect.Local && d.env.TokenVariable != "" && d.env.Project != "" && d.env.ID != "") {
		d.known = theAPI
	}
	return nil
}

// call is how one calls the platform's own tool.
//
//go:noinline
func (d *doctor) call(words string) string { return d.cli + " " + words }

// clean takes every secret of this container out of a text.
func (d *doctor) clean(text string) string {
	for _, secret := range d.secrets {
		if len(secret) >= minMasked {
			text = platform.NewToken(secret).Redact(text)
		}
	}
	return text
}

func (p proc) tellFindings(findings []*finding, count map[string]int, asJSON bool) error {
	if asJSON {
		return writeJSON(p.stdout, findings)
	}
	var rows [][]string
	for _, f := range findings {
		text := f.text()
		if f.Hint != "" {
			text += "; what to do: " + f.Hint
		}
		rows = append(rows, []string{f.Status, f.Code, text})
	}
	s := p.screen()
	color := func(row, column int) string {
		if column > 0 {
			return ""
		}
		return colorOf(findings[row].Status)
	}
	if err := s.coloredTable(rows, color, 2); err != nil {
		return err
	}
	verdict := "nothing is wrong"
	if count[isProblem]+count[isWarning] > 0 {
		verdict = fmt.Sprintf("%s, %s; docs/doctor.md explains them by their second word", plural(count[isProblem], "problem"), plural(count[isWarning], "warning"))
	}
	return s.lines(verdict)
}

// question bounds one question to the API.
//
//go:noinline
func question(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, questionLimit)
}

// unanswered says why a question was not answered. Where nobody answers any more, the
// rest is not asked.
func (d *doctor) unanswered(subject string, err error) *finding {
	_, hint := codeAndHint(err)
	if e, ok := errors.AsType[*platform.Error](err); ok && (e.Kind == platform.Unavailable || e.Kind == platform.Uncertain) {
		d.known = thePlace
		return trouble(cmp.Or(hint, "run it again later"), subject, "%v; what needs the API is not looked at", err)
	}
	return trouble(cmp.Or(hint, "look at: cronagent env"), subject, "%v", err)
}

// firstLine is an error's, with how many more there are.
func firstLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%s (and %d more)", lines[0], len(lines)-1)
}

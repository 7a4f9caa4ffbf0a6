package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/ledger"
)

// historyOf is how many runs of each cron are looked at, as many as a ledger keeps
// for certain. shownRuns is how many of a cron that was named are shown.
const (
	historyOf = 100
	shownRuns = 20
)

// forgetBare is when the last run of what is no agent cron is no concern of
// --fail-on-failure any more: a fire by hand that nobody repeats must not keep a
// monitor red for ever.
const forgetBare = 31 * 24 * time.Hour

type statusOptions struct {
	config        configFlags
	failOnFailure bool
	maxAge        days
	asJSON        bool
	format        string
}

func newStatus(p proc) *cobra.Command {
	var opts statusOptions
	cmd := &cobra.Command{
		Use:        "status [CRON|OPERATION...]",
		SuggestFor: []string{"history", "ps"},
		Short:      "say what ran, how it ended, and what is pending, paused or uncertain",
		Long: `Say for each agent cron how its last run ended, when it was and how long it took,
when it is due next, and how many runs failed in a row; then the same of what
cronagent fire and exec did. Of what is named the last 20 runs are shown.

It reads the ledger and nothing else: it needs no token, asks the platform
nothing, and works where the ledger can only be read. What became of accepted
operations is looked up by tick and run, and shown as they last saw it.

A run is a success if it succeeded, or if the platform has accepted the operation
and none of its activities has failed. It is a failure if it failed, timed out,
was missed or cancelled, or if it is uncertain what came of it. What was skipped
or put off is neither.

What people could not be told by mail, webhook or ping is shown, and why.

With --max-age it is a monitor: it says nothing and exits with 0 if the last
success of each that is named is not older, else it exits with 1. A command's
success counts from its end, an operation's from when it was accepted.

--format prometheus prints a page for the textfile collector of Prometheus's node
exporter: of agent crons and of the operations that fire called.

With --fail-on-failure it exits with 1 if the last run of any that is shown
failed. Crons that the configuration does not have any more do not count, nor
what fire and exec did more than 31 days ago, unless they are named.`,
		Example: `  cronagent status
  cronagent status backup
  cronagent status --max-age 26h backup
  cronagent status --max-age 2d backup:create || echo 'no backup'
  cronagent status --fail-on-failure --json
  cronagent status --format prometheus >cronagent.prom.new && mv cronagent.prom.new cronagent.prom`,
		RunE: func(_ *cobra.Command, args []string) error { return p.status(args, opts) },
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.BoolVar(&opts.failOnFailure, "fail-on-failure", false, "exit with 1 if a last run failed")
	fs.Var(&opts.maxAge, "max-age", "exit with 1 if the last success is older than this `time`: 26h, 2d")
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON, like --format json")
	fs.StringVar(&opts.format, "format", "", "`text`, json or prometheus")
	oneOf(fs, "format", "format", []string{"text", "json", "prometheus"})
	return cmd
}

// days is a flag for a time that may be given in days.
type days time.Duration

func (d *days) Set(text string) error {
	var sum time.Duration
	rest := text
	if n, after, found := strings.Cut(text, "d"); found {
		whole, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return errors.New("it is a time like 90m, 26h, 2d, 1d12h")
		}
		sum, rest = time.Duration(whole)*24*time.Hour, cmp.Or(after, "0s")
	}
	more, err := time.ParseDuration(rest)
	if err != nil {
		return errors.New("it is a time like 90m, 26h, 2d, 1d12h")
	}
	if sum += more; sum <= 0 || more < 0 {
		return errors.New("it must be longer than nothing")
	}
	*d = days(sum)
	return nil
}

func (d days) String() string {
	if d == 0 {
		return ""
	}
	return about(time.Duration(d))
}

func (d days) Type() string { return "time" }

func (p proc) status(names []string, opts statusOptions) error {
	if opts.maxAge > 0 && len(names) == 0 {
		return usage("for example: cronagent status --max-age 26h backup", "--max-age needs the name of a cron or an operation")
	}
	switch {
	case opts.format == "json":
		opts.asJSON = true
	case opts.format != "" && opts.asJSON:
		return usage("leave one of them out", "--json and --format %s exclude each other", opts.format)
	}
	v, err := p.lookAround(opts.config)
	if err != nil {
		return err
	}
	defer v.book.Close()
	v.notifyProblems = p.notifyProblems(v.env, v.app)
	n := historyOf
	if opts.maxAge > 0 {
		n = 10_000 // a success may lie far behind many skips
	}
	all, err := v.jobs(n)
	if err != nil {
		return err
	}
	chosen, err := v.choose(all, names)
	if err != nil {
		return err
	}
	switch {
	case opts.asJSON:
		err = writeJSON(p.stdout, v.statusJSON(chosen, len(names) > 0))
	case opts.format == "prometheus":
		err = v.statusPage(p.stdout, chosen)
	case opts.maxAge > 0:
	case len(names) > 0:
		err = v.showJobs(p.screen(), chosen)
	default:
		err = v.showSummary(p.screen(), chosen)
	}
	if err != nil {
		return err
	}
	var failing []error
	if opts.maxAge > 0 {
		failing = v.older(chosen, time.Duration(opts.maxAge))
	}
	if opts.failOnFailure {
		failing = append(failing, v.failed(chosen, len(names) > 0)...)
	}
	return errors.Join(failing...)
}

// verdict tells whether a run counts as a success or as a failure; neither, if it
// was rightly not done, or not done yet.
func verdict(run ledger.Run) (good, bad bool) {
	switch run.Outcome {
	case ledger.Succeeded:
		return true, false
	case ledger.Fired:
		for _, activity := range run.Activities {
			if activity.Result == "failure" || activity.State == "cancelled" {
				return false, true
			}
		}
		return true, false
	case ledger.Skipped, ledger.Deferred:
		return false, false
	}
	return false, true
}

func (j *job) last() *ledger.Run {
	if len(j.runs) == 0 {
		return nil
	}
	return &j.runs[len(j.runs)-1]
}

// streak is how many runs failed since the last success.
func (j *job) streak() (n int) {
	for _, run := range slices.Backward(j.runs) {
		good, bad := verdict(run)
		if good {
			break
		}
		if bad {
			n++
		}
	}
	return n
}

// lastSuccess is when the newest success was; nil if there is none.
func (j *job) lastSuccess() *time.Time {
	var newest *time.Time
	for _, run := range j.runs {
		if good, _ := verdict(run); !good {
			continue
		}
		at := run.Ended
		if at == nil {
			at = new(began(run))
		}
		if newest == nil || at.After(*newest) {
			newest = at
		}
	}
	return newest
}

// older are the errors for jobs whose last success is older than limit. Of two of
// one name, which off the platform may be of two environments, one is enough.
func (v *look) older(chosen []*job, limit time.Duration) (errs []error) {
	newest := map[string]*time.Time{}
	var names []string
	for _, j := range chosen {
		at, seen := newest[j.name]
		if !seen {
			names = append(names, j.name)
		}
		if success := j.lastSuccess(); at == nil || success != nil && success.After(*at) {
			newest[j.name] = success
		}
	}
	for _, name := range names {
		at := newest[name]
		switch {
		case at == nil:
			errs = append(errs, fmt.Errorf("%s: there is no success on record%s", name, v.lastFailure(chosen, name)))
		case v.now.Sub(*at) > limit:
			errs = append(errs, fmt.Errorf("%s: the last success is older than %s: it was %s%s",
				name, about(limit), v.when(*at, v.zone), v.lastFailure(chosen, name)))
		}
	}
	return errs
}

// lastFailure says how the last run ended, where that explains something.
func (v *look) lastFailure(chosen []*job, name string) string {
	for _, j := range chosen {
		run := j.last()
		if run == nil || j.name != name {
			continue
		}
		if good, _ := verdict(*run); !good {
			return strings.TrimSuffix("; since then "+string(run.Outcome)+": "+cmp.Or(run.Error, run.Reason), ": ")
		}
	}
	return ""
}

// failed are the errors for jobs whose last run failed.
func (v *look) failed(chosen []*job, byName bool) (errs []error) {
	for _, j := range chosen {
		gone := v.app != nil && j.cron == nil && !j.bare
		old := j.bare && (len(j.runs) == 0 || v.now.Sub(began(*j.last())) > forgetBare)
		if n := j.streak(); n > 0 && (byName || !gone && !old) {
			errs = append(errs, fmt.Errorf("%s: %s", j.name, failures(n)))
		}
	}
	return errs
}

func failures(n int) string {
	if n == 1 {
		return "the last run failed"
	}
	return fmt.Sprintf("the last %d runs failed", n)
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/shell"
	"github.com/cronagent/cronagent/internal/timeline"
)

// longestTimeline is how long a picture may be.
const longestTimeline = 366 * 24 * time.Hour

type timelineOptions struct {
	config          configFlags
	from, to        string
	length          length
	timezone        string
	environmentType string
	format          string
	asJSON          bool
	ascii           bool
	width           int
}

func newTimeline(p proc) *cobra.Command {
	var opts timelineOptions
	cmd := &cobra.Command{
		Use:   "timeline [CRON...]",
		Short: "draw what fires when: crons as rows, time as columns",
		Long: `Draw what fires when: the app's crons as rows, or those that are named, time as
columns. It shows how often each is due, in which range where only the platform
decides on the moment (its offset of up to 20 minutes, its H), what is not acted on
here (disabled, paused, another type of environment), how past runs ended as far as
the ledger knows, and which crons come together: the platform runs its crons one at
a time, so they wait for each other.

The time zone is the app's. Days are those of the calendar, of 23 or 25 hours when
the clock changes; the picture begins and ends with whole columns. Without --from it
begins a quarter of its length before now.

In a container it is the picture of this environment, elsewhere that of production;
--environment-type draws another type's.

--format svg prints an image, --format html a page that stands alone: both load
nothing, run nothing, are light or dark as the reader likes it, and say each
occurrence where the mouse points.`,
		Example: `  cronagent timeline
  cronagent timeline backup import --for 7d
  cronagent timeline --from 2027-03-28 --to 2027-03-29 --timezone Europe/Paris
  cronagent timeline --for 7d --format html >timeline.html
  cronagent timeline --json | jq '.together[] | {from, crons}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.ascii = opts.ascii || !cmd.Flags().Changed("ascii") && !p.unicode()
			return p.timeline(args, opts)
		},
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&opts.from, "from", "", "begin at this `time`: 2027-03-27, 2027-03-27T02:30 or RFC 3339")
	fs.StringVar(&opts.to, "to", "", "end at this `time`")
	fs.Var(&opts.length, "for", "how `long`: 24h, 7d, 1d12h (default 24h)")
	fs.StringVar(&opts.timezone, "timezone", "", "the `zone` of the picture (default: the app's)")
	fs.StringVar(&opts.environmentType, "environment-type", "", "as on an environment of this `type` (default: this one's; off the platform production)")
	fs.StringVar(&opts.format, "format", "text", "text, svg, html or json: `how` it is drawn")
	oneOf(fs, "environment-type", "environment type", drawnTypes())
	oneOf(fs, "format", "format", []string{"text", "svg", "html", "json"})
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON, like --format json")
	fs.BoolVar(&opts.ascii, "ascii", false, "draw with ASCII characters only (default: if the locale has no others)")
	fs.IntVar(&opts.width, "width", 0, fmt.Sprintf("so many `columns` of text, at least %d (default: the terminal's, else COLUMNS, else 80)", timeline.MinWidth))
	return cmd
}

// drawnTypes are the types of environment that a picture may be of.
func drawnTypes() []string {
	return slices.DeleteFunc(appconfig.EnvironmentTypes(), func(t string) bool { return t == appconfig.AnyEnvironment })
}

func (p proc) timeline(names []string, opts timelineOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	env, app, err := p.load(opts.config)
	if err != nil {
		return err
	}
	p.warnProblems(app)
	zone := app.Zone
	if opts.timezone != "" {
		if zone, err = loadZone(opts.timezone); err != nil {
			return err
		}
	}
	now := time.Now()
	from, to, err := opts.span(now.In(zone))
	if err != nil {
		return err
	}
	title := app.Name
	switch {
	case opts.environmentType != "":
		env.Type = opts.environmentType
		title += ", as on " + env.Type
	case env.Phase != envdetect.Runtime:
		env.Type = envdetect.ProductionType
		title += ", as on " + env.Type
	default:
		title += ", " + cmp.Or(env.ID, env.Type)
	}
	rows, err := p.timelineRows(app, env, names, now, opts.environmentType != "")
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		p.warn("%s has no crons", app.File)
	}
	width := p.width(opts.width)
	columns := timeline.DrawColumns
	if opts.format == "text" {
		columns = timeline.TextColumns(rows, width)
	}
	picture := timeline.New(rows, timeline.Options{From: from, To: to, Now: now, Columns: columns, Title: safe(strings.TrimPrefix(title, ", "))})
	switch opts.format {
	case "json":
		return writeJSON(p.stdout, picture)
	case "svg":
		_, err = io.WriteString(p.stdout, picture.SVG())
	case "html":
		_, err = io.WriteString(p.stdout, picture.HTML())
	default:
		_, err = io.WriteString(p.stdout, picture.Text(timeline.TextOptions{Width: width, ASCII: opts.ascii, Color: p.screen().colors}))
	}
	return err
}

// check refuses options that do not go together.
func (o *timelineOptions) check() error {
	switch {
	case o.asJSON && o.format != "text" && o.format != "json":
		return usage("leave one of them out", "--json and --format %s exclude each other", o.format)
	case o.asJSON:
		o.format = "json"
	case o.width != 0 && o.width < timeline.MinWidth:
		return usage("for example: --width 80", "--width must be at least %d", timeline.MinWidth)
	}
	if o.to != "" && o.length.days != 0 {
		return usage("leave one of them out", "--to and --for exclude each other")
	}
	return nil
}

// length is how long a picture is. What is told in days are days of the calendar, which
// may have 23 or 25 hours.
type length struct {
	days
	calendar int
}

func (l *length) Set(text string) error {
	err := l.days.Set(text)
	if strings.Contains(text, "d") {
		l.calendar = int(time.Duration(l.days) / (24 * time.Hour))
	}
	return err
}

// span is what time is to be seen.
func (o *timelineOptions) span(now time.Time) (from, to time.Time, err error) {
	long := cmp.Or(time.Duration(o.length.days), 24*time.Hour)
	switch {
	case o.from != "":
		if from, err = parseTime("--from", o.from, now.Location()); err != nil {
			return from, to, err
		}
		from = from.In(now.Location())
	case o.length.calendar > 0:
		from = midnight(now, -o.length.calendar/4)
	default:
		from = now.Add(-long / 4).Truncate(time.Minute)
		if long >= 6*time.Hour {
			from = from.Add(-time.Duration(from.Minute()) * time.Minute)
		}
	}
	if o.to != "" {
		if to, err = parseTime("--to", o.to, now.Location()); err != nil {
			return from, to, err
		}
	} else {
		days := o.length.calendar
		to = from
		switch {
		case days > 0 && from.Equal(midnight(from, 0)):
			to = midnight(from, days)
		case days > 0:
			wall := time.Date(from.Year(), from.Month(), from.Day()+days, from.Hour(), from.Minute(), from.Second(), 0, time.UTC)
			to = onClock(wall, from.Location())
		}
		to = to.Add(long - time.Duration(days)*24*time.Hour)
	}
	switch {
	case !to.After(from):
		return from, to, usage("for example: --from 2027-03-27 --for 7d", "the picture would end (%s) before it has begun (%s)", clock(to), clock(from))
	case to.Sub(from) > longestTimeline+time.Hour:
		return from, to, usage("for example: --for 31d", "a picture of %s is too long: at most %s", about(to.Sub(from)), about(longestTimeline))
	}
	return from, to, nil
}

// midnight is when the day begins that is so many days after t's.
func midnight(t time.Time, days int) time.Time {
	return onClock(time.Date(t.Year(), t.Month(), t.Day()+days, 0, 0, 0, 0, time.UTC), t.Location())
}

// timelineRows are the crons as a picture has them, the platform's first.
func (p proc) timelineRows(app *appconfig.App, env envdetect.Environment, names []string, now time.Time, typeGiven bool) ([]*timeline.Cron, error) {
	var all []string
	for _, c := range app.Crons {
		all = append(all, c.Name)
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, unknownCron(app.File, all, name, "")
		}
	}
	known := p.readPast(app, env, now)
	defer known.close()
	var rows []*timeline.Cron
	for i := range app.Crons {
		c := &app.Crons[i]
		if len(names) > 0 && !slices.Contains(names, c.Name) {
			continue
		}
		if len(rows) >= timeline.MaxRows { // only counted
			rows = append(rows, nil)
			continue
		}
		row := &timeline.Cron{Name: safe(c.Name), Scheduler: string(c.Scheduler), Spec: safe(c.Spec), Off: p.notHere(c, env, typeGiven)}
		if c.Schedule != nil {
			row.When = c.Schedule.Describe()
			row.First, row.Next = spansOf(c, env)
		}
		known.into(row, c)
		rows = append(rows, row)
	}
	return rows, nil
}

// notHere says why a cron is not acted on; empty if it is. What a command of the
// platform's crons does is only known where its variables are.
func (p proc) notHere(c *appconfig.Cron, env envdetect.Environment, typeGiven bool) string {
	switch {
	case c.Problem != nil:
		return "cannot be read"
	case !c.Enabled:
		return "disabled"
	case c.Scheduler == appconfig.Agent:
		return refusal(c.EnvironmentTypes, env.Type)
	case env.Phase != envdetect.Runtime:
		return ""
	}
	script, err := shell.Parse(c.Start)
	if err != nil {
		return ""
	}
	why := ""
	for _, v := range script.Eval(func(name string) (string, bool) {
		if typeGiven && name == "PLATFORM_ENVIRONMENT_TYPE" {
			return env.Type, true
		}
		return p.lookup(name)
	}) {
		switch {
		case v.Call.Minor:
		case v.Runs != shell.No:
			return ""
		case why == "":
			why = v.Because.String()
		}
	}
	if why == "" {
		return ""
	}
	return safe("it does something only if " + why)
}

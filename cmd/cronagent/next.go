package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/nearest"
	"github.com/cronagent/cronagent/internal/schedule"
	"github.com/cronagent/cronagent/internal/shell"
)

// upcoming is a cron in `next --json`. Windows are there where only a range is
// known, because the platform or an unknown project decides on H.
type upcoming struct {
	Name      string      `json:"name"`
	Scheduler string      `json:"scheduler"`
	Spec      string      `json:"spec"`
	Timezone  string      `json:"timezone"`
	Next      []time.Time `json:"next"`
	Windows   []window    `json:"windows"`

	never string // why it has neither
}

type nextOptions struct {
	config                     configFlags
	spec, timezone, from, seed string
	count                      int
	asJSON                     bool
}

func newNext(p proc) *cobra.Command {
	var opts nextOptions
	cmd := &cobra.Command{
		Use:   "next [CRON...]",
		Short: "say when crons are due next",
		Long: `Say when crons are due next: all of the app's, or those that are named. With
--spec it needs no configuration and tries out a spec.`,
		Example: `  cronagent next backup --count 10
  cronagent next --spec '30 2 * * *' --timezone Europe/Paris --from 2027-03-27`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.count < 1 || opts.count > 10_000 {
				return usage("", "--count must be from 1 to 10000")
			}
			if cmd.Flags().Changed("spec") {
				return p.nextOfSpec(args, opts)
			}
			return p.nextOfCrons(args, opts)
		},
	}
	opts.config.add(cmd.Flags())
	fs := cmd.Flags()
	fs.StringVar(&opts.spec, "spec", "", "try out this `spec` instead of reading crons")
	fs.StringVar(&opts.timezone, "timezone", "", "the `zone` of --spec (default UTC), or the one to show the crons' times in")
	fs.StringVar(&opts.from, "from", "", "begin after this `time`: 2027-03-27, 2027-03-27T02:30 or RFC 3339 (default: now)")
	fs.StringVar(&opts.seed, "seed", "", "with --spec: the cron's `name`, which fixes what H stands for")
	fs.IntVar(&opts.count, "count", 5, "how many of each")
	fs.BoolVar(&opts.asJSON, "json", false, "print JSON")
	return cmd
}

func (p proc) nextOfSpec(args []string, opts nextOptions) error {
	if len(args) > 0 {
		return usage("leave out one of them", "--spec and cron %q do not go together", args[0])
	}
	zone, err := loadZone(opts.timezone)
	if err != nil {
		return err
	}
	from, err := parseTime("--from", opts.from, zone)
	if err != nil {
		return err
	}
	var seed schedule.Seed
	if opts.seed != "" {
		seed = schedule.NewSeed("", "", opts.seed)
	}
	s, err := schedule.Parse(opts.spec, zone, seed)
	if err != nil {
		return err
	}
	c := &appconfig.Cron{Scheduler: appconfig.Agent, Schedule: s, Zone: zone}
	u := upcomingOf(c, envdetect.Environment{}, from, zone, opts.count)
	u.Scheduler = ""
	return p.showNext([]upcoming{u}, opts.asJSON)
}

func (p proc) nextOfCrons(args []string, opts nextOptions) error {
	env, app, err := p.load(opts.config)
	if err != nil {
		return err
	}
	p.warnProblems(app)
	names := make([]string, len(app.Crons))
	for i, c := range app.Crons {
		names[i] = c.Name
		if c.Fire == nil {
			_, err := shell.Parse(c.Start)
			p.warnUnreadable(&c, err)
		}
	}
	for _, name := range args {
		if !slices.Contains(names, name) {
			return unknownCron(app.File, names, name, "")
		}
	}
	all := []upcoming{}
	for _, c := range app.Crons {
		if len(args) > 0 && !slices.Contains(args, c.Name) {
			continue
		}
		if c.Problem != nil || !c.Enabled {
			u := upcoming{Name: c.Name, Scheduler: string(c.Scheduler), Spec: c.Spec, Next: []time.Time{}, Windows: []window{}, never: "it is disabled"}
			if c.Problem != nil {
				u.never = "it cannot be read"
			}
			if c.Zone != nil {
				u.Timezone = c.Zone.String()
			}
			all = append(all, u)
			continue
		}
		zone := c.Zone
		if opts.timezone != "" {
			if zone, err = loadZone(opts.timezone); err != nil {
				return err
			}
		}
		from, err := parseTime("--from", opts.from, zone)
		if err != nil {
			return err
		}
		all = append(all, upcomingOf(&c, env, from, zone, opts.count))
	}
	return p.showNext(all, opts.asJSON)
}

func upcomingOf(c *appconfig.Cron, env envdetect.Environment, from time.Time, zone *time.Location, count int) upcoming {
	s := c.Schedule
	u := upcoming{Name: c.Name, Scheduler: string(c.Scheduler), Spec: s.String(), Timezone: s.Zone().String(), Next: []time.Time{}, Windows: []window{}}
	for _, w := range windows(c, env, from, count) {
		u.Windows = append(u.Windows, window{w.From.In(zone), w.To.In(zone)})
	}
	if s.Open() {
		return u
	}
	for range count {
		if from = s.Next(from); from.IsZero() {
			break
		}
		u.Next = append(u.Next, from.In(zone))
	}
	return u
}

func (p proc) showNext(all []upcoming, asJSON bool) error {
	if asJSON {
		return writeJSON(p.stdout, all)
	}
	var rows [][]string
	for _, u := range all {
		name := u.Name
		row := func(cells ...string) {
			rows = append(rows, append([]string{name}, cells...))
			name = ""
		}
		why := "H: one time in this range"
		if u.Scheduler == string(appconfig.Platform) {
			why = "the platform decides when in this range"
		}
		for _, w := range u.Windows {
			row(w.String(), why)
		}
		if len(u.Windows) == 0 {
			for _, t := range u.Next {
				row(clock(t), strings.TrimPrefix(clock(t.UTC()), t.UTC().Format("Mon ")))
			}
		}
		if len(u.Next)+len(u.Windows) == 0 {
			row("never", cmp.Or(u.never, "it is not due any more"))
		}
	}
	text := 2
	if len(all) > 0 && all[0].Name == "" {
		text = 1
		for i := range rows {
			rows[i] = rows[i][1:]
		}
	}
	return p.screen().table(rows, text)
}

// loadZone finds a zone by its name in the tz database; empty is UTC.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, usage(nearest.Ask(appconfig.MeantZone(name), "names are those of the tz database, for example Europe/Paris"), "unknown time zone %q", name)
	}
	return zone, nil
}

// parseTime reads an instant from a flag, in a zone unless it has its own; empty
// is now. A time that the zone's clock skips is the moment at which it jumps, and a day
// without a midnight begins there.
func parseTime(flag, text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Now().In(zone), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		t, err := time.ParseInLocation(layout, text, zone)
		if err != nil {
			continue
		}
		if layout == time.RFC3339Nano {
			return t, nil
		}
		wall, err := time.Parse(layout, text)
		return onClock(wall, zone), err
	}
	return time.Time{}, usage("for example: "+flag+" 2027-03-27T02:30", "%s: cannot read %q as a time", flag, text)
}

// onClock is when a zone's clock shows what wall shows, the first time if it does so
// twice; if it never does, since it is skipped, when the clock jumps over it.
func onClock(wall time.Time, zone *time.Location) time.Time {
	year, month, day := wall.Date()
	hour, minute, second := wall.Clock()
	t := time.Date(year, month, day, hour, minute, second, wall.Nanosecond(), zone)
	shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), wall.Location())
	start, end := t.ZoneBounds()
	switch {
	case shown.Before(wall):
		return end
	case shown.After(wall):
		return start
	case !start.IsZero(): // is it the second time?
		_, was := start.Add(-1).Zone()
		_, is := t.Zone()
		if first := t.Add(time.Duration(is-was) * time.Second); first.Before(start) {
			return first
		}
	}
	return t
}

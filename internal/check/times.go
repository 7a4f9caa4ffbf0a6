package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/schedule"
)

// usualInterval is the least that most plans allow between two runs.
const usualInterval = 5 * time.Minute

// longCommand is from when on a command is long for who wants to deploy.
const longCommand = time.Hour

// gaps are the least and the most frequent time between two occurrences. An H that
// stands open is taken for one of the values that it may have.
func (c *cron) gaps() (least, usual time.Duration) {
	s := c.Schedule
	if every, ok := s.Every(); ok {
		return every, every
	}
	if s.Open() {
		drawn, err := schedule.Parse(s.String(), s.Zone(), schedule.NewSeed("", "", ""))
		if err != nil {
			return 0, 0
		}
		s = drawn
	}
	seen := map[time.Duration]int{}
	// The spec alone is asked, not the clock's changes: in winter, for three months at
	// most.
	at := s.Next(time.Date(2026, time.November, 2, 0, 0, 0, 0, time.UTC))
	end := at.AddDate(0, 3, 0)
	for range 300 {
		next := s.Next(at)
		if next.IsZero() || next.After(end) && len(seen) > 0 {
			break
		}
		gap := next.Sub(at)
		seen[gap]++
		if least == 0 || gap < least {
			least = gap
		}
		at = next
	}
	for gap, n := range seen {
		if n > seen[usual] || n == seen[usual] && gap < usual {
			usual = gap
		}
	}
	if s.Hashed() {
		least = usual // at the end of the hour H may be nearer to itself
	}
	return least, usual
}

// checkTime looks at when a cron is due.
func (c *cron) checkTime() {
	if c.Schedule == nil {
		return
	}
	at := c.at("spec")
	fields := strings.Fields(c.Spec)
	if len(fields) == 5 {
		c.checkFields(at, fields)
	}
	if c.platform() {
		plan, said := c.opts.Plan, "on this plan"
		if plan.Name == "" {
			plan.Interval, said = usualInterval, "on most plans"
		}
		// The most frequent gap: */19 has one of three minutes at the end of each hour,
		// and means every 19.
		if _, usual := c.gaps(); usual > 0 && usual < plan.Interval {
			hint := ""
			if c.opts.Plan.Name == "" {
				hint = "the platform stretches it; if your plan allows more, name it with --plan"
			}
			c.add("spec-interval", at, hint, "it is due %s, and %s the platform runs a cron %s at the most", every(usual), said, every(plan.Interval))
		}
		if plan.NoHash && c.Schedule.Hashed() {
			c.add("spec-hash", at, "", "H is unknown on Dedicated Gen 2")
		}
		if _, set := c.At("timeout"); set && c.Timeout >= longCommand {
			c.add("long-command", c.at("timeout"), "", "it may run for %s, and a deployment waits for it", spell(c.Timeout))
		}
	}
	c.checkClock(at)
}

func (c *cron) checkFields(at appconfig.Position, fields []string) {
	for i, field := range fields {
		for _, item := range strings.Split(field, ",") {
			base, step, ok := strings.Cut(item, "/")
			if !ok || strings.ContainsAny(base, "*-H") {
				continue
			}
			most := []string{"59", "23", "31", "12", "7"}[i]
			c.add("spec-step", at, fmt.Sprintf("write %s-%s/%s", base, most, step), "%s is read as %s-%s/%s here, as %s alone elsewhere, and refused by other crons", item, base, most, step, base)
		}
	}
	if day, week := fields[2], fields[4]; day != "*" && week != "*" {
		how := "either of them is enough"
		if strings.HasPrefix(day, "*") || strings.HasPrefix(week, "*") {
			how = "both must fit"
		}
		c.add("spec-days", at, "", "day of month %s and day of week %s: as Vixie's cron has it, %s; others read it the other way", day, week, how)
	}
}

// checkClock says which changes of the clock touch a cron in the next year.
func (c *cron) checkClock(at appconfig.Position) {
	zone := c.Schedule.Zone()
	var said []string
	for _, change := range c.Schedule.ClockChanges(c.opts.Now, c.opts.Now.AddDate(1, 1, 0)) {
		if change.Effect == schedule.NoEffect || len(said) == 2 {
			continue
		}
		_, offset := change.At.Zone()
		wall := change.At.UTC().Add(time.Duration(offset) * time.Second)
		was, is, day := wall.Add(-change.Shift).Format("15:04"), wall.Format("15:04"), change.At.Format("2006-01-02")
		if change.Shift > 0 {
			said = append(said, fmt.Sprintf("on %s %s to %s is skipped", day, was, is))
		} else {
			said = append(said, fmt.Sprintf("on %s %s to %s comes twice", day, is, was))
		}
	}
	if len(said) == 0 {
		return
	}
	what := "it is due at a time that a change of the clock touches"
	if c.Schedule.Open() {
		what = "H may stand for a time that a change of the clock touches"
	}
	hint := "cronagent acts once all the same (cronagent explain " + c.Name + "); for equal nights choose another time, or UTC"
	if c.platform() {
		hint = ""
	}
	c.add("clock-change", at, hint, "%s in %s: %s", what, zone, strings.Join(said, ", "))
}

// checkQuota looks at how soon a backup replaces the older ones.
func (c *cron) checkQuota(at appconfig.Position) {
	if c.Schedule == nil {
		return
	}
	_, usual := c.gaps()
	if usual == 0 || usual > 24*time.Hour || c.Schedule.Count(c.opts.Now, c.opts.Now.AddDate(0, 0, 28)) < 20 {
		return
	}
	c.add("backup-quota", at, "", "a backup %s: of these an environment keeps 2 to 4, and each new one replaces the oldest, one taken by hand too", every(usual))
}

// checkCompany looks at what the crons of an app do to each other: the platform runs
// one at a time.
func (a *app) checkCompany() {
	var all []*cron
	for _, c := range a.crons {
		if c.platform() && c.Schedule != nil && !c.Schedule.Open() {
			all = append(all, c)
		}
	}
	for i, c := range all {
		for _, other := range all[:i] {
			if sameTimes(c.Schedule, other.Schedule, a.opts.Now) {
				c.add("collision", c.at("spec"), "", "it is due whenever %q is; the platform runs one at a time, and one waits for the other", other.Name)
				break
			}
		}
		if _, set := c.At("timeout"); !set || c.Timeout < 15*time.Minute {
			continue
		}
		for _, other := range all {
			least, _ := other.gaps()
			if other != c && least > 0 && c.Timeout >= 2*least {
				if own, _ := c.gaps(); own <= least {
					continue
				}
				c.add("starves", c.at("timeout"), "", "while it runs, for up to %s, %q waits, which is due %s", spell(c.Timeout), other.Name, every(least))
				break
			}
		}
	}
}

// sameTimes tells whether two schedules are due at the same moments.
func sameTimes(a, b *schedule.Schedule, from time.Time) bool {
	for range 50 {
		next := a.Next(from)
		if next.IsZero() || !next.Equal(b.Next(from)) {
			return false
		}
		from = next
	}
	return true
}

// every is how often, as one says it.
func every(d time.Duration) string {
	return "every " + strings.TrimPrefix(spell(d), "1 ")
}

// spell is a length of time as one says it.
func spell(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for _, u := range units {
		if d >= u.of && d%u.of == 0 {
			if n := d / u.of; n != 1 {
				return fmt.Sprintf("%d %ss", n, u.name)
			}
			return "1 " + u.name
		}
	}
	return d.String()
}

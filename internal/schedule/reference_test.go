package schedule_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A second reading of specs and of the daylight saving policy, as plain as can
// be and sharing nothing with the package: sets of booleans, and a clock that
// is wound forward minute by minute.

type reference struct {
	spec                          string
	minute, hour, dom, month, dow [64]bool
	domStar, dowStar, wild        bool
}

var referenceAliases = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// newReference reads a spec that is known to be good and has no H.
func newReference(t testing.TB, spec string) *reference {
	t.Helper()
	if fields, ok := referenceAliases[strings.Trim(spec, " \t")]; ok {
		spec = fields
	}
	f := strings.Fields(spec)
	require.Len(t, f, 5)
	r := &reference{
		spec:    spec,
		minute:  referenceSet(t, f[0], 0, 59, ""),
		hour:    referenceSet(t, f[1], 0, 23, ""),
		dom:     referenceSet(t, f[2], 1, 31, ""),
		month:   referenceSet(t, f[3], 1, 12, "   janfebmaraprmayjunjulaugsepoctnovdec"),
		dow:     referenceSet(t, f[4], 0, 6, "sunmontuewedthufrisat"),
		domStar: f[2][0] == '*', dowStar: f[4][0] == '*',
		wild: f[0][0] == '*' || f[1][0] == '*',
	}
	r.dow[0] = r.dow[0] || r.dow[7]
	return r
}

func referenceSet(t testing.TB, text string, lo, hi int, names string) (set [64]bool) {
	t.Helper()
	value := func(s string) int {
		if i := strings.Index(names, strings.ToLower(s)); names != "" && len(s) == 3 && i >= 0 && i%3 == 0 {
			return i / 3
		}
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		return n
	}
	for _, item := range strings.Split(text, ",") {
		base, step, stepped := strings.Cut(item, "/")
		from, to, by := lo, hi, 1
		if base != "*" {
			a, b, ranged := strings.Cut(base, "-")
			from = value(a)
			switch {
			case ranged:
				to = value(b)
			case !stepped:
				to = from
			}
		}
		if stepped {
			by = value(step)
		}
		set[from] = true
		for v := from; v <= to; v += by {
			set[v] = true
		}
	}
	return set
}

// matches reports whether the spec is due at a time of the wall clock, given as UTC.
func (r *reference) matches(wall time.Time) bool {
	return r.minute[wall.Minute()] && r.hour[wall.Hour()] && r.day(wall)
}

func (r *reference) day(wall time.Time) bool {
	if !r.month[int(wall.Month())] {
		return false
	}
	dom, dow := r.dom[wall.Day()], r.dow[int(wall.Weekday())]
	if r.domStar || r.dowStar {
		return dom && dow
	}
	return dom || dow
}

// tick is a real minute: an instant at which the wall clock shows second 0.
type tick struct {
	at   time.Time
	wall int64 // minutes since 1970-01-01 00:00 on the wall clock
}

// ticks returns the real minutes in [from, to].
func ticks(zone *time.Location, from, to time.Time) []tick {
	var all []tick
	offset := func(sec int64) int64 {
		_, o := time.Unix(sec, 0).In(zone).Zone()
		return int64(o)
	}
	for sec := from.Unix(); sec <= to.Unix(); {
		o := offset(sec)
		past := ((sec+o)%60 + 60) % 60
		if past == 0 {
			all = append(all, tick{time.Unix(sec, 0).In(zone), (sec + o) / 60})
		}
		if offset(sec+59) == o {
			sec += 60 - past
		} else {
			sec++ // the offset changes within this minute
		}
	}
	return all
}

// run winds the clock through the ticks and returns those at which the spec is
// due. The first tick only sets the clock.
func (r *reference) run(all []tick) []time.Time {
	var due []time.Time
	if len(all) == 0 {
		return nil
	}
	served := all[0].wall
	for _, k := range all[1:] {
		from := k.wall
		switch jump := k.wall - served; {
		case r.wild, jump > 180, jump < -180:
			served = k.wall
		case jump > 0:
			from, served = served+1, k.wall
		default:
			continue
		}
		for w := from; w <= k.wall; w++ {
			if r.matches(time.Unix(w*60, 0).UTC()) {
				due = append(due, k.at)
				break
			}
		}
	}
	return due
}

// first returns the first occurrence in (after, after+span], or the zero time.
// Winding starts early enough that no jump before it is still felt.
func (r *reference) first(zone *time.Location, after time.Time, span time.Duration) time.Time {
	for _, at := range r.run(ticks(zone, after.Add(-30*time.Hour), after.Add(span))) {
		if at.After(after) {
			return at
		}
	}
	return time.Time{}
}

// check compares one answer of Next with the reference: nothing was passed over
// and nothing made up.
func (r *reference) check(t testing.TB, zone *time.Location, after, got time.Time) {
	t.Helper()
	const near = 40 * time.Hour
	if want := r.first(zone, after, near); !want.IsZero() || !got.IsZero() && got.Sub(after) <= near {
		require.True(t, got.Equal(want), "%q in %s after %v: want %v, got %v", r.spec, zone, after, want, got)
		return
	}
	end := got
	if got.IsZero() {
		end = after.AddDate(50, 0, 0) // as far as the calendar needs
	} else {
		want := r.first(zone, got.Add(-near), near)
		require.True(t, got.Equal(want), "%q in %s after %v: want %v, got %v", r.spec, zone, after, want, got)
	}
	suspects := 0
	for day := after.UTC().Truncate(24 * time.Hour); day.Before(end.Add(-near)) && suspects < 5; day = day.AddDate(0, 0, 1) {
		if !r.day(day) {
			continue
		}
		// Only a clock change may keep a matching day from being due.
		suspects++
		from := day.Add(-24 * time.Hour)
		if from.Before(after) {
			from = after
		}
		if to := day.Add(48 * time.Hour); to.Before(end) {
			want := r.first(zone, from, to.Sub(from))
			require.True(t, want.IsZero(), "%q in %s after %v: want %v, got %v", r.spec, zone, after, want, got)
		}
	}
}

package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

// calendar rows are in UTC: what the fields mean, with no clock change.
var calendar = []struct {
	rule, spec, from string
	next             []string
}{
	{"every minute", "* * * * *", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"}},
	{"strictly after, on the second", "5 0 * * *", "2026-01-01T00:05:00Z", []string{"2026-01-02T00:05:00Z"}},
	{"seconds count", "5 0 * * *", "2026-01-01T00:04:59Z", []string{"2026-01-01T00:05:00Z"}},
	{"leading blanks, tabs, zeros", "\t007  09\t* * * ", "2026-01-01T00:00:00Z", []string{"2026-01-01T09:07:00Z"}},
	{"a step ends with the hour", "*/25 * * * *", "2026-01-01T00:50:00Z", []string{"2026-01-01T01:00:00Z", "2026-01-01T01:25:00Z"}},
	{"a range with a step", "0-10/5,59 * * * *", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z", "2026-01-01T00:59:00Z", "2026-01-01T01:00:00Z"}},
	{"5/15 is 5-59/15", "5/15 * * * *", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:05:00Z", "2026-01-01T00:20:00Z", "2026-01-01T00:35:00Z", "2026-01-01T00:50:00Z", "2026-01-01T01:05:00Z"}},
	{"mon/2 ends on Saturday", "0 0 * * MON/2", "2026-01-04T00:00:00Z", []string{"2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-12T00:00:00Z"}},
	{"a step as wide as the field", "*/60 */24 */31 */12 *", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:00:00Z"}},
	{"a step beyond a range takes its start", "10-20/30 * * * *", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:10:00Z", "2026-01-01T01:10:00Z"}},
	{"7 is Sunday", "0 0 * * 7", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"}},
	{"0 and 7 are one day", "0 0 * * 0,7", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"}},
	{"a range to 7", "0 0 * * sat-7", "2026-01-01T00:00:00Z", []string{"2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-10T00:00:00Z"}},
	{"a stepped range to 7", "0 0 * * 1-7/3", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z", "2026-01-08T00:00:00Z"}},
	{"0-7/7 is Sunday", "0 0 * * 0-7/7", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"}},
	{"7/2 is Sunday", "0 0 * * 7/2", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"}},
	{"names in any case, mixed with numbers", "0 0 * jAn-3 Tue-4", "2026-03-31T00:00:00Z", []string{"2027-01-05T00:00:00Z", "2027-01-06T00:00:00Z", "2027-01-07T00:00:00Z", "2027-01-12T00:00:00Z"}},
	{"THU is a name, not a hash", "0 0 * * THU", "2026-01-01T00:00:00Z", []string{"2026-01-08T00:00:00Z"}},
	{"both day fields restricted: either", "0 0 13 * 5", "2026-02-01T00:00:00Z", []string{"2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"}},
	{"an impossible date leaves the weekday", "0 0 30 2 1", "2026-01-01T00:00:00Z", []string{"2026-02-02T00:00:00Z"}},
	{"a full range is a restriction", "0 0 15 * 1-7", "2026-01-01T00:00:00Z", []string{"2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"}},
	{"*/2 starts with a star: both", "0 0 */2 * 1", "2026-01-01T00:00:00Z", []string{"2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z", "2026-02-09T00:00:00Z"}},
	{"*/2 in day of week: both", "0 0 13 * */2", "2026-01-01T00:00:00Z", []string{"2026-01-13T00:00:00Z", "2026-06-13T00:00:00Z"}},
	{"*/1 starts with a star: both", "0 0 */1 * 1", "2026-01-01T00:00:00Z", []string{"2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"}},
	{"5,* does not start with a star: either", "0 12 5,* * 1", "2026-01-01T00:00:00Z", []string{"2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z"}},
	{"*,5 starts with a star: both", "0 12 *,5 * 1", "2026-01-01T00:00:00Z", []string{"2026-01-05T12:00:00Z", "2026-01-12T12:00:00Z"}},
	{"*,1 in day of week: both", "0 12 5 * *,1", "2026-01-01T00:00:00Z", []string{"2026-01-05T12:00:00Z", "2026-02-05T12:00:00Z"}},
	{"the 31st skips short months", "0 0 31 * *", "2026-01-31T00:00:00Z", []string{"2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z", "2026-08-31T00:00:00Z", "2026-10-31T00:00:00Z"}},
	{"a month only", "0 0 * 6 *", "2026-06-29T00:00:00Z", []string{"2026-06-30T00:00:00Z", "2027-06-01T00:00:00Z"}},
	{"a month and every weekday", "0 0 15 3 1-7", "2026-03-30T00:00:00Z", []string{"2026-03-31T00:00:00Z", "2027-03-01T00:00:00Z"}},
	{"the leap day", "0 0 29 2 *", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
	{"2100 is no leap year", "0 0 29 2 *", "2096-02-29T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
	{"2000 was one", "0 0 29 2 *", "1996-02-29T00:00:00Z", []string{"2000-02-29T00:00:00Z"}},
	{"forty years ahead", "0 0 29 2 */7", "2088-02-29T00:00:00Z", []string{"2128-02-29T00:00:00Z"}},
	{"before 1970", "0 0 1 1 *", "1965-06-01T00:00:00Z", []string{"1966-01-01T00:00:00Z", "1967-01-01T00:00:00Z", "1968-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "1970-01-01T00:00:00Z"}},
	{"yearly", "@yearly", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:00:00Z"}},
	{"annually", "@annually", "2026-01-01T00:00:00Z", []string{"2027-01-01T00:00:00Z"}},
	{"monthly", "@monthly", "2026-01-01T00:00:00Z", []string{"2026-02-01T00:00:00Z"}},
	{"weekly is Sunday", "@weekly", "2026-01-01T00:00:00Z", []string{"2026-01-04T00:00:00Z"}},
	{"daily", "@daily", "2026-01-01T00:00:00Z", []string{"2026-01-02T00:00:00Z"}},
	{"midnight, blanks around", "\t@midnight ", "2026-01-01T00:00:00Z", []string{"2026-01-02T00:00:00Z"}},
	{"hourly", "@hourly", "2026-01-01T00:00:00Z", []string{"2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"}},
	{"every counts from the epoch", "@every 90s", "1970-01-01T00:00:00Z", []string{"1970-01-01T00:01:30Z", "1970-01-01T00:03:00Z"}},
	{"every is not counted from the question", "@every 7h", "2026-01-01T01:00:00Z", []string{"2026-01-01T07:00:00Z", "2026-01-01T14:00:00Z"}},
	{"every before the epoch", "@every \t1h30m", "1969-12-31T23:59:59Z", []string{"1970-01-01T00:00:00Z", "1970-01-01T01:30:00Z"}},
	{"every second", "@every 1s", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:00:01Z"}},
	{"every, at its greatest", "@every 8784h", "1970-01-01T00:00:00Z", []string{"1971-01-02T00:00:00Z"}},
}

func TestNextOnTheCalendar(t *testing.T) {
	t.Parallel()
	for _, row := range calendar {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			s, err := schedule.Parse(row.spec, nil, schedule.Seed{})
			require.NoError(t, err)
			at := instant(t, row.from)
			var got []string
			for range row.next {
				at = s.Next(at)
				got = append(got, at.Format(time.RFC3339))
			}
			assert.Equal(t, row.next, got)
		})
	}
}

// clockChanges rows follow Vixie's cron. "2026-03-29T03:00:00+02:00" is
// written "03-29 03:00 +02:00" with the year of from.
var clockChanges = []struct {
	rule, spec, zone, from string
	next                   []string
}{
	{"a fixed time in the gap runs at its end", "30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00+01:00",
		[]string{"03-29 03:00 +02:00", "03-30 02:30 +02:00"}},
	{"several fixed times in the gap run once", "0,30 2,3 * * *", "Europe/Paris", "2026-03-29T00:00:00+01:00",
		[]string{"03-29 03:00 +02:00", "03-29 03:30 +02:00", "03-30 02:00 +02:00"}},
	{"asked inside the gap's last second", "30 2 * * *", "Europe/Paris", "2026-03-29T01:59:59+01:00",
		[]string{"03-29 03:00 +02:00"}},
	{"asked at the end of the gap", "30 2 * * *", "Europe/Paris", "2026-03-29T03:00:00+02:00",
		[]string{"03-30 02:30 +02:00"}},
	{"a wild spec loses the gap", "*/15 2 * * *", "Europe/Paris", "2026-03-28T02:45:00+01:00",
		[]string{"03-30 02:00 +02:00"}},
	{"a star in the minute's list makes it wild", "*/30,5 2 * * *", "Europe/Paris", "2026-03-28T03:00:00+01:00",
		[]string{"03-30 02:00 +02:00"}},
	{"hours in a range are fixed", "0 0-23 * * *", "Europe/Paris", "2026-03-29T00:30:00+01:00",
		[]string{"03-29 01:00 +01:00", "03-29 03:00 +02:00", "03-29 04:00 +02:00"}},
	{"minutes in a full range are fixed", "0-59 2 * * *", "Europe/Paris", "2026-03-29T00:30:00+01:00",
		[]string{"03-29 03:00 +02:00", "03-30 02:00 +02:00"}},
	{"a fixed time in the overlap runs in its first pass", "30 2 * * *", "Europe/Paris", "2026-10-25T00:00:00+02:00",
		[]string{"10-25 02:30 +02:00", "10-26 02:30 +01:00"}},
	{"asked between the passes", "30 2 * * *", "Europe/Paris", "2026-10-25T02:30:00+02:00",
		[]string{"10-26 02:30 +01:00"}},
	{"asked in the second pass", "30 2 * * *", "Europe/Paris", "2026-10-25T02:01:00+01:00",
		[]string{"10-26 02:30 +01:00"}},
	{"fixed times after the overlap are not lost", "0 2,3 * * *", "Europe/Paris", "2026-10-25T02:30:00+02:00",
		[]string{"10-25 03:00 +01:00", "10-26 02:00 +01:00"}},
	{"a wild spec runs in both passes", "*/30 2 * * *", "Europe/Paris", "2026-10-25T00:00:00+02:00",
		[]string{"10-25 02:00 +02:00", "10-25 02:30 +02:00", "10-25 02:00 +01:00", "10-25 02:30 +01:00", "10-26 02:00 +01:00"}},
	{"a half-hour gap moves what it skips", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
		[]string{"10-04 02:30 +11:00", "10-05 02:15 +11:00"}},
	{"a half-hour gap leaves the rest alone", "0 0,3,4 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30",
		[]string{"10-04 00:00 +10:30", "10-04 03:00 +11:00", "10-04 04:00 +11:00", "10-05 00:00 +11:00"}},
	{"a half-hour overlap repeats half an hour", "*/15 1,2 * * *", "Australia/Lord_Howe", "2026-04-05T01:30:00+11:00",
		[]string{"04-05 01:45 +11:00", "04-05 01:30 +10:30", "04-05 01:45 +10:30", "04-05 02:00 +10:30"}},
	{"a half-hour overlap runs a fixed time once", "45 1 * * *", "Australia/Lord_Howe", "2026-04-05T01:00:00+11:00",
		[]string{"04-05 01:45 +11:00", "04-06 01:45 +10:30"}},
	{"midnight in a gap: the week is not lost", "0 0 * * 0", "America/Santiago", "2026-09-01T00:00:00-04:00",
		[]string{"09-06 01:00 -03:00", "09-13 00:00 -03:00"}},
	{"midnight in a gap: the year is not lost", "0 0 6 9 *", "America/Santiago", "2026-01-01T00:00:00-03:00",
		[]string{"09-06 01:00 -03:00"}},
	{"the day is that of the skipped time", "0 23 * * 6", "America/Nuuk", "2025-03-25T00:00:00-02:00",
		[]string{"03-30 00:00 -01:00", "04-05 23:00 -01:00"}},
	{"midnight twice runs once", "0 0 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00-02:00",
		[]string{"02-18 00:00 -03:00", "02-19 00:00 -03:00"}},
	{"the last hour twice runs once", "30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00-02:00",
		[]string{"02-17 23:30 -02:00", "02-18 23:30 -03:00"}},
	{"a two-hour gap", "30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z",
		[]string{"03-29 03:00 +02:00", "03-30 01:30 +02:00"}},
	{"a jump of three hours back is followed", "30 0-2 * * *", "Antarctica/Casey", "2020-03-08T00:00:00+11:00",
		[]string{"03-08 00:30 +11:00", "03-08 01:30 +11:00", "03-08 02:30 +11:00", "03-09 00:30 +08:00"}},
	{"a jump of 181 minutes loses what it skips", "31 1 * * *", "Antarctica/Casey", "2020-10-03T12:00:00+08:00",
		[]string{"10-05 01:31 +11:00"}},
	{"a lost day is lost", "0 12 * * 5", "Pacific/Apia", "2011-12-28T00:00:00-10:00",
		[]string{"+1-01-06 12:00 +14:00"}},
	{"midnight after the lost day exists", "0 0 * * *", "Pacific/Apia", "2011-12-29T00:00:00-10:00",
		[]string{"12-31 00:00 +14:00"}},
	{"a lost month end", "0 0 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00-10:00",
		[]string{"+1-12-30 00:00 +14:00"}},
	{"a repeated month end", "30 23 31 * *", "Africa/Juba", "2021-01-31T00:00:00+03:00",
		[]string{"01-31 23:30 +03:00", "03-31 23:30 +02:00"}},
	{"an hour repeated without daylight saving", "30 23 * * *", "Africa/Juba", "2021-01-31T23:45:00+03:00",
		[]string{"02-01 23:30 +02:00"}},
	{"a gap that begins at 00:01", "30 0 * * *", "America/St_Johns", "2010-03-13T12:00:00-03:30",
		[]string{"03-14 01:01 -02:30", "03-15 00:30 -02:30"}},
	{"an overlap that ends at 00:01", "1 0 * * *", "America/St_Johns", "2010-11-06T00:00:00-02:30",
		[]string{"11-06 00:01 -02:30", "11-07 00:01 -03:30", "11-08 00:01 -03:30"}},
	{"a gap at 02:45", "0 3 * * *", "Pacific/Chatham", "2026-09-26T12:00:00+12:45",
		[]string{"09-27 03:45 +13:45", "09-28 03:00 +13:45"}},
	{"an overlap at 02:45", "45 3 * * *", "Pacific/Chatham", "2026-04-04T12:00:00+13:45",
		[]string{"04-05 03:45 +12:45", "04-06 03:45 +12:45"}},
	{"a gap of seconds in local mean time loses nothing fixed", "0 0 * * *", "Europe/Amsterdam", "1937-06-30T12:00:00+01:20",
		[]string{"07-01 00:01 +01:20", "07-02 00:00 +01:20"}},
	{"a leap day across years of clock changes", "30 2 29 2 *", "Europe/Paris", "2026-01-01T00:00:00+01:00",
		[]string{"+2-02-29 02:30 +01:00", "+6-02-29 02:30 +01:00"}},
	{"rules beyond the tables hold", "30 2 * 3 0", "Europe/Paris", "2099-03-28T00:00:00+01:00",
		[]string{"03-29 03:00 +02:00"}},
	{"New Year's Eve of a leap year beyond the tables", "0 12 * * *", "Europe/Paris", "2096-12-30T12:00:00+01:00",
		[]string{"12-31 12:00 +01:00", "+1-01-01 12:00 +01:00"}},
	{"from that day to the next summer", "0 12 * 7-9 *", "Europe/Paris", "2096-12-31T12:00:00+01:00",
		[]string{"+1-07-01 12:00 +02:00"}},
	{"a second pass is not leapt over to the next week", "*/30 2 * * 0", "Europe/Paris", "2026-10-25T02:45:00+02:00",
		[]string{"10-25 02:00 +01:00", "10-25 02:30 +01:00", "11-01 02:00 +01:00"}},
}

func TestNextAcrossClockChanges(t *testing.T) {
	t.Parallel()
	for _, row := range clockChanges {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			zone := location(t, row.zone)
			s, err := schedule.Parse(row.spec, zone, schedule.Seed{})
			require.NoError(t, err)
			from := instant(t, row.from)
			at := from
			var got []string
			for range row.next {
				at = s.Next(at)
				require.Equal(t, zone, at.Location())
				text := at.Format("01-02 15:04 -07:00")
				if years := at.Year() - from.Year(); years > 0 {
					text = "+" + string(rune('0'+years)) + "-" + text
				}
				got = append(got, text)
			}
			assert.Equal(t, row.next, got)
			newReference(t, row.spec).check(t, zone, from, s.Next(from))
		})
	}
}

func TestNextAtTheEdgesOfTime(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Europe/Paris", "Pacific/Apia", "America/Los_Angeles"} {
		where := location(t, zone)
		for _, spec := range []string{"* * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 * * 0", "@every 1h"} {
			s, err := schedule.Parse(spec, where, schedule.Seed{})
			require.NoError(t, err)
			for _, early := range []time.Time{{}, time.Unix(-1<<62, 0), time.Date(-300, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, where)} {
				next := s.Next(early)
				assert.True(t, next.After(early) && next.Year() >= 0 && next.Year() < 6, "%s in %s after %v: %v", spec, zone, early, next)
			}
			for _, late := range []time.Time{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<62, 0), time.Unix(1<<63-1, 0)} {
				assert.Zero(t, s.Next(late), "%s in %s after %v", spec, zone, late)
			}
			last := time.Date(9990, 1, 1, 0, 0, 0, 0, time.UTC)
			next := s.Next(last)
			assert.True(t, next.After(last) && next.Year() <= 9999, "%s in %s: %v", spec, zone, next)
		}
	}
}

// A wild spec can name only moments that every year's clock change skips. Next
// then comes to an end, and soon.
func TestNextThatTheZoneNeverShows(t *testing.T) {
	t.Parallel()
	s, err := schedule.Parse("*/30 2 25-31 3 */7", location(t, "Europe/Paris"), schedule.Seed{})
	require.NoError(t, err)
	start := time.Now()
	assert.Zero(t, s.Next(instant(t, "2026-01-01T00:00:00Z")))
	assert.Less(t, time.Since(start), 5*time.Second)
}

// The question's own zone and fraction of a second do not matter.
func TestNextDependsOnTheInstantOnly(t *testing.T) {
	t.Parallel()
	s, err := schedule.Parse("30 2 * * *", location(t, "Europe/Paris"), schedule.Seed{})
	require.NoError(t, err)
	at := instant(t, "2026-05-11T00:29:59Z")
	want := s.Next(at)
	assert.Equal(t, "2026-05-11T02:30:00+02:00", want.Format(time.RFC3339))
	assert.Equal(t, want, s.Next(at.In(time.FixedZone("", -7200))))
	assert.Equal(t, want, s.Next(at.Add(999_999_999)))
	assert.Equal(t, "2026-05-12T02:30:00+02:00", s.Next(want).Format(time.RFC3339))
	assert.Equal(t, want, s.Next(want.Add(-1)))
	assert.Equal(t, s.Zone(), want.Location())
}

func TestNextNeverStops(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll"} {
		for _, spec := range []string{"45 3 * * *", "1 0 * * *", "0 12 * * 5", "0 0 29 2 */7", "*/7 2 * * *"} {
			s, err := schedule.Parse(spec, location(t, zone), schedule.Seed{})
			require.NoError(t, err)
			at := instant(t, "1990-01-01T00:00:00Z")
			for range 9_000 / fewer {
				next := s.Next(at)
				if next.IsZero() {
					assert.Greater(t, at.Year(), 9950, "%s in %s stops after %v", spec, zone, at)
					break
				}
				require.True(t, next.After(at))
				at = next
			}
		}
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	for _, spec := range []string{"* * * * *", "30 2 * * *", "0 0 29 2 *", "0 0 13 * 5", "H H * * *", "@every 90s"} {
		for _, zone := range []string{"UTC", "Europe/Paris", "Australia/Lord_Howe"} {
			s, err := schedule.Parse(spec, location(t, zone), schedule.NewSeed("p", "a", "c"))
			require.NoError(t, err)
			// A clock change near the question takes the longest way.
			for _, from := range []string{"2026-03-29T01:00:00Z", "2026-10-25T01:10:00Z", "2026-06-01T00:00:00Z"} {
				at := instant(t, from)
				assert.Zero(t, testing.AllocsPerRun(50, func() { s.Next(at) }), "%s in %s", spec, zone)
			}
		}
	}
}

func TestEvery(t *testing.T) {
	t.Parallel()
	s, err := schedule.Parse("@every 1h30m", nil, schedule.Seed{})
	require.NoError(t, err)
	d, ok := s.Every()
	assert.True(t, ok)
	assert.Equal(t, 90*time.Minute, d)
	assert.Equal(t, "@every 1h30m", s.Resolved())
	s, err = schedule.Parse("* * * * *", nil, schedule.Seed{})
	require.NoError(t, err)
	_, ok = s.Every()
	assert.False(t, ok)
	assert.Equal(t, time.UTC, s.Zone())
}

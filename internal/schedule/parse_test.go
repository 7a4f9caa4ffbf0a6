package schedule_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

// refused rows give the whole of Error after "spec …: ", and where it points.
var refused = []struct {
	spec, field string
	offset      int
	problem     string
}{
	{"", "", 0, `it is empty`},
	{" \t ", "", 0, `it is empty`},
	{"* * * *", "", 6, `it has 4 fields, not 5`},
	{"*****", "", 0, `it has 1 field, not 5`},
	{"0 0 0 * * *", "", 10, `it has 6 fields, not 5; seconds, years, commands and comments are not part of a spec`},
	{"0 0 1 1 * 2026 x", "", 10, `it has 7 fields, not 5; seconds, years, commands and comments are not part of a spec`},
	{"* * * * *\n", "", 9, `a spec is one line, but this one holds a line break`},
	{"* * * * *\x00", "", 9, `control character "\x00"`},
	{"*\u00a0* * * *", "", 1, `"\u00a0" is not ASCII`},
	{"\xff * * * *", "", 0, `"\ufffd" is not ASCII`},
	{"٣ * * * *", "", 0, `"\u0663" is not ASCII`},
	{"TZ=", "", 0, `a time zone cannot be part of a spec`},
	{"CRON_TZ=UTC", "", 0, `a time zone cannot be part of a spec`},
	{" TZ=UTC * * * * *", "", 1, `a time zone cannot be part of a spec`},
	{"60 * * * *", "minute", 0, `minute 60 is above 59`},
	{"0 24 * * *", "hour", 2, `hour 24 is above 23`},
	{"0 0 0 * *", "day-of-month", 4, `day-of-month 0 is below 1`},
	{"0 0 32 * *", "day-of-month", 4, `day-of-month 32 is above 31`},
	{"0 0 1 13 *", "month", 6, `month 13 is above 12`},
	{"0 0 * * 1,8", "day-of-week", 10, `day-of-week 8 is above 7`},
	{"0-60 * * * *", "minute", 2, `minute 60 is above 59`},
	{"4294967301 * * * *", "minute", 0, `minute 4294967301 is above 59`},
	{"18446744073709551616 * * * *", "minute", 0, `minute 18446744073709551616 is above 59`},
	{"99999999999999999999999 * * * *", "minute", 0, `minute 99999999999999999... is above 59`},
	{"0 22-6 * * *", "hour", 2, `hour range 22-6 runs backwards`},
	{"0 0 * * FRI-MON", "day-of-week", 8, `day-of-week range FRI-MON runs backwards`},
	{"*/0 * * * *", "minute", 2, `minute "*/0": step 0 leads nowhere`},
	{"*/61 * * * *", "minute", 2, `minute "*/61": step 61 must be within 1 and 60`},
	{"0 0 * * */8", "day-of-week", 10, `day-of-week "*/8": step 8 must be within 1 and 7`},
	{"*/-5 * * * *", "minute", 2, `minute "*/-5": step "-5" is not a whole number`},
	{"*/+5 * * * *", "minute", 2, `minute "*/+5": step "+5" is not a whole number`},
	{"*/5/2 * * * *", "minute", 2, `minute "*/5/2": step "5/2" is not a whole number`},
	{"*/ * * * *", "minute", 2, `minute "*/": the step after / is missing`},
	{"0 0 * * 1-5/mon", "day-of-week", 12, `day-of-week "1-5/mon": step "mon" is not a whole number`},
	{"-1 * * * *", "minute", 0, `minute "-1": a range needs a number on both sides of -, and no number is negative`},
	{"1- * * * *", "minute", 2, `minute "1-": a number is missing`},
	{"+5 * * * *", "minute", 0, `minute "+5" is not a value`},
	{"1-2-3 * * * *", "minute", 2, `minute "1-2-3" is not a value`},
	{"*-5 * * * *", "minute", 0, `minute "*-5": * cannot be the end of a range`},
	{"*-foo * * * *", "minute", 0, `minute "*-foo": * cannot be the end of a range`},
	{"1-* * * * *", "minute", 0, `minute "1-*": * cannot be the end of a range`},
	{"*5 * * * *", "minute", 0, `minute "*5": nothing but /step may follow *`},
	{"1, * * * *", "minute", 2, `minute has an empty item in its list`},
	{",1 * * * *", "minute", 0, `minute has an empty item in its list`},
	{"0 0 , * *", "day-of-month", 4, `day-of-month has an empty item in its list`},
	{"1, 2 * * *", "minute", 2, `minute has an empty item in its list`},
	{"? * * * *", "minute", 0, `minute "?": ? is not supported`},
	{"0 0 ?/2 * *", "day-of-month", 4, `day-of-month "?/2": ? is not supported`},
	{"0 0 L * *", "day-of-month", 4, `day-of-month "L": L (last) is not supported`},
	{"0 0 * * 5L", "day-of-week", 8, `day-of-week "5L": L (last) is not supported`},
	{"0 0 15W * *", "day-of-month", 4, `day-of-month "15W": W (the nearest weekday) is not supported`},
	{"0 0 * * 1#2", "day-of-week", 8, `day-of-week "1#2": # (the nth weekday of a month) is not supported`},
	{"mon * * * *", "minute", 0, `minute "mon" is not a value`},
	{"0 0 JUL * *", "day-of-month", 4, `day-of-month "JUL" is not a value`},
	{"0 0 * * monday", "day-of-week", 8, `day-of-week "monday" is not a value`},
	{"0 0 * mon *", "month", 6, `month "mon" is not a value`},
	{"0 0 30 2 *", "day-of-month", 4, `it never fires: no month in 2 has a day 30`},
	{"0 0 31 4,6,9,11 *", "day-of-month", 4, `it never fires: no month in 4,6,9,11 has a day 31`},
	{"H 0 30 2 *", "day-of-month", 4, `it never fires: no month in 2 has a day 30`},
	{"0 0 31 feb */2", "day-of-month", 4, `it never fires: no month in feb has a day 31`},
	{"@reboot", "", 0, `@reboot has no time at which it is due`},
	{"@Daily", "", 0, `aliases are written in small letters: @daily, not @Daily`},
	{"@weekday", "", 0, `alias "@weekday" is not known`},
	{"@daily *", "", 7, `@daily stands alone, but "*" follows it`},
	{"@every", "", 0, `@every takes one interval`},
	{"@every 1h 30m", "", 0, `@every takes one interval`},
	{"@every 999ms", "", 7, `@every: 999ms is less than the least interval, 1s`},
	{"@every 1.5s", "", 7, `@every: 1.5s is not a whole number of seconds`},
	{"@every -1s", "", 7, `@every: -1s is less than the least interval, 1s`},
	{"@every +1s", "", 7, `@every: "+1s" is not an interval`},
	{"@every 1d", "", 7, `@every: "1d" is not an interval`},
	{"@every 8785h", "", 7, `@every: "8785h" is more than the greatest interval, 366 days`},
	{"h * * * *", "minute", 0, `minute "h": H stands alone, as H, H(a-b), H/n or H(a-b)/n, and is a capital letter`},
	{"HH * * * *", "minute", 0, `minute "HH": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"H5 * * * *", "minute", 0, `minute "H5": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"H-5 * * * *", "minute", 0, `minute "H-5": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"5-H * * * *", "minute", 2, `minute "5-H": H stands alone, as H, H(a-b), H/n or H(a-b)/n, and is a capital letter`},
	{"H() * * * *", "minute", 0, `minute "H()": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"H(5) * * * *", "minute", 0, `minute "H(5)": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"H(0-29 * * * *", "minute", 0, `minute "H(0-29": H is written H, H(a-b), H/n or H(a-b)/n`},
	{"H(0 - 29) * * * *", "", 14, `it has 7 fields, not 5; seconds, years, commands and comments are not part of a spec`},
	{"H(30-10) * * * *", "minute", 0, `minute range 30-10 runs backwards`},
	{"H(0-60) * * * *", "minute", 4, `minute 60 is above 59`},
	{"H H(12-24) * * *", "hour", 7, `hour 24 is above 23`},
	{"0 0 H(0-5) * *", "day-of-month", 6, `day-of-month 0 is below 1`},
	{"H(0-3)/15 * * * *", "minute", 7, `minute "H(0-3)/15": step 15 must be within 1 and 4`},
	{"H/61 * * * *", "minute", 2, `minute "H/61": step 61 must be within 1 and 60`},
	{"0 0 H/29 * *", "day-of-month", 6, `day-of-month "H/29": step 29 must be within 1 and 28`},
	{"0 0 * * H/8", "day-of-week", 10, `day-of-week "H/8": step 8 must be within 1 and 7`},
	{"H/1 * * * *", "minute", 0, `minute "H/1": H with step 1 hashes nothing`},
	{"H/0 * * * *", "minute", 2, `minute "H/0": step 0 leads nowhere`},
	{"H/ * * * *", "minute", 2, `minute "H/": the step after / is missing`},
	{"0 0 H(30-31) 2 *", "day-of-month", 4, ``}, // the number depends on the seed
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range refused {
		for _, seed := range []schedule.Seed{{}, schedule.NewSeed("p", "a", "c")} {
			s, err := schedule.Parse(row.spec, nil, seed)
			var problem *schedule.Error
			if !assert.ErrorAs(t, err, &problem, "%q", row.spec) {
				continue
			}
			assert.Nil(t, s)
			assert.Equal(t, row.spec, problem.Spec)
			assert.Equal(t, row.field, problem.Field, "%q", row.spec)
			assert.Equal(t, row.offset, problem.Offset, "%q", row.spec)
			if row.problem != "" {
				assert.Equal(t, row.problem, problem.Problem)
			}
		}
	}
}

func TestErrorReadsWell(t *testing.T) {
	t.Parallel()
	_, err := schedule.Parse("60 * * * *", nil, schedule.Seed{})
	assert.EqualError(t, err, `spec "60 * * * *": minute 60 is above 59`)
	_, err = schedule.Parse(strings.Repeat("9", 400)+"\x1b[2J * * * *", nil, schedule.Seed{})
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 200, "a long spec is cut short")
	assert.NotContains(t, err.Error(), "\x1b", "what controls a terminal is escaped")
}

func TestErrorHints(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"* * * *":               "the five fields are minute hour day-of-month month day-of-week",
		"0 22-6 * * *":          "write 22-23,0-6",
		"0 23-0 * * *":          "write 23,0",
		"0 23-4 * * *":          "write 23,0-4",
		"0 20-0 * * *":          "write 20-23,0",
		"0 0 * * fri-sun":       "a range that ends on Sunday is written fri-7",
		"0 0 * * fri-mon":       "write fri-6,0-mon",
		"0 0 * * 7-1":           "write 0-1",
		"0 0 1 nov-feb *":       "write nov-12,1-feb",
		"0 0 10-5/2 * *":        "",
		"0 0 * * monday":        "the names are sun mon tue wed thu fri sat",
		"? * * * *":             "write *",
		"@HOURLY":               "write @hourly",
		"TZ=UTC * * * * *":      "set the zone with timezone in the configuration, and leave only the five fields here",
		"H/1 * * * *":           "write H for one value or * for all",
		"5 mon * * *":           "only month and day-of-week have names; write a number in 0-23; the five fields are minute hour day-of-month month day-of-week",
		"0 0 31 2 *":            "choose a day that one of the months has; the last day of every month is the day before the 1st",
		"@every 90":             "write numbers with h, m or s, such as 90s or 1h30m",
		"0 0 H(30-31) H(2-2) *": "keep H for the day within H(1-28), or choose months that have the day",
	} {
		_, err := schedule.Parse(spec, nil, schedule.NewSeed("p", "a", "c"))
		var problem *schedule.Error
		if assert.ErrorAs(t, err, &problem, spec) {
			assert.Equal(t, want, problem.Hint, spec)
		}
	}
}

// TestHintsHelp types what the hints for backward ranges say.
func TestHintsHelp(t *testing.T) {
	t.Parallel()
	for i, lows := range [][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 6}} {
		for lo := lows[0]; lo <= lows[1]; lo++ {
			for hi := lows[0]; hi < lo; hi++ {
				fields := []string{"*", "*", "*", "*", "*"}
				fields[i] = itoa(lo) + "-" + itoa(hi)
				_, err := schedule.Parse(strings.Join(fields, " "), nil, schedule.Seed{})
				var problem *schedule.Error
				require.ErrorAs(t, err, &problem)
				words := strings.Fields(problem.Hint)
				fields[i] = words[len(words)-1]
				_, err = schedule.Parse(strings.Join(fields, " "), nil, schedule.Seed{})
				require.NoError(t, err, problem.Hint)
			}
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{
		"*/1 * * * *", "0 0 1 1 0", "0 0 * * 0-7", "0 0 * * MON-FRI/2", "0 0 * * 1-fri", "0 0 1 feb-6 *",
		"1,1,1 * * * *", "*,5 * * * *", "*/15,5 * * * *", "*/2 */2 */2 */2 */2", "05 09 * * *",
		"0-0 0-0 1-1 1-1 0-0", "0 0 29 2 1", "10-20/10 * * * *", strings.Repeat("0,", 499) + "0 * * * *",
		"0000000000000000000000000000000 * * * *", "0 0 29-31 2 *", "0 0 30,31 2 mon",
	} {
		s, err := schedule.Parse(spec, nil, schedule.Seed{})
		if assert.NoError(t, err) {
			assert.Equal(t, spec, s.String())
			assert.Equal(t, spec, s.Resolved())
			assert.False(t, s.Hashed())
			assert.False(t, s.Open())
		}
	}
}

package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	paris := location(t, "Europe/Paris")
	for _, row := range []struct{ spec, words string }{
		{"* * * * *", "every minute"},
		{"*/5 * * * *", "every 5 minutes, Europe/Paris time"},
		{"0 * * * *", "every hour on the hour, Europe/Paris time"},
		{"17 * * * *", "at 17 minutes past every hour, Europe/Paris time"},
		{"1 * * * *", "at 1 minute past every hour, Europe/Paris time"},
		{"5,20 * * * *", "at 5 and 20 minutes past every hour, Europe/Paris time"},
		{"7-59/15 * * * *", "at 7, 22, 37 and 52 minutes past every hour, Europe/Paris time"},
		{"*/7 * * * *", "every 7 minutes from 0 to 56 minutes past every hour, Europe/Paris time"},
		{"*/40 * * * *", "at 0 and 40 minutes past every hour, Europe/Paris time"},
		{"2-59/5 * * * *", "every 5 minutes from 2 to 57 minutes past every hour, Europe/Paris time"},
		{"10-20 * * * *", "every minute from 10 to 20 minutes past every hour, Europe/Paris time"},
		{"0-59 * * * *", "every minute"},
		{"17 5 * * *", "at 05:17 every day, Europe/Paris time"},
		{"0,30 2 * * *", "at 02:00 and 02:30 every day, Europe/Paris time"},
		{"0 0,12 * * *", "at 00:00 and 12:00 every day, Europe/Paris time"},
		{"0 */6 * * *", "at 00:00, 06:00, 12:00 and 18:00 every day, Europe/Paris time"},
		{"0 */2 * * *", "every 2 hours from 00:00 to 22:00 every day, Europe/Paris time"},
		{"15 */2 * * *", "every 2 hours from 00:15 to 22:15 every day, Europe/Paris time"},
		{"0 */5 * * *", "at 00:00, 05:00, 10:00, 15:00 and 20:00 every day, Europe/Paris time"},
		{"0 9-17 * * *", "every hour from 09:00 to 17:00 every day, Europe/Paris time"},
		{"30 9-17 * * 1-5", "every hour from 09:30 to 17:30, Monday to Friday, Europe/Paris time"},
		{"*/15 9-17 * * 1-5", "every 15 minutes from 09:00 to 17:45, Monday to Friday, Europe/Paris time"},
		{"* 5 * * *", "every minute from 05:00 to 05:59 every day, Europe/Paris time"},
		{"*/10 5 * * *", "at 05:00, 05:10, 05:20, 05:30, 05:40 and 05:50 every day, Europe/Paris time"},
		{"* 9-17 * * *", "every minute from 09:00 to 17:59 every day, Europe/Paris time"},
		{"*/5 */2 * * *", "every 5 minutes of every 2nd hour from 0 to 22 every day, Europe/Paris time"},
		{"*/5 1,3 * * *", "every 5 minutes of the hours 1 and 3 every day, Europe/Paris time"},
		{"0,30 9-17 * * *", "every 30 minutes from 09:00 to 17:30 every day, Europe/Paris time"},
		{"0,30 */2 * * *", "every 30 minutes of every 2nd hour from 0 to 22 every day, Europe/Paris time"},
		{"5,10 1,2,5,9 * * *", "at 5 and 10 minutes past the hours 1, 2, 5 and 9 every day, Europe/Paris time"},
		{"*/7 3 * * *", "every 7 minutes from 03:00 to 03:56 every day, Europe/Paris time"},
		{"1-10 3 * * *", "every minute from 03:01 to 03:10 every day, Europe/Paris time"},
		{"1-10 * * * *", "every minute from 1 to 10 minutes past every hour, Europe/Paris time"},
		{"0 0 1 * *", "at 00:00 on the 1st of every month, Europe/Paris time"},
		{"0 0 1,15 * *", "at 00:00 on the 1st and 15th of every month, Europe/Paris time"},
		{"0 0 1-7 * *", "at 00:00 from the 1st to the 7th of every month, Europe/Paris time"},
		{"0 0 */2 * *", "at 00:00 on every 2nd day from the 1st to the 31st of every month, Europe/Paris time"},
		{"0 0 31 * *", "at 00:00 on the 31st of every month, Europe/Paris time"},
		{"0 0 29 2 *", "at 00:00 on the 29th of February, in leap years, Europe/Paris time"},
		{"0 0 1 1 *", "at 00:00 on the 1st of January, Europe/Paris time"},
		{"0 0 1 */3 *", "at 00:00 on the 1st of January, April, July and October, Europe/Paris time"},
		{"0 0 1 3-5 *", "at 00:00 on the 1st of every month from March to May, Europe/Paris time"},
		{"0 0 * 6 *", "at 00:00 every day in June, Europe/Paris time"},
		{"0 0 * 6-8 *", "at 00:00 every day from June to August, Europe/Paris time"},
		{"*/5 * * 12 *", "every 5 minutes in December, Europe/Paris time"},
		{"*/5 * 24 12 *", "every 5 minutes on the 24th of December, Europe/Paris time"},
		{"0 0 * * 0", "at 00:00 on Sundays, Europe/Paris time"},
		{"0 0 * * 1-5", "at 00:00, Monday to Friday, Europe/Paris time"},
		{"0 0 * * 1,3,5", "at 00:00 on Mondays, Wednesdays and Fridays, Europe/Paris time"},
		{"0 0 * * 6,7", "at 00:00 on Saturdays and Sundays, Europe/Paris time"},
		{"0 0 * * mon-7", "at 00:00 every day, Europe/Paris time"},
		{"0 0 * * fri-7", "at 00:00, Friday to Sunday, Europe/Paris time"},
		{"0 3 * 1 mon", "at 03:00 on Mondays in January, Europe/Paris time"},
		{"0 0 13 * 5", "at 00:00 on the 13th of every month, and also on Fridays, Europe/Paris time"},
		{"0 0 13 3 5", "at 00:00 on the 13th of March, and also on Fridays in March, Europe/Paris time"},
		{"0 0 13 3-5 5", "at 00:00 on the 13th of every month from March to May, and also on Fridays from March to May, Europe/Paris time"},
		{"0 0 15 * 1-7", "at 00:00 every day, Europe/Paris time"},
		{"0 0 */2 * 1", "at 00:00 on every 2nd day from the 1st to the 31st of every month, but only on Mondays, Europe/Paris time"},
		{"0 0 1-7 * */2", "at 00:00 from the 1st to the 7th of every month, but only on Tuesdays, Thursdays, Saturdays and Sundays, Europe/Paris time"},
		{"0 0 */2 */2 1-5", "at 00:00 on every 2nd day from the 1st to the 31st of January, March, May, July, September and November, but only Monday to Friday, Europe/Paris time"},
		{"* * * * 1", "every minute on Mondays, Europe/Paris time"},
		{"0 * * * 1", "every hour on the hour on Mondays, Europe/Paris time"},
		{"@every 1s", "every second, counted from 1970-01-01 00:00 UTC"},
		{"@every 90s", "every 1 minute and 30 seconds, counted from 1970-01-01 00:00 UTC"},
		{"@every 1h", "every hour, counted from 1970-01-01 00:00 UTC"},
		{"@every 1h30m", "every 1 hour and 30 minutes, counted from 1970-01-01 00:00 UTC"},
		{"@every 1h1m1s", "every 1 hour, 1 minute and 1 second, counted from 1970-01-01 00:00 UTC"},
		{"@every 24h", "every 24 hours, counted from 1970-01-01 00:00 UTC"},
		{"@daily", "at 00:00 every day, Europe/Paris time"},
		{"@weekly", "at 00:00 on Sundays, Europe/Paris time"},
		{"H * * * *", "once every hour, Europe/Paris time. H chooses the minute"},
		{"H 5 * * *", "once between 05:00 and 05:59 every day, Europe/Paris time. H chooses the minute"},
		{"H H * * *", "once between 00:00 and 23:59 every day, Europe/Paris time. H chooses the minute and the hour"},
		{"H/5 * * * *", "every 5 minutes, Europe/Paris time. H chooses the minute"},
		{"H/7 9-17 * * *", "every 7 minutes of every hour from 9 to 17 every day, Europe/Paris time. H chooses the minute"},
		{"H(0-29) 3 * * *", "once between 03:00 and 03:29 every day, Europe/Paris time. H chooses the minute"},
		{"H(0-29) * * * *", "once between 0 and 29 minutes past every hour, Europe/Paris time. H chooses the minute"},
		{"H(0-29)/10 2 * * *", "every 10 minutes from 0 to 29 minutes past the hour 2 every day, Europe/Paris time. H chooses the minute"},
		{"H,30 * * * *", "at one minute between 0 and 59 and minute 30 past every hour, Europe/Paris time. H chooses the minute"},
		{"H 3,5 * * *", "once in each of the hours 3 and 5 every day, Europe/Paris time. H chooses the minute"},
		{"H 9-17 * * *", "once in every hour from 9 to 17 every day, Europe/Paris time. H chooses the minute"},
		{"30 H * * *", "once between 00:30 and 23:30 every day, Europe/Paris time. H chooses the hour"},
		{"*/10 H * * *", "every 10 minutes of one hour between 0 and 23 every day, Europe/Paris time. H chooses the hour"},
		{"0,30 H * * *", "every 30 minutes of one hour between 0 and 23 every day, Europe/Paris time. H chooses the hour"},
		{"H H(0-6) * * *", "once between 00:00 and 06:59 every day, Europe/Paris time. H chooses the minute and the hour"},
		{"H H/6 * * *", "once in every 6th hour every day, Europe/Paris time. H chooses the minute and the hour"},
		{"H/15 H * * *", "every 15 minutes of one hour between 0 and 23 every day, Europe/Paris time. H chooses the minute and the hour"},
		{"0 0 H * *", "at 00:00 on one day between the 1st and the 28th of every month, Europe/Paris time. H chooses the day"},
		{"0 0 H(1-7) * 1", "at 00:00 on one day between the 1st and the 7th of every month, and also on Mondays, Europe/Paris time. H chooses the day"},
		{"0 0 * * H", "at 00:00 on one day of the week, Europe/Paris time. H chooses the day of the week"},
		{"0 0 * * H(1-5)", "at 00:00 on one day of the week between Monday and Friday, Europe/Paris time. H chooses the day of the week"},
		{"0 0 1 H *", "at 00:00 on the 1st of one month, Europe/Paris time. H chooses the month"},
		{"0 0 H H *", "at 00:00 on one day between the 1st and the 28th of one month, Europe/Paris time. H chooses the day and the month"},
		{"0 3 H/10 * *", "at 03:00 on every 10th day of every month, Europe/Paris time. H chooses the day"},
		{"0 0 */2 * H", "at 00:00 on every 2nd day from the 1st to the 31st of every month, but only on one day of the week, Europe/Paris time. H chooses the day of the week"},
		{"0 0 H * */2", "at 00:00 on one day between the 1st and the 28th of every month, but only on Tuesdays, Thursdays, Saturdays and Sundays, Europe/Paris time. H chooses the day"},
		{"H 4 1,H * *", "once between 04:00 and 04:59 on one day between the 1st and the 28th and the 1st of every month, Europe/Paris time. H chooses the minute and the day"},
		{"H,H 4 * * *", "at one minute between 0 and 59 and one minute between 0 and 59 past the hour 4 every day, Europe/Paris time. H chooses the minute"},
	} {
		s, err := schedule.Parse(row.spec, paris, schedule.Seed{})
		if assert.NoError(t, err) {
			assert.Equal(t, row.words, s.Describe(), row.spec)
		}
	}
}

func TestDescribeZones(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		zone  *time.Location
		words string
	}{
		{nil, "at 05:17 every day, UTC"},
		{time.UTC, "at 05:17 every day, UTC"},
		{time.Local, "at 05:17 every day, local time"},
		{location(t, "Asia/Kolkata"), "at 05:17 every day, Asia/Kolkata time"},
	} {
		s, err := schedule.Parse("17 5 * * *", row.zone, schedule.Seed{})
		require.NoError(t, err)
		assert.Equal(t, row.words, s.Describe())
	}
}

func TestDescribeTellsWhatHStandsFor(t *testing.T) {
	t.Parallel()
	s, err := schedule.Parse("H 5 * * H", nil, schedule.NewSeed("abcdefgh12345", "app", "backup"))
	require.NoError(t, err)
	assert.Equal(t, "at 05:16 on Thursdays, UTC", s.Describe())
}

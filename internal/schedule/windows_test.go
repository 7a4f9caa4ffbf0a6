package schedule_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rule, spec, from string // from is Paris time
		want             []string
	}{
		{"minute: each hour", "H * * * *", "2026-05-11 08:20", []string{"05-11 08:00..08:59", "05-11 09:00..09:59"}},
		{"minute of one hour", "H 5 * * *", "2026-05-11 08:20", []string{"05-12 05:00..05:59", "05-13 05:00..05:59"}},
		{"a window that has begun", "H 5 * * *", "2026-05-11 05:30", []string{"05-11 05:00..05:59", "05-12 05:00..05:59"}},
		{"a window's last minute is past", "H 5 * * *", "2026-05-11 05:59", []string{"05-12 05:00..05:59"}},
		{"minute and hour: the whole day", "H H * * *", "2026-05-11 08:20", []string{"05-11 00:00..23:59", "05-12 00:00..23:59"}},
		{"every five minutes", "H/5 * * * *", "2026-05-11 08:20", []string{"05-11 08:20..08:24", "05-11 08:25..08:29"}},
		{"a step's last piece is short", "H/7 * * * *", "2026-05-11 08:50", []string{"05-11 08:49..08:55", "05-11 08:56..08:59", "05-11 09:00..09:06"}},
		{"a range", "H(0-29) 3 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:29"}},
		{"a range with a step", "H(0-29)/10 3 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:09", "05-12 03:10..03:19", "05-12 03:20..03:29", "05-13 03:00..03:09"}},
		{"a list of ranges", "H(0-9),H(30-39) 3 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:09", "05-12 03:30..03:39"}},
		{"twice the same", "H,H 3 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:59", "05-13 03:00..03:59"}},
		{"what is known beside it", "H,30 3 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:59", "05-12 03:30", "05-13 03:00..03:59"}},
		{"several hours", "H 3,5 * * *", "2026-05-11 08:20", []string{"05-12 03:00..03:59", "05-12 05:00..05:59"}},
		{"hour", "30 H * * *", "2026-05-11 08:20", []string{"05-11 00:30..23:30"}},
		{"hour, many minutes", "*/10 H(0-6) * * *", "2026-05-11 08:20", []string{"05-12 00:00..06:50"}},
		{"hour in a list", "H H(0-3),9 * * *", "2026-05-11 08:20", []string{"05-11 09:00..09:59", "05-12 00:00..03:59", "05-12 09:00..09:59"}},
		{"day of month", "0 4 H * *", "2026-05-11 08:20", []string{"05-01 04:00..05-28 04:00", "06-01 04:00..06-28 04:00"}},
		{"day of month or a weekday", "0 4 H(1-7) * 1", "2026-05-30 08:20", []string{"06-01 04:00", "06-01 04:00..06-07 04:00", "06-08 04:00"}},
		{"day of month, and only on some weekdays", "0 4 H * */6", "2026-05-11 08:20", []string{"05-02 04:00..05-24 04:00", "06-06 04:00..06-28 04:00"}},
		{"day of month with a step", "0 4 H/14 * *", "2026-05-11 08:20", []string{"05-01 04:00..05-14 04:00", "05-15 04:00..05-28 04:00"}},
		{"weekday: a week from Sunday", "0 4 * * H", "2026-05-11 08:20", []string{"05-10 04:00..05-16 04:00", "05-17 04:00..05-23 04:00"}},
		{"weekday up to 7: a week to Sunday", "0 4 * * H(6-7)", "2026-05-11 08:20", []string{"05-16 04:00..05-17 04:00"}},
		{"weekday, and only on odd days", "0 4 */2 * H(1-3)", "2026-05-11 08:20", []string{"05-11 04:00..05-13 04:00", "05-19 04:00", "05-25 04:00..05-27 04:00"}},
		{"month", "0 4 2 H *", "2026-05-11 08:20", []string{"01-02 04:00..12-02 04:00"}},
		{"month and day", "0 4 H H *", "2026-05-11 08:20", []string{"01-01 04:00..12-28 04:00"}},
		{"month that lacks the day", "0 4 30 H(2-3) *", "2026-05-11 08:20", []string{"+1-03-30 04:00"}},
		{"only one value possible", "H(7-7) 3 * * *", "2026-05-11 08:20", []string{"05-12 03:07"}},
		{"the gap takes all", "H 2 * * *", "2026-03-28 08:20", []string{"03-29 03:00", "03-30 02:00..02:59"}},
		{"the gap takes part", "H(0-30) H(1-3) * * *", "2026-03-28 08:20", []string{"03-29 01:00..03:30"}},
		{"a wild window lost in the gap", "* H(2-2) * * *", "2026-03-28 08:20", []string{"03-30 02:00..02:59"}},
		{"a fixed window in the overlap", "H 2 * * *", "2026-10-24 08:20", []string{"10-25 02:00 +02:00..02:59 +02:00", "10-26 02:00..02:59"}},
		{"a wild window in the overlap", "* H(2-2) * * *", "2026-10-24 08:20", []string{"10-25 02:00 +02:00..02:59 +01:00"}},
		{"a star beside H", "*,H 5 * * *", "2026-05-11 08:20", []string{"05-12 05:00", "05-12 05:00..05:59", "05-12 05:01"}},
		{"known: the occurrences", "30 2 * * *", "2026-03-28 08:20", []string{"03-29 03:00", "03-30 02:30"}},
		{"every", "@every 12h", "2026-05-11 08:20", []string{"05-11 14:00", "05-12 02:00"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			t.Parallel()
			paris := location(t, "Europe/Paris")
			s, err := schedule.Parse(row.spec, paris, schedule.Seed{})
			require.NoError(t, err)
			from, err := time.ParseInLocation("2006-01-02 15:04", row.from, paris)
			require.NoError(t, err)
			var got []string
			for i, w := range s.Windows(from, len(row.want)) {
				text := w.From.Format("01-02 15:04")
				if w.From.Year() > from.Year() {
					text = "+1-" + text
				}
				switch {
				case len(row.want[i]) > 30:
					text = w.From.Format("01-02 15:04 -07:00") + ".." + w.To.Format("15:04 -07:00")
				case w.From.Equal(w.To):
				case w.From.YearDay() == w.To.YearDay():
					text += ".." + w.To.Format("15:04")
				default:
					text += ".." + w.To.Format("01-02 15:04")
				}
				got = append(got, text)
			}
			assert.Equal(t, row.want, got)
		})
	}
}

// Whatever the name, the job runs inside a window, and one window of each
// period holds it.
func TestWindowsHoldEveryOccurrence(t *testing.T) {
	t.Parallel()
	paris := location(t, "Europe/Paris")
	from := instant(t, "2026-03-27T00:00:00Z")
	for _, spec := range hashedSpecs {
		open, err := schedule.Parse(spec, paris, schedule.Seed{})
		require.NoError(t, err)
		require.True(t, open.Open())
		windows := open.Windows(from, 400)
		for i, w := range windows {
			require.False(t, w.To.Before(w.From))
			require.True(t, w.To.After(from))
			if i > 0 {
				require.False(t, w.From.Before(windows[i-1].From))
			}
		}
		for _, seed := range seeds(20)["growing"] {
			s, err := schedule.Parse(spec, paris, seed)
			require.NoError(t, err)
			at := from
			for range 20 {
				at = s.Next(at)
				if at.After(windows[len(windows)-1].From) {
					break
				}
				held := false
				for _, w := range windows {
					held = held || !at.Before(w.From) && !at.After(w.To)
				}
				require.True(t, held, "%s as %s at %v", spec, s.Resolved(), at)
			}
		}
	}
}

func TestWindowsAtTheEdges(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"H H * * *", "0 0 1 H *", "0 0 * * H", "H * * * *", "*,H * * * *"} {
		s, err := schedule.Parse(spec, location(t, "Pacific/Apia"), schedule.Seed{})
		require.NoError(t, err)
		assert.Empty(t, s.Windows(time.Now(), 0))
		assert.Empty(t, s.Windows(time.Now(), -1))
		assert.Len(t, s.Windows(time.Time{}, 3), 3)
		assert.LessOrEqual(t, len(s.Windows(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), 100)), 100)
		assert.Empty(t, s.Windows(time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC), 3))
	}
}

func TestWindowsAcrossRareClockChanges(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ rule, spec, zone, from, to string }{
		{"an hour that comes back after midnight", "H * * * *", "America/St_Johns", "2010-11-07T00:00:30-02:30",
			"2010-11-06T23:59:00-03:30"},
		{"a window on a lost day is lost", "H 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00-10:00",
			"2012-12-30T12:59:00+14:00"},
		{"a window in a gap at midnight", "H 23 * * 6", "America/Nuuk", "2025-03-29T12:00:00-02:00",
			"2025-03-30T00:00:00-01:00"},
	} {
		s, err := schedule.Parse(row.spec, location(t, row.zone), schedule.Seed{})
		require.NoError(t, err)
		windows := s.Windows(instant(t, row.from), 1)
		require.Len(t, windows, 1)
		assert.Equal(t, row.to, windows[0].To.Format(time.RFC3339), row.rule)
	}
}

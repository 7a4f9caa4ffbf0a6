package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

func TestClockChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, spec, zone string
		from             string
		want             []string // date, shift, effect, times
	}{
		{"fixed times move, and come once", "30 2 * * *", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s moved 1", "2027-10-31 -1h0m0s once 1"}},
		{"several skipped times move together", "0,15,30 2 * * *", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s moved 3", "2027-10-31 -1h0m0s once 3"}},
		{"times beside the change are left alone", "30 4 * * *", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s  0", "2027-10-31 -1h0m0s  0"}},
		{"wild times of one hour are lost, and come twice", "*/15 2 * * *", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s lost 4", "2027-10-31 -1h0m0s twice 4"}},
		{"every hour goes on", "0 * * * *", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s  0", "2027-10-31 -1h0m0s  0"}},
		{"the day counts", "30 2 * * 1", "Europe/Paris", "2027-01-01", []string{"2027-03-28 1h0m0s  0", "2027-10-31 -1h0m0s  0"}},
		{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2027-01-01", []string{"2027-04-04 -30m0s  0", "2027-10-03 30m0s moved 1"}},
		{"at midnight", "0 0 * * *", "America/Santiago", "2027-01-01", []string{"2027-04-03 -1h0m0s  0", "2027-09-05 1h0m0s moved 1"}},
		{"a lost day is too much to follow", "0 5 * * *", "Pacific/Apia", "2011-06-01", []string{"2011-09-24 1h0m0s  0", "2011-12-31 24h0m0s lost 1", "2012-04-01 -1h0m0s  0"}},
		{"no change in UTC", "30 2 * * *", "UTC", "2027-01-01", nil},
		{"@every knows no wall clock", "@every 1h", "Europe/Paris", "2027-01-01", nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			s, err := schedule.Parse(c.spec, zone, schedule.NewSeed("p", "a", "c"))
			require.NoError(t, err)
			from, err := time.ParseInLocation(time.DateOnly, c.from, zone)
			require.NoError(t, err)
			var got []string
			for _, change := range s.ClockChanges(from, from.AddDate(1, 0, 0)) {
				got = append(got, fmt.Sprintf("%s %s %s %d", change.At.Format(time.DateOnly), change.Shift, change.Effect, change.Times))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// The effect is what Next does: a change that moves times has an occurrence at
// its end, one that loses them has none there.
func TestClockChangesAgreeWithNext(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for _, spec := range []string{"30 2 * * *", "0 0 * * *", "30 0 * * *", "15 2 * * *", "*/30 0-2 * * *", "0 3 * * *"} {
			s, err := schedule.Parse(spec, zone, schedule.NewSeed("p", "a", "c"))
			require.NoError(t, err)
			from := time.Date(2009, 1, 1, 0, 0, 0, 0, zone)
			for _, change := range s.ClockChanges(from, from.AddDate(6, 0, 0)) {
				around := s.Count(change.At.Add(-change.Shift.Abs()-time.Second), change.At.Add(change.Shift.Abs()-time.Second))
				switch change.Effect {
				case schedule.Moved:
					assert.Equal(t, change.At, s.Next(change.At.Add(-time.Second)), "%s %s", spec, name)
				case schedule.Twice:
					assert.GreaterOrEqual(t, around, 2*change.Times, "%s %s %s", spec, name, change.At)
				case schedule.Once:
					assert.Equal(t, change.Times, around, "%s %s %s", spec, name, change.At)
				}
			}
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	from := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for spec, want := range map[string]int{
		"0 5 * * *": 365, "* * * * *": 525_600, "0 0 29 2 *": 0, "@every 1s": 31_536_000, "@every 7h": 1251, "0 0 1 1 *": 1,
	} {
		s, err := schedule.Parse(spec, time.UTC, schedule.NewSeed("p", "a", "c"))
		require.NoError(t, err)
		n := 0
		if _, every := s.Every(); !every {
			for at := s.Next(from); !at.After(from.AddDate(1, 0, 0)); at = s.Next(at) {
				n++
			}
			assert.Equal(t, n, s.Count(from, from.AddDate(1, 0, 0)), spec)
		}
		assert.Equal(t, want, s.Count(from, from.AddDate(1, 0, 0)), spec)
	}
}

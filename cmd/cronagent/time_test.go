package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParseTime: a day without a midnight begins when it does, and what the clock skips
// is when it jumps.
func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, text, want string }{
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", "2018-11-04 00:30", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-03T00:00:00-03:00"},
		{"America/Sao_Paulo", "2018-11-04T01:30", "2018-11-04T01:30:00-02:00"},
		{"Africa/Cairo", "2027-04-30", "2027-04-30T01:00:00+03:00"},
		{"Asia/Beirut", "2027-03-28", "2027-03-28T01:00:00+03:00"},
		{"Europe/Paris", "2027-03-28T02:30:10", "2027-03-28T03:00:00+02:00"},
		{"Europe/Paris", "2027-03-28T02:30:00Z", "2027-03-28T04:30:00+02:00"},
		{"Europe/Paris", "2027-10-31 02:30", "2027-10-31T02:30:00+02:00"},
		// A whole day that Samoa skipped.
		{"Pacific/Apia", "2011-12-30", "2011-12-31T00:00:00+14:00"},
		{"UTC", "2027-03-28", "2027-03-28T00:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		got, err := parseTime("--from", c.text, zone)
		require.NoError(t, err)
		assert.Equal(t, c.want, got.In(zone).Format(time.RFC3339), "%s in %s", c.text, c.zone)
	}
	_, err := parseTime("--from", "tomorrow", time.UTC)
	assert.ErrorContains(t, err, `--from: cannot read "tomorrow" as a time`)
}

// TestTimelineSpan: days are days of the calendar, also where one has no midnight.
func TestTimelineSpan(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	for _, c := range []struct{ now, from, to, length, begins, ends string }{
		{"2018-11-04T12:00:00-02:00", "2018-11-04", "", "1d", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"},
		{"2018-11-04T12:00:00-02:00", "2018-11-04", "", "", "2018-11-04T01:00:00-02:00", "2018-11-05T01:00:00-02:00"},
		{"2018-11-04T12:00:00-02:00", "2018-11-03", "", "1d", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"2018-11-04T12:00:00-02:00", "2018-11-03", "2018-11-04", "", "2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00"},
		{"2018-11-04T12:00:00-02:00", "2018-11-03T18:00", "", "1d12h", "2018-11-03T18:00:00-03:00", "2018-11-05T06:00:00-02:00"},
		{"2018-11-04T12:00:00-02:00", "", "", "2d", "2018-11-04T01:00:00-02:00", "2018-11-06T00:00:00-02:00"},
		{"2018-11-05T12:00:00-02:00", "", "", "4d", "2018-11-04T01:00:00-02:00", "2018-11-08T00:00:00-02:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		require.NoError(t, err)
		o := timelineOptions{from: c.from, to: c.to}
		if c.length != "" {
			require.NoError(t, o.length.Set(c.length))
		}
		from, to, err := o.span(now.In(zone))
		require.NoError(t, err)
		assert.Equal(t, c.begins, from.Format(time.RFC3339), "%+v", c)
		assert.Equal(t, c.ends, to.In(zone).Format(time.RFC3339), "%+v", c)
	}
}

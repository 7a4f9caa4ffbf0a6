package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

func TestWhatCountsAsSuccess(t *testing.T) {
	t.Parallel()
	fired := func(state, result string) ledger.Run {
		return ledger.Run{Outcome: ledger.Fired, Activities: []ledger.Activity{{State: "complete", Result: "success"}, {State: state, Result: result}}}
	}
	const good, bad, neither = "good", "bad", "neither"
	for name, c := range map[string]struct {
		run  ledger.Run
		want string
	}{
		"done":                            {ledger.Run{Outcome: ledger.Succeeded}, good},
		"accepted, without activities":    {ledger.Run{Outcome: ledger.Fired}, good},
		"accepted, an activity goes on":   {fired("in_progress", ""), good},
		"accepted, an activity failed":    {fired("complete", "failure"), bad},
		"accepted, one was cancelled":     {fired("cancelled", ""), bad},
		"failed":                          {ledger.Run{Outcome: ledger.Failed}, bad},
		"timed out":                       {ledger.Run{Outcome: ledger.TimedOut}, bad},
		"nobody knows":                    {ledger.Run{Outcome: ledger.Uncertain, Pending: true}, bad},
		"missed":                          {ledger.Run{Outcome: ledger.Missed}, bad},
		"cancelled":                       {ledger.Run{Outcome: ledger.Cancelled}, bad},
		"skipped is neither":              {ledger.Run{Outcome: ledger.Skipped}, neither},
		"it is neither while it is tried": {ledger.Run{Outcome: ledger.Deferred}, neither},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			isGood, isBad := verdict(c.run)
			assert.Equal(t, c.want == good, isGood)
			assert.Equal(t, c.want == bad, isBad)
		})
	}
}

func TestStreakAndLastSuccess(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	run := func(outcome ledger.Outcome, minute int) ledger.Run {
		return ledger.Run{Outcome: outcome, Started: new(at.Add(time.Duration(minute) * time.Minute)), Ended: new(at.Add(time.Duration(minute)*time.Minute + time.Second))}
	}
	for name, c := range map[string]struct {
		runs   []ledger.Run
		streak int
		last   time.Duration // after at; negative: none
	}{
		"never ran":                {nil, 0, -1},
		"a success ends it":        {[]ledger.Run{run(ledger.Failed, 1), run(ledger.Succeeded, 2)}, 0, 2*time.Minute + time.Second},
		"skips do not":             {[]ledger.Run{run(ledger.Succeeded, 1), run(ledger.Failed, 2), run(ledger.Skipped, 3), run(ledger.TimedOut, 4), run(ledger.Deferred, 5)}, 2, time.Minute + time.Second},
		"nothing but failures":     {[]ledger.Run{run(ledger.Failed, 1), run(ledger.Missed, 2)}, 2, -1},
		"the latest success":       {[]ledger.Run{run(ledger.Succeeded, 9), run(ledger.Fired, 2)}, 0, 9*time.Minute + time.Second},
		"what only skipped is new": {[]ledger.Run{run(ledger.Skipped, 1)}, 0, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &job{runs: c.runs}
			assert.Equal(t, c.streak, j.streak())
			if c.last < 0 {
				assert.Nil(t, j.lastSuccess())
				return
			}
			require.NotNil(t, j.lastSuccess())
			assert.Equal(t, at.Add(c.last), *j.lastSuccess())
		})
	}
}

func TestTimesInDays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"26h": 26 * time.Hour, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "1d0h30m": 24*time.Hour + 30*time.Minute,
	} {
		var d days
		require.NoError(t, d.Set(text), text)
		assert.Equal(t, want, time.Duration(d), text)
	}
	for _, text := range []string{"", "0", "0d", "2", "2w", "-2d", "d", "1.5d", "2d-1h", "-1h", "2dd", "1h2d", "99999999d", "1d99999999h"} {
		var d days
		assert.Error(t, d.Set(text), text)
		assert.Zero(t, d, text)
	}
}

func TestLengthsOfTimeInWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 12 * time.Millisecond: "12ms", 1234 * time.Millisecond: "1.2s", time.Minute: "1m", 61 * time.Second: "1m1s",
		26 * time.Hour: "26h", 26*time.Hour + 5*time.Minute: "26h5m", 48 * time.Hour: "2d", 51 * time.Hour: "2d3h", 400 * time.Hour: "16d",
	} {
		assert.Equal(t, want, about(d))
	}
	assert.Equal(t, "in 5m", ago(-5*time.Minute))
	assert.Equal(t, "just now", ago(0))
}

// TestUntilATimeOfDay: it is the next one, by the clocks of the zone.
func TestUntilATimeOfDay(t *testing.T) {
	t.Parallel()
	paris, err := time.LoadLocation("Europe/Paris")
	require.NoError(t, err)
	now := time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC) // 21:00 there, before the clocks go forward
	for text, want := range map[string]string{
		"22:30":                "2026-03-28T21:30:00Z",
		"21:00":                "2026-03-29T19:00:00Z",
		"06:00":                "2026-03-29T04:00:00Z",
		"2026-03-29T06:00":     "2026-03-29T04:00:00Z",
		"2026-03-29T06:00:00Z": "2026-03-29T06:00:00Z",
	} {
		got, err := clockOrTime(text, now, paris)
		require.NoError(t, err, text)
		assert.Equal(t, want, got.UTC().Format(time.RFC3339), text)
	}
	_, err = clockOrTime("25:00", now, paris)
	assert.Error(t, err)
}

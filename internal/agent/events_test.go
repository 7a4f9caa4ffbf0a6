package agent

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/cronagent/cronagent/internal/ledger"
)

// What is decided about the newest run at a later tick, from what people heard.
func TestLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 5, 0, 0, 0, time.UTC)
	run := func(id string, minutes int, outcome ledger.Outcome) ledger.Run {
		return ledger.Run{ID: id, Outcome: outcome, Due: new(now.Add(time.Duration(minutes) * time.Minute))}
	}
	told := func(event, id string, minutes int, streak string, left ...string) ledger.Told {
		told := ledger.Told{Version: 1, Event: event, Run: id, Of: now.Add(time.Duration(minutes) * time.Minute), Streak: streak, Left: left, At: now.Add(-time.Hour), Tries: 1}
		if left != nil {
			told.Error = "no answer"
		}
		return told
	}
	busy := told("failure", "a", -60, "failure", "mail")
	busy.Error, busy.At = "", now.Add(-30*time.Second)
	dead := busy
	dead.At = now.Add(-tellLease)
	pending := run("b", -30, ledger.Fired)
	pending.Pending = true
	none := ledger.Told{}
	for name, c := range map[string]struct {
		last  ledger.Run
		told  ledger.Told
		event string // empty: nothing is told
		run   string
		left  []string
	}{
		"never told":                          {run("a", -60, ledger.Failed), none, "failure", "a", []string{"mail", "ping"}},
		"told already":                        {run("a", -60, ledger.Failed), told("failure", "a", -60, "failure"), "", "", nil},
		"another of a streak":                 {run("b", -30, ledger.TimedOut), told("failure", "a", -60, "failure"), "", "", nil},
		"nobody wants to hear":                {run("a", -60, ledger.Missed), none, "", "", nil},
		"a success that nobody heard of":      {run("a", -60, ledger.Succeeded), none, "", "", nil},
		"a success after others":              {run("b", -30, ledger.Succeeded), told("success", "a", -60, ""), "", "", nil},
		"it is over":                          {run("b", -30, ledger.Succeeded), told("failure", "a", -60, "failure"), "recovered", "b", []string{"mail", "ping"}},
		"it was over before":                  {run("b", -90, ledger.Succeeded), told("failure", "a", -60, "failure"), "", "", nil},
		"an older one, when it is over":       {run("b", -90, ledger.Failed), told("recovered", "a", -60, ""), "", "", nil},
		"of an older one, not heard":          {run("b", -90, ledger.Failed), told("recovered", "a", -60, "", "mail"), "recovered", "a", []string{"mail"}},
		"not heard":                           {run("a", -60, ledger.Failed), told("failure", "a", -60, "failure", "mail"), "failure", "a", []string{"mail"}},
		"not heard, and something goes on":    {pending, told("failure", "a", -60, "failure", "mail"), "failure", "a", []string{"mail"}},
		"not heard, and fails again":          {run("b", -30, ledger.Failed), told("failure", "a", -60, "failure", "mail"), "failure", "b", []string{"mail", "ping"}},
		"not heard, and is over":              {run("b", -30, ledger.Succeeded), told("failure", "a", -60, "failure", "mail"), "recovered", "b", []string{"mail", "ping"}},
		"that it is over was not heard":       {run("b", -30, ledger.Succeeded), told("recovered", "a", -60, "", "mail"), "recovered", "b", []string{"mail", "ping"}},
		"nor that, and it fails again":        {run("b", -30, ledger.Failed), told("recovered", "a", -60, "", "mail"), "failure", "b", []string{"mail", "ping"}},
		"somebody is at it":                   {run("a", -60, ledger.Failed), busy, "", "", nil},
		"and it fails again":                  {run("b", -30, ledger.Failed), busy, "", "", nil},
		"he has died":                         {run("a", -60, ledger.Failed), dead, "failure", "a", []string{"mail"}},
		"an uncertain one was not taken":      {run("a", -60, ledger.Failed), told("uncertain", "a", -60, "uncertain"), "failure", "a", []string{"mail", "ping"}},
		"another fails after an uncertain":    {run("b", -30, ledger.Failed), told("uncertain", "a", -60, "uncertain"), "", "", nil},
		"it fails after skips":                {run("b", -30, ledger.Failed), told("skipped", "a", -60, "skipped"), "failure", "b", []string{"mail", "ping"}},
		"what only a ping did not hear":       {run("a", -60, ledger.Succeeded), told("", "a", -60, "", "ping"), "", "a", []string{"ping"}},
		"which is out of date":                {run("b", -30, ledger.Succeeded), told("", "a", -60, "", "ping"), "", "a", nil},
		"a success that is not heard of":      {run("a", -60, ledger.Succeeded), told("success", "a", -60, "", "mail"), "success", "a", []string{"mail"}},
		"which is out of date, as there is b": {run("b", -30, ledger.Succeeded), told("success", "a", -60, "", "mail"), "success", "a", nil},
	} {
		telling := &Telling{On: []Event{Failure, Uncertain, Recovered, SkippedAgain, Success}, Ways: []string{"mail", "ping"}, EachRun: []string{"ping"}}
		d := telling.late(c.last, c.told, now)
		assert.Equal(t, c.event != "" || c.run != "", d.changes, name)
		if d.changes {
			assert.Equal(t, c.event, d.next.Event, name)
			assert.Equal(t, c.run, d.next.Run, name)
			assert.Equal(t, c.left, d.next.Left, name)
		}
	}
}

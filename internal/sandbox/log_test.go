package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// logLine is one line of a log.
type logLine struct {
	ID   string `json:"_id"`
	Data struct{ Timestamp, Message string }
	Seal bool
}

func logOf(t *testing.T, body string) []logLine {
	t.Helper()
	var all []logLine
	for text := range strings.Lines(body) {
		var line logLine
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		all = append(all, line)
	}
	return all
}

func TestLogsGrowAndAreSealedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: 10 * time.Second})
	c.post(main+"/redeploy", "")
	path := project + "/activities/" + c.server.Activities()[0].ID
	for _, want := range []struct {
		after   time.Duration
		items   int
		sealed  bool
		percent float64
		state   string
	}{
		{0, 0, false, 0, "pending"},
		{2 * time.Second, 1, false, 20, "in_progress"},
		{4 * time.Second, 2, false, 40, "in_progress"},
		{8*time.Second - 1, 3, false, 79, "in_progress"},
		{8 * time.Second, 4, false, 80, "in_progress"},
		{9 * time.Second, 4, true, 90, "in_progress"},
		{10 * time.Second, 4, true, 100, "complete"},
	} {
		clock.advance(want.after - clock.Now().Sub(c.server.Activities()[0].Created))
		lines := logOf(t, c.get(path+"/log").body)
		if want.sealed {
			require.NotEmpty(t, lines, want.after)
			assert.True(t, lines[len(lines)-1].Seal, want.after)
			lines = lines[:len(lines)-1]
		}
		assert.Len(t, lines, want.items, want.after)
		a := c.get(path).object(t)
		assert.Equal(t, want.percent, a["completion_percent"], want.after)
		assert.Equal(t, want.state, a["state"], want.after)
		text := ""
		for _, line := range lines {
			text += line.Data.Message
		}
		assert.Equal(t, text, a["log"], "the activity holds it once more")
	}
}

func TestLogsAreReadInPieces(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{ActivityDuration: -1})
	c.post(main+"/redeploy", "")
	path := project + "/activities/" + c.server.Activities()[0].ID + "/log"
	for query, want := range map[string]string{
		"":                                     "1 2 3 4 seal",
		"?start_at=0&max_items=0&max_delay=-1": "1 2 3 4 seal",
		"?start_at=3&max_items=0&max_delay=0":  "4 seal",
		"?start_at=9":                          "seal",
		"?max_items=2":                         "1 2",
		"?start_at=2&max_items=2":              "3 4 seal",
	} {
		var got []string
		for _, line := range logOf(t, c.get(path+query).body) {
			if line.Seal {
				line.ID = "seal"
			}
			got = append(got, line.ID)
		}
		assert.Equal(t, want, strings.Join(got, " "), query)
	}
	for _, query := range []string{"?count=10", "?start_at=-1", "?max_items=x", "?max_delay=-2", "?start_at="} {
		assert.Equal(t, http.StatusBadRequest, c.get(path+query).status, query)
	}
}

func TestOnlyLogsThatEndAreSealed(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[sandbox.Outcome]string{
		sandbox.Unfinished: "unsealed", sandbox.Staged: "", sandbox.Failure: "sealed", sandbox.Cancelled: "sealed",
	} {
		clock := newClock()
		c := login(t, sandbox.Options{Now: clock.Now})
		c.fault(sandbox.Fault{On: "post", Outcome: outcome})
		c.post(main+"/backup", "")
		clock.advance(time.Minute)
		path := project + "/activities/" + c.server.Activities()[0].ID
		answer := c.get(path + "/log")
		require.Equal(t, http.StatusOK, answer.status)
		lines := logOf(t, answer.body)
		got := ""
		if len(lines) > 0 {
			got = "unsealed"
			if lines[len(lines)-1].Seal {
				got = "sealed"
			}
		}
		assert.Equal(t, want, got, outcome)
		if outcome == sandbox.Unfinished {
			assert.Equal(t, 99.0, c.get(path).object(t)["completion_percent"])
		}
	}
}

package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lines are read by a reader of our own, which must find what encoding/json finds.
func FuzzParse(f *testing.F) {
	at := time.Date(2027, 3, 1, 0, 0, 0, 1, time.UTC)
	run := Run{ID: "x", Key: Key{"p", "feature/<a&b>", "ä", "a \"quoted\"\n"}, Outcome: Deferred, Due: &at, Activities: []Activity{{ID: "]}"}}, Output: "\x00\\"}
	text, err := encode(
		markLine{beginEvent, run.Key, at}, claimLine{claimEvent, Claim{Key: run.Key, ID: "x", Due: at, At: at, Settle: 5, Attempts: 3}},
		runLine{runEvent, run}, (&Pause{Until: at, At: at}).line(run.Key), compactedLine{compactedEvent, at, []string{"a"}},
	)
	require.NoError(f, err)
	f.Add(text)
	for _, line := range []string{`{}`, `{"event":"run","id":"\u0041"}`, ` { "event" : "run" , "id" : "x" , "n" : [ { } , 1.5e+3 ] } `, `{"event":"run","id":"x"}}`, `{"a":{]}`, `{"a"`, `{"a":`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := newContents()
		var known map[string]any
		isObject := json.Unmarshal(text, &known) == nil && known != nil
		l, ok := parse(text, nil)
		if ok && isObject {
			for name, got := range map[string]string{
				"event": l.event, "project": l.claim.Project, "environment": l.claim.Environment, "app": l.claim.App,
				"cron": l.claim.Cron, "id": l.claim.ID, "operation": l.claim.Operation,
			} {
				if want, there := known[name]; there {
					assert.Equal(t, want, got, name)
				} else {
					assert.Empty(t, got, name)
				}
			}
			assert.Equal(t, known["pending"] == true, l.pending)
			assert.Equal(t, known["outcome"] == string(Deferred), l.deferred)
		}
		c.apply(text)
	})
}

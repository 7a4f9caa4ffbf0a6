package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

var began = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// told is a story of the cron import, due every second and told up to the second
// last, from which edit takes away or to which it adds.
func told(t *testing.T, last int, edit func(lines []entry) []entry) *story {
	t.Helper()
	var lines []entry
	for n := 1; n <= last; n++ {
		due := began.Add(time.Duration(n) * time.Second)
		run := ledger.Run{ID: fmt.Sprint("r", n), Key: ledger.Key{Cron: "import"}, Due: &due}
		lines = append(lines, entry{Event: "claim", Run: run, At: due})
		run.Outcome, run.Count = ledger.Succeeded, 1
		lines = append(lines, entry{Event: "run", Run: run})
	}
	if edit != nil {
		lines = edit(lines)
	}
	s := newStory()
	s.began = began
	for _, line := range lines {
		text, err := json.Marshal(line)
		require.NoError(t, err)
		s.tell(text)
	}
	return s
}

// of are the problems of import: the other crons are never due here.
func of(problems []string) []string {
	return slices.DeleteFunc(problems, func(problem string) bool { return strings.HasSuffix(problem, " was never due") })
}

func TestOccurrencesAreAccountedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func([]entry) []entry
		want []string
	}{
		"each is claimed and recorded":    {},
		"one without a claim vanished":    {func(l []entry) []entry { return append(l[:8], l[10:]...) }, []string{"import of 00:00:05 has vanished"}},
		"one without a record has no end": {func(l []entry) []entry { return append(l[:9], l[10:]...) }, []string{"import of 00:00:05 was claimed, and nothing says what came of it"}},
		"one that two runs claim": {func(l []entry) []entry {
			twice := l[8]
			twice.ID = "other"
			record := l[9]
			record.ID = "other"
			return append(l, twice, record)
		}, []string{"import of 00:00:05 belongs to the runs other and r5"}},
		"a record without a claim": {func(l []entry) []entry {
			record := l[9]
			record.ID = "other"
			return append(l, record)
		}, []string{"run other of import was never claimed"}},
		"several missed ones in one record": {func(l []entry) []entry {
			until := *l[len(l)-1].Due
			first := l[8]
			first.Due = &until
			record := l[9]
			record.Until, record.Count, record.Outcome = &until, 6, ledger.Missed
			return append(l[:8], first, record)
		}, nil},
		"a record that counts wrongly": {func(l []entry) []entry {
			until := *l[len(l)-1].Due
			first := l[8]
			first.Due = &until
			record := l[9]
			record.Until, record.Count, record.Outcome = &until, 5, ledger.Missed
			return append(l[:8], first, record)
		}, []string{"run r5 of import says 5 occurrences and spans 6"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.ElementsMatch(t, c.want, of(told(t, 10, c.edit).occurrences()))
		})
	}
}

func TestCommandsRunOnceAndToTheirEnd(t *testing.T) {
	t.Parallel()
	s := told(t, 3, nil)
	all := []string{"r1", "r2", "r3"}
	assert.Empty(t, s.commands(all, all))
	assert.Equal(t, []string{"import ran 2 times as r2"}, s.commands([]string{"r1", "r2", "r2", "r3"}, all))
	assert.Equal(t, []string{"import succeeded as r3, and did not run to its end"}, s.commands(all, all[:2]))
	assert.Equal(t, []string{"import ran as x, which was never claimed"}, s.commands(append(all, "x"), all))
}

func TestOperationsBelongToOneRun(t *testing.T) {
	t.Parallel()
	fire := func(id string, outcome ledger.Outcome, reason string, activities ...string) func([]entry) []entry {
		return func(l []entry) []entry {
			run := ledger.Run{ID: id, Key: ledger.Key{Cron: "backup"}, Operation: "backup:create", Due: &began}
			l = append(l, entry{Event: "claim", Run: run, At: began})
			run.Outcome, run.Reason, run.Count = outcome, reason, 1
			for _, activity := range activities {
				run.Activities = append(run.Activities, ledger.Activity{ID: activity})
			}
			return append(l, entry{Event: "run", Run: run})
		}
	}
	taken := []taking{{"backup", "a", began.Add(time.Second)}}
	assert.Empty(t, told(t, 0, fire("r", ledger.Fired, "", "a")).operations(taken))
	assert.Empty(t, told(t, 0, fire("r", ledger.Uncertain, "")).operations(taken), "nobody knew of it")
	assert.Len(t, told(t, 0, fire("r", ledger.Failed, "")).operations(taken), 1, "it was said that it was not taken")
	assert.Len(t, told(t, 0, fire("r", ledger.Uncertain, "")).operations(append(taken, taking{"backup", "b", began})), 1, "one doubt is worth one activity")
	assert.Len(t, told(t, 0, fire("r", ledger.Fired, "")).operations(nil), 1, "it was fired, and has no activity")
	two := func(l []entry) []entry {
		return fire("s", ledger.Fired, "", "a")(fire("r", ledger.Fired, "", "a")(l))
	}
	assert.Len(t, told(t, 0, two).operations(taken), 1, "two were told that it is theirs")
}

// TestFollowerReadsEveryFile: what was added to a file just before another one took
// its place is read, and half a line is not.
func TestFollowerReadsEveryFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	line := func(id string) string {
		return fmt.Sprintf(`{"event":"claim","cron":"import","id":%q,"due":"2027-01-01T00:00:01Z","at":"2027-01-01T00:00:01Z"}`, id)
	}
	write := func(path, text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = file.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, file.Close())
	}
	s := newStory()
	f := newFollower(path, s)
	require.NoError(t, f.read(), "there is no file yet")
	write(path, line("a")+"\n"+line("b")[:20])
	require.NoError(t, f.read())
	assert.Len(t, s.claims, 1)
	write(path, line("b")[20:]+"\n"+line("c")+"\n")
	write(path+".new", line("c")+"\n")
	require.NoError(t, os.Rename(path+".new", path))
	write(path, line("d")+"\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, f.follow(ctx))
	assert.Len(t, s.claims, 4)
	assert.Equal(t, 2, f.files)
	assert.Empty(t, s.damaged)
}

func TestQuantileAndMedian(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2, 3, 4}
	assert.Equal(t, 3.0, quantile(values, 0.5))
	assert.Equal(t, 4.0, quantile(values, 0.99))
	assert.Equal(t, 4.0, quantile(values, 1))
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.Equal(t, 2.0, median([]float64{3, 1, 2}))
}

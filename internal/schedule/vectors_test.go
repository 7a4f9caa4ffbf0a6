package schedule_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

// The vectors record how real cron daemons and other libraries read specs. They
// are kept outside the repository.
const vectorsVariable = "CRONAGENT_CRON_VECTORS"

func vectors(t *testing.T, name string) []string {
	t.Helper()
	dir := os.Getenv(vectorsVariable)
	if dir == "" {
		t.Skipf("%s is not set; it names the directory that holds %s", vectorsVariable, name)
	}
	file, err := os.Open(filepath.Join(dir, name))
	require.NoError(t, err)
	defer file.Close()
	var lines []string
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if line := scanner.Text(); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	require.NoError(t, scanner.Err())
	require.NotEmpty(t, lines)
	return lines
}

func TestVectorsNext(t *testing.T) {
	t.Parallel()
	for _, line := range vectors(t, "next.jsonl") {
		var v struct {
			Spec, TZ, From string
			Next, Tags     []string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		if slices.Contains(v.Tags, "step-beyond") {
			_, err := schedule.Parse(v.Spec, nil, schedule.Seed{})
			assert.Error(t, err, "%s: a step beyond the field is refused", v.Spec)
			continue
		}
		assertNext(t, v.Spec, v.TZ, v.From, v.Next)
	}
}

func TestVectorsDST(t *testing.T) {
	t.Parallel()
	for _, line := range vectors(t, "dst.jsonl") {
		var v struct {
			Spec, TZ, From string
			Vixie          []string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		assertNext(t, v.Spec, v.TZ, v.From, v.Vixie)
	}
}

func TestVectorsValid(t *testing.T) {
	t.Parallel()
	for _, spec := range vectorSpecs(t, "valid.txt") {
		_, err := schedule.Parse(spec, nil, schedule.Seed{})
		assert.NoError(t, err)
	}
}

func TestVectorsInvalid(t *testing.T) {
	t.Parallel()
	for _, spec := range vectorSpecs(t, "invalid.txt") {
		_, err := schedule.Parse(spec, nil, schedule.NewSeed("p", "a", "c"))
		assert.Error(t, err, "%q", spec)
		t.Logf("%v", err)
	}
}

func vectorSpecs(t *testing.T, name string) []string {
	var specs []string
	for _, line := range vectors(t, name) {
		quoted, _, _ := strings.Cut(line, "\t")
		var spec string
		require.NoError(t, json.Unmarshal([]byte(quoted), &spec), "%s", quoted)
		specs = append(specs, spec)
	}
	return specs
}

// assertNext follows a spec from an instant and compares each occurrence.
func assertNext(t *testing.T, spec, zone, from string, want []string) {
	t.Helper()
	s, err := schedule.Parse(spec, location(t, zone), schedule.Seed{})
	if !assert.NoError(t, err) {
		return
	}
	at, err := time.Parse(time.RFC3339, from)
	require.NoError(t, err)
	var got []string
	for range want {
		at = s.Next(at)
		got = append(got, at.Format("2006-01-02T15:04:05-07:00"))
	}
	assert.Equal(t, want, got, "%s in %s from %s", spec, zone, from)
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

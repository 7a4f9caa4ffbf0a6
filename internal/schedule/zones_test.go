package schedule_test

import (
	_ "embed"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // zone files are not everywhere

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

// zoneNames is every zone of the tz database, links included.
//
//go:embed testdata/zones.txt
var zoneNames string

// Each has its own way of meeting a clock change: dense, wild by minute or hour
// or both, fixed before, in and after the usual gaps, lists and ranges across
// them, days that the jump changes.
var transitionSpecs = []string{
	"*/5 * * * *",
	"30 * * * *",
	"*/20 1-3 * * *",
	"15 */2 * * *",
	"15,45 0-23 * * *",
	"0 0 * * *",
	"30 2 * * *",
	"59 23 * * *",
	"0,30 0-3,23 * * 0",
	"45 2,3 1,31 * *",
	"0-59/7 1-3 */2 * 0,6",
	"*/20 0-3,23 * * 0",
}

// TestEveryTransition compares Next with the reference around every clock
// change from 2000 to 2037, in every zone.
func TestEveryTransition(t *testing.T) {
	t.Parallel()
	type change struct {
		at            int64
		before, after int
	}
	var (
		mu   sync.Mutex
		seen = map[change]bool{}
	)
	references := make([]*reference, len(transitionSpecs))
	for i, spec := range transitionSpecs {
		references[i] = newReference(t, spec)
	}
	names := strings.Fields(zoneNames)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < len(names) && !t.Failed(); i += 4 {
				zone, err := time.LoadLocation(names[i])
				if err != nil {
					t.Errorf("%s: %v", names[i], err)
					return
				}
				for _, at := range changes(zone, 2000, 2038) {
					_, before := at.Add(-time.Second).Zone()
					_, after := at.Zone()
					// Zones that change alike at one moment answer alike.
					c := change{at.Unix(), before, after}
					mu.Lock()
					known := seen[c]
					seen[c] = true
					mu.Unlock()
					if !known && c.at/3600%fewer == 0 {
						checkChange(t, zone, at, references)
					}
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d zones, %d different clock changes", len(names), len(seen))
	require.Greater(t, len(seen), 1000)
}

// changes returns the instants at which a zone's offset changes.
func changes(zone *time.Location, fromYear, toYear int) []time.Time {
	var all []time.Time
	offset := func(sec int64) int {
		_, o := time.Unix(sec, 0).In(zone).Zone()
		return o
	}
	end := time.Date(toYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	const stride = 12 * 3600
	for sec := time.Date(fromYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix(); sec < end; sec += stride {
		lo, hi := sec, sec+stride
		if offset(lo) == offset(hi) {
			continue
		}
		for hi-lo > 1 {
			if mid := (lo + hi) / 2; offset(mid) == offset(lo) {
				lo = mid
			} else {
				hi = mid
			}
		}
		all = append(all, time.Unix(hi, 0).In(zone))
	}
	return all
}

func checkChange(t *testing.T, zone *time.Location, at time.Time, references []*reference) {
	from, to := at.Add(-5*time.Hour), at.Add(26*time.Hour)
	all := ticks(zone, from.Add(-6*time.Hour), to)
	for i, spec := range transitionSpecs {
		s, err := schedule.Parse(spec, zone, schedule.Seed{})
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			return
		}
		next, last, k := s.Next(from), from, 0
		for _, want := range references[i].run(all) {
			if !want.After(from) {
				continue
			}
			if !next.Equal(want) {
				t.Errorf("%q in %s around %v: want %v, got %v", spec, zone, at, want, next)
				return
			}
			// Asked at any moment in between, the answer is the same.
			for ; k < len(all) && all[k].at.Before(want); k += 29 {
				if again := s.Next(all[k].at); !again.Equal(want) && all[k].at.After(last) {
					t.Errorf("%q in %s at %v: want %v, got %v", spec, zone, all[k].at, want, again)
					return
				}
			}
			last, next = want, s.Next(next)
		}
		if !next.After(to) {
			t.Errorf("%q in %s around %v: made up %v", spec, zone, at, next)
		}
	}
}

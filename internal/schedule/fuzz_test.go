package schedule_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

// fuzzInstant brings any number into the years that zone tables know and a
// little beyond: 1830 to 2170.
func fuzzInstant(sec int64) time.Time {
	const from, span = -4417977600, 10729497600
	return time.Unix(from+((sec-from)%span+span)%span, 0)
}

// FuzzParse: no text makes Parse panic; what it accepts has a future, and a
// spec whose H was resolved is due when the original is.
func FuzzParse(f *testing.F) {
	for _, row := range refused {
		f.Add(row.spec, "name", int64(1.7e9))
	}
	for _, row := range calendar {
		f.Add(row.spec, "backup", int64(1.7e9))
	}
	for _, spec := range hashedSpecs {
		f.Add(spec, "import", int64(1.7e9))
	}
	paris := location(f, "Europe/Paris")
	f.Fuzz(func(t *testing.T, spec, name string, sec int64) {
		s, err := schedule.Parse(spec, paris, schedule.NewSeed("project", "app", name))
		open, openErr := schedule.Parse(spec, paris, schedule.Seed{})
		if err != nil {
			var problem *schedule.Error
			require.ErrorAs(t, err, &problem)
			require.Equal(t, spec, problem.Spec)
			require.NotEmpty(t, problem.Problem)
			require.True(t, problem.Offset >= 0 && problem.Offset <= len(spec))
			require.Less(t, len(err.Error()), 500)
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NoError(t, openErr, "a seed never makes a spec good")
		require.Equal(t, spec, s.String())
		require.False(t, s.Open())
		require.Equal(t, s.Hashed(), open.Open())
		require.NotEmpty(t, s.Describe())
		require.NotEmpty(t, open.Describe())

		plain, err := schedule.Parse(s.Resolved(), paris, schedule.Seed{})
		require.NoError(t, err)
		require.False(t, plain.Hashed())
		at := fuzzInstant(sec)
		for range 3 {
			next := s.Next(at)
			if next.IsZero() {
				// A wild spec may name only moments that every year's clock change skips.
				require.True(t, newReference(t, s.Resolved()).wild)
				return
			}
			require.True(t, next.After(at), "%v is not after %v", next, at)
			require.True(t, next.Equal(plain.Next(at)))
			could := open.Next(at)
			require.True(t, could.After(at) && !could.After(next))
			at = next
		}
		require.Len(t, open.Windows(at, 2), 2)
	})
}

// FuzzNext compares Next with the policy recomputed minute by minute. The
// question is asked at the given second, or so many seconds from the clock
// change that follows it.
func FuzzNext(f *testing.F) {
	names := strings.Fields(zoneNames)
	index := func(zone string) uint {
		for i, name := range names {
			if name == zone {
				return uint(i)
			}
		}
		f.Fatalf("no zone %s", zone)
		return 0
	}
	for _, row := range calendar {
		f.Add(row.spec, index("Australia/Lord_Howe"), instant(f, row.from).Unix(), int32(-1000))
	}
	for _, row := range clockChanges {
		f.Add(row.spec, index(row.zone), instant(f, row.from).Unix(), int32(0))
	}
	seed := schedule.NewSeed("project", "app", "cron")
	f.Fuzz(func(t *testing.T, spec string, zone uint, sec int64, around int32) {
		where := location(t, names[zone%uint(len(names))])
		s, err := schedule.Parse(spec, where, seed)
		if err != nil {
			return
		}
		if _, every := s.Every(); every {
			return
		}
		at := fuzzInstant(sec)
		if around != 0 {
			at = nearChange(at.In(where), around)
		}
		newReference(t, s.Resolved()).check(t, where, at, s.Next(at))
	})
}

// nearChange returns a moment within a day and a half of the clock change that
// follows t, or t if none does.
func nearChange(t time.Time, around int32) time.Time {
	if _, end := t.ZoneBounds(); !end.IsZero() {
		return end.Add(time.Duration(around%(36*3600)) * time.Second)
	}
	return t
}

// TestNextAtRandom asks about random specs near random clock changes, as often
// as CRONAGENT_RANDOM_ROUNDS says.
func TestNextAtRandom(t *testing.T) {
	t.Parallel()
	rounds := 1500 / fewer
	if n, err := strconv.Atoi(os.Getenv("CRONAGENT_RANDOM_ROUNDS")); err == nil {
		rounds = n
	}
	names := strings.Fields(zoneNames)
	random := rand.New(rand.NewPCG(1, uint64(rounds)))
	pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
	for range rounds {
		zone := location(t, names[random.IntN(len(names))])
		at := fuzzInstant(random.Int64()).In(zone)
		around := int32(6 * 3600)
		if random.IntN(3) == 0 {
			around = 36 * 3600
		}
		at = nearChange(at, random.Int32N(2*around)-around)
		spec := strings.Join([]string{
			pick("*", "*/30", "0", "30", "59", "0,30", "5-59/15", "*/25,7"),
			pick("*", "*/2", "0", "2", "23", "0-3", "1,2", "22-23", "*/3,1", "0-23", strconv.Itoa(at.Hour()), "*/24,"+strconv.Itoa(at.Hour())),
			pick("*", "*", "*", "*", "1", "31", "*/9", "25-31", "1-7", "30,31", strconv.Itoa(at.Day()), "*/31,"+strconv.Itoa(at.Day())),
			pick("*", "*", "*", "3", "10,11", "9-12/3", "2", strconv.Itoa(int(at.Month()))),
			pick("*", "*", "0", "6,7", "*/2", "1-5", strconv.Itoa(int(at.Weekday())), "*/7,"+strconv.Itoa(int(at.Weekday()))),
		}, " ")
		s, err := schedule.Parse(spec, zone, schedule.Seed{})
		if err != nil {
			continue // 30 February
		}
		newReference(t, spec).check(t, zone, at, s.Next(at))
	}
}

package schedule_test

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/schedule"
)

func itoa(n int) string { return strconv.Itoa(n) }

// hashedSpecs are all forms that H has.
var hashedSpecs = []string{
	"H * * * *", "H H * * *", "H 5 * * *", "H H H * *", "H H H H *", "H H * * H", "H 3 * * mon-fri",
	"H/5 * * * *", "H/15 * * * *", "H/59 * * * *", "H/60 * * * *", "0 H/24 * * *", "0 0 H/28 * *", "0 0 1 H/12 *", "0 0 * * H/7",
	"H(0-29) 3 * * *", "H(0-29)/10 * * * *", "H(50-52)/2 * * * *", "0 0 H(1-31) * *", "0 0 * * H(5-7)", "0 0 * * H(0-7)/8",
	"H,H * * * *", "H,30 * * * *", "H(0-29),H(30-59) * * * *", "*/20,H 4 * * *", "*,H 4 * * *", "H *,H * * *", "H\tH  1,H *  thu",
	"0 H(9-9) * * *", "30 2 H/3 * H",
}

// seeds returns n names of each of three families: weak hashes fail on only
// some.
func seeds(n int) map[string][]schedule.Seed {
	all := map[string][]schedule.Seed{}
	words := []string{"backup", "import", "cleanup", "sync", "report", "index", "mail"}
	for i := range n {
		all["growing"] = append(all["growing"], schedule.NewSeed("", "", fmt.Sprintf("job-%d", i)))
		all["same length"] = append(all["same length"], schedule.NewSeed("", "", fmt.Sprintf("cron%05d", i)))
		project := fmt.Sprintf("%013x", (uint64(i)+1)*0x9e3779b97f4a7c15>>12)
		all["project, app, cron"] = append(all["project, app, cron"], schedule.NewSeed(project, "app", words[i%7]))
	}
	return all
}

func resolve(t testing.TB, spec string, seed schedule.Seed) string {
	t.Helper()
	s, err := schedule.Parse(spec, nil, seed)
	require.NoError(t, err)
	require.True(t, s.Hashed())
	require.False(t, s.Open())
	return s.Resolved()
}

// values returns one field's values of a spec whose H is resolved.
func values(t testing.TB, spec string, field int) uint64 {
	t.Helper()
	f := strings.Fields(spec)
	bounds := [5][2]int{{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}}[field]
	var set uint64
	for v, in := range referenceSet(t, f[field], bounds[0], bounds[1], "") {
		if in {
			set |= 1 << v
		}
	}
	return set
}

// TestHashGolden pins what H stands for. A change here moves the jobs of
// everybody who updates.
func TestHashGolden(t *testing.T) {
	t.Parallel()
	for _, row := range goldens {
		t.Run(row.spec+" of "+row.cron, func(t *testing.T) {
			t.Parallel()
			got := resolve(t, row.spec, schedule.NewSeed(row.project, row.app, row.cron))
			assert.Equal(t, row.resolved, got)
		})
	}
}

var goldens = []struct{ project, app, cron, spec, resolved string }{
	{"abcdefgh12345", "app", "backup", "H * * * *", "16 * * * *"},
	{"abcdefgh12345", "app", "backup", "H 5 * * *", "16 5 * * *"},
	{"abcdefgh12345", "app", "backup", "H H * * *", "16 9 * * *"},
	{"abcdefgh12345", "app", "backup", "H H H * *", "16 9 11 * *"},
	{"abcdefgh12345", "app", "backup", "H H H H *", "16 9 11 3 *"},
	{"abcdefgh12345", "app", "backup", "H H * * H", "16 9 * * 4"},
	{"abcdefgh12345", "app", "import", "H * * * *", "20 * * * *"},
	{"abcdefgh12345", "api", "backup", "H * * * *", "0 * * * *"},
	{"bbcdefgh12345", "app", "backup", "H * * * *", "11 * * * *"},
	{"abcdefgh12345", "app", "backup", "H/5 * * * *", "1-59/5 * * * *"},
	{"abcdefgh12345", "app", "backup", "H/7 * * * *", "5-59/7 * * * *"},
	{"abcdefgh12345", "app", "backup", "H/60 * * * *", "16 * * * *"},
	{"abcdefgh12345", "app", "backup", "H(0-29) 3 * * *", "16 3 * * *"},
	{"abcdefgh12345", "app", "backup", "H(0-29)/10 * * * *", "6-29/10 * * * *"},
	{"abcdefgh12345", "app", "backup", "H,H,H * * * *", "16,46,30 * * * *"},
	{"abcdefgh12345", "app", "backup", "H(0-29),H(30-59) * * * *", "16,46 * * * *"},
	{"abcdefgh12345", "app", "backup", "0 0 H(1-31) * *", "0 0 9 * *"},
	{"abcdefgh12345", "app", "backup", "0 0 H/10 * *", "0 0 3-28/10 * *"},
	{"abcdefgh12345", "app", "backup", "0 0 * * H(5-7)", "0 0 * * 5"},
	{"abcdefgh12345", "app", "backup", "0 H/6 * H/3 *", "0 3-23/6 * 3-12/3 *"},
	{"", "", "", "H H H H *", "10 5 23 8 *"},
	{"", "", "nightly", "H H * * *", "36 21 * * *"},
	{"p", "", "a", "H H * * *", "4 0 * * *"},
	{"", "p", "a", "H H * * *", "1 13 * * *"},
	{"", "", "café", "H H * * *", "47 11 * * *"},
}

// Property 1 beyond the golden values: two calls agree, whatever happens between.
func TestHashIsDeterministic(t *testing.T) {
	t.Parallel()
	for _, spec := range hashedSpecs {
		seed := schedule.NewSeed("project", "app", "cron")
		first := resolve(t, spec, seed)
		resolve(t, spec, schedule.NewSeed("project", "app", "other"))
		assert.Equal(t, first, resolve(t, spec, seed))
	}
}

// Properties 2, 3 and 4: every draw is in range, every value is drawn, and
// about equally often. The bounds are those of chi squared at p = 1e-6.
func TestHashSpread(t *testing.T) {
	t.Parallel()
	const names = 10_000
	type draw struct {
		what     string
		field    int
		lo, bins int
		below    float64
		highest  int // of a stepped H; 0: one value only
		least    int // times in the emptiest bin
		most     int // and in the fullest; 0: any
	}
	for spec, draws := range map[string][]draw{
		"H H H H H": {
			{what: "minute", lo: 0, bins: 60, below: 125.7, least: 95, most: 240},
			{what: "hour", field: 1, lo: 0, bins: 24, below: 70.5},
			{what: "day of month", field: 2, lo: 1, bins: 28, below: 77.2},
			{what: "month", field: 3, lo: 1, bins: 12, below: 48.9},
			{what: "day of week", field: 4, lo: 0, bins: 7, below: 38.3},
		},
		"H/60 * H(1-31) * *": {
			{what: "H/60", lo: 0, bins: 60, below: 125.7},
			{what: "H(1-31)", field: 2, lo: 1, bins: 31, below: 82.0},
		},
		"H/15 * * * *":       {{what: "offset", lo: 0, bins: 15, below: 54.6, highest: 59}},
		"H(0-29) * * * *":    {{what: "minute", lo: 0, bins: 30, below: 80.4}},
		"H(0-29)/10 * * * *": {{what: "offset", lo: 0, bins: 10, below: 44.8, highest: 29}},
	} {
		for family, all := range seeds(names) {
			t.Run(spec+" of names "+family, func(t *testing.T) {
				t.Parallel()
				seen := make([][64]int, len(draws))
				for _, seed := range all {
					resolved := resolve(t, spec, seed)
					for i, d := range draws {
						set := values(t, resolved, d.field)
						if d.highest == 0 && bits.OnesCount64(set) != 1 || d.highest > 0 && bits.Len64(set)-1 > d.highest {
							t.Fatalf("%s: %s", d.what, resolved)
						}
						seen[i][bits.TrailingZeros64(set)]++
					}
				}
				for i, d := range draws {
					bins := seen[i][d.lo : d.lo+d.bins]
					total := 0
					for bin, n := range bins {
						total += n
						assert.Positive(t, n, "%s %d is never drawn", d.what, d.lo+bin)
						if d.most > 0 {
							assert.True(t, n >= d.least && n <= d.most, "%s %d is drawn %d times", d.what, d.lo+bin, n)
						}
					}
					assert.Equal(t, names, total, "%s: all are in range", d.what)
					assert.Less(t, chiSquared(bins, names), d.below, d.what)
				}
			})
		}
	}
}

func chiSquared(seen []int, total int) float64 {
	want := float64(total) / float64(len(seen))
	var sum float64
	for _, n := range seen {
		sum += (float64(n) - want) * (float64(n) - want) / want
	}
	return sum
}

// Properties 5 and 7: minute and hour are drawn apart, and names apart.
func TestHashFieldsAndNamesAreIndependent(t *testing.T) {
	t.Parallel()
	for family, all := range seeds(10_000) {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			seen := make([]int, 1440)
			distinct, equal := 0, 0
			previous := -1
			for i, seed := range all {
				set := resolve(t, "H H * * *", seed)
				minute := bits.TrailingZeros64(values(t, set, 0))
				pair := bits.TrailingZeros64(values(t, set, 1))*60 + minute
				if seen[pair] == 0 {
					distinct++
				}
				seen[pair]++
				if i < 1000 && minute == previous {
					equal++
				}
				previous = minute
				if i < 1000 {
					assert.Equal(t, strings.Fields(set)[0], strings.Fields(resolve(t, "H * * * *", seed))[0])
					assert.Equal(t, strings.Fields(set)[0], strings.Fields(resolve(t, "H 3 * * H", seed))[0])
				}
			}
			assert.Less(t, chiSquared(seen, len(all)), 1708.6)
			assert.GreaterOrEqual(t, distinct, 1430)
			assert.LessOrEqual(t, equal, 40)
		})
	}
}

// Property 6: one character more or less changes the minute, and parts do not
// run together.
func TestHashAvalanche(t *testing.T) {
	t.Parallel()
	minute := func(project, app, cron string) string {
		return resolve(t, "H * * * *", schedule.NewSeed(project, app, cron))
	}
	const trials = 10_000 / fewer
	var changed, appended, moved, swapped int
	for i := range trials {
		name := fmt.Sprintf("job-%d", i)
		is := minute("a", "bc", name)
		if minute("a", "bc", "k"+name[1:]) != is {
			changed++
		}
		if minute("a", "bc", name+"x") != is {
			appended++
		}
		if minute("ab", "c", name) != is {
			moved++
		}
		if minute("bc", "a", name) != is {
			swapped++
		}
	}
	for what, n := range map[string]int{"changed": changed, "appended": appended, "moved": moved, "swapped": swapped} {
		assert.Greater(t, n, trials*97/100, what)
	}
}

// Properties 8 and 9: every step and every range of every field.
func TestHashStepsAndRanges(t *testing.T) {
	t.Parallel()
	seeds := seeds(200)["growing"]
	for field, b := range []struct{ lo, hi, hashHi int }{{0, 59, 59}, {0, 23, 23}, {1, 31, 28}, {1, 12, 12}, {0, 7, 6}} {
		t.Run([]string{"minute", "hour", "day of month", "month", "day of week"}[field], func(t *testing.T) {
			t.Parallel()
			spec := func(text string) string {
				f := []string{"0", "0", "*", "*", "*"}
				f[field] = text
				return strings.Join(f, " ")
			}
			check := func(text string, lo, hi, step, names int) {
				for _, seed := range seeds[:names] {
					set := values(t, resolve(t, spec(text), seed), field)
					off := bits.TrailingZeros64(set)
					require.True(t, off >= lo && off < lo+step && bits.Len64(set)-1 <= hi, "%s: %b", text, set)
					var want uint64
					for v := off; v <= hi; v += step {
						want |= 1 << v
					}
					require.Equal(t, want, set, text)
				}
			}
			width := b.hashHi - b.lo + 1
			for n := 2; n <= width; n++ {
				check(fmt.Sprintf("H/%d", n), b.lo, b.hashHi, n, 200)
			}
			_, err := schedule.Parse(spec(fmt.Sprintf("H/%d", width+1)), nil, seeds[0])
			require.Error(t, err)
			names := 200
			switch { // minutes have 35,990 stepped ranges
			case b.hi == 59:
				names = 1
			case b.hi > 12:
				names = 8
			case b.hi == 12:
				names = 50
			}
			for lo := b.lo; lo <= b.hi; lo++ {
				for hi := lo; hi <= b.hi; hi++ {
					for _, seed := range seeds[:names] {
						set := values(t, resolve(t, spec(fmt.Sprintf("H(%d-%d)", lo, hi)), seed), field)
						require.Equal(t, 1, bits.OnesCount64(set))
						require.True(t, bits.TrailingZeros64(set) >= lo && bits.TrailingZeros64(set) <= hi)
					}
					for n := 2; n <= hi-lo+1; n++ {
						check(fmt.Sprintf("H(%d-%d)/%d", lo, hi, n), lo, hi, n, names)
					}
					_, err := schedule.Parse(spec(fmt.Sprintf("H(%d-%d)/%d", lo, hi, max(2, hi-lo+2))), nil, seeds[0])
					require.Error(t, err)
				}
			}
		})
	}
}

// Property 10: what does not matter changes nothing.
func TestHashIgnoresBlanks(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(50)["growing"] {
		assert.Equal(t, resolve(t, "H H,H * * *", seed), resolve(t, "\tH  H,H\t*  * * ", seed))
		assert.NotEqual(t, resolve(t, "H(0-29),H(30-59) * * * *", seed), resolve(t, "H * * * *", seed))
	}
}

// Property 7, for the items of a list: each draws for itself.
func TestHashItemsDrawApart(t *testing.T) {
	t.Parallel()
	different := 0
	for _, seed := range seeds(600)["growing"] {
		field := strings.Fields(resolve(t, "H,H * * * *", seed))[0]
		a, b, _ := strings.Cut(field, ",")
		assert.Equal(t, a, strings.Fields(resolve(t, "H,17 * * * *", seed))[0][:len(a)], "a later item moves no earlier one")
		if a != b {
			different++
		}
	}
	assert.Greater(t, different, 560)
}

// Property 11: H is the number it stands for, clock changes included.
func TestHashEqualsItsNumbers(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Europe/Paris"} {
		where := location(t, zone)
		for _, spec := range append(hashedSpecs, "H 2 * * *", "H(0-29) 2,3 * * *", "H/7 2 * * *", "30 H(1-3) * * *") {
			for _, seed := range seeds(20)["growing"] {
				s, err := schedule.Parse(spec, where, seed)
				require.NoError(t, err)
				plain, err := schedule.Parse(s.Resolved(), where, schedule.Seed{})
				require.NoError(t, err)
				assert.False(t, plain.Hashed())
				for _, from := range []string{"2026-03-28T12:00:00+01:00", "2026-10-24T12:00:00+02:00"} {
					at := instant(t, from)
					for range 5 {
						next := s.Next(at)
						require.Equal(t, plain.Next(at), next)
						at = next
					}
				}
			}
		}
	}
}

// Property 12: the gap across the hour of H/n is what is left of it.
func TestHashStepAcrossTheHour(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(100)["growing"] {
		five, err := schedule.Parse("H/5 * * * *", nil, seed)
		require.NoError(t, err)
		at := five.Next(instant(t, "2026-01-01T00:00:00Z"))
		for range 30 {
			next := five.Next(at)
			require.Equal(t, 5*time.Minute, next.Sub(at))
			at = next
		}
		set := values(t, resolve(t, "H/7 * * * *", seed), 0)
		across := 60 + bits.TrailingZeros64(set) - (bits.Len64(set) - 1)
		assert.Contains(t, []int{4, 11}, across)
	}
}

// Property 13: a name with an H in it is a name.
func TestHashIsNoName(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"0 0 * * THU", "0 0 * * thu", "0 0 * * Thu-Sat", "0 0 1 MARCH *", "0 0 * * 1,THU", "0 0 1 mar *"} {
		s, err := schedule.Parse(spec, nil, schedule.NewSeed("p", "a", "c"))
		if spec == "0 0 1 MARCH *" {
			assert.Error(t, err)
			continue
		}
		require.NoError(t, err)
		assert.False(t, s.Hashed())
	}
}

// Property 14: any bytes make a name.
func TestHashTakesAnyName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	names := []string{"", " ", "a/b", "a\x00b", "caf\u00e9", "cafe\u0301", "\xff\xfe", strings.Repeat("x", 10_000), strings.Repeat("x", 9_999)}
	for _, name := range names {
		seed := schedule.NewSeed("", "", name)
		first := resolve(t, "H H H H *", seed)
		assert.Equal(t, first, resolve(t, "H H H H *", seed))
		seen[first] = true
	}
	assert.Len(t, seen, len(names), "spellings are compared as bytes")
	s, err := schedule.Parse("H * * * *", nil, schedule.NewSeed("", "", ""))
	require.NoError(t, err)
	assert.False(t, s.Open(), "empty names are names")
}

// An H may land on a day that the months lack; a plain spec like that is
// refused, and so is this one.
func TestHashThatNeverFires(t *testing.T) {
	t.Parallel()
	good, bad := 0, 0
	for _, seed := range seeds(100)["growing"] {
		if _, err := schedule.Parse("0 0 H(29-31) 2 *", nil, seed); err != nil {
			assert.ErrorContains(t, err, "H makes it 0 0 3")
			bad++
		} else {
			good++
		}
	}
	assert.Positive(t, good)
	assert.Positive(t, bad)
	open, err := schedule.Parse("0 0 H(29-31) 2 *", nil, schedule.Seed{})
	require.NoError(t, err)
	assert.Equal(t, "2028-02-29T00:00:00Z", open.Next(instant(t, "2026-01-01T00:00:00Z")).Format(time.RFC3339))
}

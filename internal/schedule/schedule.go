// Package schedule turns a cron spec into a Schedule: when it is due, and what
// it means in words. It knows the five fields, names, aliases, H and @every,
// and how a clock change moves an occurrence. It starts nothing, keeps nothing
// and reads no clock.
//
// robfig/cron's parser produces the sets of values behind a spec, from text
// that was checked here first. This package is its only importer.
package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a spec that was understood, in its zone. It never changes and may
// be used from many goroutines. Make one with [Parse].
type Schedule struct {
	spec     string
	resolved string
	zone     *time.Location
	every    int64 // seconds; 0: the fields count
	fields   fields
	items    [5][]item // as they are due, H already drawn unless open
	hashed   bool
	open     bool
	spans    []span // of an open schedule
}

// String returns the spec as it was written.
func (s *Schedule) String() string { return s.spec }

// Zone returns the zone in which the spec's times are meant. Never nil.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Every returns the interval of an @every spec; false for any other. Its
// occurrences are the multiples of the interval since 1970-01-01T00:00:00Z, so
// that every agent and every restart agree. Platform crons know no @every:
// who reads one must refuse it.
func (s *Schedule) Every() (time.Duration, bool) {
	return time.Duration(s.every) * time.Second, s.every > 0
}

// Hashed reports whether the spec holds an H.
func (s *Schedule) Hashed() bool { return s.hashed }

// Open reports whether the spec holds an H and the seed was unknown, so that
// only ranges of time can be told: see [Schedule.Windows].
func (s *Schedule) Open() bool { return s.open }

// Resolved returns the spec with every H replaced by the numbers it stands for.
// It is due exactly when the original is. Without H, or while H stands open, it
// is the spec as written.
func (s *Schedule) Resolved() string { return s.resolved }

// resolve draws the values of H and fills in everything that follows from the
// items. For an unknown seed H stands for all it could be.
func (s *Schedule) resolve(parts []part, seed Seed) error {
	for i, items := range s.items {
		for n := range items {
			if !items[n].hashed {
				continue
			}
			s.hashed = true
			s.open = !seed.known
			if seed.known {
				items[n].draw(&columns[i], n, seed)
			}
		}
	}
	text := func(field int) string {
		var b []byte
		for n, it := range s.items[field] {
			if n > 0 {
				b = append(b, ',')
			}
			b = append(b, it.text...)
		}
		return string(b)
	}
	if s.hashed && !s.open {
		s.resolved = strings.Join([]string{text(0), text(1), text(2), text(3), text(4)}, " ")
	}
	canonical := make([]byte, 0, 2*len(s.spec)+40)
	for i, items := range s.items {
		for n := range items {
			if n > 0 {
				canonical = append(canonical, ',')
			}
			canonical = items[n].canonical(canonical, &columns[i])
		}
		canonical = append(canonical, ' ')
	}
	parsed, err := masks.Parse(string(canonical))
	if err != nil {
		return &Error{Spec: s.spec, Problem: err.Error()}
	}
	m := parsed.(*cron.SpecSchedule)
	starts := func(field int) bool { return parts[field].text[0] == '*' }
	s.fields = fields{
		minute: m.Minute & (1<<60 - 1),
		hour:   uint32(m.Hour & (1<<24 - 1)),
		dom:    uint32(m.Dom & (1<<32 - 2)),
		month:  uint32(m.Month & (1<<13 - 2)),
		dow:    uint32(m.Dow & (1<<7 - 1)),
		either: !starts(domField) && !starts(dowField),
		wild:   starts(minuteField) || starts(hourField),
	}
	s.fields.finish()
	if !s.fields.possible() {
		date, months := text(domField), text(monthField)
		lacks := fmt.Sprintf("no month in %s has a day %s", clip(months, 40), clip(date, 40))
		e := &Error{
			Spec: s.spec, Field: columns[domField].name, Offset: parts[domField].offset,
			Never:   true,
			Problem: "it never fires: " + lacks,
			Hint:    "choose a day that one of the months has; the last day of every month is the day before the 1st",
		}
		if date != parts[domField].text || months != parts[monthField].text {
			e.Problem = fmt.Sprintf("it never fires: H makes it %s, and %s", clip(s.resolved, 80), lacks)
			e.Hint = "keep H for the day within H(1-28), or choose months that have the day"
		}
		return e
	}
	if s.open {
		s.spans = s.split()
	}
	return nil
}

// mask returns the set of values that text in robfig's dialect stands for.
func mask(field int, text string) uint64 {
	if text == "" {
		return 0
	}
	parts := [5]string{"*", "*", "*", "*", "*"}
	parts[field] = text
	parsed, err := masks.Parse(strings.Join(parts[:], " "))
	if err != nil {
		return 0 // unreachable: the whole spec has been through the same parser
	}
	m := parsed.(*cron.SpecSchedule)
	return [5]uint64{m.Minute, m.Hour, m.Dom, m.Month, m.Dow}[field] &^ (1 << 63)
}

// draw turns an H item into the plain one it stands for.
func (it *item) draw(f *field, n int, seed Seed) {
	it.ranged = false
	if it.step == 0 {
		it.lo += seed.draw(f.name, n, it.hi-it.lo+1)
		it.hi = it.lo
	} else {
		it.lo += seed.draw(f.name, n, it.step)
		if it.lo+it.step > it.hi { // one value only
			it.hi, it.step = it.lo, 0
		} else {
			it.ranged = true
		}
	}
	it.hashed = false
	it.text = strconv.Itoa(it.lo)
	if it.ranged {
		it.text = fmt.Sprintf("%d-%d/%d", it.lo, it.hi, it.step)
	}
}

// canonical appends an item as robfig's parser can read it, which knows no 7 as
// Sunday and no H. An open H becomes all the values it could stand for.
func (it *item) canonical(b []byte, f *field) []byte {
	lo, hi, step := it.lo, it.hi, max(it.step, 1)
	switch {
	case it.hashed:
		step = 1
	case !it.ranged && it.step > 0:
		hi = max(hi, f.last()) // 5/15 is 5-59/15
	}
	if hi <= f.last() {
		b = strconv.AppendInt(b, int64(lo), 10)
		if hi > lo {
			b = strconv.AppendInt(append(b, '-'), int64(hi), 10)
		}
		if step > 1 && hi > lo {
			b = strconv.AppendInt(append(b, '/'), int64(step), 10)
		}
		return b
	}
	for d := lo; d <= hi; d += step {
		if d > lo {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(d%7), 10)
	}
	return b
}

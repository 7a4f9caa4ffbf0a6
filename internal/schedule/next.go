package schedule

import (
	"math"
	"math/bits"
	"time"
)

// The calendar below counts wall minutes: minutes from 1970-01-01T00:00 as a
// wall clock shows them, whatever the zone. A wall minute becomes an instant by
// subtracting the offset in force.

const (
	secondsPerMinute = 60
	minutesPerHour   = 60
	minutesPerDay    = 24 * minutesPerHour

	// catchUp is how far Vixie's cron follows a jump of the wall clock: fixed
	// jobs inside a shorter gap run at its end, those inside a shorter overlap
	// run once. A longer jump starts afresh.
	catchUp = 3 * minutesPerHour

	// settled is the time without a transition after which a wall clock that
	// was set back has surely caught up with what was served before: catchUp,
	// and a minute because a transition need not fall on a full minute.
	settled = (catchUp + 1) * secondsPerMinute

	// maxOffset is further from UTC than any zone: the tz database stays below
	// 16 hours, and POSIX allows less than 25.
	maxOffset = 25 * minutesPerHour * secondsPerMinute

	firstSecond = -62135596800 // 0001-01-01T00:00:00Z, the zero time.Time
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
	lastDay     = 2932896      // 9999-12-31, in days since 1970-01-01
	never       = (lastDay + 1) * minutesPerDay
)

// fields holds the values at which a spec is due, one bit for each.
type fields struct {
	minute uint64
	hour   uint32
	dom    uint32 // bits 1 to 31
	month  uint32 // bits 1 to 12
	dow    uint32 // bits 0 to 6, Sunday first

	either   bool // day of month and day of week are both restricted: one match is enough
	wild     bool // minute or hour starts with *: follows real time across clock changes
	everyDay bool
	sparse   bool  // due on few days of a year
	first    int64 // minute of the day
}

// finish derives the fields that save Next work.
func (f *fields) finish() {
	f.everyDay = f.month == 0x1ffe && (f.dom == 0xfffffffe && f.dow == 0x7f ||
		f.either && (f.dom == 0xfffffffe || f.dow == 0x7f))
	f.sparse = !f.either && bits.OnesCount32(f.dom)*bits.OnesCount32(f.month) <= 62
	f.first = int64(bits.TrailingZeros32(f.hour)*minutesPerHour + bits.TrailingZeros64(f.minute))
}

// possible reports whether the calendar has a day for f. When either field
// suffices a weekday always comes; when both are needed each date, 29 February
// included, falls on every weekday within 400 years.
func (f *fields) possible() bool {
	if f.either {
		return true
	}
	for m := 1; m <= 12; m++ {
		if f.month&(1<<m) != 0 && f.dom&(1<<(monthLength(2000, m)+1)-1) != 0 {
			return true
		}
	}
	return false
}

// Next returns the first occurrence strictly after the given instant, in the
// schedule's zone and on a full minute of its wall clock (@every: a full
// second). It depends on nothing but spec, zone and instant.
//
// Clock changes are treated as Vixie's cron does. A spec whose minute or hour
// starts with * follows real time: what a gap skips is not run, what an overlap
// repeats is run again. Any other spec runs exactly once: at the end of the
// gap that skips it, in the first pass of an overlap. Days are those of the
// time as written, not of the moment it moves to. Jumps of more than three
// hours (the day that Samoa skipped) lose what lies inside.
//
// The zero time means that nothing is due up to the end of the year 9999. An
// instant before the year 1 counts as its beginning.
//
// For an Open schedule it is the earliest instant at which H may be due.
func (s *Schedule) Next(after time.Time) time.Time {
	sec := after.Unix()
	if sec >= lastSecond {
		return time.Time{}
	}
	sec = max(sec, firstSecond)
	var t int64
	if s.every > 0 {
		t = (floorDiv(sec, s.every) + 1) * s.every
	} else {
		t = s.fields.after(sec, s.zone)
	}
	if t > lastSecond {
		return time.Time{}
	}
	return time.Unix(t, 0).In(s.zone)
}

// after returns the first occurrence after the instant sec, or something
// beyond lastSecond.
//
// It walks the stretches of constant offset. served is the latest wall minute
// that has had its turn; it runs ahead of the clock only after an overlap.
func (f *fields) after(sec int64, zone *time.Location) int64 {
	var (
		from   = sec + 1
		served = int64(math.MinInt64)
		known  = false                // served is that of from-1
		base   = int64(math.MaxInt64) // nothing matches after base and before due
		asked  = from                 // when base was the wall minute
		due    int64
	)
	if f.sparse && zone != time.UTC {
		// Whatever the offset, the wall clock is within maxOffset of UTC. If
		// nothing is due around now, clock changes around now do not matter.
		now := floorDiv(sec, secondsPerMinute)
		base = now - 3*maxOffset/secondsPerMinute - 1
		if due = f.next(base + 1); due > now+3*maxOffset/secondsPerMinute {
			from = due*secondsPerMinute - 2*maxOffset
		}
	}
	for {
		s := stretchAt(from, zone)
		if !known {
			switch known = true; {
			case f.wild:
			case s.start < from-settled:
				served = floorDiv(from-1+s.offset, secondsPerMinute)
			default:
				served = servedAt(from-1, zone)
			}
		}
		begin := ceilDiv(from+s.offset, secondsPerMinute)
		if f.wild || jumped(served, begin) {
			served = begin - 1
		}
		if served < base || served >= due {
			base, asked, due = served, from, f.next(served+1)
		}
		if due >= never {
			return math.MaxInt64
		}
		t := max(due, begin)*secondsPerMinute - s.offset
		if t < s.end {
			return t
		}
		served = max(served, floorDiv(s.end-1+s.offset, secondsPerMinute))
		from = s.end
		// Once no clock change can bring back what was before base, nothing is
		// due until shortly before the due wall minute: leap over the
		// transitions in between.
		if near := due*secondsPerMinute - 2*maxOffset; near > from && from > asked+3*maxOffset {
			from, known = near, false
		}
	}
}

// servedAt returns the latest wall minute that has had its turn at the instant
// sec, as if cron had been running all along. It begins at a moment that no
// transition can have disturbed.
func servedAt(sec int64, zone *time.Location) int64 {
	at := sec
	s := stretchAt(at, zone)
	for s.start >= at-settled {
		at = s.start - 1
		s = stretchAt(at, zone)
	}
	served := floorDiv(at+s.offset, secondsPerMinute)
	for at < sec {
		s = stretchAt(at+1, zone)
		begin := ceilDiv(at+1+s.offset, secondsPerMinute)
		at = min(sec, s.end-1)
		end := floorDiv(at+s.offset, secondsPerMinute)
		switch {
		case begin > end: // no full minute in it
		case jumped(served, begin):
			served = end
		default:
			served = max(served, end)
		}
	}
	return served
}

// jumped reports whether the wall clock moved too far to be followed.
func jumped(served, now int64) bool {
	return now > served+catchUp || now < served-catchUp
}

// stretch is a span of time with one offset from UTC, all in seconds. It may
// end where the offset does not change.
type stretch struct{ offset, start, end int64 }

func stretchAt(sec int64, zone *time.Location) stretch {
	if zone == time.UTC {
		return stretch{0, math.MinInt64, math.MaxInt64}
	}
	t := time.Unix(sec, 0).In(zone)
	_, offset := t.Zone()
	s := stretch{int64(offset), math.MinInt64, math.MaxInt64}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		s.start = start.Unix()
	}
	if !end.IsZero() {
		s.end = end.Unix()
	}
	if s.end <= sec {
		// Beyond a zone's table package time takes every year for 365 days
		// long, so that on 31 December of a leap year the end has passed. What
		// it says holds until the new year in UTC.
		y, _, _ := civil(floorDiv(sec, minutesPerDay*secondsPerMinute))
		s.end = daysBefore(y+1, 1) * minutesPerDay * secondsPerMinute
	}
	return s
}

// next returns the first wall minute from n on that matches, at least never if
// there is none.
func (f *fields) next(n int64) int64 {
	day := floorDiv(n, minutesPerDay)
	found := f.nextDay(day)
	if found != day {
		return found*minutesPerDay + f.first
	}
	rest := int(n - day*minutesPerDay)
	hour, minute := rest/minutesPerHour, rest%minutesPerHour
	if f.hour&(1<<hour) != 0 {
		if later := f.minute >> minute; later != 0 {
			return n + int64(bits.TrailingZeros64(later))
		}
	}
	if later := f.hour >> (hour + 1); later != 0 {
		hour += 1 + bits.TrailingZeros32(later)
		return day*minutesPerDay + int64(hour*minutesPerHour+bits.TrailingZeros64(f.minute))
	}
	return f.nextDay(day+1)*minutesPerDay + f.first
}

// nextDay returns the first day from the given one on that matches, counted
// from 1970-01-01, or lastDay+1.
func (f *fields) nextDay(day int64) int64 {
	if f.everyDay {
		return min(day, lastDay+1)
	}
	y, m, d := civil(day)
	for y <= 9999 {
		if f.month&(1<<m) != 0 {
			first := daysBefore(y, m)
			if later := f.days(y, m, first) >> d; later != 0 {
				return first + int64(d-1+bits.TrailingZeros32(later))
			}
		}
		d = 1
		if later := f.month >> (m + 1); later != 0 {
			m += 1 + bits.TrailingZeros32(later)
		} else {
			y, m = y+1, bits.TrailingZeros32(f.month)
		}
	}
	return lastDay + 1
}

// days returns the matching days of a month as bits 1 to 31; first is the
// month's first day.
func (f *fields) days(y int64, m int, first int64) uint32 {
	all := uint32(1)<<monthLength(y, m)<<1 - 2
	if f.dow == 0x7f && !f.either {
		return f.dom & all
	}
	weekday := uint(floorMod(first+4, 7)) // 1970-01-01 was a Thursday
	week := (f.dow>>weekday | f.dow<<(7-weekday)) & 0x7f
	weekdays := (week | week<<7 | week<<14 | week<<21 | week<<28) << 1
	if f.either {
		return (f.dom | weekdays) & all
	}
	return f.dom & weekdays & all
}

func monthLength(y int64, m int) int {
	if m == 2 {
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (m+m>>3)&1
}

// The calendar repeats after an era of 400 years. A year here begins in March,
// so that the leap day is its last. Years and days count from 1 March of the
// year -400, so that they are positive and division is cheap.
const (
	yearsPerEra = 400
	daysPerEra  = 146097
	epoch       = daysPerEra + 719468 // 1970-01-01
)

// daysBefore returns the days from 1970-01-01 to the first of a month.
func daysBefore(year int64, month int) int64 {
	y, m := uint32(year+yearsPerEra), uint32(month)
	if m <= 2 {
		y--
		m += 12
	}
	era := y / yearsPerEra
	yoe := y % yearsPerEra
	return int64(era*daysPerEra+yoe*365+yoe/4-yoe/100+(153*(m-3)+2)/5) - epoch
}

// civil returns the date of a day counted from 1970-01-01.
func civil(day int64) (year int64, month, d int) {
	n := uint32(day + epoch)
	era := n / daysPerEra
	doe := n % daysPerEra
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year, month, d = int64(era*yearsPerEra+yoe)-yearsPerEra, int(mp)+3, int(doy-(153*mp+2)/5)+1
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, d
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func floorMod(a, b int64) int64 { return a - floorDiv(a, b)*b }

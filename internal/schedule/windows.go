package schedule

import (
	"math/bits"
	"slices"
	"sort"
	"time"
)

// Window is a span of time in which a schedule is due, both ends included. From
// and To are the same where the moment is known.
type Window struct{ From, To time.Time }

// Windows returns the next n windows, in the order in which they begin. Unless
// the schedule is open they are its next n occurrences.
//
// Of an open schedule each H has one window in each hour, day, week, month or
// year, whichever its field counts in, the lesser fields included: "H 5 * * *"
// is due between 05:00 and 05:59, "H H * * *" between 00:00 and 23:59. The
// first window may have begun before the given instant, and the occurrence in
// it may be past: nobody knows. A window that a clock change leaves without a
// moment is passed over.
func (s *Schedule) Windows(after time.Time, n int) []Window {
	var ws []Window
	if !s.open {
		for range n {
			if after = s.Next(after); after.IsZero() {
				break
			}
			ws = append(ws, Window{after, after})
		}
		return ws
	}
	for _, span := range s.spans {
		ws = append(ws, s.windows(span, after, n)...)
	}
	// Not slices.SortFunc: one for each type of element is 20 KB of the binary.
	sort.Slice(ws, func(i, j int) bool {
		if c := ws[i].From.Compare(ws[j].From); c != 0 {
			return c < 0
		}
		return ws[i].To.Before(ws[j].To)
	})
	ws = slices.CompactFunc(ws, func(a, b Window) bool { return a.From.Equal(b.From) && a.To.Equal(b.To) })
	return ws[:max(0, min(n, len(ws)))]
}

// span is one H with a choice, or what of a spec has none left.
type span struct {
	fields fields
	period period
}

// period is the time in which an H has one window.
type period int

const (
	moment period = iota // none: every match is a window of its own
	hourly
	daily
	weekly       // from Sunday to Saturday
	weeklyMonday // from Monday to Sunday written as 7
	monthly
	yearly
)

// bounds returns the period around a wall minute, as [begin, end).
func (p period) bounds(n int64) (begin, end int64) {
	day := floorDiv(n, minutesPerDay)
	y, m, d := civil(day)
	first, length := day, int64(1)
	switch p {
	case moment:
		return n, n + 1
	case hourly:
		begin = floorDiv(n, minutesPerHour) * minutesPerHour
		return begin, begin + minutesPerHour
	case daily:
	case weekly:
		first, length = day-floorMod(day+4, 7), 7
	case weeklyMonday:
		first, length = day-floorMod(day+3, 7), 7
	case monthly:
		first, length = day-int64(d-1), int64(monthLength(y, m))
	case yearly:
		first = daysBefore(y, 1)
		length = daysBefore(y+1, 1) - first
	}
	return first * minutesPerDay, (first + length) * minutesPerDay
}

// split takes an open schedule apart: from the greatest field to the least,
// each H makes a span in which the lesser fields are as wide as they can be,
// and what is known of the field goes on to the next.
func (s *Schedule) split() []span {
	var spans []span
	rest := s.fields
	add := func(f fields, p period) {
		f.finish()
		if f.possible() {
			spans = append(spans, span{f, p})
		}
	}

	known, slots := s.slots(monthField)
	for _, slot := range slots {
		f := rest
		f.month = uint32(slot.mask)
		add(f, yearly)
	}
	if rest.month = uint32(known); known == 0 {
		return spans
	}

	const anyDate, anyWeekday = 1<<32 - 2, 1<<7 - 1
	dates, dateSlots := s.slots(domField)
	weekdays, weekdaySlots := s.slots(dowField)
	for _, slot := range dateSlots {
		f := rest
		f.dom = uint32(slot.mask)
		if rest.either {
			f.dow, f.either = anyWeekday, false
		}
		add(f, monthly)
	}
	for _, slot := range weekdaySlots {
		f := rest
		f.dow = uint32(slot.mask)
		f.dom = uint32(dates)
		if rest.either {
			f.dom, f.either = anyDate, false
		}
		week := weekly
		if slot.hi == 7 && slot.lo > 0 {
			week = weeklyMonday
		}
		add(f, week)
	}
	switch {
	case dates == 0 && weekdays == 0, !rest.either && (dates == 0 || weekdays == 0):
		return spans
	case dates == 0:
		dates, rest.either = anyDate, false
	case weekdays == 0:
		weekdays, rest.either = anyWeekday, false
	}
	rest.dom, rest.dow = uint32(dates), uint32(weekdays)

	known, slots = s.slots(hourField)
	for _, slot := range slots {
		f := rest
		f.hour = uint32(slot.mask)
		add(f, daily)
	}
	if rest.hour = uint32(known); known == 0 {
		return spans
	}

	known, slots = s.slots(minuteField)
	for _, slot := range slots {
		f := rest
		f.minute = slot.mask
		add(f, hourly)
	}
	if rest.minute = known; known != 0 {
		add(rest, moment)
	}
	return spans
}

// slot is a range of which H takes one value.
type slot struct {
	lo, hi int
	mask   uint64
}

// slots returns the values of a field that are known, and the ranges that are not.
func (s *Schedule) slots(field int) (known uint64, slots []slot) {
	f := &columns[field]
	var text []byte
	for _, it := range s.items[field] {
		if !it.hashed {
			if text != nil {
				text = append(text, ',')
			}
			text = it.canonical(text, f)
			continue
		}
		width := it.step
		if width == 0 {
			width = it.hi - it.lo + 1
		}
		for lo := it.lo; lo <= it.hi; lo += width {
			piece := item{lo: lo, hi: min(lo+width-1, it.hi), ranged: true}
			slots = append(slots, slot{piece.lo, piece.hi, mask(field, string(piece.canonical(nil, f)))})
		}
	}
	return mask(field, string(text)), slots
}

// windows returns the next n windows of one span.
func (s *Schedule) windows(sp span, after time.Time, n int) []Window {
	var ws []Window
	sec := min(max(after.Unix(), firstSecond), lastSecond)
	if sp.period == moment {
		for len(ws) < n {
			if sec = sp.fields.after(sec, s.zone); sec > lastSecond {
				break
			}
			t := time.Unix(sec, 0).In(s.zone)
			ws = append(ws, Window{t, t})
		}
		return ws
	}
	wall := floorDiv(sec+stretchAt(sec, s.zone).offset, secondsPerMinute)
	begin, _ := sp.period.bounds(wall)
	begin, _ = sp.period.bounds(begin - 1) // a clock change may have moved the end of that one past now
	for len(ws) < n {
		from := sp.fields.next(begin)
		if from >= never {
			break
		}
		_, end := sp.period.bounds(from)
		first, last := s.instants(sp.fields.wild, from, sp.fields.lastBefore(end))
		if first <= last && last > sec && last <= lastSecond {
			ws = append(ws, Window{time.Unix(first, 0).In(s.zone), time.Unix(last, 0).In(s.zone)})
		}
		begin = end
	}
	return ws
}

// lastBefore returns the last match before a wall minute; there must be one.
func (f *fields) lastBefore(end int64) int64 {
	day := floorDiv(end-1, minutesPerDay)
	for ; ; day-- {
		if f.nextDay(day) != day {
			continue
		}
		for hours := f.hour; hours != 0; {
			hour := bits.Len32(hours) - 1
			hours &^= 1 << hour
			n := day*minutesPerDay + int64(hour*minutesPerHour+bits.Len64(f.minute)-1)
			if n < end {
				return n
			}
		}
	}
}

// instants returns the real time between two wall minutes, as wide as clock
// changes can make it; first is after last if they leave nothing of it.
func (s *Schedule) instants(wild bool, from, to int64) (first, last int64) {
	first, _ = reached(from, s.zone)
	if !wild {
		last, wall := reached(to, s.zone)
		if wall > to+catchUp {
			return 1, 0
		}
		return first, last
	}
	for at := to*secondsPerMinute + maxOffset; ; {
		st := stretchAt(at, s.zone)
		last = min(to, floorDiv(at+st.offset, secondsPerMinute))*secondsPerMinute - st.offset
		if last >= st.start {
			return first, last
		}
		at = st.start - 1
	}
}

// reached returns the first full minute at which the wall clock shows n or more,
// and what it shows.
func reached(n int64, zone *time.Location) (sec, wall int64) {
	for at := n*secondsPerMinute - maxOffset; ; {
		st := stretchAt(at, zone)
		wall = max(n, ceilDiv(at+st.offset, secondsPerMinute))
		if sec = wall*secondsPerMinute - st.offset; sec < st.end {
			return sec, wall
		}
		at = st.end
	}
}

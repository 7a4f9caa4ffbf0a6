package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Describe says in plain words when the schedule is due: "at 05:17 every day,
// Europe/Paris time". H is told as the numbers it stands for. While it stands
// open, a second sentence says what it chooses.
func (s *Schedule) Describe() string {
	if s.every > 0 {
		return "every " + interval(s.every) + ", counted from 1970-01-01 00:00 UTC"
	}
	w := words{s}
	text := w.time()
	switch day := w.day(); {
	case strings.HasPrefix(day, ","):
		text += day
	case day != "":
		text += " " + day
	}
	switch zone := s.zone.String(); {
	case text == "every minute": // the same in every zone
	case zone == "Local":
		text += ", local time"
	case zone == "UTC":
		text += ", UTC"
	default:
		text += ", " + zone + " time"
	}
	var chosen []string
	for i, name := range [...]string{"the minute", "the hour", "the day", "the month", "the day of the week"} {
		if w.open(i) {
			chosen = append(chosen, name)
		}
	}
	if chosen != nil {
		text += ". H chooses " + join(chosen, "and")
	}
	return text
}

// interval writes seconds in the largest units that fit.
func interval(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	var parts []string
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		n := d / unit.is
		d -= n * unit.is
		switch {
		case n == 1 && d == 0 && len(parts) == 0:
			return unit.name
		case n == 1:
			parts = append(parts, "1 "+unit.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, unit.name))
		}
	}
	return join(parts, "and")
}

// words writes one schedule's fields.
type words struct{ s *Schedule }

// open reports whether a field holds an H that stands open.
func (w words) open(field int) bool {
	for _, it := range w.s.items[field] {
		if it.hashed {
			return true
		}
	}
	return false
}

const maxTimes = 6 // more times of day than this are not listed one by one

// time says at which times of the day.
func (w words) time() string {
	minutes, hours := values(w.s.fields.minute), values(uint64(w.s.fields.hour))
	if w.open(minuteField) || w.open(hourField) {
		return w.openTime(minutes, hours)
	}
	every, step, hourStep := everyMinutes(minutes), distance(minutes), distance(hours)
	first, last := clock(hours[0], minutes[0]), clock(hours[len(hours)-1], minutes[len(minutes)-1])
	switch {
	case len(minutes)*len(hours) <= maxTimes, len(hours) == 1 && step == 0:
		var times []string
		for _, h := range hours {
			for _, m := range minutes {
				times = append(times, clock(h, m))
			}
		}
		return "at " + join(times, "and")
	case every != "" && len(hours) == 24:
		return every
	case every != "" && (hourStep == 1 || len(hours) == 1):
		return fmt.Sprintf("%s from %s to %s", every, first, last)
	case every != "":
		return every + " of " + hourList(hours)
	case len(hours) == 1 && step == 1:
		return fmt.Sprintf("every minute from %s to %s", first, last)
	case len(hours) == 1:
		return fmt.Sprintf("every %d minutes from %s to %s", step, first, last)
	case len(minutes) == 1 && minutes[0] == 0 && len(hours) == 24:
		return "every hour on the hour"
	case len(minutes) == 1 && len(hours) < 24 && hourStep == 1:
		return fmt.Sprintf("every hour from %s to %s", first, last)
	case len(minutes) == 1 && hourStep > 1:
		return fmt.Sprintf("every %d hours from %s to %s", hourStep, first, last)
	}
	return minutesPast(minutes) + " " + hourList(hours)
}

// everyMinutes names minutes that go evenly round the hour, or nothing.
func everyMinutes(minutes []int) string {
	step := distance(minutes)
	switch {
	case len(minutes) == 60:
		return "every minute"
	case step > 0 && step*len(minutes) == 60 && minutes[0] == 0:
		return fmt.Sprintf("every %d minutes", step)
	}
	return ""
}

// minutesPast says "at 5 and 20 minutes past"; what follows is the hours.
func minutesPast(minutes []int) string {
	step := distance(minutes)
	switch {
	case len(minutes) == 1 && minutes[0] == 1:
		return "at 1 minute past"
	case len(minutes) <= maxTimes || step == 0:
		return "at " + join(numbers(minutes), "and") + " minutes past"
	case step == 1:
		return fmt.Sprintf("every minute from %d to %d minutes past", minutes[0], minutes[len(minutes)-1])
	}
	return fmt.Sprintf("every %d minutes from %d to %d minutes past", step, minutes[0], minutes[len(minutes)-1])
}

// hourList says which hours: "every hour from 9 to 17".
func hourList(hours []int) string {
	step, last := distance(hours), hours[len(hours)-1]
	switch {
	case len(hours) == 24:
		return "every hour"
	case len(hours) == 1:
		return fmt.Sprintf("the hour %d", last)
	case step == 1 && len(hours) > 2:
		return fmt.Sprintf("every hour from %d to %d", hours[0], last)
	case step > 1 && len(hours) > 3:
		return fmt.Sprintf("every %s hour from %d to %d", ordinal(step), hours[0], last)
	}
	return "the hours " + join(numbers(hours), "and")
}

// openTime says what is known of the time while H stands open in it.
func (w words) openTime(minutes, hours []int) string {
	m, onlyMinute := w.single(minuteField)
	h, onlyHour := w.single(hourField)
	openMinute, openHour := w.open(minuteField), w.open(hourField)
	onceInHour := onlyMinute && m.step == 0
	onceInDay := onlyHour && h.step == 0
	whole := m.lo == 0 && m.hi == 59
	switch {
	case onceInHour && onceInDay:
		return fmt.Sprintf("once between %s and %s", clock(h.lo, m.lo), clock(h.hi, m.hi))
	case onceInHour && !openHour && len(hours) == 1:
		return fmt.Sprintf("once between %s and %s", clock(hours[0], m.lo), clock(hours[0], m.hi))
	case onceInHour && !openHour && len(hours) == 24 && whole:
		return "once every hour"
	case onceInHour && !openHour && whole:
		return "once in " + strings.Replace(hourList(hours), "the hours", "each of the hours", 1)
	case onceInHour && !openHour:
		return fmt.Sprintf("once between %d and %d minutes past %s", m.lo, m.hi, hourList(hours))
	case onceInDay && !openMinute && len(minutes) == 1:
		return fmt.Sprintf("once between %s and %s", clock(h.lo, minutes[0]), clock(h.hi, minutes[0]))
	case onlyMinute && !openHour && whole && len(hours) == 24:
		return fmt.Sprintf("every %d minutes", m.step)
	}
	var text string
	switch {
	case onlyMinute && m.step > 0 && whole:
		text = fmt.Sprintf("every %d minutes of", m.step)
	case onlyMinute && m.step > 0:
		text = fmt.Sprintf("every %d minutes from %d to %d minutes past", m.step, m.lo, m.hi)
	case onceInHour && whole:
		text = "once in"
	case openMinute:
		text = "at " + w.choice(minuteField, "minute") + " past"
	case everyMinutes(minutes) != "":
		text = everyMinutes(minutes) + " of"
	default:
		text = minutesPast(minutes)
	}
	if openHour {
		return text + " " + w.choice(hourField, "hour")
	}
	return text + " " + hourList(hours)
}

// single returns the item of a field that is nothing but one open H.
func (w words) single(field int) (item, bool) {
	items := w.s.items[field]
	return items[0], len(items) == 1 && items[0].hashed
}

// choice says what the items of a field are while H stands open in some: "one
// hour between 0 and 23", "every 10th day up to the 28th", "hour 4".
func (w words) choice(field int, unit string) string {
	f := &columns[field]
	var parts []string
	var known []byte
	for _, it := range w.s.items[field] {
		lo, hi := valueName(field, it.lo), valueName(field, it.hi)
		switch {
		case !it.hashed:
			if known != nil {
				known = append(known, ',')
			}
			known = it.canonical(known, f)
		case it.step > 0 && it.lo == f.lo && it.hi == f.hashHi:
			parts = append(parts, fmt.Sprintf("every %s %s", ordinal(it.step), unit))
		case it.step > 0:
			parts = append(parts, fmt.Sprintf("every %s %s from %s to %s", ordinal(it.step), unit, lo, hi))
		case field >= monthField && it.lo == f.lo && it.hi == f.hashHi:
			parts = append(parts, "one "+unit)
		default:
			parts = append(parts, fmt.Sprintf("one %s between %s and %s", unit, lo, hi))
		}
	}
	if known != nil {
		var names []string
		for _, v := range values(mask(field, string(known))) {
			names = append(names, valueName(field, v))
		}
		if field < domField {
			names[0] = unit + " " + names[0]
		}
		parts = append(parts, names...)
	}
	return join(parts, "and")
}

// valueName writes one value as a reader knows it.
func valueName(field, v int) string {
	switch field {
	case domField:
		return "the " + ordinal(v)
	case monthField:
		return time.Month(v).String()
	case dowField:
		return time.Weekday(v % 7).String()
	}
	return strconv.Itoa(v)
}

// day says on which days, or nothing if a time of every hour of every day has
// been told.
func (w words) day() string {
	f := &w.s.fields
	months, date, weekday := w.months(), w.dates(), w.weekdays()
	switch {
	case date == "" && weekday == "", f.either && (date == "" || weekday == ""):
		allDay := bits.OnesCount32(f.hour) == 24 && !w.open(hourField)
		switch {
		case allDay:
			return months
		case months == "":
			return "every day"
		}
		return "every day " + months
	case weekday == "" && f.dom == 1<<29 && f.month == 1<<2:
		return date + w.ofMonths() + ", in leap years"
	case weekday == "":
		return date + w.ofMonths()
	case date == "":
		return strings.TrimSuffix(weekday+" "+months, " ")
	case f.either:
		return strings.TrimSuffix(date+w.ofMonths()+", and also "+strings.TrimPrefix(weekday, ", ")+" "+months, " ")
	}
	return date + w.ofMonths() + ", but only " + strings.TrimPrefix(weekday, ", ")
}

// months says "in January and July", or nothing for all.
func (w words) months() string {
	if w.open(monthField) {
		return "in " + w.choice(monthField, "month")
	}
	switch months := values(uint64(w.s.fields.month)); {
	case len(months) == 12:
		return ""
	case distance(months) == 1 && len(months) > 2:
		return fmt.Sprintf("from %s to %s", time.Month(months[0]), time.Month(months[len(months)-1]))
	default:
		var names []string
		for _, m := range months {
			names = append(names, time.Month(m).String())
		}
		return "in " + join(names, "and")
	}
}

// ofMonths says " of January and July" or " of every month".
func (w words) ofMonths() string {
	months := w.months()
	switch {
	case months == "":
		return " of every month"
	case strings.HasPrefix(months, "in "):
		return " of " + strings.TrimPrefix(months, "in ")
	}
	return " of every month " + months
}

// dates says "on the 1st and 15th", or nothing for all.
func (w words) dates() string {
	if w.open(domField) {
		return "on " + w.choice(domField, "day")
	}
	days := values(uint64(w.s.fields.dom))
	step, last := distance(days), ordinal(days[len(days)-1])
	switch {
	case len(days) == 31:
		return ""
	case step == 1 && len(days) > 2:
		return fmt.Sprintf("from the %s to the %s", ordinal(days[0]), last)
	case step > 1 && len(days) > 4:
		return fmt.Sprintf("on every %s day from the %s to the %s", ordinal(step), ordinal(days[0]), last)
	}
	var names []string
	for _, d := range days {
		names = append(names, ordinal(d))
	}
	return "on the " + join(names, "and")
}

// weekdays says "on Mondays" or ", Monday to Friday", or nothing for all.
func (w words) weekdays() string {
	if w.open(dowField) {
		return "on " + w.choice(dowField, "day of the week")
	}
	dow := w.s.fields.dow
	days := values(uint64(dow>>1 | dow<<6&0x40)) // from Monday on
	name := func(i int) string { return time.Weekday((days[i] + 1) % 7).String() }
	switch {
	case len(days) == 7:
		return ""
	case distance(days) == 1 && len(days) > 2:
		return fmt.Sprintf(", %s to %s", name(0), name(len(days)-1))
	}
	var names []string
	for i := range days {
		names = append(names, name(i)+"s")
	}
	return "on " + join(names, "and")
}

// values returns the set bits, lowest first.
func values(mask uint64) []int {
	var set []int
	for ; mask != 0; mask &= mask - 1 {
		set = append(set, bits.TrailingZeros64(mask))
	}
	return set
}

// distance returns the step between neighbours, 0 if it is not always the same
// or there are none.
func distance(set []int) int {
	if len(set) < 2 {
		return 0
	}
	step := set[1] - set[0]
	for i := range set[1:] {
		if set[i+1]-set[i] != step {
			return 0
		}
	}
	return step
}

func clock(hour, minute int) string { return fmt.Sprintf("%02d:%02d", hour, minute) }

func numbers(set []int) []string {
	var all []string
	for _, n := range set {
		all = append(all, strconv.Itoa(n))
	}
	return all
}

func ordinal(n int) string {
	suffix := "th"
	if n < 11 || n > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// join writes a list: "1, 2 and 3".
func join(items []string, and string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + and + " " + items[last]
}

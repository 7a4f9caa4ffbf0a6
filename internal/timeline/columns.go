package timeline

import "time"

// steps are how long columns may be, in minutes: what divides an hour, a day, or whole
// days.
var steps = []int{1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, perDay, 2 * perDay, 7 * perDay, 14 * perDay, 28 * perDay}

const perDay = 24 * 60

// columns divides a time into at most n columns, all of the shortest length with which
// that can be done.
func (p *Picture) columns(from, to time.Time, n int) {
	p.Now = from // for the zone
	for _, minutes := range steps {
		p.step = time.Duration(minutes) * time.Minute
		p.bounds = p.bounds[:0]
		for at := floor(from, minutes); len(p.bounds) <= n; at = floor(at, -minutes) {
			p.bounds = append(p.bounds, at.Unix())
			if !at.Before(to) {
				return
			}
		}
	}
}

// floor is where the column begins that an instant is in, or, if minutes are negative,
// the next one. Columns of up to an hour follow real time, longer ones the clock on the
// wall, so that days begin at midnight also if they have 23 or 25 hours.
func floor(t time.Time, minutes int) time.Time {
	next := 0
	if minutes < 0 {
		next, minutes = 1, -minutes
	}
	_, offset := t.Zone()
	seconds := minutes * 60
	real := t.Unix() + int64(offset) // what a clock in UTC would show
	real += int64(next*seconds) - ((real%int64(seconds))+int64(seconds))%int64(seconds) - int64(offset)
	at := time.Unix(real, 0).In(t.Location())
	if minutes <= 60 {
		return at
	}
	days, hours := 0, 0
	if minutes >= perDay {
		days = next * minutes / perDay
	} else {
		hours = (t.Hour()*60/minutes + next) * minutes / 60
	}
	wall := time.Date(t.Year(), t.Month(), t.Day()+days, hours, 0, 0, 0, t.Location())
	if next == 0 && wall.After(t) || next == 1 && !wall.After(t) { // midnight may come twice, or not at all
		if next == 0 {
			return t
		}
		return at
	}
	return wall
}

// changes finds the changes of the clock.
func (p *Picture) changes() {
	for at := p.From; ; {
		_, was := at.Zone()
		_, at = at.ZoneBounds()
		if at.IsZero() || !at.Before(p.To) {
			return
		}
		if _, is := at.Zone(); is != was {
			p.Changes = append(p.Changes, Change{at, is - was})
		}
	}
}

// label is a text above a column.
type label struct {
	column int
	text   string
}

// axis labels the columns: by days, or months where columns are long, and by times,
// or days. A column has room for so many hundredths of a character.
func (p *Picture) axis(room int) (days, times []label) {
	minutes := int(p.step / time.Minute)
	if minutes >= 720 {
		days = p.labels(room, []string{"January 2006", "Jan 2006", "Jan"}, func(t time.Time) int { return int(t.Month()) })
		if minutes <= 2*perDay {
			times = p.labels(room, []string{"2"}, func(t time.Time) int { _, week := t.ISOWeek(); return week })
		}
		return days, times
	}
	days = p.labels(room, []string{"Mon 2 Jan", "Mon 2", "2"}, time.Time.YearDay)
	for _, every := range []int{5, 10, 30, 60, 120, 180, 360, 720} {
		layout := "15"
		if every < 60 {
			layout = "15:04"
		}
		if every/minutes*room >= (len(layout)+1)*100 {
			return days, p.labels(room, []string{layout}, func(t time.Time) int { return (t.Day()*perDay + t.Hour()*60 + t.Minute()) / every })
		}
	}
	return days, nil
}

// labels label the columns with which a part of time begins, and the first one if it
// can be told in several ways: in the longest of the layouts for which there is room
// between them. At the edges shorter ones may do.
func (p *Picture) labels(room int, layouts []string, part func(time.Time) int) []label {
	n := len(p.bounds) - 1
	var at []int
	before := part(p.at(p.bounds[0] - 1))
	for i, bound := range p.bounds[:n] {
		this := part(p.at(bound))
		if this != before || i == 0 && len(layouts) > 1 {
			at = append(at, i)
		}
		before = this
	}
	at = append(at, n)
	fits := func(k int, layout string) (string, bool) {
		text := p.at(p.bounds[at[k]]).Format(layout)
		blank := 1
		if at[k+1] == n {
			blank = 0
		}
		return text, (at[k+1]-at[k])*room >= (len(text)+blank)*100
	}
	for k := 1; k < len(at)-2; k++ {
		for _, fit := fits(k, layouts[0]); !fit && len(layouts) > 1; _, fit = fits(k, layouts[0]) {
			layouts = layouts[1:]
		}
	}
	var all []label
	end := 0
	for k, column := range at[:len(at)-1] {
		for _, layout := range layouts {
			if text, fit := fits(k, layout); fit && column*room >= end {
				all = append(all, label{column, text})
				end = column*room + (len(text)+1)*100
				break
			}
		}
	}
	return all
}

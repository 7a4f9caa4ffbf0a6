// Package timeline is the picture of what fires when: crons as rows, time as
// columns, with what is due, what became of it, and what comes together. New
// computes it, Text, SVG and HTML draw it. It is pure: it knows no configuration, no
// ledger and no clock, and asks its crons for no more occurrences than can be seen.
//
// Names and other texts must be harmless on a terminal already: on one line, without
// control characters. What XML and HTML need beside that is done here. Instants are in
// seconds since 1970, but for those that are part of the JSON.
package timeline

import "time"

// Span is when one occurrence starts: some time from From to To. They are the same
// where the moment is known.
type Span struct{ From, To int64 }

// Cron is what a row is made from.
type Cron struct {
	Name string `json:"name"`
	// Scheduler is who runs it. Rows of one scheduler stand together, in the order in
	// which they are given.
	Scheduler string `json:"scheduler"`
	Spec      string `json:"spec"`
	// When is the spec in words; empty if it cannot be read.
	When string `json:"when"`
	// Off says why it is not acted on at all; empty if it is.
	Off string `json:"reason"`
	// Paused is when it is not acted on; zero: never. Pause says so in words: "paused
	// until …", and PauseReason why.
	Paused      Span   `json:"-"`
	Pause       string `json:"-"`
	PauseReason string `json:"pause_reason"`
	// Next returns the first occurrence that begins after an instant; the zero Span if
	// there is none, never one before that. First returns one that may start at the
	// instant or later, of those the one that begins first, or an earlier one. Nil, as
	// both are then: never due.
	Next, First func(int64) Span `json:"-"`
	// Runs are what is known of its past.
	Runs []*Run `json:"runs"`
}

// Run is one run of a cron.
type Run struct {
	ID string `json:"id"`
	// At is when it was due, or else when it began.
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
	Mark    Mark      `json:"-"`
	// Until is the last of several occurrences of which At is the first and that ended
	// in the same way; zero if it is one.
	Until time.Time `json:"-"`
	// Text says how it ended.
	Text string `json:"text"`
}

// Mark is how a run ended, as far as a picture tells. Of several in one place the
// greatest is shown.
type Mark int

// The marks. None is for where nothing ran.
const (
	None Mark = iota
	Skipped
	Good
	Waiting // it is under way, or was handed back
	Uncertain
	Missed
	Bad
)

// Options say which picture is wanted.
type Options struct {
	// From and To are what is to be seen at least, in the zone of the picture: it
	// begins and ends with whole columns.
	From, To time.Time
	// Now is marked if it is in the picture.
	Now time.Time
	// Columns are how many there may be, at least 24.
	Columns int
	// Title says of what the picture is.
	Title string
}

// MaxRows is how many crons a picture shows.
const MaxRows = 200

// maxCount is how many occurrences of one cron in one column are counted, and looked
// at for what comes together.
const maxCount = 120

// Picture is what is drawn. As JSON it says the same.
type Picture struct {
	Title string `json:"title"`
	// From, To and Now are in the zone of the picture.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Now  time.Time `json:"now"`
	// Timezone is the name of their zone.
	Timezone string `json:"timezone"`
	Rows     []*Row `json:"crons"`
	// Meetings are where several crons of one scheduler are due together, those of one
	// scheduler in the order of time.
	Meetings []*Meeting `json:"together"`
	// Changes are the changes of the clock.
	Changes []Change `json:"clock_changes"`
	// LeftOut is how many crons have no row, because there are too many.
	LeftOut int `json:"left_out"`

	// step is the length of a column by the clock on the wall; bounds are where columns
	// begin, and where the last one ends.
	step   time.Duration
	bounds []int64
	groups []*group
}

// Row is a cron, and when it is due.
type Row struct {
	Cron
	// NotActedOn says that it is not acted on at all, for the reason Off.
	NotActedOn bool `json:"not_acted_on"`
	// PausedUntil is the end of Paused; nil if there is none.
	PausedUntil *time.Time `json:"paused_until"`
	Due         []*Due     `json:"due"`
	// Upcoming are the first few occurrences after now, wherever the picture ends, as
	// if there were no pause.
	Upcoming []*Due `json:"next"`
	cells    []cell
	// before is an occurrence that began before the picture and may start in it; zero
	// if there is none.
	before Span
	// While columns are computed: the next occurrence; up to when an earlier one may
	// still start, and whether that one is acted on.
	next    Span
	carry   int64
	carried bool
}

// upcoming is how many occurrences Row.Upcoming has at the most.
const upcoming = 3

// cell is a cron in a column.
type cell struct {
	// count is how many occurrences begin in it; more says that there are more.
	count int
	more  bool
	// first and last are the first and last of those that were counted.
	first, last Span
	// reached says that an occurrence may start here or in another column.
	reached bool
	// gated says that nothing is acted on in this column, off that nothing is acted on
	// of what is due in it.
	gated, off bool
	// mark is the greatest of those of its runs.
	mark Mark
	runs []*Run
}

// Due is one occurrence, or several that are so close to each other that a picture
// shows them as one.
type Due struct {
	// From and To are when an only one starts, which is between the two if they are not
	// the same; or when the first and the last of several begin.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Count is how many they are; More says that there are more.
	Count int  `json:"count"`
	More  bool `json:"more"`
	// Off says that they are not acted on.
	Off bool `json:"not_acted_on"`
	// cell is the last column that they are in, level how dense they are.
	cell, level int
}

// Meeting is a time in which several crons are due within one minute, or may be
// started at the same moment.
type Meeting struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Scheduler string    `json:"scheduler"`
	// Crons are those that meet when most of them do.
	Crons []string `json:"crons"`
}

// Change is a change of the clock: from when on, and by how many seconds it moves
// forward.
type Change struct {
	At    time.Time `json:"at"`
	Shift int       `json:"shift"`
}

// group are the rows of one scheduler.
type group struct {
	scheduler string
	rows      []*Row
	meetings  []*Meeting
	// together is for each column how many rows meet in it; 0 if none do.
	together []int
}

// New computes a picture.
func New(crons []*Cron, o Options) *Picture {
	p := &Picture{Title: o.Title, Timezone: o.From.Location().String(), Rows: []*Row{}, Meetings: []*Meeting{}, Changes: []Change{}}
	p.columns(o.From, o.To, o.Columns)
	p.Now = p.at(o.Now.Unix())
	n := len(p.bounds) - 1
	p.From, p.To = p.at(p.bounds[0]), p.at(p.bounds[n])
	p.changes()
	if p.LeftOut = len(crons) - MaxRows; p.LeftOut < 0 {
		p.LeftOut = 0
	}
	var g *group
	for _, c := range crons[:len(crons)-p.LeftOut] {
		r := &Row{Cron: *c, NotActedOn: c.Off != "", Due: []*Due{}, Upcoming: []*Due{}, cells: make([]cell, n)}
		if end := c.Paused.To; end != 0 {
			r.PausedUntil = new(p.at(end))
		}
		if g == nil || g.scheduler != r.Scheduler {
			g = &group{scheduler: r.Scheduler, together: make([]int, n)}
			p.groups = append(p.groups, g)
		}
		g.rows = append(g.rows, r)
		p.Rows = append(p.Rows, r)
	}
	for _, g := range p.groups {
		p.fill(g)
		p.Meetings = append(p.Meetings, g.meetings...)
	}
	for _, r := range p.Rows {
		p.place(r)
		p.due(r)
		for at := p.Now.Unix(); r.Next != nil && len(r.Upcoming) < upcoming; {
			s := r.Next(at)
			if at = s.From; at == 0 {
				break
			}
			r.Upcoming = append(r.Upcoming, p.once(s))
		}
	}
	return p
}

// at is an instant in the zone of the picture. Like others of this package it is called
// all over and no loop's business: inlined they would double the package.
//
//go:noinline
func (p *Picture) at(second int64) time.Time { return time.Unix(second, 0).In(p.Now.Location()) }

// once is a single occurrence.
func (p *Picture) once(s Span) *Due { return &Due{From: p.at(s.From), To: p.at(s.To), Count: 1} }

// fill computes the cells of a group, column by column.
func (p *Picture) fill(g *group) {
	for _, r := range g.rows {
		if r.First != nil {
			r.next = r.First(p.bounds[0])
		}
	}
	var last *Meeting
	for column := range g.together {
		var b busy
		b.from, b.to = p.bounds[column], p.bounds[column+1]
		for _, r := range g.rows {
			b.row++
			r.cell(column, &b)
		}
		from, to, rows := b.meeting()
		if len(rows) < 2 {
			last = nil
			continue
		}
		g.together[column] = len(rows)
		var crons []string
		same := last != nil && len(last.Crons) == len(rows) && from <= last.To.Unix()
		for i, row := range rows {
			crons = append(crons, g.rows[row-1].Name)
			same = same && last.Crons[i] == crons[i]
		}
		if same { // it goes on from the column before
			last.To = p.at(to)
			continue
		}
		last = &Meeting{p.at(from), p.at(to), g.scheduler, crons}
		g.meetings = append(g.meetings, last)
	}
}

// cell computes one cell, and tells when its cron may start.
func (r *Row) cell(column int, b *busy) {
	c := &r.cells[column]
	c.gated = r.gated(b.from) && (r.Off != "" || r.Paused.To >= b.to)
	if r.carry > b.from {
		c.reached = true
		if r.carried {
			b.add(b.from, r.carry)
		}
	}
	acts := false
	for r.next.From != 0 && r.next.From < b.to {
		s, on := r.next, !r.gated(r.next.From)
		end := s.From + 60
		if s.To > s.From {
			if end = s.To; end > r.carry {
				r.carry, r.carried = end, on
			}
		}
		if on {
			b.add(s.From, end)
		}
		r.next = r.Next(s.From)
		if s.From < b.from { // it began before the picture
			if s.To > b.from {
				c.reached, r.before = true, s
			}
			continue
		}
		if c.count == maxCount {
			c.more = true
			r.next = r.Next(b.to - 1)
			break
		}
		if c.count == 0 {
			c.first = s
		}
		c.last = s
		c.count++
		c.reached = c.reached || s.To > b.to
		acts = acts || on
	}
	c.off = c.count > 0 && !acts
}

// gated tells whether what is due at an instant is not acted on.
func (r *Row) gated(at int64) bool {
	return r.Off != "" || r.Paused.From <= at && at < r.Paused.To
}

// why says why something of a row is not acted on.
func (r *Row) why() string {
	if r.Off != "" {
		return r.Off
	}
	return r.Pause
}

// place puts the runs of a row into its cells. Those outside the picture are left out.
func (p *Picture) place(r *Row) {
	all := r.Runs
	r.Runs = []*Run{}
	for _, run := range all {
		from, until := run.At.Unix(), run.Until.Unix()
		own, shown := p.column(from), false
		run = new(*run)
		run.At = p.at(from)
		for i := range r.cells {
			c := &r.cells[i]
			if i == own || c.count > 0 && from <= c.last.From && c.first.From <= until {
				c.runs = append(c.runs, run)
				c.mark = max(c.mark, run.Mark)
				shown = true
			}
		}
		if shown {
			r.Runs = append(r.Runs, run)
		}
	}
}

// column finds the column of an instant; -1 if it lies outside.
//
//go:noinline
func (p *Picture) column(at int64) int {
	for i, bound := range p.bounds {
		if at < bound {
			return i - 1
		}
	}
	return -1
}

// due collects the occurrences of a row, in the order of time.
func (p *Picture) due(r *Row) {
	if s := r.before; s.To != 0 {
		d := p.once(s)
		d.Off, d.cell = r.gated(s.From), -1
		r.Due = append(r.Due, d)
	}
	var last *Due
	for i := range r.cells {
		c := &r.cells[i]
		if c.count == 0 {
			continue
		}
		s := c.first
		if c.count > 1 {
			s.To = c.last.From
		}
		if c.more {
			s.To = p.bounds[i+1]
		}
		level := c.level()
		if last != nil && c.count > 1 && last.Count > 1 && last.cell == i-1 && last.level == level && last.Off == c.off && c.mark == r.cells[i-1].mark {
			last.To, last.cell = p.at(s.To), i
			last.Count += c.count
			last.More = last.More || c.more
			continue
		}
		last = p.once(s)
		last.Count, last.More, last.Off, last.cell, last.level = c.count, c.more, c.off, i, level
		r.Due = append(r.Due, last)
	}
}

// level is how dense a cell is, from 1 to 4; levels says what that means.
func (c *cell) level() int {
	switch {
	case c.more || c.count >= 12:
		return 4
	case c.count >= 4:
		return 3
	case c.count >= 2:
		return 2
	}
	return c.count
}

var levels = [5]string{1: "due once", 2: "due 2 or 3 times", 3: "due 4 to 11 times", 4: "due 12 times or more"}

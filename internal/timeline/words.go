package timeline

import (
	"strconv"
	"strings"
	"time"

	"github.com/cronagent/cronagent/internal/terminal"
)

// clock is an instant for people.
//
//go:noinline
func clock(t time.Time) string {
	if t.Second() != 0 {
		return t.Format("Mon 2006-01-02 15:04:05 MST")
	}
	return t.Format("Mon 2006-01-02 15:04 MST")
}

// between is a time for people.
func between(from, to time.Time) string {
	const date = "Mon 2006-01-02 "
	if from.Equal(to) {
		return clock(from)
	}
	text, end := clock(from), clock(to)
	if zone := " MST"; from.Format(date+zone) == to.Format(date+zone) {
		return strings.TrimSuffix(text, from.Format(zone)) + " to " + end[len(date):]
	}
	return text + " to " + end
}

// words says when it is due.
func (d *Due) words() string {
	text := between(d.From, d.To)
	switch {
	case d.Count > 1:
		text = count(d.Count, "time") + ", " + text
	case d.To.After(d.From):
		text = "once in the range " + text
	}
	if d.More {
		text = "more than " + text
	}
	return text
}

// length is how long so many minutes are, for people.
func length(minutes int) string {
	switch {
	case minutes%perDay == 0:
		return count(minutes/perDay, "day")
	case minutes%60 == 0:
		return count(minutes/60, "hour")
	}
	return count(minutes, "minute")
}

// heading says from when to when a picture is.
func (p *Picture) heading() string { return between(p.From, p.To) + ", " + p.Timezone }

// count counts things.
//
//go:noinline
func count(n int, one string) string {
	text := strconv.Itoa(n) + " " + one
	if n != 1 {
		text += "s"
	}
	return text
}

// names are a few of many names.
//
//go:noinline
func names(all []string) string {
	const few = 5
	more := ""
	if len(all) > few+1 {
		more = " and " + strconv.Itoa(len(all)-few) + " more"
		all = all[:few]
	}
	return strings.Join(all, ", ") + more
}

// fit makes a text exactly so many columns wide; what is cut off is told by more.
func fit(text string, columns int, more string) string {
	room := columns - terminal.Width(text)
	if room < 0 {
		room = columns - len(more)
		if more == ellipsis {
			room = columns - 1
		}
		for i, r := range text {
			w := terminal.RuneWidth(r)
			if w > room {
				text = text[:i] + more
				break
			}
			room -= w
		}
	}
	return text + strings.Repeat(" ", room)
}

const ellipsis = "…"

// outcomes are marks in words.
var outcomes = [...]string{
	Skipped: "skipped", Good: "succeeded, or accepted", Waiting: "under way, or to be tried again",
	Uncertain: "uncertain", Missed: "missed", Bad: "failed",
}

// sentences collects what is said of several: those of one kind in one sentence.
type sentences struct {
	kinds []string
	of    map[string][]string
}

//go:noinline
func (s *sentences) add(kind, what string) {
	if s.of == nil {
		s.of = map[string][]string{}
	}
	if s.of[kind] == nil {
		s.kinds = append(s.kinds, kind)
	}
	s.of[kind] = append(s.of[kind], what)
}

// asides are sentences below a picture: what is not acted on, what comes together and
// is not over, what the clock does, what is left out.
func (p *Picture) asides() (lines []string) {
	var off, meet sentences
	for _, r := range p.Rows {
		if why := r.why(); why != "" {
			off.add(why, r.Name)
		}
	}
	for _, why := range off.kinds {
		lines = append(lines, "not acted on: "+names(off.of[why])+": "+why)
	}
	for _, m := range p.Meetings {
		if m.To.After(p.Now) {
			meet.add(m.words(), m.when())
		}
	}
	const few = 5
	for i, crons := range meet.kinds {
		if i == few {
			lines = append(lines, "and "+count(len(meet.kinds)-few, "more set")+" of crons that come together")
			break
		}
		times := meet.of[crons]
		line := crons + ": " + times[0]
		if len(times) > 1 {
			line += ", and " + count(len(times)-1, "more time")
		}
		lines = append(lines, line)
	}
	for _, c := range p.Changes {
		way := "the clock goes forward by "
		if c.Shift < 0 {
			way = "the clock goes back by "
		}
		lines = append(lines, way+length(max(c.Shift, -c.Shift)/60)+": "+clock(c.At))
	}
	if p.LeftOut > 0 {
		lines = append(lines, count(p.LeftOut, "more cron")+" not in the picture, nor in what comes together: name those that you want to see")
	}
	return lines
}

// words says which crons meet, and what that means.
func (m *Meeting) words() string {
	manner := " crons, due together: "
	if m.Scheduler == "platform" {
		manner = " crons, which run one at a time: "
	}
	return m.Scheduler + manner + names(m.Crons)
}

// when says when it is.
func (m *Meeting) when() string {
	if m.To.Sub(m.From) <= time.Minute {
		return clock(m.From)
	}
	return between(m.From, m.To)
}

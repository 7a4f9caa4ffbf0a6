package schedule

import "time"

// Effect is what a change of the clock does to a schedule.
type Effect string

// The effects. NoEffect is for a change that falls on no time of the schedule,
// and for a schedule of every hour that follows real time: it goes on as before.
const (
	NoEffect Effect = ""
	// Moved: times that the clock skips run together, when it has jumped.
	Moved Effect = "moved"
	// Lost: times that the clock skips do not run.
	Lost Effect = "lost"
	// Once: times that come twice run the first time only.
	Once Effect = "once"
	// Twice: times that come twice run twice.
	Twice Effect = "twice"
)

// ClockChange is a moment at which the zone's clock is changed.
type ClockChange struct {
	// At is the first instant after the change, in the schedule's zone.
	At time.Time
	// Shift is how far the clock moves: forward if it is positive.
	Shift time.Duration
	// Effect is what it does to the schedule, and Times to how many of its times.
	Effect Effect
	Times  int
}

// ClockChanges returns the changes of the zone's clock after from, up to and
// including to. An @every knows none. For an Open schedule the effect is that on
// everything that H may stand for.
func (s *Schedule) ClockChanges(from, to time.Time) []ClockChange {
	if s.every > 0 {
		return nil
	}
	var changes []ClockChange
	before := stretchAt(from.Unix(), s.zone)
	for before.end <= to.Unix() {
		after := stretchAt(before.end, s.zone)
		if shift := after.offset - before.offset; shift != 0 {
			c := ClockChange{At: time.Unix(after.start, 0).In(s.zone), Shift: time.Duration(shift) * time.Second}
			c.Effect, c.Times = s.fields.effect(before.end+before.offset, before.end+after.offset)
			changes = append(changes, c)
		}
		before = after
	}
	return changes
}

// effect says what happens to a schedule when the wall clock goes from one second
// to another at once.
func (f *fields) effect(was, is int64) (Effect, int) {
	from, to := ceilDiv(min(was, is), secondsPerMinute), ceilDiv(max(was, is), secondsPerMinute)
	times := 0
	for n := f.next(from); n < to; n = f.next(n + 1) {
		times++
	}
	forward := is > was
	switch {
	case times == 0 || f.wild && f.hour == 1<<24-1:
		return NoEffect, 0
	case forward && (f.wild || jumped(from-1, to)):
		return Lost, times
	case forward:
		return Moved, times
	case f.wild || jumped(to-1, from):
		return Twice, times
	}
	return Once, times
}

// Count returns how many occurrences there are after from, up to and including
// to. It takes time in proportion, some 50 ns each, but none for an @every.
func (s *Schedule) Count(from, to time.Time) int {
	if s.every > 0 {
		return int(max(floorDiv(to.Unix(), s.every)-floorDiv(from.Unix(), s.every), 0))
	}
	n := 0
	for t := s.Next(from); !t.IsZero() && !t.After(to); t = s.Next(t) {
		n++
	}
	return n
}

package timeline

import "sort"

// busy is when the rows of a group may start in one column, which is from from to to.
type busy struct {
	from, to  int64
	row       int // that of what is added
	intervals []interval
}

// interval is a time, its end excluded, in which a row may start.
type interval struct {
	from, to int64
	row      int
}

// add adds what lies in the column of an interval of the row, which begins no earlier
// than those that it has.
func (b *busy) add(from, to int64) {
	from, to = max(from, b.from), min(to, b.to)
	if n := len(b.intervals); n > 0 && b.intervals[n-1].row == b.row && from <= b.intervals[n-1].to {
		b.intervals[n-1].to = max(b.intervals[n-1].to, to)
	} else if from < to {
		b.intervals = append(b.intervals, interval{from, to, b.row})
	}
}

// meeting finds the first time in which most rows are together, and which rows these
// are.
func (b *busy) meeting() (from, to int64, rows []int) {
	// An event is an instant, and whether something begins: what ends comes first.
	var events []int
	for _, i := range b.intervals {
		events = append(events, int(i.from)*2+1, int(i.to)*2)
	}
	sort.Ints(events)
	depth, most := 0, 0
	for i, event := range events {
		if event%2 == 0 {
			depth--
		} else if depth++; depth > most {
			most, from, to = depth, int64(event/2), int64(events[i+1]/2)
		}
	}
	for _, i := range b.intervals {
		if i.from <= from && i.to > from {
			rows = append(rows, i.row)
		}
	}
	return from, to, rows
}

package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// The events, one for each kind of line. A watermark line is what compaction
// makes of a cron's begin and claims; a compacted line is the first of a file
// that took the place of another.
const (
	beginEvent     = "begin"
	claimEvent     = "claim"
	runEvent       = "run"
	pauseEvent     = "pause"
	toldEvent      = "told"
	watermarkEvent = "watermark"
	compactedEvent = "compacted"
)

type markLine struct {
	Event string `json:"event"`
	Key
	At time.Time `json:"at"`
}

type claimLine struct {
	Event string `json:"event"`
	Claim
}

type runLine struct {
	Event string `json:"event"`
	Run
}

type pauseLine struct {
	Event string `json:"event"`
	Key
	// Until is null for the end of a pause.
	Until  *time.Time `json:"until"`
	Reason string     `json:"reason"`
	At     time.Time  `json:"at"`
}

type toldLine struct {
	Event string `json:"event"`
	Key
	Told Told `json:"told"`
}

type compactedLine struct {
	Event string    `json:"event"`
	At    time.Time `json:"at"`
	// After names the files that this one holds all of, the newest first.
	After []string `json:"after"`
}

// The bounds of what one line holds, so that no line is ever too long to be read
// again, whatever a command printed or an API answered.
const (
	maxLine   = 1 << 20
	maxOutput = 4 << 10
	maxText   = 16 << 10
)

// encode makes lines of values.
func encode(lines ...any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, line := range lines {
		begin := text.Len()
		if err := encoder.Encode(line); err != nil {
			return nil, err
		}
		if n := text.Len() - begin; n > maxLine {
			return nil, fmt.Errorf("a line of %d bytes is longer than the ledger can read, %d", n, maxLine)
		}
	}
	return text.Bytes(), nil
}

// CheckID refuses IDs under which a run would not be found again.
func CheckID(id string) error {
	if id == "" || !utf8.ValidString(id) {
		return fmt.Errorf("the run ID %q is empty or not valid UTF-8", id)
	}
	return nil
}

// Kept is the run as a ledger keeps it: its texts cut to what one record holds, its
// times in UTC, so that a person can compare two records.
func (r Run) Kept() (Run, error) {
	if err := CheckID(r.ID); err != nil {
		return r, err
	}
	if r.Activities == nil {
		r.Activities = []Activity{}
	}
	for _, at := range []**time.Time{&r.Due, &r.Until, &r.Started, &r.Ended, &r.NextTry} {
		if *at != nil {
			*at = new((*at).UTC())
		}
	}
	if n := len(r.Output); n > maxOutput {
		r.Output = r.Output[n-maxOutput:]
	}
	r.Error, r.Reason = cut(r.Error), cut(r.Reason)
	return r, nil
}

func cut(text string) string { return text[:min(len(text), maxText)] }

// Kept is the pause as a ledger keeps it, beginning at now.
func (p Pause) Kept(now time.Time) Pause {
	return Pause{Until: p.Until.UTC(), Reason: cut(p.Reason), At: now.UTC().Round(0)}
}

// runLines makes the lines of runs.
func runLines(runs []Run) ([]any, error) {
	lines := make([]any, len(runs))
	for i, run := range runs {
		run, err := run.Kept()
		if err != nil {
			return nil, err
		}
		lines[i] = runLine{runEvent, run}
	}
	return lines, nil
}

// line is a line of the ledger, as far as most of them need to be read: almost
// every line of a large file is about something that is long over, and reading it
// whole would take ten times as long.
type line struct {
	event string
	// claim is a claim's; of other lines, its Key, ID, Operation and At.
	claim    Claim
	timed    bool // it has an At
	dated    bool // it has a Due
	deferred bool
	pending  bool
}

// parse reads a line; false if it is none of ours. Names are taken from names if
// they are there, so that there is one copy of each.
func parse(text []byte, names map[string]string) (l line, ok bool) {
	value := func(text []byte) (s string, ok bool) {
		if len(text) < 2 || text[0] != '"' {
			return "", false
		}
		inner := text[1 : len(text)-1]
		if bytes.IndexByte(inner, '\\') >= 0 || !utf8.Valid(inner) {
			var decoded string // of its own, since it is on the heap
			ok = json.Unmarshal(text, &decoded) == nil
			return decoded, ok
		}
		return string(inner), true
	}
	name := func(text []byte) (string, bool) {
		if len(text) > 2 && text[0] == '"' && bytes.IndexByte(text, '\\') < 0 {
			if s, ok := names[string(text[1:len(text)-1])]; ok {
				return s, true
			}
		}
		return value(text)
	}
	fine := eachField(text, func(field, text []byte) (ok bool) {
		c := &l.claim
		switch string(field) {
		case "event":
			ok = true
			switch string(text) { // spares a copy for each line
			case `"run"`:
				l.event = runEvent
			case `"claim"`:
				l.event = claimEvent
			case `"begin"`:
				l.event = beginEvent
			case `"watermark"`:
				l.event = watermarkEvent
			default:
				l.event, ok = value(text)
			}
		case "project":
			c.Project, ok = name(text)
		case "environment":
			c.Environment, ok = name(text)
		case "app":
			c.App, ok = name(text)
		case "cron":
			c.Cron, ok = name(text)
		case "id":
			c.ID, ok = value(text)
		case "operation":
			c.Operation, ok = value(text)
		case "outcome":
			l.deferred, ok = string(text) == `"`+string(Deferred)+`"`, true
		case "pending":
			l.pending, ok = string(text) == "true", true
		case "due":
			if ok = string(text) == "null"; !ok {
				ok = c.Due.UnmarshalJSON(text) == nil
				l.dated = ok
			}
		case "at":
			ok = c.At.UnmarshalJSON(text) == nil
			l.timed = ok
		case "settle":
			n, err := strconv.ParseInt(string(text), 10, 64)
			c.Settle, ok = time.Duration(n), err == nil
		case "attempts":
			n, err := strconv.Atoi(string(text))
			c.Attempts, ok = n, err == nil
		default:
			ok = true
		}
		return ok
	})
	if !fine {
		return l, false
	}
	switch l.event {
	case beginEvent, watermarkEvent, pauseEvent, compactedEvent:
		ok = l.timed
	case toldEvent:
		ok = true
	case claimEvent:
		ok = l.claim.ID != "" && l.dated && l.timed
	case runEvent:
		ok = l.claim.ID != ""
	}
	return l, ok
}

// eachField calls do with the name and the value of each field of a JSON object,
// until do says no; false if it did, or if the text is no object. Numbers and what
// stands inside of values is not looked at closely.
func eachField(text []byte, do func(name, value []byte) bool) bool {
	i := 0
	space := func() {
		for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r') {
			i++
		}
	}
	is := func(b byte) bool {
		space()
		if i < len(text) && text[i] == b {
			i++
			return true
		}
		return false
	}
	quoted := func() bool { // the first quote is behind i
		for ; i < len(text); i++ {
			switch b := text[i]; {
			case b == '"':
				i++
				return true
			case b == '\\':
				i++
			case b < ' ':
				return false
			}
		}
		return false
	}
	literal := func() bool {
		for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] >= 'a' && text[i] <= 'z' || bytes.IndexByte([]byte("+-.E"), text[i]) >= 0) {
			i++
		}
		return true
	}
	nested := func() bool {
		var depth []byte
		for i < len(text) {
			b := text[i]
			i++
			switch b {
			case '"':
				if !quoted() {
					return false
				}
			case '{':
				depth = append(depth, '}')
			case '[':
				depth = append(depth, ']')
			case '}', ']':
				if depth[len(depth)-1] != b {
					return false
				}
				if depth = depth[:len(depth)-1]; len(depth) == 0 {
					return true
				}
			}
		}
		return false
	}
	if !is('{') {
		return false
	}
	for first := true; !is('}'); first = false {
		if !first && !is(',') || !is('"') {
			return false
		}
		begin := i
		if !quoted() {
			return false
		}
		name := text[begin : i-1]
		// We write no name that needs escaping, and one that has it could be any.
		if bytes.IndexByte(name, '\\') >= 0 || !is(':') {
			return false
		}
		space()
		begin = i
		if i == len(text) {
			return false
		}
		fine := false
		switch text[i] {
		case '"':
			i++
			fine = quoted()
		case '{', '[':
			fine = nested()
		default:
			fine = literal() && json.Valid(text[begin:i])
		}
		if !fine || !do(name, text[begin:i]) {
			return false
		}
	}
	space()
	return i == len(text)
}

// parseRun reads all of a run's line.
func parseRun(text []byte) (Run, bool) {
	var l runLine
	err := json.Unmarshal(text, &l)
	return l.Run, err == nil
}

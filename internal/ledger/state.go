package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// contents is what the lines of one file amount to.
type contents struct {
	crons map[Key]*cronState
	names map[string]string // one copy of each in a key
	// unsettled are those of them that have something open, handed back, pending or
	// to be told.
	unsettled map[Key]struct{}
	damaged   int       // lines that could not be read
	newest    time.Time // when the newest claim was made
	// first is a hash of the first line, and after are the identities of the files
	// that this one was compacted from.
	first string
	after []string
	// kept is about how many bytes compaction would keep.
	kept int64
	// seen is made by those who want to know which of these runs have a record.
	seen map[string]bool
}

// cronState is State in the form in which lines change it. The maps are nil until
// they are needed: most crons have nothing to settle, and there may be thousands.
type cronState struct {
	key        Key
	watermark  time.Time
	open       map[string]Claim // by run ID, like the others
	handedBack map[string]Run
	pending    map[string]Run
	last       lastRun
	pause      *Pause
	told       *Told // nil: nothing
	unsettled  bool  // it is among contents.unsettled

	runs, records int // how many are in the file, about
	bytes         int64
}

func newContents() *contents {
	return &contents{crons: map[Key]*cronState{}, names: map[string]string{}, unsettled: map[Key]struct{}{}}
}

func (c *contents) cron(key Key) *cronState {
	s := c.crons[key]
	if s == nil {
		s = &cronState{key: key}
		c.crons[key] = s
		for _, name := range []string{key.Project, key.Environment, key.App, key.Cron} {
			if _, known := c.names[name]; !known {
				c.names[name] = name
			}
		}
		c.kept += keptCron
	}
	return s
}

// apply changes the contents by one line; false if the line is none of ours.
func (c *contents) apply(text []byte) bool {
	begins := c.first == ""
	if begins {
		sum := sha256.Sum256(text)
		c.first = hex.EncodeToString(sum[:8])
	}
	l, ok := parse(text, c.names)
	if !ok {
		return false
	}
	claim := l.claim
	switch l.event {
	case compactedEvent:
		var compacted compactedLine
		if json.Unmarshal(text, &compacted) != nil {
			return false
		}
		if begins {
			c.after = compacted.After
		}
		return true
	case beginEvent, watermarkEvent:
		c.cron(claim.Key).advance(claim.At)
		return true
	case pauseEvent:
		var pause pauseLine
		if json.Unmarshal(text, &pause) != nil {
			return false
		}
		s := c.cron(claim.Key)
		s.pause = &Pause{Reason: pause.Reason, At: pause.At}
		if pause.Until != nil {
			s.pause.Until = *pause.Until
		}
		return true
	case toldEvent:
		var told toldLine
		if json.Unmarshal(text, &told) != nil {
			return false
		}
		s := c.cron(claim.Key)
		s.told = &told.Told
		c.mark(s)
		return true
	}

	var run Run
	counts := l.event == runEvent && (l.deferred || l.pending)
	if counts {
		if run, ok = parseRun(text); !ok {
			return false
		}
	}
	s := c.cron(claim.Key)
	claim.Key = s.key
	before := s.kept()
	if l.event == claimEvent {
		s.advance(claim.Due)
		maps.DeleteFunc(s.handedBack, func(_ string, r Run) bool { return r.Due.Equal(claim.Due) })
		put(&s.open, claim.ID, claim)
		if claim.At.After(c.newest) {
			c.newest = claim.At
		}
	} else {
		if _, asked := c.seen[claim.ID]; asked {
			c.seen[claim.ID] = true
		}
		s.record(claim.ID, text)
		if l.deferred && l.dated {
			put(&s.handedBack, claim.ID, run)
		}
		if l.pending {
			put(&s.pending, claim.ID, run)
		}
	}
	c.kept += s.kept() - before
	c.mark(s)
	return true
}

// mark notes whether a cron has something unsettled.
func (c *contents) mark(s *cronState) {
	left := s.told != nil && len(s.told.Left) > 0
	if unsettled := left || len(s.open)+len(s.handedBack)+len(s.pending) > 0; unsettled && !s.unsettled {
		c.unsettled[s.key], s.unsettled = struct{}{}, true
	} else if !unsettled && s.unsettled {
		delete(c.unsettled, s.key)
		s.unsettled = false
	}
}

// record changes a cron by the record of a run, which ends what the run was before.
func (s *cronState) record(id string, text []byte) {
	_, back := s.handedBack[id]
	_, waiting := s.pending[id]
	again := s.last.id == id
	delete(s.open, id)
	delete(s.handedBack, id)
	delete(s.pending, id)
	s.records++
	s.bytes += int64(len(text))
	if !back && !waiting && !again {
		s.runs++
	}
	if s.last.id == "" || again || !back && !waiting {
		s.last = lastRun{id: id, text: append(s.last.text[:0], text...)}
	}
}

// lastRun is a cron's newest run: its record as it was read, or what that says.
type lastRun struct {
	id   string // empty: there is none
	text []byte
	run  *Run
}

// read returns the run without its output; nil if there is none.
func (l *lastRun) read(key Key) *Run {
	if l.run == nil && l.id != "" {
		run, _ := parseRun(l.text)
		run.ID, run.Key, run.Output = l.id, key, ""
		l.run, l.text = &run, nil
	}
	return l.run
}

func put[V any](m *map[string]V, id string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[id] = v
}

// advance moves the watermark, which never goes back.
func (s *cronState) advance(to time.Time) {
	if to.After(s.watermark) {
		s.watermark = to
	}
}

// What a cron and an open claim take, about.
const (
	keptCron  = 200
	keptClaim = 400
)

// kept is about how many bytes of the cron's lines compaction would keep.
func (s *cronState) kept() int64 {
	n := int64(len(s.open)) * keptClaim
	if s.records > 0 {
		n += s.bytes / int64(s.records) * int64(min(s.runs, KeepRuns)+len(s.handedBack)+len(s.pending))
	}
	return n
}

// state is what Load returns of a cron; nil is one that is not known.
func (c *contents) state(key Key) (state State) {
	s := c.crons[key]
	general := c.crons[Key{Project: key.Project, Environment: key.Environment, App: key.App}]
	for _, s := range []*cronState{s, general} {
		if s != nil && s.pause != nil && !s.pause.Until.IsZero() && (state.Pause == nil || s.pause.Until.After(state.Pause.Until)) {
			state.Pause = new(*s.pause)
		}
	}
	if s == nil {
		return state
	}
	state.Watermark, state.Last = s.watermark, s.last.read(key)
	if s.told != nil {
		state.Told = *s.told
		state.Told.Left = slices.Clone(s.told.Left)
	}
	state.HandedBack = values(s.handedBack)
	state.Pending = values(s.pending)
	state.Open = values(s.open)
	state.Sort()
	return state
}

// values are those of a map; nil if there are none.
func values[V any](m map[string]V) []V { return slices.Collect(maps.Values(m)) }

// Sort brings the runs and claims of a state into their order.
func (s *State) Sort() {
	sortBy(s.HandedBack, byWhen)
	sortBy(s.Pending, byWhen)
	sortBy(s.Open, func(a, b Claim) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID)) })
}

func sorted[V any](m map[string]V, compare func(a, b V) int) []V {
	all := values(m)
	sortBy(all, compare)
	return all
}

// sortedKeys are the keys of a map, sorted.
func sortedKeys[V any](m map[Key]V) []Key {
	keys := slices.Collect(maps.Keys(m))
	SortKeys(keys)
	return keys
}

// when is the instant that a run belongs to.
func (r Run) when() time.Time {
	switch {
	case r.Due != nil:
		return *r.Due
	case r.Started != nil:
		return *r.Started
	}
	return time.Time{}
}

func byWhen(a, b Run) int { return cmp.Or(a.when().Compare(b.when()), cmp.Compare(a.ID, b.ID)) }

// lines is everything that counts of the contents, as lines of a new file.
func (c *contents) lines(now time.Time) []any {
	return c.lacking(newContents(), now)
}

// runIDs are those of whom lacking must know whether they have a record.
func (c *contents) runIDs() map[string]bool {
	ids := map[string]bool{}
	for _, s := range c.crons {
		for id := range s.open {
			ids[id] = false
		}
		for id := range s.handedBack {
			ids[id] = false
		}
		for id := range s.pending {
			ids[id] = false
		}
		if s.last.id != "" {
			ids[s.last.id] = false
		}
	}
	return ids
}

// lacking are the lines that other lacks, so that nothing that c knows to be
// taken can be claimed again from it. Other must have been told to look for c's
// runIDs. What both know differently is left as other has it, but for watermarks,
// which never move back, and for what other could hand out again. A claim that is
// open there, and that c has forgotten since it ended, is left open, and will be
// uncertain: somebody may be acting on it by that file.
func (c *contents) lacking(other *contents, now time.Time) (lines []any) {
	for _, key := range sortedKeys(c.crons) {
		s, o := c.crons[key], other.crons[key]
		if o == nil {
			o = &cronState{}
		}
		if s.watermark.After(o.watermark) {
			lines = append(lines, markLine{watermarkEvent, key, s.watermark})
		}
		if p := s.pause; p != nil && (o.pause == nil || o.pause.At.Before(p.At)) && (p.Until.After(now) || o.pause != nil) {
			lines = append(lines, p.line(key))
		}
		if s.told != nil && (o.told == nil || o.told.Version < s.told.Version) {
			lines = append(lines, toldLine{toldEvent, key, *s.told})
		}
		runs := maps.Clone(s.pending)
		for id, run := range s.handedBack {
			put(&runs, id, run)
		}
		last := s.last.read(key)
		if last != nil {
			if _, whole := runs[last.ID]; !whole {
				put(&runs, last.ID, *last)
			}
		}
		for _, run := range sorted(runs, byWhen) {
			if !other.seen[run.ID] {
				lines = append(lines, runLine{runEvent, run})
			}
		}
		// What the other file would hand out, and this one has not handed back, was
		// claimed since, or may have been.
		for _, run := range sorted(o.handedBack, byWhen) {
			if _, same := s.handedBack[run.ID]; same || run.Due.After(s.watermark) {
				continue
			}
			if _, open := s.open[run.ID]; open {
				continue // its claim follows
			}
			if last != nil && last.ID == run.ID {
				run = *last
			} else {
				run.Outcome, run.NextTry, run.Ended = Uncertain, nil, new(now)
				run.Reason = "the ledger's file was replaced by another one, and what became of this in between is not known"
			}
			lines = append(lines, runLine{runEvent, run})
		}
		for _, claim := range sorted(s.open, func(a, b Claim) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) }) {
			_, open := o.open[claim.ID]
			_, back := o.handedBack[claim.ID]
			if !open && (back || !other.seen[claim.ID]) {
				lines = append(lines, claimLine{claimEvent, claim})
			}
		}
	}
	return lines
}

func (t *Told) version() int {
	if t == nil {
		return 0
	}
	return t.Version
}

func (p *Pause) line(key Key) pauseLine {
	l := pauseLine{Event: pauseEvent, Key: key, Reason: p.Reason, At: p.At.UTC()}
	if !p.Until.IsZero() {
		l.Until = new(p.Until.UTC())
	}
	return l
}

// sameAs tells whether other would let an agent decide as c does, but for the
// pauses that have ended.
func (c *contents) sameAs(other *contents, now time.Time) bool {
	for key, s := range c.crons {
		o := other.crons[key]
		if o == nil {
			o = &cronState{}
		}
		if !s.watermark.Equal(o.watermark) || !sameKeys(s.open, o.open) || !sameKeys(s.handedBack, o.handedBack) ||
			!sameKeys(s.pending, o.pending) || (s.last.id == "") != (o.last.id == "") || s.told.version() != o.told.version() {
			return false
		}
		if p := s.pause; p != nil && p.Until.After(now) && (o.pause == nil || !o.pause.Until.Equal(p.Until)) {
			return false
		}
	}
	return len(c.unsettled) == len(other.unsettled)
}

func sameKeys[V any](a, b map[string]V) bool {
	if len(a) != len(b) {
		return false
	}
	for id := range a {
		if _, ok := b[id]; !ok {
			return false
		}
	}
	return true
}

package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Error says what is wrong with a spec, and where.
type Error struct {
	Spec    string // as given
	Field   string // "minute", "hour", "day-of-month", "month", "day-of-week", or "" for the spec as a whole
	Offset  int    // in bytes, of the offending part in Spec
	Problem string // what is wrong, naming field and value: "minute 60 is above 59"
	Hint    string // what to write instead, or ""
	Never   bool   // the spec is understood, and no day fits it
}

func (e *Error) Error() string { return fmt.Sprintf("spec %s: %s", quote(e.Spec, 100), e.Problem) }

// quote makes text of any content and length fit for a message.
func quote(s string, limit int) string {
	return strconv.QuoteToASCII(clip(s, limit))
}

const fiveFields = "the five fields are minute hour day-of-month month day-of-week"

// field is what a column of a spec may hold.
type field struct {
	name   string
	lo, hi int
	hashHi int // of H without a range: every month has a 28th, and Sunday is 0 only
	width  int // different values, the greatest step
	names  []string
}

// last is the greatest value that * and N/step reach: Sunday counts once.
func (f *field) last() int { return f.lo + f.width - 1 }

const (
	minuteField = iota
	hourField
	domField
	monthField
	dowField
)

var columns = [5]field{
	{name: "minute", lo: 0, hi: 59, hashHi: 59, width: 60},
	{name: "hour", lo: 0, hi: 23, hashHi: 23, width: 24},
	{name: "day-of-month", lo: 1, hi: 31, hashHi: 28, width: 31},
	{name: "month", lo: 1, hi: 12, hashHi: 12, width: 12,
		names: []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{name: "day-of-week", lo: 0, hi: 7, hashHi: 6, width: 7,
		names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// item is one element of a field's list, names turned into numbers. A single
// value has lo == hi, * the field's bounds.
type item struct {
	text           string // as written
	lo, hi         int
	step           int // 0: none
	ranged, hashed bool
}

// aliases are those of Vixie's cron, each the same as the fields it stands for.
// @reboot has no place here: an agent that restarts is not a machine that does.
var aliases = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// masks is robfig's parser for five fields. It sees only what was checked and
// rewritten here.
var masks = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Parse reads a spec: five fields, an alias such as @daily, or @every with an
// interval (see [Schedule.Every]). The zone decides what its times mean; nil
// is UTC. The seed decides what H stands for.
//
// Whatever cron implementations are known to misread is an [*Error]: steps
// beyond a field, backward ranges, L, W, # and ?, a zone, seconds or a year in
// the spec. So is a spec that no calendar day matches.
func Parse(spec string, zone *time.Location, seed Seed) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	s := &Schedule{spec: spec, resolved: spec, zone: zone}
	p := parser{spec: spec}
	parts, err := p.split()
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(parts[0].text, "@") {
		if parts[0].text == "@every" {
			s.every, err = p.every(parts)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
		fields, err := p.alias(parts)
		if err != nil {
			return nil, err
		}
		parts = splitBlanks(fields)
	}
	if err := p.count(parts); err != nil {
		return nil, err
	}
	for i, part := range parts {
		if s.items[i], err = p.list(&columns[i], part); err != nil {
			return nil, err
		}
	}
	if err := s.resolve(parts, seed); err != nil {
		return nil, err
	}
	return s, nil
}

// part is a piece of a spec and where it stands.
type part struct {
	text   string
	offset int
}

type parser struct{ spec string }

// split checks the characters of a spec and cuts it at blanks and tabs.
func (p parser) split() ([]part, error) {
	for i := 0; i < len(p.spec); i++ {
		switch c := p.spec[i]; {
		case c == '\n' || c == '\r':
			return nil, p.fail("", i, "a spec is one line, but this one holds a line break", "")
		case c >= 0x80:
			r := []rune(p.spec[i:min(len(p.spec), i+4)])[0]
			return nil, p.fail("", i, fmt.Sprintf("%s is not ASCII", quote(string(r), 40)),
				"use plain digits, letters, blanks and * , - / only")
		case c < ' ' && c != '\t' || c == 0x7f:
			return nil, p.fail("", i, fmt.Sprintf("control character %s", quote(string(rune(c)), 40)), "")
		}
	}
	parts := splitBlanks(p.spec)
	if len(parts) == 0 {
		return nil, p.fail("", 0, "it is empty", fiveFields)
	}
	if strings.HasPrefix(parts[0].text, "TZ=") || strings.HasPrefix(parts[0].text, "CRON_TZ=") {
		return nil, p.fail("", parts[0].offset, "a time zone cannot be part of a spec",
			"set the zone with timezone in the configuration, and leave only the five fields here")
	}
	return parts, nil
}

func splitBlanks(s string) []part {
	parts := make([]part, 0, 5)
	for i := 0; i < len(s); {
		n := strings.IndexAny(s[i:], " \t")
		if n < 0 {
			n = len(s) - i
		}
		if n > 0 {
			parts = append(parts, part{s[i : i+n], i})
		}
		i += n + 1
	}
	return parts
}

func (p parser) fail(field string, offset int, problem, hint string) *Error {
	return &Error{Spec: p.spec, Field: field, Offset: offset, Problem: problem, Hint: hint}
}

// alias returns the five fields an alias stands for.
func (p parser) alias(parts []part) (string, error) {
	name := parts[0]
	fields, ok := aliases[name.text]
	switch lower := strings.ToLower(name.text); {
	case ok && len(parts) > 1:
		return "", p.fail("", parts[1].offset, fmt.Sprintf("%s stands alone, but %s follows it", name.text, quote(parts[1].text, 40)), "")
	case ok:
		return fields, nil
	case aliases[lower] != "" || lower == "@every":
		return "", p.fail("", name.offset, fmt.Sprintf("aliases are written in small letters: %s, not %s", lower, name.text), "write "+lower)
	case lower == "@reboot":
		return "", p.fail("", name.offset, "@reboot has no time at which it is due",
			"to run something when the container starts, use the start command or a deploy hook")
	}
	return "", p.fail("", name.offset, fmt.Sprintf("alias %s is not known", quote(name.text, 40)),
		"the aliases are @hourly @daily @midnight @weekly @monthly @yearly @annually, and @every with an interval such as @every 90s")
}

// maxEvery bounds @every. Multiples of more than a year since 1970 fall on
// dates that nobody can foresee, so it is a slip of the keyboard or a case for
// five fields.
const maxEvery = 366 * 24 * time.Hour

// every reads the interval of @every, in seconds.
func (p parser) every(parts []part) (int64, error) {
	if len(parts) != 2 {
		return 0, p.fail("", parts[0].offset, "@every takes one interval", "write the interval without blanks, such as @every 1h30m")
	}
	text, at := parts[1].text, parts[1].offset
	d, err := time.ParseDuration(text)
	switch {
	case err != nil || text[0] == '+':
		return 0, p.fail("", at, fmt.Sprintf("@every: %s is not an interval", quote(text, 40)), "write numbers with h, m or s, such as 90s or 1h30m")
	case d < time.Second:
		return 0, p.fail("", at, fmt.Sprintf("@every: %s is less than the least interval, 1s", text), "")
	case d%time.Second != 0:
		return 0, p.fail("", at, fmt.Sprintf("@every: %s is not a whole number of seconds", text), "")
	case d > maxEvery:
		return 0, p.fail("", at, fmt.Sprintf("@every: %s is more than the greatest interval, 366 days", quote(text, 40)), "for something rare write a date, such as 0 0 1 1 *")
	}
	return int64(d / time.Second), nil
}

func (p parser) count(parts []part) error {
	if len(parts) == 5 {
		return nil
	}
	offset, extra := parts[len(parts)-1].offset, ""
	if len(parts) > 5 {
		offset = parts[5].offset
		extra = "; seconds, years, commands and comments are not part of a spec"
	}
	fields := "fields"
	if len(parts) == 1 {
		fields = "field"
	}
	return p.fail("", offset, fmt.Sprintf("it has %d %s, not 5%s", len(parts), fields, extra), fiveFields)
}

// list reads one field.
func (p parser) list(f *field, in part) ([]item, error) {
	items := make([]item, 0, 1+strings.Count(in.text, ","))
	offset := in.offset
	for text := range strings.SplitSeq(in.text, ",") {
		read := p.plain
		if strings.HasPrefix(text, "H") {
			read = p.hash
		}
		it, err := read(f, part{text, offset})
		if err != nil {
			return nil, err
		}
		it.text = text
		items = append(items, it)
		offset += len(text) + 1
	}
	return items, nil
}

// plain reads an item without H: *, a value or a range, perhaps with a step.
func (p parser) plain(f *field, in part) (it item, err error) {
	if in.text == "" {
		return it, p.fail(f.name, in.offset, f.name+" has an empty item in its list", "remove the comma, or write what belongs beside it")
	}
	base, step, stepped := strings.Cut(in.text, "/")
	lo, hi, ranged := strings.Cut(base, "-")
	switch {
	case base == "*":
		it = item{lo: f.lo, hi: f.last()}
	case ranged && (lo == "*" || hi == "*"):
		return it, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: * cannot be the end of a range", f.name, quote(in.text, 40)), "write numbers on both sides of -, or * alone")
	case ranged:
		it.ranged = true
		if it.lo, err = p.value(f, part{lo, in.offset}, in.text); err != nil {
			return it, err
		}
		if it.hi, err = p.value(f, part{hi, in.offset + len(lo) + 1}, in.text); err != nil {
			return it, err
		}
		if it.lo > it.hi {
			return it, p.backwards(f, in, it.lo, lo, it.hi, hi)
		}
	default:
		if it.lo, err = p.value(f, part{base, in.offset}, in.text); err != nil {
			return it, err
		}
		it.hi = it.lo
	}
	if stepped {
		it.step, err = p.step(f, part{step, in.offset + len(base) + 1}, in.text, f.width)
	}
	return it, err
}

func (p parser) backwards(f *field, in part, lo int, loText string, hi int, hiText string) *Error {
	hint := fmt.Sprintf("write %s-%d,%d-%s", loText, f.last(), f.lo, hiText)
	switch {
	case f.name == "day-of-week" && lo == 7 && hi > 0:
		hint = fmt.Sprintf("write 0-%s", hiText)
	case f.name == "day-of-week" && hi == 0:
		hint = fmt.Sprintf("a range that ends on Sunday is written %s-7", loText)
	case lo == f.last() && hi == f.lo:
		hint = fmt.Sprintf("write %d,%d", lo, hi)
	case lo == f.last():
		hint = fmt.Sprintf("write %d,%d-%s", lo, f.lo, hiText)
	case hi == f.lo:
		hint = fmt.Sprintf("write %s-%d,%d", loText, f.last(), hi)
	}
	if strings.ContainsAny(in.text, "H/") {
		hint = "" // where the steps should go on after the turn is not ours to guess
	}
	return p.fail(f.name, in.offset, fmt.Sprintf("%s range %s-%s runs backwards", f.name, clip(loText, 20), clip(hiText, 20)), hint)
}

// value reads a number or a name; whole is the item it belongs to.
func (p parser) value(f *field, in part, whole string) (int, error) {
	if n, ok := number(in.text); ok {
		return n, p.within(f, in, n)
	}
	for i, name := range f.names {
		if len(in.text) == len(name) && strings.EqualFold(in.text, name) {
			return f.lo + i, nil
		}
	}
	problem := fmt.Sprintf("%s %s is not a value", f.name, quote(whole, 40))
	hint := fmt.Sprintf("write * or %d-%d, lists such as %d,%d, ranges, or steps such as */%d", f.lo, f.hi, f.lo, f.lo+1, min(f.width, 5))
	switch {
	case in.text == "" && strings.HasPrefix(whole, "-"):
		problem = fmt.Sprintf("%s %s: a range needs a number on both sides of -, and no number is negative", f.name, quote(whole, 40))
	case in.text == "":
		problem = fmt.Sprintf("%s %s: a number is missing", f.name, quote(whole, 40))
	case strings.HasPrefix(in.text, "?"):
		problem, hint = fmt.Sprintf("%s %s: ? is not supported", f.name, quote(whole, 40)), "write *"
	case strings.Contains(in.text, "#"):
		problem = fmt.Sprintf("%s %s: # (the nth weekday of a month) is not supported", f.name, quote(whole, 40))
		hint = "write the days it can fall on and test the weekday in the command: 8-14 for the second week"
	case strings.HasPrefix(in.text, "L") || endsNumber(in.text, "L"):
		problem, hint = fmt.Sprintf("%s %s: L (last) is not supported", f.name, quote(whole, 40)), "the last day of a month is the day before its first: consider the 1st"
	case in.text == "W" || endsNumber(in.text, "W"):
		problem, hint = fmt.Sprintf("%s %s: W (the nearest weekday) is not supported", f.name, quote(whole, 40)), ""
	case in.text == "h" || strings.HasPrefix(in.text, "h(") || strings.Contains(in.text, "H"):
		problem = fmt.Sprintf("%s %s: H stands alone, as H, H(a-b), H/n or H(a-b)/n, and is a capital letter", f.name, quote(whole, 40))
		hint = ""
	case f.names == nil && letters(in.text):
		hint = fmt.Sprintf("only month and day-of-week have names; write a number in %d-%d; %s", f.lo, f.hi, fiveFields)
	case f.names != nil && letters(in.text):
		hint = "the names are " + strings.Join(f.names, " ")
	case strings.HasPrefix(in.text, "*"):
		problem = fmt.Sprintf("%s %s: nothing but /step may follow *", f.name, quote(whole, 40))
	}
	return 0, p.fail(f.name, in.offset, problem, hint)
}

func (p parser) within(f *field, in part, n int) error {
	switch {
	case n < f.lo:
		return p.fail(f.name, in.offset, fmt.Sprintf("%s %s is below %d", f.name, clip(in.text, 20), f.lo), "")
	case n > f.hi:
		return p.fail(f.name, in.offset, fmt.Sprintf("%s %s is above %d", f.name, clip(in.text, 20), f.hi), "")
	}
	return nil
}

// step reads what follows the slash.
func (p parser) step(f *field, in part, whole string, most int) (int, error) {
	n, ok := number(in.text)
	switch {
	case in.text == "":
		return 0, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: the step after / is missing", f.name, quote(whole, 40)), "")
	case !ok:
		return 0, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: step %s is not a whole number", f.name, quote(whole, 40), quote(in.text, 40)), "")
	case n == 0:
		return 0, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: step 0 leads nowhere", f.name, quote(whole, 40)), "a step is at least 1")
	case n > most:
		return 0, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: step %s must be within 1 and %d", f.name, quote(whole, 40), clip(in.text, 20), most), "")
	}
	return n, nil
}

// hash reads an item with H.
func (p parser) hash(f *field, in part) (it item, err error) {
	it = item{hashed: true, lo: f.lo, hi: f.hashHi}
	malformed := func() error {
		return p.fail(f.name, in.offset, fmt.Sprintf("%s %s: H is written H, H(a-b), H/n or H(a-b)/n", f.name, quote(in.text, 40)), "")
	}
	rest := in.text[1:]
	if inner, ok := strings.CutPrefix(rest, "("); ok {
		inner, after, closed := strings.Cut(inner, ")")
		lo, hi, ranged := strings.Cut(inner, "-")
		var okLo, okHi bool
		it.lo, okLo = number(lo)
		it.hi, okHi = number(hi)
		if !closed || !ranged || !okLo || !okHi {
			return it, malformed()
		}
		if err := p.within(f, part{lo, in.offset + 2}, it.lo); err != nil {
			return it, err
		}
		if err := p.within(f, part{hi, in.offset + 2 + len(lo) + 1}, it.hi); err != nil {
			return it, err
		}
		if it.lo > it.hi {
			return it, p.backwards(f, in, it.lo, lo, it.hi, hi)
		}
		rest = after
	}
	if rest == "" {
		return it, nil
	}
	step, ok := strings.CutPrefix(rest, "/")
	if !ok {
		return it, malformed()
	}
	if it.step, err = p.step(f, part{step, in.offset + len(in.text) - len(step)}, in.text, it.hi-it.lo+1); err != nil {
		return it, err
	}
	if it.step == 1 {
		return it, p.fail(f.name, in.offset, fmt.Sprintf("%s %s: H with step 1 hashes nothing", f.name, quote(in.text, 40)), "write H for one value or * for all")
	}
	return it, nil
}

// number reads ASCII digits. Numbers too long to matter come out as a large one.
func number(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int(s[i]-'0'), 1_000_000)
	}
	return n, s != ""
}

// endsNumber reports whether s is a number with a letter of other cron dialects behind it.
func endsNumber(s, letter string) bool {
	digits, found := strings.CutSuffix(s, letter)
	_, ok := number(digits)
	return found && ok
}

func letters(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

func clip(s string, limit int) string {
	if len(s) > limit {
		return s[:limit-3] + "..."
	}
	return s
}

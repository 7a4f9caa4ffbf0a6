package notify

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Message is what is told. Its JSON is what a webhook gets: fields may be added to
// it, none is renamed, and every name is always there.
type Message struct {
	// Version is that of this object, 1.
	Version int `json:"version"`
	// ID is the same each time that this message is sent, so that one which comes
	// twice can be told.
	ID string `json:"id"`
	// Event is what is told: failure, uncertain, missed, recovered, skipped, success.
	// It is empty for what only a ping tells.
	Event string `json:"event"`
	// Title is one line, Text the whole of a mail.
	Title string `json:"title"`
	Text  string `json:"text"`

	Project         string `json:"project"`
	Environment     string `json:"environment"`
	EnvironmentType string `json:"environment_type"`
	App             string `json:"app"`
	// Cron is the name of a cron, or the one that exec runs under; empty for what
	// `cronagent fire` called.
	Cron string `json:"cron"`
	// Operation is empty for a command.
	Operation string `json:"operation"`
	Run       Run    `json:"run"`
	// Failures is how many runs in a row have failed, or had before it recovered.
	Failures int `json:"failures"`
	// Since is when the first of them was; nil if none has.
	Since *time.Time `json:"since"`
	// LastSuccess is when the last success before them ended; nil if it is not known.
	LastSuccess *time.Time `json:"last_success"`
	// Look are commands to look further with.
	Look []string `json:"look"`
	// SentAt is when this was sent.
	SentAt time.Time `json:"sent_at"`

	// Where is what Title calls this place, instead of by environment and project.
	Where string `json:"-"`
	// Zone is for the times in Title and Text. Nil: UTC.
	Zone *time.Location `json:"-"`
}

// Run is what became of one run; the names are those of `cronagent fire --json`.
type Run struct {
	ID      string     `json:"id"`
	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason"`
	Due     *time.Time `json:"due"`
	Until   *time.Time `json:"until"`
	Count   int        `json:"count"`
	Started *time.Time `json:"started"`
	Ended   *time.Time `json:"ended"`
	// Attempts is how often it was acted on.
	Attempts   int        `json:"attempts"`
	Activities []Activity `json:"activities"`
	ExitCode   *int       `json:"exit_code"`
	Error      string     `json:"error"`
	// Output are the last lines that a command printed.
	Output string `json:"output"`
	// Pending says that its end is not known yet.
	Pending bool `json:"pending"`
}

// Activity is one that the platform made of an operation.
type Activity struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	State  string `json:"state"`
	Result string `json:"result"`
}

// masked is the message without secrets, with all that comes from outside made
// harmless: what was printed may hold anything. The words that it is told in are
// made of what is harmless already.
func (s *Sender) masked(m Message) Message {
	clean := func(text *string) { *text = s.clean(*text) }
	m.Run.Activities = append([]Activity{}, m.Run.Activities...)
	for i := range m.Run.Activities {
		a := &m.Run.Activities[i]
		for _, text := range []*string{&a.ID, &a.Type, &a.State, &a.Result} {
			clean(text)
		}
	}
	for _, text := range []*string{&m.Project, &m.Environment, &m.EnvironmentType, &m.App, &m.Cron, &m.Operation, &m.Where, &m.Run.Reason, &m.Run.Error} {
		clean(text)
	}
	if s.Mask != nil {
		m.Run.Output = s.Mask(m.Run.Output)
	}
	m.Run.Output = lastLines(m.Run.Output)
	m.Look = append([]string{}, m.Look...)
	for i := range m.Look {
		clean(&m.Look[i])
	}
	m.Version, m.SentAt = 1, time.Now().UTC()
	m.ID = strings.TrimSuffix(m.Run.ID+"-"+m.Event, "-")
	m.Title = m.title()
	m.Text = m.text()
	return m
}

// Of what was printed a telephone shows this much.
const (
	shownLines = 20
	shownBytes = 2000
)

// lastLines are the last lines of what a command printed.
func lastLines(output string) string {
	var lines []string
	for one := range strings.Lines(output) {
		lines = append(lines, line(strings.TrimRight(one, "\r\n")))
	}
	// A progress bar paints over its line.
	for i, one := range lines {
		if at := strings.LastIndex(one, `\x0d`); at >= 0 {
			lines[i] = one[at+len(`\x0d`):]
		}
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	lines = lines[max(0, len(lines)-shownLines):]
	text := strings.Join(lines, "\n")
	for len(text) > shownBytes && len(lines) > 1 {
		lines = lines[1:]
		text = strings.Join(lines, "\n")
	}
	for len(text) > shownBytes {
		text = text[len(text)-shownBytes:]
		for text != "" && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	return text
}

// line makes text from outside one harmless line.
func line(text string) string {
	odd := func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	}
	if !strings.ContainsFunc(text, odd) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == '\n':
			b.WriteString(`\n`)
		case !odd(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

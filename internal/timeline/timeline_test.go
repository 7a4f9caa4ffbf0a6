package timeline_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/width"

	"github.com/cronagent/cronagent/internal/schedule"
	"github.com/cronagent/cronagent/internal/timeline"
)

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

// cron is one of the agent, due at full minutes.
func cron(t testing.TB, name, spec string, z *time.Location) *timeline.Cron {
	return late(t, name, spec, z, "agent", 0)
}

// late is a cron that starts up to so many seconds after its due.
func late(t testing.TB, name, spec string, z *time.Location, scheduler string, offset int64) *timeline.Cron {
	s, err := schedule.Parse(spec, z, schedule.Seed{})
	require.NoError(t, err)
	next := func(after int64) timeline.Span {
		due := s.Next(time.Unix(after, 0))
		if due.IsZero() {
			return timeline.Span{}
		}
		return timeline.Span{From: due.Unix(), To: due.Unix() + offset}
	}
	return &timeline.Cron{
		Name: name, Scheduler: scheduler, Spec: spec, When: s.Describe(), Next: next,
		First: func(at int64) timeline.Span { return next(at - offset - 1) },
	}
}

// app has something of everything. It is 13:40 on a day in November.
func app(t testing.TB) ([]*timeline.Cron, timeline.Options) {
	paris := zone(t, "Europe/Paris")
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 28, hour, minute, 0, 0, paris) }
	backup := cron(t, "backup", "30 5 * * *", paris)
	backup.Runs = []*timeline.Run{
		{ID: "1", At: at(5, 30), Outcome: "fired", Mark: timeline.Good, Text: "fired, took 1s"},
		{ID: "0", At: at(5, 30).AddDate(0, 0, -9), Outcome: "failed", Mark: timeline.Bad, Text: "before the picture"},
	}
	imports := cron(t, "import", "*/20 * * * *", paris)
	for i, mark := range []timeline.Mark{timeline.Good, timeline.Bad, timeline.Good, timeline.Missed, timeline.Uncertain, timeline.Waiting, timeline.Skipped} {
		imports.Runs = append(imports.Runs, &timeline.Run{ID: fmt.Sprint(i), At: at(7+i, 20), Mark: mark, Text: "how it ended"})
	}
	paused := cron(t, "paused", "*/30 * * * *", paris)
	paused.Paused = timeline.Span{From: at(12, 0).Unix(), To: at(18, 0).Unix()}
	paused.Pause = "paused until 18:00: moving"
	off := cron(t, "off", "0 */4 * * *", paris)
	off.Off = "disabled"
	broken := &timeline.Cron{Name: "broken", Scheduler: "platform", Spec: "nonsense", Off: "cannot be read"}
	return []*timeline.Cron{
		late(t, "tick", "*/5 * * * *", paris, "platform", 300),
		late(t, "certificates", "50 4 * * *", paris, "platform", 1200),
		late(t, "renew", "0 5 * * *", paris, "platform", 1200),
		late(t, "hash", "0 22 * * *", paris, "platform", 3599), broken,
		backup, imports, paused, off, cron(t, "every-minute", "* * * * *", paris),
	}, timeline.Options{From: at(0, 0), To: at(0, 0).AddDate(0, 0, 1), Now: at(13, 40), Title: "app"}
}

func text(crons []*timeline.Cron, o timeline.Options, draw timeline.TextOptions) string {
	o.Columns = timeline.TextColumns(crons, draw.Width)
	return timeline.New(crons, o).Text(draw)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "run the test with UPDATE_GOLDEN=1, and look at what has changed")
}

// TestText: the pictures as people see them, in testdata.
func TestText(t *testing.T) {
	t.Parallel()
	crons, o := app(t)
	golden(t, "day-80.txt", text(crons, o, timeline.TextOptions{Width: 80}))
	golden(t, "day-60-ascii.txt", text(crons, o, timeline.TextOptions{Width: 60, ASCII: true}))
	week := o
	week.To = o.From.AddDate(0, 0, 7)
	golden(t, "week-120.txt", text(crons, week, timeline.TextOptions{Width: 120}))
	paris := o.From.Location()
	few := []*timeline.Cron{cron(t, "at-2-30", "30 2 * * *", paris), cron(t, "hourly", "0 * * * *", paris)}
	for name, day := range map[string]time.Time{"spring-60.txt": time.Date(2027, 3, 28, 0, 0, 0, 0, paris), "autumn-60.txt": time.Date(2027, 10, 31, 0, 0, 0, 0, paris)} {
		golden(t, name, text(few, timeline.Options{From: day, To: day.AddDate(0, 0, 1)}, timeline.TextOptions{Width: 60}))
	}
	year := timeline.Options{From: o.From, To: o.From.AddDate(1, 0, 0)}
	golden(t, "year-80.txt", text([]*timeline.Cron{cron(t, "monthly", "0 3 1 * *", paris)}, year, timeline.TextOptions{Width: 80}))
	golden(t, "none.txt", text(nil, o, timeline.TextOptions{Width: 80}))
}

// TestTextFits: no line is wider than the terminal, whatever the names are, and ASCII
// is nothing else. Colours add nothing but colours.
func TestTextFits(t *testing.T) {
	t.Parallel()
	crons, o := app(t)
	for i, name := range []string{strings.Repeat("long", 60), "日本語の名前のクロンジョブ日本語", "é́́́", "שלום עולם", "two words", `\u202eback`} {
		crons[i].Name = name
	}
	escapes := regexp.MustCompile("\x1b\\[[0-9]+m")
	for columns := 60; columns < 260; columns += 7 {
		plain := text(crons, o, timeline.TextOptions{Width: columns})
		for line := range strings.Lines(plain) {
			n := 0
			for _, r := range strings.TrimSuffix(line, "\n") {
				switch kind := width.LookupRune(r).Kind(); {
				case r == '\u0301':
				case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
					n += 2
				default:
					n++
				}
			}
			assert.LessOrEqual(t, n, columns, "%q", line)
		}
		ascii := text(crons, o, timeline.TextOptions{Width: columns, ASCII: true})
		assert.False(t, strings.ContainsFunc(ascii, func(r rune) bool { return r > 0x7e }), ascii)
		colored := text(crons, o, timeline.TextOptions{Width: columns, Color: true})
		assert.NotEqual(t, plain, colored)
		assert.Equal(t, plain, escapes.ReplaceAllString(colored, ""))
	}
	assert.Equal(t, text(crons, o, timeline.TextOptions{Width: 60}), text(crons, o, timeline.TextOptions{Width: 1}))
}

// TestDays: a day has as many hours as the clock gives it, and columns of days begin at
// midnight also then.
func TestDays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone     string
		day      string
		days     int
		columns  int
		hours    float64
		count    int // of an hourly cron
		changes  []int
		firstDue string
	}{
		{"Europe/Paris", "2027-03-28", 1, 24, 23, 23, []int{3600}, "00:00"},
		{"Europe/Paris", "2027-10-31", 1, 25, 25, 25, []int{-3600}, "00:00"},
		{"Europe/Paris", "2027-11-01", 1, 24, 24, 24, nil, "00:00"},
		{"Europe/Paris", "2027-10-25", 14, 24, 14*24 + 1, 14*24 + 1, []int{-3600}, "00:00"},
		{"Australia/Lord_Howe", "2027-10-03", 1, 24, 23.5, 23, []int{1800}, "00:00"},
		{"America/Santiago", "2027-09-05", 1, 24, 23, 23, []int{3600}, "23:00"}, // has no midnight: the hour before it
		{"Asia/Kathmandu", "2027-09-05", 1, 24, 24, 24, nil, "00:00"},
		{"UTC", "2027-03-28", 366, 60, 366 * 24, 366 * 24, nil, "00:00"},
	} {
		t.Run(c.zone+" "+c.day, func(t *testing.T) {
			t.Parallel()
			z := zone(t, c.zone)
			from, err := time.ParseInLocation(time.DateOnly, c.day, z)
			require.NoError(t, err)
			p := timeline.New([]*timeline.Cron{cron(t, "hourly", "0 * * * *", z)}, timeline.Options{From: from, To: from.AddDate(0, 0, c.days), Columns: c.columns})
			assert.Equal(t, from, p.From)
			assert.GreaterOrEqual(t, p.To.Sub(p.From).Hours(), c.hours)
			due := p.Rows[0].Due
			assert.Equal(t, c.firstDue, due[0].From.Format("15:04"))
			n, more := 0, false
			for _, d := range due {
				n += d.Count
				more = more || d.More
			}
			if !more && c.days < 100 {
				assert.InDelta(t, c.hours, p.To.Sub(p.From).Hours(), 0)
				assert.Equal(t, c.count, n)
			}
			var shifts []int
			for _, change := range p.Changes {
				shifts = append(shifts, change.Shift)
			}
			assert.Equal(t, c.changes, shifts)
		})
	}
}

func disabled(c *timeline.Cron) *timeline.Cron {
	off := *c
	off.Off = "disabled"
	return &off
}

// TestMeetings: crons of one scheduler that are due within a minute, or whose ranges
// overlap, meet; those that are not acted on do not.
func TestMeetings(t *testing.T) {
	t.Parallel()
	utc := time.UTC
	day := time.Date(2027, 1, 4, 0, 0, 0, 0, utc)
	a, b := cron(t, "a", "0 5 * * *", utc), cron(t, "b", "0 5 * * *", utc)
	paused := new(*b)
	paused.Paused = timeline.Span{From: day.Unix(), To: day.Add(6 * time.Hour).Unix()}
	over := new(*paused)
	over.Paused.To = day.Add(5 * time.Hour).Unix()
	slow := late(t, "slow", "0 5 * * *", utc, "platform", 1200)
	for _, c := range []struct {
		name  string
		crons []*timeline.Cron
		want  []string
	}{
		{"same minute", []*timeline.Cron{a, b}, []string{"05:00 05:01 a b"}},
		{"a minute apart, in one column", []*timeline.Cron{a, cron(t, "c", "1 5 * * *", utc)}, nil},
		{"one is disabled", []*timeline.Cron{a, disabled(b)}, nil},
		{"one is paused", []*timeline.Cron{a, paused}, nil},
		{"the pause ends just then", []*timeline.Cron{a, over}, []string{"05:00 05:01 a b"}},
		{"of two schedulers", []*timeline.Cron{slow, a}, nil},
		{"ranges overlap", []*timeline.Cron{slow, late(t, "next", "10 5 * * *", utc, "platform", 1200)}, []string{"05:10 05:20 slow next"}},
		{"ranges touch", []*timeline.Cron{slow, late(t, "next", "20 5 * * *", utc, "platform", 1200)}, nil},
		{"over several columns", []*timeline.Cron{late(t, "hours", "0 5 * * *", utc, "platform", 3*3600), late(t, "more", "0 4 * * *", utc, "platform", 3*3600)}, []string{"05:00 07:00 hours more"}},
		{"over several columns, one of them disabled", []*timeline.Cron{disabled(late(t, "hours", "0 5 * * *", utc, "platform", 3*3600)), late(t, "more", "0 4 * * *", utc, "platform", 3*3600)}, nil},
		{"with itself", []*timeline.Cron{late(t, "dense", "* * * * *", utc, "platform", 300)}, nil},
		{"most of them", []*timeline.Cron{a, b, cron(t, "c", "0,30 5 * * *", utc), cron(t, "d", "30 5 * * *", utc)}, []string{"05:00 05:01 a b c"}},
		{"began before the picture", []*timeline.Cron{late(t, "x", "50 23 * * *", utc, "platform", 1200), late(t, "y", "0 0 * * *", utc, "platform", 1200)}, []string{"00:00 00:10 x y", "00:00 00:00 x y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := timeline.New(c.crons, timeline.Options{From: day, To: day.AddDate(0, 0, 1), Columns: 24})
			var got []string
			for _, m := range p.Meetings {
				got = append(got, m.From.Format("15:04")+" "+m.To.Format("15:04")+" "+strings.Join(m.Crons, " "))
			}
			if c.name == "began before the picture" {
				got = append(got[:1], c.want[1]) // the end of the day is another one's begin
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestBounded: however often a cron is due, and however many there are, no more is
// asked and drawn than can be seen.
func TestBounded(t *testing.T) {
	t.Parallel()
	from := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	asked := 0
	next := func(after int64) timeline.Span {
		asked++
		return timeline.Span{From: after + 1, To: after + 1} // each second
	}
	crons := make([]*timeline.Cron, 10_000)
	for i := range crons {
		crons[i] = &timeline.Cron{Name: fmt.Sprint("c", i), Scheduler: "agent", Next: next, First: next}
	}
	o := timeline.Options{From: from, To: from.AddDate(1, 0, 0), Columns: timeline.DrawColumns}
	p := timeline.New(crons, o)
	assert.Equal(t, 9800, p.LeftOut)
	assert.Len(t, p.Rows, timeline.MaxRows)
	assert.Less(t, asked, timeline.MaxRows*timeline.DrawColumns*125)
	assert.Less(t, len(p.SVG()), 200_000)
	assert.Less(t, len(p.HTML()), 300_000)
	assert.Contains(t, text(crons, o, timeline.TextOptions{Width: 80}), "9800 more crons not in the picture")
	assert.True(t, p.Rows[0].Due[0].More)
}

// elements are those that a drawing and a page are made of, and nothing else.
var elements = []string{
	"svg", "title", "desc", "style", "path", "text", "rect",
	"html", "head", "meta", "body", "main", "h1", "p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "br", "ul", "li", "bdi",
}

// wellFormed reads XML, or a page, and returns all its text.
func wellFormed(t testing.TB, document string, page bool) string {
	decoder := xml.NewDecoder(strings.NewReader(document))
	if page {
		decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	}
	var all strings.Builder
	depth := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			require.Zero(t, depth)
			return all.String()
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			require.Contains(t, elements, token.Name.Local)
			for _, a := range token.Attr {
				require.False(t, strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "style" || a.Name.Local == "href" || a.Name.Local == "src", a.Name.Local)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			all.Write(token)
		}
	}
}

// TestDrawn: SVG and HTML are well-formed, hover says each occurrence, outcomes are
// told by more than colour, and the page's policy allows its own style and no more.
func TestDrawn(t *testing.T) {
	t.Parallel()
	crons, o := app(t)
	o.Columns = timeline.DrawColumns
	p := timeline.New(crons, o)
	for name, document := range map[string]string{"svg": p.SVG(), "html": p.HTML()} {
		said := wellFormed(t, document, name == "html")
		for _, want := range []string{
			"certificates: once in the range Sat 2026-11-28 04:50 to 05:10 CET",
			"every-minute: 1440 times, Sat 2026-11-28 00:00 to 23:59 CET",
			"off: Sat 2026-11-28 16:00 CET; not acted on: disabled",
			"paused: not acted on: paused until 18:00: moving",
			"backup; Sat 2026-11-28 05:30 CET fired, took 1s",
			"now: Sat 2026-11-28 13:40 CET",
			"platform crons, which run one at a time: tick, certificates, renew: Sat 2026-11-28 05:00 to 05:10 CET",
			"not acted on: off: disabled", // in the description
		} {
			assert.Contains(t, said, want, name)
		}
		assert.NotContains(t, said, "before the picture")
		assert.Contains(t, document, `role="img" aria-labelledby="tl-title tl-desc"`)
		assert.Contains(t, document, "prefers-color-scheme:dark")
		for _, class := range []string{"due", "span", "off", "gate", "together", "good", "bad", "missed", "uncertain", "waiting", "skipped", "now"} {
			assert.Contains(t, document, `class="`+class+`"`, name)
		}
		assert.NotRegexp(t, `url\(|@import|https?://[^w]|<script|javascript:`, document)
	}
	page := p.HTML()
	_, css, _ := strings.Cut(page, "<style>")
	css, _, _ = strings.Cut(css, "</style>")
	sum := sha256.Sum256([]byte(css))
	assert.Contains(t, page, `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-`+base64.StdEncoding.EncodeToString(sum[:])+`'; base-uri 'none'; form-action 'none'">`)
	assert.Equal(t, 1, strings.Count(page, "<style"))
	assert.Equal(t, len(crons), strings.Count(page, `<th scope="row">`))

	object, err := json.Marshal(p)
	require.NoError(t, err)
	assert.Contains(t, string(object), `{"from":"2026-11-28T04:50:00+01:00","to":"2026-11-28T05:10:00+01:00","count":1,"more":false,"not_acted_on":false}`)
}

// hostile are names that try to be something else.
var hostile = []string{
	"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "]]>", "<!--", "-->", "&lt;b&gt;", "</title></svg><p>", "</style>", "a'b", "\u202eevil", "\ufffe\uffff\U0001fffe", "\x00\x01\x7f\x1b[31m", "\xff\xfe", "日本語", "שלום", "é́́́", strings.Repeat("w", 5000), "", " ", "\n\r\t",
}

// TestHostile: whatever a name is, it stays a name.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, name := range hostile {
		checkEscapes(t, name, "0 5 * * *")
	}
}

func FuzzEscape(f *testing.F) {
	for _, name := range hostile {
		f.Add(name, name)
	}
	f.Fuzz(func(t *testing.T, name, reason string) { checkEscapes(t, name, reason) })
}

func checkEscapes(t testing.TB, name, reason string) {
	crons, o := app(t)
	crons = crons[5:]
	o.Columns = 24
	o.Title = name
	for i := range crons {
		crons[i].Name = fmt.Sprint(name, i)
		crons[i].Spec, crons[i].When = reason, name
		for _, run := range crons[i].Runs {
			run.Text = reason
		}
	}
	crons[3].Off, crons[2].Pause = reason, reason
	p := timeline.New(crons, o)
	said := wellFormed(t, p.SVG(), false)
	wellFormed(t, p.HTML(), true)
	if !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' || r&0xfffe == 0xfffe }) {
		require.Contains(t, said, name+"0", "the mouse tells the whole name")
	}
	require.NotEmpty(t, p.Text(timeline.TextOptions{Width: 60}))
}

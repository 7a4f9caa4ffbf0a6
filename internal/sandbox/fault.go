package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Fault says what goes wrong with some requests. Of the faults given, the
// first that applies to a request and is not used up decides on it alone; so
// several with Times 1 are a script, and one that changes nothing lets a
// request pass.
//
// A fault that gives an answer of its own (Drop, Status, Body or Content) or
// none stands for a gateway in front of the platform: an operation is not acted
// on, unless Act or ActAfter says so. Any other fault leaves the ordinary
// processing in place. Either way only what the platform would have accepted
// without the fault is acted on.
type Fault struct {
	// On says which requests: "token" (the token endpoint), "api" (everything
	// else), "get", "post", "put", "patch", "delete" (API requests with that
	// method), a path such as "/projects/*/environments/main/backup", or a method
	// and a path, "POST /projects/*/environments/*/backup". Paths are compared
	// escaped and without a leading /api; * stands for one segment. Empty: all.
	On string
	// Times is how many requests it applies to; zero means any number.
	Times int

	// DelayBefore is waited, in real time, before anything is done. If the client
	// leaves meanwhile, nothing is done at all.
	DelayBefore time.Duration
	// DelayAfter is waited, in real time, after acting and before answering.
	DelayAfter time.Duration
	// Act makes the platform act although the answer is replaced.
	Act bool
	// ActAfter makes the platform act only so much later by the server's clock,
	// whatever becomes of the connection. The ordinary answer then names no
	// activities, because there are none yet.
	ActAfter time.Duration

	// Drop closes the connection instead of answering.
	Drop bool
	// Status is the status to answer; zero means the ordinary one.
	Status int
	// Header is set in the answer; an empty value takes the header out, even
	// Date.
	Header map[string]string
	// Body is the body to send. Empty: the ordinary one if Status is a 2xx and the
	// platform acts, else the API's JSON for that status. Its Content-Type is
	// guessed from how it begins, Header overrides that.
	Body string
	// Content makes a body of a special kind.
	Content Content
	// Activities is how many activities an operation that is acted on becomes,
	// all of its type; nil means one.
	Activities *int
	// Outcome is how these activities end.
	Outcome Outcome
}

// Content is a kind of body.
type Content string

// Cut and stalled bodies are made of the body that would have been sent.
const (
	ContentHTML    Content = "html"    // a gateway's error page
	ContentEmpty   Content = "empty"   // none
	ContentHuge    Content = "huge"    // HugeBody bytes of JSON
	ContentEndless Content = "endless" // JSON that goes on as fast as it is read
	ContentStalled Content = "stalled" // the first half, then nothing until the client leaves
	ContentCut     Content = "cut"     // the first half, then the connection is closed
)

// HugeBody is the size in bytes of a body with ContentHuge.
const HugeBody = 100 << 20

// Outcome is how an activity ends.
type Outcome string

// Staged and unfinished activities never end.
const (
	Success    Outcome = "" // in JSON also "success"
	Failure    Outcome = "failure"
	Cancelled  Outcome = "cancelled"
	Staged     Outcome = "staged"     // waits for a deployment by hand
	Unfinished Outcome = "unfinished" // stays in_progress
)

// scripted is a fault in use.
type scripted struct {
	Fault
	used int
}

// Fault adds faults behind those already there. An error says what is wrong
// with one of them; then none is added.
func (s *Server) Fault(faults ...Fault) error {
	for i, f := range faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.faults = append(s.faults, &scripted{Fault: f})
	}
	return nil
}

// ClearFaults removes all faults. Requests that one already holds, and
// operations that will be acted on later, are not affected.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// ParseFaults reads faults from JSON: an array of objects whose keys are the
// fields of Fault in snake_case, with durations such as "90s". Unknown keys are
// refused, as is everything that Server.Fault refuses.
func ParseFaults(data []byte) ([]Fault, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("faults: want a JSON array of objects: %w", err)
	}
	if raw == nil {
		return nil, errors.New("faults: want a JSON array of objects, got null")
	}
	faults := make([]Fault, len(raw))
	for i, one := range raw {
		f, err := parseFault(one)
		if err != nil {
			return nil, fmt.Errorf("fault %d: %w", i+1, err)
		}
		faults[i] = f
	}
	return faults, nil
}

func parseFault(data []byte) (Fault, error) {
	var j struct {
		On          string            `json:"on"`
		Times       int               `json:"times"`
		DelayBefore duration          `json:"delay_before"`
		DelayAfter  duration          `json:"delay_after"`
		Act         bool              `json:"act"`
		ActAfter    duration          `json:"act_after"`
		Drop        bool              `json:"drop"`
		Status      int               `json:"status"`
		Header      map[string]string `json:"header"`
		Body        string            `json:"body"`
		Content     Content           `json:"content"`
		Activities  *int              `json:"activities"`
		Outcome     Outcome           `json:"outcome"`
	}
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		return Fault{}, fmt.Errorf("want an object, got %.40s", data)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return Fault{}, fmt.Errorf("%s: a %s does not belong there", strings.TrimPrefix(wrong.Field, "."), wrong.Value)
		}
		return Fault{}, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if j.Outcome == "success" {
		j.Outcome = Success
	}
	f := Fault{
		On: j.On, Times: j.Times,
		DelayBefore: time.Duration(j.DelayBefore), DelayAfter: time.Duration(j.DelayAfter),
		Act: j.Act, ActAfter: time.Duration(j.ActAfter),
		Drop: j.Drop, Status: j.Status, Header: j.Header, Body: j.Body, Content: j.Content,
		Activities: j.Activities, Outcome: j.Outcome,
	}
	return f, f.check()
}

// duration is a time.Duration that JSON holds as "1m30s".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration such as \"90s\"", text)
	}
	*d = duration(v)
	return nil
}

var methods = [...]string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodHead, http.MethodOptions,
}

func (f *Fault) check() error {
	method, pattern := f.pattern()
	switch {
	case pattern == "":
		names := []string{"", "token", "api", "get", "post", "put", "patch", "delete"}
		if !slices.Contains(names, f.On) {
			return fmt.Errorf("on: %q is no %s and no path", f.On, strings.Join(names[1:], ", "))
		}
	case !strings.HasPrefix(f.On, "/") && !slices.Contains(methods[:], method):
		return fmt.Errorf("on: %q begins neither with a method such as POST nor with a slash", f.On)
	default:
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("on: %q is no pattern: %w", f.On, err)
		}
	}
	for name, d := range map[string]time.Duration{"delay_before": f.DelayBefore, "delay_after": f.DelayAfter, "act_after": f.ActAfter} {
		if d < 0 {
			return fmt.Errorf("%s: %s is negative", name, d)
		}
	}
	contents := []Content{"", ContentHTML, ContentEmpty, ContentHuge, ContentEndless, ContentStalled, ContentCut}
	outcomes := []Outcome{Success, Failure, Cancelled, Staged, Unfinished}
	switch {
	case f.Times < 0:
		return fmt.Errorf("times: %d is negative", f.Times)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status: %d is not from 200 to 599", f.Status)
	case !slices.Contains(contents, f.Content):
		return fmt.Errorf("content: %q is none of html, empty, huge, endless, stalled, cut", f.Content)
	case !slices.Contains(outcomes, f.Outcome):
		return fmt.Errorf("outcome: %q is none of success, failure, cancelled, staged, unfinished", f.Outcome)
	case f.Activities != nil && (*f.Activities < 0 || *f.Activities > 100):
		return fmt.Errorf("activities: %d is not from 0 to 100", *f.Activities)
	case f.Act && f.ActAfter > 0:
		return errors.New("act and act_after: give one of them")
	case f.Drop && (f.Status != 0 || f.Body != "" || f.Content != "" || f.Header != nil):
		return errors.New("drop: there is no answer that could have a status, header, body or content")
	case f.Body != "" && f.Content != "" && f.Content != ContentStalled && f.Content != ContentCut:
		return fmt.Errorf("body: content %q has a body of its own", f.Content)
	}
	return nil
}

// pattern splits On into method and path; the path is empty if On is a name.
func (f *Fault) pattern() (method, pattern string) {
	pattern = f.On
	if !strings.HasPrefix(pattern, "/") {
		method, pattern, _ = strings.Cut(f.On, " ")
	}
	if !strings.HasPrefix(pattern, "/") {
		return "", ""
	}
	return method, unprefixed(pattern)
}

// applies reports whether f is about this request; escaped has no leading /api.
func (f *Fault) applies(method, escaped string) bool {
	if f.On == "" {
		return true
	}
	if want, pattern := f.pattern(); pattern != "" {
		ok, _ := path.Match(pattern, escaped)
		return ok && (want == "" || want == method)
	}
	switch token := escaped == tokenPath; f.On {
	case "token":
		return token
	case "api":
		return !token
	default:
		return !token && strings.ToUpper(f.On) == method
	}
}

// take finds the fault for a request and uses it once. The zero Fault means
// that there is none.
func (s *Server) take(method, escaped string) (f Fault, found bool) {
	for _, one := range s.faults {
		if (one.Times == 0 || one.used < one.Times) && one.applies(method, escaped) {
			one.used++
			return one.Fault, true
		}
	}
	return Fault{}, false
}

// acts reports whether the platform acts at once.
func (f *Fault) acts() bool {
	if f.ActAfter > 0 {
		return false
	}
	return f.Act || !f.Drop && f.Status == 0 && f.Body == "" && f.Content == ""
}

// breaksOff reports whether the connection is closed during the answer.
func (f *Fault) breaksOff() bool {
	return f.Content == ContentCut || f.Content == ContentStalled || f.Content == ContentEndless
}

// replace makes the answer that f wants of the ordinary one. Done says that
// the ordinary one may be used: the platform acted, or had only to read. Problem
// makes the body for a status where there is none to use.
func (f *Fault) replace(a answer, done bool, problem func(status int) answer) answer {
	fits := done && (f.Status == 0 || f.Status/100 == 2 && a.status/100 == 2)
	switch {
	case f.Status != 0:
		a.status = f.Status
	case !done && (f.Body != "" || f.Content != ""):
		a.status = http.StatusOK
	}
	switch {
	case f.Content == ContentHTML:
		a.body, a.kind = htmlPage(a.status), "text/html; charset=utf-8"
	case f.Content == ContentEmpty:
		a.body, a.kind = nil, ""
	case f.Body != "":
		a.body, a.kind = []byte(f.Body), guessKind(f.Body)
	case !fits:
		a = problem(a.status)
	}
	return a
}

func guessKind(body string) string {
	switch trimmed := strings.TrimSpace(body); {
	case strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "["):
		return "application/json"
	case strings.HasPrefix(trimmed, "<"):
		return "text/html; charset=utf-8"
	default:
		return "text/plain; charset=utf-8"
	}
}

func htmlPage(status int) []byte {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return []byte("<html>\n<head><title>" + title + "</title></head>\n<body><center><h1>" + title + "</h1></center></body>\n</html>\n")
}

// send writes the answer. It panics with http.ErrAbortHandler where the
// connection is to be closed, which is how net/http lets a handler do that.
func (s *Server) send(w http.ResponseWriter, r *http.Request, f Fault, a answer, now time.Time) {
	h := w.Header()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	for name, values := range a.header {
		h[name] = values
	}
	if a.kind != "" {
		h.Set("Content-Type", a.kind)
	} else {
		h["Content-Type"] = nil // or net/http would guess one
	}
	switch f.Content {
	case ContentHuge, ContentEndless:
		h.Set("Content-Type", "application/json")
	}
	if f.Content == ContentHuge {
		h.Set("Content-Length", fmt.Sprint(HugeBody))
	} else if f.Content == ContentCut || f.Content == ContentStalled {
		h.Set("Content-Length", fmt.Sprint(len(a.body)))
	}
	for name, value := range f.Header {
		name = http.CanonicalHeaderKey(name)
		if h[name] = []string{value}; value == "" {
			h[name] = nil
		}
	}
	w.WriteHeader(a.status)
	flush := func() { _ = http.NewResponseController(w).Flush() }
	switch f.Content {
	case ContentHuge:
		s.pour(w, r, HugeBody)
	case ContentEndless:
		s.pour(w, r, -1)
		panic(http.ErrAbortHandler)
	case ContentCut:
		_, _ = w.Write(a.body[:len(a.body)/2])
		flush()
		panic(http.ErrAbortHandler)
	case ContentStalled:
		_, _ = w.Write(a.body[:len(a.body)/2])
		flush()
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
		panic(http.ErrAbortHandler)
	default:
		_, _ = w.Write(a.body)
	}
}

// pour writes one JSON object of size bytes, or of no end if size is negative,
// until the client leaves or the server is closed.
func (s *Server) pour(w io.Writer, r *http.Request, size int) {
	const begin, end = `{"padding":"`, `"}`
	if _, err := io.WriteString(w, begin); err != nil {
		return
	}
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for left := size - len(begin) - len(end); size < 0 || left > 0; left -= len(chunk) {
		if size >= 0 && left < len(chunk) {
			chunk = chunk[:left]
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		default:
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, end)
}

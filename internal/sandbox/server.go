package sandbox

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is how much of a request's body is read, in bytes.
const maxBody = 1 << 20

type object = map[string]any

// answer is what goes back to the client.
type answer struct {
	status int
	header http.Header
	kind   string // the Content-Type
	body   []byte
	deed   *deed // what the platform does if it acts; nil if it would not
}

func jsonAnswer(status int, v any) answer {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return answer{status: http.StatusInternalServerError, kind: "text/plain", body: []byte(err.Error())}
	}
	return answer{status: status, kind: "application/json", body: bytes.TrimSuffix(body.Bytes(), []byte("\n"))}
}

// problem is an error in the shape of the project API, or for a status below
// 400 a plain statement in the same shape.
func problem(status int) answer {
	if status < 400 {
		return jsonAnswer(status, object{"status": http.StatusText(status), "code": status})
	}
	return problemDetail(status, nil)
}

// problemDetail adds a detail, which is a text or an object.
func problemDetail(status int, detail any) answer {
	body := object{"status": "error", "code": status, "message": http.StatusText(status)}
	if detail != nil {
		body["detail"] = detail
	}
	return jsonAnswer(status, body)
}

// acceptedAnswer is the API's 202, or its 201 for what was created.
func (s *Server) acceptedAnswer(d deed, made []*activity, now time.Time) answer {
	activities := make([]object, len(made))
	for i, a := range made {
		activities[i] = s.activityJSON(a, now)
	}
	if d.empty {
		return answer{status: http.StatusNoContent}
	}
	if d.whole != nil {
		return jsonAnswer(http.StatusCreated, d.whole())
	}
	if d.entity != nil {
		return jsonAnswer(http.StatusCreated, object{
			"status": "Created", "code": http.StatusCreated, "_embedded": object{"entity": d.entity(), "activities": activities},
		})
	}
	return jsonAnswer(http.StatusAccepted, object{
		"status": "Accepted", "code": http.StatusAccepted, "_embedded": object{"activities": activities},
	})
}

// ServeHTTP answers one request, or lets the fault that applies to it happen.
// To drop a connection it panics with http.ErrAbortHandler, which a server of
// net/http understands.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, "the sandbox is closed", http.StatusServiceUnavailable)
		return
	}
	s.handlers.Add(1)
	s.mu.Unlock()
	defer s.handlers.Done()

	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	now := s.opts.Now()
	rec, index, f := s.receive(r, string(body), now)
	drop := func() {
		s.settle(rec, 0, true)
		panic(http.ErrAbortHandler)
	}
	if err != nil || !s.wait(r, f.DelayBefore) {
		drop()
	}
	if f.DelayBefore > 0 {
		now = s.opts.Now()
	}
	a := s.process(r, string(body), rec, index, f, now)
	if !s.wait(r, f.DelayAfter) {
		drop()
	}
	if f.DelayAfter > 0 {
		now = s.opts.Now()
	}
	if f.Drop {
		drop()
	}
	s.settle(rec, a.status, f.breaksOff())
	s.send(w, r, f, a, now)
}

// receive records a request and finds the fault that applies to it.
func (s *Server) receive(r *http.Request, body string, now time.Time) (rec *Request, index int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.EscapedPath()
	rec = &Request{
		Time: now, Method: r.Method, Path: s.mask(path), Query: s.mask(r.URL.RawQuery),
		Header: s.maskHeader(r.Header), Body: s.mask(body), Credentials: "none",
	}
	f, rec.Faulty = s.take(r.Method, unprefixed(path))
	s.requests = append(s.requests, rec)
	return rec, len(s.requests) - 1, f
}

// settle records what became of a request, status 0 meaning no answer.
func (s *Server) settle(rec *Request, status int, dropped bool) {
	s.mu.Lock()
	rec.Status, rec.Dropped = status, dropped
	told := *rec
	s.mu.Unlock()
	if s.opts.OnRequest != nil {
		s.opts.OnRequest(told)
	}
}

// wait waits in real time; false means that the client left or that the Server
// is being closed.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.closing:
	}
	return false
}

// process does what the platform does with a request, as far as the fault lets
// it, and returns the answer to give.
func (s *Server) process(r *http.Request, body string, rec *Request, index int, f Fault, now time.Time) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(now)
	a := s.route(r, body, rec, now)
	if a.deed == nil {
		if path := r.URL.EscapedPath(); path == tokenPath {
			return f.replace(a, true, oauthProblem)
		}
		return f.replace(a, true, problem)
	}
	d := *a.deed
	d.request, d.outcome, d.count, d.body = index, f.Outcome, 1, rec.Body
	if f.Activities != nil {
		d.count = *f.Activities
	}
	switch {
	case f.ActAfter > 0:
		s.later = append(s.later, pending{now.Add(f.ActAfter), func(at time.Time) { s.perform(d, at) }})
		return f.replace(s.acceptedAnswer(d, nil, now), true, problem)
	case f.acts():
		return f.replace(s.acceptedAnswer(d, s.perform(d, now), now), true, problem)
	}
	return f.replace(s.acceptedAnswer(d, nil, now), false, problem)
}

// unprefixed takes off the /api that the links of the API have and its own
// documentation has not: both spellings are served, of project paths only.
func unprefixed(path string) string {
	if strings.HasPrefix(path, "/api/projects/") {
		return strings.TrimPrefix(path, "/api")
	}
	return path
}

// segments splits an escaped path; nil if it is not one that the API has.
func segments(escaped string) []string {
	parts := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil || plain == "" || plain == "." || plain == ".." {
			return nil
		}
		parts[i] = plain
	}
	return parts
}

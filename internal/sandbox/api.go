package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is an API request whose sender is known.
type call struct {
	r    *http.Request
	body string
	now  time.Time
	user User
	env  *Environment
	id   string // of an activity, backup, user or variable, where the path has one
}

// route finds and makes the answer to a request. It changes nothing but the
// access tokens; what is to be done stands in the answer's deed.
func (s *Server) route(r *http.Request, body string, rec *Request, now time.Time) answer {
	path := unprefixed(r.URL.EscapedPath())
	if len(body) > maxBody {
		return problem(http.StatusRequestEntityTooLarge)
	}
	if path == tokenPath {
		if r.Method != http.MethodPost {
			return wrongMethod(http.MethodPost)
		}
		return s.exchange(r, body, rec, now)
	}
	serve, c, allowed := s.find(r.Method, segments(path))
	switch {
	case serve == nil && allowed == "":
		return problemDetail(http.StatusNotFound, "There is nothing at this path")
	case serve == nil:
		return wrongMethod(allowed)
	}
	user, reason := s.bearer(r, rec, now)
	if reason != "" {
		a := problemDetail(http.StatusUnauthorized, reason)
		a.header = http.Header{"Www-Authenticate": {`Bearer realm="sandbox", error="invalid_token"`}}
		return a
	}
	c.r, c.body, c.now, c.user = r, body, now, user
	if c.project != "" {
		switch {
		case c.project != s.opts.Project:
			return problemDetail(http.StatusNotFound, "There is no such project")
		case !user.Role.sees():
			return problem(http.StatusForbidden)
		}
	}
	if c.environment != "" {
		if c.env = s.environment(c.environment); c.env == nil {
			return problemDetail(http.StatusNotFound, "There is no such environment")
		}
	}
	return serve(c.call)
}

func (s *Server) serveMe(c call) answer {
	return jsonAnswer(http.StatusOK, userJSON(c.user))
}

func (s *Server) serveProject(call) answer {
	return jsonAnswer(http.StatusOK, s.projectJSON())
}

func (s *Server) serveEnvironments(c call) answer {
	all := make([]object, len(s.environments))
	for i := range s.environments {
		all[i] = s.environmentJSON(&s.environments[i], c.user, c.now)
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) serveEnvironment(c call) answer {
	return jsonAnswer(http.StatusOK, s.environmentJSON(c.env, c.user, c.now))
}

// serveActivities lists the newest first. starts_at asks for those created at
// that time or before, as the CLI does to get a further page.
func (s *Server) serveActivities(c call) answer {
	q := c.r.URL.Query()
	count := 10
	if text := q.Get("count"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return problemDetail(http.StatusBadRequest, object{"count": "Not a positive number"})
		}
		count = n
	}
	var from time.Time
	if text := q.Get("starts_at"); text != "" {
		// The vendor's tool leaves the plus of the zone as it is, which means a blank.
		t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(text, " ", "+"))
		if err != nil {
			return problemDetail(http.StatusBadRequest, object{"starts_at": "Not a date"})
		}
		from = t
	}
	wanted := func(key, value string) bool { return !q.Has(key) || slices.Contains(q[key], value) }
	all := []object{}
	for _, a := range slices.Backward(s.activities) {
		state, result, _, _ := s.state(a, c.now)
		if len(all) < count && (c.env == nil || a.environment == c.env.ID) &&
			(from.IsZero() || !a.created.Truncate(time.Microsecond).After(from)) &&
			wanted("type", a.kind) && wanted("state", state) && wanted("result", result) {
			all = append(all, s.activityJSON(a, c.now))
		}
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) activity(c call) *activity {
	for _, a := range s.activities {
		if a.id == c.id && (c.env == nil || a.environment == c.env.ID) {
			return a
		}
	}
	return nil
}

func (s *Server) serveActivity(c call) answer {
	a := s.activity(c)
	if a == nil {
		return problemDetail(http.StatusNotFound, "There is no such activity")
	}
	return jsonAnswer(http.StatusOK, s.activityJSON(a, c.now))
}

// serveLog is one JSON object on each line; the last seals a finished log. The
// query is that of the vendor's tool: start_at is how many items to leave out,
// max_items how many to send (0: all), and max_delay how many seconds to wait for
// more, which is never done here. Anything else in it is refused, as by the platform.
func (s *Server) serveLog(c call) answer {
	a := s.activity(c)
	if a == nil {
		return problemDetail(http.StatusNotFound, "There is no such activity")
	}
	asked := map[string]int{"start_at": 0, "max_items": 0, "max_delay": 0}
	for key, values := range c.r.URL.Query() {
		n, err := strconv.Atoi(values[0])
		if _, known := asked[key]; !known || err != nil || n < -1 || n < 0 && key != "max_delay" {
			return problemDetail(http.StatusBadRequest, object{key: "Not a known key, or not a number that it takes"})
		}
		asked[key] = n
	}
	items, sealed := s.log(a, c.now)
	var body bytes.Buffer
	write := func(line any) {
		body.Write(jsonAnswer(0, line).body)
		body.WriteByte('\n')
	}
	sent := 0
	for i, item := range items {
		if i < asked["start_at"] {
			continue
		}
		if sent++; asked["max_items"] > 0 && sent > asked["max_items"] {
			sealed = false
			break
		}
		write(object{"_id": strconv.Itoa(i + 1), "data": object{"timestamp": stamp(item.at), "message": item.message}})
	}
	if sealed {
		write(object{"seal": true})
	}
	return answer{status: http.StatusOK, kind: "application/x-ndjson", body: body.Bytes()}
}

func (s *Server) serveSourceOperations(call) answer {
	all := make([]object, len(s.opts.SourceOperations))
	for i, name := range s.opts.SourceOperations {
		all[i] = object{"id": name, "app": "app", "operation": name, "command": "true"}
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) serveDeployment(c call) answer {
	if c.env.Status != "active" {
		return problemDetail(http.StatusNotFound, "The environment has no deployment")
	}
	return jsonAnswer(http.StatusOK, object{
		"id": "current",
		"webapps": object{"app": object{
			"name": "app", "type": "php:8.4", "timezone": nil, "crons": object{},
			"operations": object{runtimeOperation: object{
				"role": "contributor", "commands": object{"start": "php bin/console cache:clear", "stop": nil},
			}},
		}},
		"workers": object{}, "services": object{}, "routes": object{},
		"_links": object{
			"self":        s.self(s.environmentPath(c.env.ID) + "/deployments/current"),
			"#operations": link(s.environmentPath(c.env.ID) + "/deployments/current/operations"),
		},
	})
}

// operate checks an operation as the platform would. What it answers is only
// whether the operation is refused; the rest is decided by the fault, if any.
func (s *Server) operate(c call, o operation) answer {
	d := &deed{operation: o, user: c.user, environment: c.env.ID, safe: true}
	switch {
	case !c.user.Role.operates(c.env.Type):
		return problem(http.StatusForbidden)
	case c.env.Status != o.from:
		return problemDetail(http.StatusBadRequest, object{"error": "The environment is not " + o.from})
	case c.env.Dirty:
		return problemDetail(http.StatusConflict, object{"error": "The environment has pending changes"})
	case !c.env.available(o, c.user):
		return problemDetail(http.StatusBadRequest, object{"error": "Only preview environments can be paused or synchronized"})
	}
	if refusal, ok := c.asJSON(); !ok {
		return refusal
	}
	if key, message := s.readBody(d, c.body); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	return answer{deed: d}
}

// readBody reads what a request says besides its path, and returns what is
// wrong with it under the key concerned.
func (s *Server) readBody(d *deed, body string) (key, message string) {
	if body == "" && d.path != "source-operation" {
		body = "{}" // an absent body is one with nothing in it: older clients send none
	}
	var code, data, resources, rebase bool
	fields := map[string]any{}
	switch d.path {
	case "backup":
		fields["safe"] = &d.safe
	case "source-operation":
		fields["operation"], fields["variables"] = &d.source, &map[string]map[string]any{}
	case "synchronize":
		fields["synchronize_code"], fields["synchronize_data"], fields["synchronize_resources"], fields["rebase"] = &code, &data, &resources, &rebase
	}
	if key, message := members(body, fields); message != "" {
		return key, message
	}
	if d.path == "source-operation" && !slices.Contains(s.opts.SourceOperations, d.source) {
		return "operation", "There is no such source operation"
	}
	if d.path == "synchronize" && !code && !data && !resources {
		return "error", "Nothing to synchronize"
	}
	return "", ""
}

// members reads a JSON object into the fields that it may have, and returns what is
// wrong with it under the key concerned.
func members(body string, fields map[string]any) (key, message string) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &all); err != nil || all == nil {
		return "body", "Not a JSON object"
	}
	for key, value := range all {
		field, known := fields[key]
		if !known {
			return key, "Not a known key"
		}
		if strict(value, field) != nil {
			return key, "Not of the right type"
		}
	}
	return "", ""
}

// asJSON is the refusal of a body that is not declared to be JSON.
func (c call) asJSON() (refusal answer, ok bool) {
	if kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); c.body != "" && kind != "application/json" {
		return problemDetail(http.StatusUnsupportedMediaType, "The body must be application/json"), false
	}
	return answer{}, true
}

// strict is json.Unmarshal that refuses null, which would leave v as it is.
func strict(data []byte, v any) error {
	if string(data) == "null" {
		return errors.New("null")
	}
	return json.Unmarshal(data, v)
}

package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// route is one method at one path. In the path P stands for the project, E for an
// environment and * for any other id.
type route struct {
	method, path string
	serve        func(call) answer
}

// routes lists what is served behind a bearer token.
func (s *Server) routes() []route {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	all := []route{
		{get, "users/me", s.serveMe},
		{get, "ref/users", s.serveReferences},
		{get, "projects/P", s.serveProject},
		{get, "projects/P/environments", s.serveEnvironments},
		{get, "projects/P/environment-types", s.serveEnvironmentTypes},
		{get, "projects/P/capabilities", s.serveCapabilities},
		{get, "projects/P/settings", s.serveProjectSettings},
		{get, "projects/P/user-access", s.serveUsers},
		{get, "projects/P/user-access/*", s.serveUserAccess},
		{patch, "projects/P/user-access/*", s.changeUserAccess},
		{get, "projects/P/invitations", s.serveInvitations},
		{post, "projects/P/invitations", s.invite},
		{get, "projects/P/environments/E", s.serveEnvironment},
		{get, "projects/P/environments/E/settings", s.serveSettings},
		{get, "projects/P/environments/E/backups", s.serveBackups},
		{get, "projects/P/environments/E/backups/*", s.serveBackup},
		{del, "projects/P/environments/E/backups/*", s.deleteBackup},
		{post, "projects/P/environments/E/backups/*/restore", s.restoreBackup},
		{get, "projects/P/environments/E/source-operations", s.serveSourceOperations},
		{get, "projects/P/environments/E/deployments/current", s.serveDeployment},
		{post, "projects/P/environments/E/deployments/current/operations", s.runOperation},
	}
	for _, base := range []string{"projects/P/", "projects/P/environments/E/"} {
		all = append(all,
			route{get, base + "activities", s.serveActivities},
			route{get, base + "activities/*", s.serveActivity},
			route{get, base + "activities/*/log", s.serveLog},
			route{post, base + "activities/*/cancel", s.cancel},
			route{get, base + "variables", s.serveVariables},
			route{post, base + "variables", s.createVariable},
			route{get, base + "variables/*", s.serveVariable},
			route{patch, base + "variables/*", s.updateVariable},
			route{del, base + "variables/*", s.deleteVariable},
		)
	}
	for _, o := range operations() {
		all = append(all, route{post, "projects/P/environments/E/" + o.path, func(c call) answer { return s.operate(c, o) }})
	}
	return all
}

// target is where a path leads.
type target struct {
	call
	project, environment string // as the path names them
}

// find reads a path. Without a function allowed is the methods that the path has;
// none means that there is no such path.
func (s *Server) find(method string, path []string) (serve func(call) answer, t target, allowed string) {
	var methods []string
	for _, r := range s.routes() {
		at, ok := r.match(path)
		switch {
		case ok && r.method == method:
			return r.serve, at, ""
		case ok:
			methods = append(methods, r.method)
		}
	}
	return nil, target{}, strings.Join(methods, ", ")
}

// match tells whether a path is the route's, and what its ids are.
func (r route) match(path []string) (t target, ok bool) {
	pattern := strings.Split(r.path, "/")
	if len(pattern) != len(path) {
		return t, false
	}
	for i, part := range pattern {
		switch part {
		case "P":
			t.project = path[i]
		case "E":
			t.environment = path[i]
		case "*":
			t.id = path[i]
		case path[i]:
		default:
			return t, false
		}
	}
	return t, true
}

func wrongMethod(allowed string) answer {
	a := problem(http.StatusMethodNotAllowed)
	a.header = http.Header{"Allow": {allowed}}
	return a
}

// deed is one that the call's user may do and that changes no status.
func (c call) deed(name, activity, did string) *deed {
	d := &deed{operation: operation{path: name, activity: activity, did: did}, user: c.user}
	if c.env != nil {
		d.environment = c.env.ID
	}
	return d
}

// cancel ends an activity that has not ended.
func (s *Server) cancel(c call) answer {
	a := s.activity(c)
	if a == nil {
		return problemDetail(http.StatusNotFound, "There is no such activity")
	}
	env := s.environment(a.environment)
	if c.user.Role != Admin && (env == nil || !c.user.Role.operates(env.Type)) {
		return problem(http.StatusForbidden)
	}
	if _, _, _, ended := s.state(a, c.now); !ended.IsZero() {
		return problemDetail(http.StatusBadRequest, object{"error": "The activity has ended"})
	}
	d := c.deed("cancel", "", "")
	d.environment, d.quiet = a.environment, true
	d.change = func() { a.cancelled = c.now }
	return answer{deed: d}
}

// runtimeOperation is the name of the one operation that the app defines.
const runtimeOperation = "clear-cache"

func (s *Server) runOperation(c call) answer {
	switch {
	case !c.user.Role.operates(c.env.Type):
		return problem(http.StatusForbidden)
	case c.env.Status != "active":
		return problemDetail(http.StatusNotFound, "The environment has no deployment")
	}
	if refusal, ok := c.asJSON(); !ok {
		return refusal
	}
	var service, name string
	var parameters []string
	if key, message := members(c.body, map[string]any{"service": &service, "operation": &name, "parameters": &parameters}); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if service != "app" || name != runtimeOperation {
		return problemDetail(http.StatusBadRequest, object{"operation": "There is no such operation"})
	}
	d := c.deed("operations", "environment.operation", "ran an operation on")
	d.source = name
	return answer{deed: d}
}

// serveSettings and serveCapabilities are asked for by the vendor's tool, which
// needs next to nothing of them.
func (s *Server) serveSettings(call) answer {
	return jsonAnswer(http.StatusOK, object{"enable_manual_deployments": false})
}

func (s *Server) serveCapabilities(call) answer {
	return jsonAnswer(http.StatusOK, object{
		"custom_domains": object{"enabled": true}, "source_operations": object{"enabled": true},
		"runtime_operations": object{"enabled": true},
	})
}

// serveProjectSettings has of the many settings those that crons have to do with, by
// the names and types of the vendor's OpenAPI file and with values of its documentation.
func (s *Server) serveProjectSettings(call) answer {
	const schedule = `"schedule":[{"interval":"1d","count":1}]`
	return answer{status: http.StatusOK, kind: "application/json", body: []byte(`{"cron_minimum_interval":5,"cron_maximum_jitter":20,` +
		`"data_retention":{"production":{"max_backups":4,"default_config":{"manual_count":2,` + schedule + `}},` +
		`"staging":{"max_backups":2,"default_config":{"manual_count":1,` + schedule + `}},` +
		`"development":{"max_backups":2,"default_config":{"manual_count":1,` + schedule + `}}}}`)}
}

func (s *Server) serveEnvironmentTypes(call) answer {
	var all []object
	for _, name := range slices.Sorted(slices.Values([]string{"production", "staging", "development"})) {
		self := s.self(s.projectPath() + "/environment-types/" + name)
		all = append(all, object{"id": name, "attributes": object{}, "_links": object{"self": self}})
	}
	return jsonAnswer(http.StatusOK, all)
}

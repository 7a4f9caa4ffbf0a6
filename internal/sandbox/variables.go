package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// variable is a variable of the project or of an environment.
type variable struct {
	environment      string // empty: of the project
	created, updated time.Time
	variableFields
}

// variableFields are what a client may set.
type variableFields struct {
	Name           string            `json:"name"`
	Value          string            `json:"value"`
	JSON           bool              `json:"is_json"`
	Sensitive      bool              `json:"is_sensitive"`
	VisibleBuild   bool              `json:"visible_build"`
	VisibleRuntime bool              `json:"visible_runtime"`
	Scope          []string          `json:"application_scope"`
	Attributes     map[string]string `json:"attributes"`
	Enabled        bool              `json:"is_enabled"`
	Inheritable    bool              `json:"is_inheritable"`
}

// fields are where the members of a body go.
func (f *variableFields) fields(ofEnvironment bool) map[string]any {
	all := map[string]any{
		"name": &f.Name, "value": &f.Value, "is_json": &f.JSON, "is_sensitive": &f.Sensitive,
		"visible_build": &f.VisibleBuild, "visible_runtime": &f.VisibleRuntime,
		"application_scope": &f.Scope, "attributes": &f.Attributes,
	}
	if ofEnvironment {
		all["is_enabled"], all["is_inheritable"] = &f.Enabled, &f.Inheritable
	}
	return all
}

// check returns what is wrong with a variable under the key concerned.
func (f *variableFields) check() (key, message string) {
	switch {
	case f.Name == "" || len(f.Name) > 256 || strings.ContainsAny(f.Name, " \t\r\n"):
		return "name", "Not a variable name"
	case f.JSON && !json.Valid([]byte(f.Value)):
		return "value", "Not JSON"
	}
	return "", ""
}

func (c call) environmentID() string {
	if c.env == nil {
		return ""
	}
	return c.env.ID
}

// Variable is the value that a variable has on an environment, its own, inherited or
// the project's; empty if there is none. It is for looking at what a client has done:
// a request's body shows no API token.
func (s *Server) Variable(environment, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := call{id: name, env: s.environment(environment)}
	v := s.variable(c)
	if v == nil {
		v = s.variable(call{id: name})
	}
	if v == nil {
		return ""
	}
	return v.Value
}

// managesVariables tells whether the user may read and change variables there.
func (c call) managesVariables() bool {
	return c.user.Role == Admin || c.env != nil && c.user.Role.operates(c.env.Type)
}

// variables are those of the level that is asked for, by name. Those of the
// production environment are inherited by the others.
func (s *Server) variablesOf(c call) []*variable {
	var all []*variable
	add := func(environment string, inherited bool) {
		for _, v := range s.variables {
			known := slices.ContainsFunc(all, func(o *variable) bool { return o.Name == v.Name })
			if v.environment == environment && !known && (!inherited || v.Inheritable) {
				all = append(all, v)
			}
		}
	}
	add(c.environmentID(), false)
	if c.env != nil {
		for _, e := range s.environments {
			if e.Type == "production" && e.ID != c.env.ID {
				add(e.ID, true)
			}
		}
	}
	slices.SortFunc(all, func(a, b *variable) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (s *Server) variable(c call) *variable {
	for _, v := range s.variablesOf(c) {
		if v.Name == c.id {
			return v
		}
	}
	return nil
}

func (s *Server) serveVariables(c call) answer {
	if !c.managesVariables() {
		return problem(http.StatusForbidden)
	}
	all := []object{}
	for _, v := range s.variablesOf(c) {
		all = append(all, s.variableJSON(v, c))
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) serveVariable(c call) answer {
	v := s.variable(c)
	switch {
	case !c.managesVariables():
		return problem(http.StatusForbidden)
	case v == nil:
		return noVariable()
	}
	return jsonAnswer(http.StatusOK, s.variableJSON(v, c))
}

func noVariable() answer { return problemDetail(http.StatusNotFound, "There is no such variable") }

// variableJSON has no value for a sensitive one.
func (s *Server) variableJSON(v *variable, c call) object {
	p := s.projectPath() + "/variables/"
	if c.env != nil {
		p = s.environmentPath(c.env.ID) + "/variables/"
	}
	p += url.PathEscape(v.Name)
	links := object{"self": s.self(p)}
	if v.environment == c.environmentID() {
		links["#edit"], links["#delete"] = link(p), link(p)
	}
	o := object{
		"id": v.Name, "created_at": stamp(v.created), "updated_at": stamp(v.updated), "name": v.Name,
		"attributes": v.Attributes, "value": v.Value, "is_json": v.JSON, "is_sensitive": v.Sensitive,
		"visible_build": v.VisibleBuild, "visible_runtime": v.VisibleRuntime, "application_scope": v.Scope,
		"_links": links,
	}
	if v.Sensitive {
		delete(o, "value")
	}
	if c.env != nil {
		o["project"], o["environment"], o["inherited"] = s.opts.Project, v.environment, v.environment != c.env.ID
		o["is_enabled"], o["is_inheritable"] = v.Enabled, v.Inheritable
	}
	return o
}

// variableDeed is a change of a variable. A change at the level of the project
// becomes an activity of the production environment, whose deployment it starts.
func (s *Server) variableDeed(c call, what string, did string) *deed {
	level := "environment"
	if c.env == nil {
		level = "project"
	}
	d := c.deed("variable-"+what, level+".variable."+what, did)
	for _, e := range s.environments {
		if c.env == nil && e.Type == "production" {
			d.environment = e.ID
		}
	}
	return d
}

func (s *Server) createVariable(c call) answer {
	if refusal, ok := s.writable(c); !ok {
		return refusal
	}
	v := &variable{
		environment: c.environmentID(), created: c.now, updated: c.now,
		variableFields: variableFields{
			VisibleBuild: c.env == nil, VisibleRuntime: true, Scope: []string{}, Attributes: map[string]string{},
			Enabled: true, Inheritable: true,
		},
	}
	if key, message := members(c.body, v.fields(c.env != nil)); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if key, message := v.check(); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	c.id = v.Name
	if old := s.variable(c); old != nil && old.environment == v.environment {
		return problemDetail(http.StatusConflict, object{"name": "The variable exists"})
	}
	d := s.variableDeed(c, "create", "created a variable on")
	d.change = func() { s.variables = append(s.variables, v) }
	d.entity = func() object { return s.variableJSON(v, c) }
	return answer{deed: d}
}

// writable refuses whoever may not change variables, and bodies that are not JSON.
func (s *Server) writable(c call) (refusal answer, ok bool) {
	if !c.managesVariables() {
		return problem(http.StatusForbidden), false
	}
	return c.asJSON()
}

func (s *Server) updateVariable(c call) answer {
	if refusal, ok := s.writable(c); !ok {
		return refusal
	}
	v := s.variable(c)
	if v == nil || v.environment != c.environmentID() {
		return noVariable()
	}
	changed := *v
	changed.updated = c.now
	if key, message := members(c.body, changed.fields(c.env != nil)); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if key, message := changed.check(); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	d := s.variableDeed(c, "update", "changed a variable on")
	d.change = func() { *v = changed }
	return answer{deed: d}
}

func (s *Server) deleteVariable(c call) answer {
	if refusal, ok := s.writable(c); !ok {
		return refusal
	}
	v := s.variable(c)
	if v == nil || v.environment != c.environmentID() {
		return noVariable()
	}
	d := s.variableDeed(c, "delete", "deleted a variable of")
	d.change = func() { s.variables = slices.DeleteFunc(s.variables, func(o *variable) bool { return o == v }) }
	return answer{deed: d}
}

package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// invitation is one that nobody has accepted.
type invitation struct {
	id, email, role string
	permissions     []permission
}

// permission is a role on a type of environments.
type permission struct {
	Type string `json:"type"`
	Role string `json:"role"`
}

func (s *Server) serveUserAccess(c call) answer {
	for _, u := range s.users {
		if u.ID == c.id && u.Role.sees() {
			return jsonAnswer(http.StatusOK, s.accessJSON(u))
		}
	}
	return problemDetail(http.StatusNotFound, "There is no such user on the project")
}

func email(u User) string { return url.PathEscape(u.Username) + "@example.com" }

// serveUsers lists who is on the project by their ids, with a link to who they are.
func (s *Server) serveUsers(c call) answer {
	items, ids := []object{}, []string{}
	for _, u := range s.users {
		if u.Role.sees() {
			items, ids = append(items, s.accessJSON(u)), append(ids, u.ID)
		}
	}
	return jsonAnswer(http.StatusOK, object{"items": items, "_links": object{
		"self":        s.self(s.projectPath() + "/user-access"),
		"ref:users:0": object{"href": "/ref/users?in=" + strings.Join(ids, ",")},
	}})
}

// serveReferences tells who users are that are named by their ids.
func (s *Server) serveReferences(c call) answer {
	all := object{}
	for _, id := range strings.Split(c.r.URL.Query().Get("in"), ",") {
		for _, u := range s.users {
			if u.ID == id {
				first, last, _ := strings.Cut(u.displayName(), " ")
				all[id] = object{"id": id, "username": u.Username, "email": email(u), "first_name": first, "last_name": last}
			}
		}
	}
	return jsonAnswer(http.StatusOK, all)
}

// changeUserAccess changes what a user may do. It becomes no activity, and its
// answer has no body.
func (s *Server) changeUserAccess(c call) answer {
	if c.user.Role != Admin {
		return problem(http.StatusForbidden)
	}
	if refusal, ok := c.asJSON(); !ok {
		return refusal
	}
	var permissions []string
	if key, message := members(c.body, map[string]any{"permissions": &permissions}); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if !slices.ContainsFunc(s.users, func(u User) bool { return u.ID == c.id && u.Role.sees() }) {
		return problemDetail(http.StatusNotFound, "There is no such user on the project")
	}
	d := c.deed("user-access", "", "")
	d.quiet, d.empty = true, true
	d.change = func() { s.permissions[c.id] = permissions }
	return answer{deed: d}
}

func (s *Server) serveInvitations(call) answer {
	all := []object{}
	for _, i := range s.invitations {
		all = append(all, s.invitationJSON(i))
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) invitationJSON(i invitation) object {
	return object{
		"id": i.id, "state": "pending", "project_id": s.opts.Project, "email": i.email, "role": i.role,
		"permissions": i.permissions, "environments": []object{},
	}
}

// invite makes an invitation; an address that has one gets another by force only.
func (s *Server) invite(c call) answer {
	if c.user.Role != Admin {
		return problem(http.StatusForbidden)
	}
	if refusal, ok := c.asJSON(); !ok {
		return refusal
	}
	i := invitation{id: randomID(26), permissions: []permission{}}
	force := false
	var environments []any
	if key, message := members(c.body, map[string]any{
		"email": &i.email, "role": &i.role, "permissions": &i.permissions, "force": &force, "environments": &environments,
	}); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if !strings.Contains(i.email, "@") || i.role != "admin" && i.role != "viewer" {
		return jsonAnswer(http.StatusBadRequest, object{"error": "Not an address, or not a role"})
	}
	if !force && slices.ContainsFunc(s.invitations, func(o invitation) bool { return o.email == i.email }) {
		return jsonAnswer(http.StatusConflict, object{"error": "An invitation has already been sent to this address"})
	}
	d := c.deed("invite", "", "")
	d.quiet = true
	d.change = func() { s.invitations = append(s.invitations, i) }
	d.whole = func() object { return s.invitationJSON(i) }
	return answer{deed: d}
}

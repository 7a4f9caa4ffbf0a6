package sandbox

import (
	"net/http"
	"slices"
)

func (s *Server) serveBackups(c call) answer {
	all := []object{}
	for _, a := range slices.Backward(s.activities) {
		if b := s.backupJSON(a, c); b != nil {
			all = append(all, b)
		}
	}
	return jsonAnswer(http.StatusOK, all)
}

func (s *Server) serveBackup(c call) answer {
	a := s.backup(c)
	if a == nil {
		return noBackup()
	}
	return jsonAnswer(http.StatusOK, s.backupJSON(a, c))
}

func noBackup() answer { return problemDetail(http.StatusNotFound, "There is no such backup") }

// backup is the activity that made the backup that is asked for.
func (s *Server) backup(c call) *activity {
	for _, a := range s.activities {
		if a.backup == c.id && s.backupJSON(a, c) != nil {
			return a
		}
	}
	return nil
}

func (s *Server) deleteBackup(c call) answer {
	a := s.backup(c)
	switch {
	case !c.user.Role.operates(c.env.Type):
		return problem(http.StatusForbidden)
	case a == nil:
		return noBackup()
	}
	d := c.deed("backup-delete", "environment.backup.delete", "deleted a backup of")
	d.change = func() { a.backupDeleted = true }
	return answer{deed: d}
}

// restoreBackup restores to the backup's environment, to another one, or to one
// that it makes.
func (s *Server) restoreBackup(c call) answer {
	if s.backup(c) == nil {
		return noBackup()
	}
	if refusal, ok := c.asJSON(); !ok {
		return refusal
	}
	var to, from, init string
	code, data := true, true
	body := c.body
	if body == "" {
		body = "{}"
	}
	resources := map[string]*string{"init": &init}
	if key, message := members(body, map[string]any{
		"environment_name": &to, "branch_from": &from, "restore_code": &code, "restore_resources": &data, "resources": &resources,
	}); message != "" {
		return problemDetail(http.StatusBadRequest, object{key: message})
	}
	if to == "" {
		to = c.env.ID
	}
	target := s.environment(to)
	kind := "development"
	if target != nil {
		kind = target.Type
	}
	switch {
	case !c.user.Role.operates(kind):
		return problem(http.StatusForbidden)
	case target == nil && s.environment(from) == nil:
		return problemDetail(http.StatusBadRequest, object{"branch_from": "There is no such environment"})
	case target != nil && target.Status != "active":
		return problemDetail(http.StatusBadRequest, object{"error": "The environment is not active"})
	}
	d := c.deed("restore", "environment.restore", "restored a backup to")
	d.environment = to
	d.change = func() {
		if s.environment(to) == nil {
			s.setEnvironment(Environment{ID: to})
		}
	}
	return answer{deed: d}
}

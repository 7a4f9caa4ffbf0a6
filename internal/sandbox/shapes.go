package sandbox

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"time"
)

// The objects of the API, with the keys of the vendor's OpenAPI description and
// the links that it leaves out.

const (
	headCommit = "0123456789abcdef0123456789abcdef01234567"
	longAgo    = "2025-01-01T00:00:00.000000+00:00"
)

// stamp is a time as the API writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000-07:00") }

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// self is a link to the regional host, which clients must not follow; link is
// one to the host that is asked. Both have the /api prefix.
func (s *Server) self(path string) object {
	return object{"href": strings.TrimSuffix(s.opts.RegionalURL, "/") + "/api" + path}
}

func link(path string) object { return object{"href": "/api" + path} }

func (s *Server) projectPath() string { return "/projects/" + url.PathEscape(s.opts.Project) }

func (s *Server) environmentPath(id string) string {
	return s.projectPath() + "/environments/" + url.PathEscape(id)
}

func userJSON(u User) object {
	first, last, _ := strings.Cut(u.displayName(), " ")
	return object{
		"id": u.ID, "deactivated": false, "namespace": "sandbox", "username": u.Username,
		"email": email(u), "email_verified": true,
		"first_name": first, "last_name": last, "picture": "https://www.example.com/picture.png",
		"company": "", "website": "https://www.example.com/", "country": "FR",
		"created_at": longAgo, "updated_at": longAgo,
	}
}

// accessJSON is what a user may do on the project.
func (s *Server) accessJSON(u User) object {
	permissions := map[Role][]string{
		Admin:           {"admin"},
		ProductionAdmin: {"viewer", "production:admin"},
		Contributor:     {"viewer", "development:contributor"},
		Viewer:          {"viewer"},
	}[u.Role]
	p := s.projectPath() + "/user-access/" + u.ID
	if changed, ok := s.permissions[u.ID]; ok {
		permissions = changed
	}
	return object{
		"user_id": u.ID, "resource_id": s.opts.Project, "resource_type": "project",
		"permissions": permissions, "granted_at": longAgo, "updated_at": longAgo,
		"_links": object{"self": s.self(p), "#edit": link(p), "update": link(p)},
	}
}

func (s *Server) projectJSON() object {
	var main any
	for _, e := range s.environments {
		if e.Type == "production" {
			main = e.ID
		}
	}
	p := s.projectPath()
	return object{
		"id": s.opts.Project, "created_at": longAgo, "updated_at": longAgo, "attributes": object{},
		"title": "Sandbox", "description": "", "owner": userID("owner"), "namespace": "sandbox",
		"organization": nil, "default_branch": main,
		"status":   object{"code": "provisioned", "message": "ok"},
		"timezone": "UTC", "region": "eu-5.sandbox.invalid",
		"repository":     object{"url": s.opts.Project + "@git.sandbox.invalid:" + s.opts.Project + ".git", "client_ssh_key": nil},
		"default_domain": nil,
		"subscription": object{
			"license_uri": "https://www.example.com/licenses/1", "plan": "development", "environments": 3,
			"storage": 5120, "included_users": 1, "subscription_management_uri": "https://www.example.com/plan",
			"restricted": false, "suspended": false, "user_licenses": 1,
		},
		"maintenance": nil,
		"_links": object{
			"self":         s.self(p),
			"environments": link(p + "/environments"),
			"activities":   link(p + "/activities"),
			// Offered to everybody here; the request itself is refused.
			"#manage-variables": link(p + "/variables"),
			"invitations":       link(p + "/invitations"),
		},
	}
}

func (s *Server) environmentJSON(e *Environment, u User, now time.Time) object {
	main := e.Type == "production"
	var parent, domain, lastBackup, deployment any
	if !main {
		for _, other := range s.environments {
			if other.Type == "production" {
				parent = other.ID
			}
		}
	}
	for _, a := range s.activities {
		if _, result, _, ended := s.state(a, now); a.environment == e.ID && a.backup != "" && result == "success" {
			lastBackup = stamp(ended)
		}
	}
	if e.Status == "active" || e.Status == "paused" {
		deployment = object{
			"last_state_update_successful": true, "last_deployment_successful": true,
			"last_deployment_failure_reason": nil, "last_deployment_commands": []object{},
			"last_deployment_at": longAgo, "last_autoscale_up_at": nil, "last_autoscale_down_at": nil,
			"last_maintenance_at": nil, "crons": object{"enabled": true, "status": e.Crons},
		}
	}
	p := s.environmentPath(e.ID)
	links := object{
		"self":       s.self(p),
		"activities": link(p + "/activities"),
		"backups":    link(p + "/backups"),
	}
	links["#variables"] = link(p + "/variables")
	if u.Role.operates(e.Type) {
		links["#manage-variables"] = link(p + "/variables")
	}
	links["#source-operations"] = link(p + "/source-operations")
	for _, o := range operations() {
		if e.available(o, u) {
			links["#"+o.path] = link(p + "/" + o.path)
		}
	}
	return object{
		"id": e.ID, "created_at": longAgo, "updated_at": longAgo, "name": e.ID, "machine_name": e.MachineName,
		"title": title(e.ID), "attributes": object{}, "type": e.Type, "parent": parent, "default_domain": domain,
		"has_domains": false, "clone_parent_on_create": true, "deployment_target": "local", "is_pr": false,
		"has_remote": false, "status": e.Status,
		"http_access": object{"is_enabled": true, "addresses": []object{}, "basic_auth": object{}},
		"enable_smtp": main, "restrict_robots": !main, "edge_hostname": e.MachineName + ".sandbox.invalid",
		"deployment_state": deployment, "sizing": nil, "resources_overrides": object{}, "max_instance_count": nil,
		"last_active_at": longAgo, "last_backup_at": lastBackup, "project": s.opts.Project, "is_main": main,
		"is_dirty": e.Dirty, "has_staged_activities": e.Staged, "can_rolling_deploy": false,
		"supports_rolling_deployments": false, "has_code": true, "head_commit": headCommit,
		"merge_info":     object{"commits_ahead": 0, "commits_behind": 0, "parent_ref": nil},
		"has_deployment": deployment != nil, "supports_restrict_robots": true,
		"_links": links,
	}
}

func title(id string) string { return strings.ToUpper(id[:min(1, len(id))]) + id[min(1, len(id)):] }

// activityJSON names who did it in three places, as the examples of the
// vendor's activity reference do: parameters.user, payload.user.id and the
// description's data-id. The platform itself is the user "admin" there.
func (s *Server) activityJSON(a *activity, now time.Time) object {
	state, result, started, ended := s.state(a, now)
	name := a.by.displayName()
	if a.by.Username == Platform {
		name = "Sandbox Bot"
	}
	parameters := object{"user": a.by.ID, "environment": a.environment}
	payload := object{
		"user":        object{"id": a.by.ID, "created_at": longAgo, "updated_at": nil, "display_name": name},
		"environment": object{"id": a.environment, "name": a.environment},
	}
	if a.backup != "" {
		payload["backup_name"] = a.backup
	}
	if a.source != "" {
		parameters["operation"] = a.source
	}
	log, timings := "", object{}
	items, _ := s.log(a, now)
	for _, item := range items {
		log += item.message
	}
	var reason, cancelled any
	commands := []object{}
	if !started.IsZero() {
		timings["wait"] = started.Sub(a.created).Seconds()
	}
	if !ended.IsZero() {
		timings["execute"] = ended.Sub(started).Seconds()
	}
	if state == "cancelled" {
		cancelled = stamp(ended)
	}
	if result == "failure" {
		reason, commands = "shell", []object{{"app": "app", "type": "hook", "exit_code": 1}}
	}
	p := s.projectPath() + "/activities/" + a.id
	links := object{"self": s.self(p), "log": link(p + "/log")}
	if ended.IsZero() {
		links["#cancel"] = link(p + "/cancel")
	}
	return object{
		"id": a.id, "created_at": stamp(a.created), "updated_at": nil, "type": a.kind,
		"parameters": parameters, "project": s.opts.Project, "environments": []string{a.environment},
		"state": state, "result": textOrNull(result), "failure_reason": reason,
		"started_at": stampOrNull(started), "completed_at": stampOrNull(ended), "completion_percent": s.percent(a, now),
		"cancelled_at": cancelled, "timings": timings, "log": log, "payload": payload,
		"description": fmt.Sprintf(`<user data-id="%s">%s</user> %s <environment data-id="%s">%s</environment>`,
			html.EscapeString(a.by.ID), html.EscapeString(name), a.did,
			html.EscapeString(a.environment), html.EscapeString(title(a.environment))),
		"text":       fmt.Sprintf("**%s** %s **%s**", name, a.did, title(a.environment)),
		"expires_at": stamp(a.created.AddDate(0, 0, 30)), "commands": commands,
		"_links": links,
	}
}

// backupJSON is nil unless a made a backup of the environment that is asked
// about, and has ended.
func (s *Server) backupJSON(a *activity, c call) object {
	_, result, _, ended := s.state(a, c.now)
	if a.backup == "" || a.environment != c.env.ID || result != "success" || a.backupDeleted {
		return nil
	}
	p := s.environmentPath(a.environment) + "/backups/" + a.backup
	links := object{"self": s.self(p)}
	if c.user.Role.operates(c.env.Type) {
		links["#delete"], links["#restore"] = link(p), link(p+"/restore")
	}
	return object{
		"id": a.backup, "created_at": stamp(a.created), "updated_at": stamp(ended), "attributes": object{},
		"status": "CREATED", "expires_at": nil, "index": nil, "commit_id": headCommit,
		"environment": a.environment, "safe": a.safe, "size_of_volumes": 2048, "size_used": 512,
		"size_object_storage": nil, "deployment": nil, "restorable": true, "automated": a.automated,
		"_links": links,
	}
}

package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestEveryPathIsServedWithAndWithoutPrefix(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{ActivityDuration: -1})
	c.post(main+"/backup", "")
	made := c.server.Activities()[0]
	for _, path := range []string{
		"", "/environments", "/activities", "/activities/" + made.ID, "/activities/" + made.ID + "/log",
		"/environments/main", "/environments/feature%2Fnew-menu", "/environments/main/activities",
		"/environments/main/activities/" + made.ID, "/environments/main/activities/" + made.ID + "/log",
		"/environments/main/backups", "/environments/main/backups/" + made.Backup,
		"/environments/main/source-operations", "/environments/main/deployments/current", "/environments/main/variables", "/variables",
		"/environment-types", "/user-access", "/invitations", "/capabilities", "/environments/main/settings",
	} {
		bare, prefixed := c.get(project+path), c.get("/api"+project+path)
		assert.Equal(t, http.StatusOK, bare.status, path)
		assert.Equal(t, bare.body, prefixed.body, path)
		assert.Equal(t, bare.status, prefixed.status, path)
	}
	for _, path := range []string{"/backup", "/redeploy", "/source-operation"} {
		body := ""
		if path == "/source-operation" {
			body = `{"operation":"update"}`
		}
		assert.Equal(t, http.StatusAccepted, c.post(main+path, body).status, path)
		assert.Equal(t, http.StatusAccepted, c.post("/api"+main+path, body).status, path)
	}
	assert.Equal(t, http.StatusOK, c.get("/users/me").status)
}

func TestEnvironmentsHaveTheirTypesAndLinks(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{})
	all := c.get(project + "/environments").list(t)
	require.Len(t, all, 3)
	for i, want := range []struct{ id, machine, kind, status, path string }{
		{"main", "main-bvxea6i", "production", "active", "main"},
		{"staging", "staging-y77w3ti", "staging", "active", "staging"},
		{"feature/new-menu", "feature-new-menu-hgi456q", "development", "inactive", "feature%2Fnew-menu"},
	} {
		e := all[i]
		assert.Equal(t, want.id, e["id"])
		assert.Equal(t, want.machine, e["machine_name"])
		assert.Equal(t, want.kind, e["type"])
		assert.Equal(t, want.status, e["status"])
		path := "/api" + project + "/environments/" + want.path
		assert.Equal(t, "https://eu-5.sandbox.invalid"+path, href(t, e, "self"), "self points to the regional host")
		for _, operation := range []string{"backup", "redeploy", "source-operation"} {
			offered := ""
			if want.status == "active" {
				offered = path + "/" + operation
			}
			assert.Equal(t, offered, href(t, e, "#"+operation), want.id)
		}
		assert.Equal(t, e, c.get(project+"/environments/"+want.path).object(t), "alone as in the list")
	}
	p := c.get(project).object(t)
	assert.Equal(t, "https://eu-5.sandbox.invalid/api"+project, href(t, p, "self"))
	assert.Equal(t, "/api"+project+"/environments", href(t, p, "environments"))
}

func TestEnvironmentIDIsOneEscapedSegment(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{Environments: []sandbox.Environment{{ID: "feature/a b#1"}, {ID: "feature"}}})
	for path, status := range map[string]int{
		"feature%2Fa%20b%231":     http.StatusOK,
		"feature/a%20b%231":       http.StatusNotFound,
		"feature%252Fa%20b%231":   http.StatusNotFound,
		"feature":                 http.StatusOK,
		"..":                      http.StatusNotFound,
		"%2e%2e/environments":     http.StatusNotFound,
		"feature-a-b-1-abc1234":   http.StatusNotFound, // a machine name is no id
		"feature//activities":     http.StatusNotFound,
		"feature/activities/":     http.StatusNotFound,
		"":                        http.StatusNotFound,
		"/activities":             http.StatusNotFound,
		"feature%2Factivities":    http.StatusNotFound,
		"feature%2Fa%20b%231/foo": http.StatusNotFound,
	} {
		assert.Equal(t, status, c.get(project+"/environments/"+path).status, path)
	}
	assert.Equal(t, http.StatusAccepted, c.post(project+"/environments/feature%2Fa%20b%231/backup", "").status)
	assert.Equal(t, project+"/environments/feature%2Fa%20b%231/backup", c.last().Path)
	require.Len(t, c.server.Accepted(), 1)
	assert.Equal(t, "feature/a b#1", c.server.Accepted()[0].Environment)
}

func TestRolesDecide(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		role                        sandbox.Role
		project, production, other  int
		productionLink, stagingLink bool
	}{
		"admin of the project may do all":             {sandbox.Admin, 200, 202, 202, true, true},
		"admin of production may not touch staging":   {sandbox.ProductionAdmin, 200, 202, 403, true, false},
		"contributor may look":                        {sandbox.Contributor, 200, 403, 403, false, false},
		"viewer may look":                             {sandbox.Viewer, 200, 403, 403, false, false},
		"who is not on the project sees nothing":      {sandbox.NoMember, 403, 403, 403, false, false},
		"a role that does not exist gives no rights":  {"owner", 403, 403, 403, false, false},
		"a role of another type is none that we know": {"staging:admin", 403, 403, 403, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{Role: tt.role})
			assert.Equal(t, tt.project, c.get(project).status)
			assert.Equal(t, tt.production, c.post(main+"/backup", "").status)
			assert.Equal(t, tt.other, c.post(project+"/environments/staging/redeploy", "").status)
			assert.Equal(t, http.StatusOK, c.get("/users/me").status)
			if tt.project == http.StatusOK {
				assert.Equal(t, tt.productionLink, href(t, c.get(main).object(t), "#backup") != "")
				assert.Equal(t, tt.stagingLink, href(t, c.get(project+"/environments/staging").object(t), "#backup") != "")
			}
		})
	}
}

func TestRefusalsAreTheAPIsOwnJSON(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json"
	for name, tt := range map[string]struct {
		method, target, body string
		status               int
	}{
		"unknown route":                           {"GET", "/nowhere", "", 404},
		"unknown route below an environment":      {"POST", main + "/explode", "", 404},
		"the vendor mock's plural is not served":  {"POST", main + "/backups", "{}", 405},
		"unknown project":                         {"GET", "/projects/other", "", 404},
		"unknown environment":                     {"GET", project + "/environments/none", "", 404},
		"unknown activity":                        {"GET", project + "/activities/none", "", 404},
		"unknown backup":                          {"GET", main + "/backups/none", "", 404},
		"wrong method":                            {"GET", main + "/backup", "", 405},
		"wrong method of the token endpoint":      {"GET", "/oauth2/token", "", 405},
		"inactive environment":                    {"POST", preview + "/backup", `{"safe":true}`, 400},
		"inactive environment has no deployment":  {"GET", preview + "/deployments/current", "", 404},
		"unknown key":                             {"POST", main + "/backup", `{"sure":true}`, 400},
		"wrong type":                              {"POST", main + "/backup", `{"safe":"yes"}`, 400},
		"null is no value":                        {"POST", main + "/backup", `{"safe":null}`, 400},
		"body is no object":                       {"POST", main + "/backup", `[]`, 400},
		"body is null":                            {"POST", main + "/backup", `null`, 400},
		"redeploy has no keys":                    {"POST", main + "/redeploy", `{"safe":true}`, 400},
		"source operation needs a body":           {"POST", main + "/source-operation", "", 400},
		"source operation needs a name":           {"POST", main + "/source-operation", "{}", 400},
		"unknown source operation":                {"POST", main + "/source-operation", `{"operation":"x"}`, 400},
		"variables are objects of objects":        {"POST", main + "/source-operation", `{"operation":"update","variables":{"A":"b"}}`, 400},
		"activities: count is a positive number":  {"GET", main + "/activities?count=0", "", 400},
		"activities: starts_at is a date":         {"GET", main + "/activities?starts_at=today", "", 400},
		"unknown variable":                        {"GET", main + "/variables/none", "", 404},
		"change of an unknown variable":           {"PATCH", project + "/variables/none", `{"value":"x"}`, 404},
		"deletion of an unknown variable":         {"DELETE", main + "/variables/none", "", 404},
		"a variable has a name":                   {"POST", main + "/variables", `{"value":"x"}`, 400},
		"without blanks":                          {"POST", main + "/variables", `{"name":"a b","value":"x"}`, 400},
		"a value that is no JSON":                 {"POST", main + "/variables", `{"name":"a","value":"{","is_json":true}`, 400},
		"the project's have fewer keys":           {"POST", project + "/variables", `{"name":"a","value":"x","is_enabled":true}`, 400},
		"production has no parent":                {"POST", main + "/synchronize", `{"synchronize_data":true}`, 400},
		"nothing to synchronize":                  {"POST", project + "/environments/staging/synchronize", `{"synchronize_data":false}`, 400},
		"unknown runtime operation":               {"POST", main + "/deployments/current/operations", `{"service":"app","operation":"x"}`, 400},
		"deletion of an unknown backup":           {"DELETE", main + "/backups/none", "", 404},
		"restore of an unknown backup":            {"POST", main + "/backups/none/restore", "", 404},
		"end of an unknown activity":              {"POST", project + "/activities/none/cancel", "", 404},
		"unknown member":                          {"PATCH", project + "/user-access/none", `{"permissions":["viewer"]}`, 404},
		"a body above the limit is not processed": {"POST", main + "/backup", strings.Repeat(" ", 2<<20), 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			r := c.do(tt.method, tt.target, tt.body)
			assert.Equal(t, tt.status, r.status, r.body)
			assert.Equal(t, jsonType, r.header.Get("Content-Type"))
			said := r.object(t)
			assert.Equal(t, "error", said["status"])
			assert.EqualValues(t, tt.status, said["code"])
			assert.Equal(t, http.StatusText(tt.status), said["message"])
			assert.Empty(t, c.server.Accepted())
			assert.Equal(t, tt.status, c.last().Status)
		})
	}
	t.Run("a body that is not declared as JSON", func(t *testing.T) {
		t.Parallel()
		c := login(t, sandbox.Options{})
		r := c.do("POST", main+"/backup", `{"safe":true}`, "Content-Type", "text/plain")
		assert.Equal(t, http.StatusUnsupportedMediaType, r.status)
	})
	t.Run("pending changes", func(t *testing.T) {
		t.Parallel()
		c := login(t, sandbox.Options{})
		c.server.SetEnvironment(sandbox.Environment{ID: "main", Type: "production", Dirty: true, Staged: true})
		assert.Equal(t, http.StatusConflict, c.post(main+"/backup", "").status)
		e := c.get(main).object(t)
		assert.Equal(t, true, e["is_dirty"])
		assert.Equal(t, true, e["has_staged_activities"])
		assert.Empty(t, href(t, e, "#backup"))
	})
}

// TestVariables: levels, inheritance, values that cannot be read again.
func TestVariables(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{Role: sandbox.Admin})
	staging := project + "/environments/staging"
	r := c.post(main+"/variables", `{"name":"env:A","value":"secret","is_sensitive":true}`)
	require.Equal(t, http.StatusCreated, r.status, r.body)
	assert.NotContains(t, r.body, "secret")
	assert.Contains(t, r.body, `"environment.variable.create"`)
	assert.Equal(t, http.StatusConflict, c.post(main+"/variables", `{"name":"env:A","value":"x"}`).status)
	require.Equal(t, http.StatusCreated, c.post(main+"/variables", `{"name":"own","value":"1","is_inheritable":false}`).status)
	require.Equal(t, http.StatusCreated, c.post(project+"/variables", `{"name":"own","value":"2"}`).status)
	assert.Len(t, c.get(main+"/variables").list(t), 2)
	inherited := c.get(staging + "/variables").list(t)
	require.Len(t, inherited, 1)
	assert.Equal(t, true, inherited[0]["inherited"])
	assert.Empty(t, href(t, inherited[0], "#edit"))
	assert.NotEmpty(t, href(t, c.get(main+"/variables/env:A").object(t), "#edit"))
	assert.Equal(t, http.StatusNotFound, c.do("PATCH", staging+"/variables/env:A", `{"value":"x"}`).status)
	require.Equal(t, http.StatusCreated, c.post(staging+"/variables", `{"name":"env:A","value":"of staging"}`).status)
	assert.Equal(t, "of staging", c.get(staging + "/variables/env:A").object(t)["value"])
	assert.Equal(t, http.StatusAccepted, c.do("PATCH", main+"/variables/own", `{"value":"3","visible_build":true}`).status)
	assert.Equal(t, "3", c.get(main + "/variables/own").object(t)["value"])
	for name, want := range map[string]string{"main env:A": "secret", "staging env:A": "of staging", "main own": "3", "staging own": "2", "main none": ""} {
		environment, variable, _ := strings.Cut(name, " ")
		assert.Equal(t, want, c.server.Variable(environment, variable), name)
	}
	assert.Equal(t, http.StatusAccepted, c.do("DELETE", main+"/variables/own", "").status)
	assert.Equal(t, http.StatusNotFound, c.get(main+"/variables/own").status)
	assert.Equal(t, "2", c.server.Variable("main", "own"))

	viewer := login(t, sandbox.Options{Role: sandbox.Viewer})
	assert.Equal(t, http.StatusForbidden, viewer.get(main+"/variables").status)
	assert.Equal(t, http.StatusForbidden, viewer.post(main+"/variables", `{"name":"a","value":"b"}`).status)
	admin := login(t, sandbox.Options{Role: sandbox.ProductionAdmin})
	assert.Equal(t, http.StatusCreated, admin.post(main+"/variables", `{"name":"a","value":"b"}`).status)
	assert.Equal(t, http.StatusForbidden, admin.post(project+"/variables", `{"name":"a","value":"b"}`).status)
	assert.Equal(t, http.StatusForbidden, admin.post(project+"/invitations", `{"email":"a@example.com","role":"admin"}`).status)
}

func TestBackupsAreRestoredAndDeleted(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{ActivityDuration: -1})
	c.post(main+"/backup", "")
	backup := main + "/backups/" + c.server.Activities()[0].Backup
	assert.Equal(t, http.StatusAccepted, c.post(backup+"/restore", "").status)
	assert.Equal(t, http.StatusBadRequest, c.post(backup+"/restore", `{"environment_name":"new"}`).status, "a new one needs a parent")
	assert.Equal(t, http.StatusAccepted, c.post(backup+"/restore", `{"environment_name":"new","branch_from":"main","resources":{"init":"parent"}}`).status)
	assert.Equal(t, "active", c.get(project + "/environments/new").object(t)["status"])
	assert.Equal(t, http.StatusBadRequest, c.post(backup+"/restore", `{"environment_name":"feature/new-menu"}`).status, "it is not active")
	assert.Equal(t, http.StatusAccepted, c.do("DELETE", backup, "").status)
	assert.Equal(t, http.StatusNotFound, c.get(backup).status)
	assert.Empty(t, c.get(main+"/backups").list(t))
}

func TestOperationsBecomeActivities(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ path, body, activity string }{
		"backup":                               {"/backup", `{"safe":true}`, "environment.backup"},
		"backup without a body is a safe one":  {"/backup", "", "environment.backup"},
		"live backup":                          {"/backup", `{"safe":false}`, "environment.backup"},
		"redeploy":                             {"/redeploy", "", "environment.redeploy"},
		"source operation":                     {"/source-operation", `{"operation":"update"}`, "environment.source-operation"},
		"source operation with variables":      {"/source-operation", `{"operation":"update","variables":{"env":{"A":"b"}}}`, "environment.source-operation"},
		"source operation, variables are none": {"/source-operation", `{"operation":"update","variables":{}}`, "environment.source-operation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: 10 * time.Second})
			r := c.post(main+tt.path, tt.body)
			require.Equal(t, http.StatusAccepted, r.status, r.body)
			said := r.object(t)
			assert.Equal(t, "Accepted", said["status"])
			assert.EqualValues(t, 202, said["code"])
			require.Len(t, r.activities(t), 1)
			a := r.activities(t)[0].(map[string]any)
			assert.Equal(t, tt.activity, a["type"])
			assert.Equal(t, "pending", a["state"])
			assert.Nil(t, a["result"])
			assert.Equal(t, "2026-01-02T03:04:05.678901+00:00", a["created_at"])
			assert.Equal(t, []any{"main"}, a["environments"])
			user := c.server.User("cron-bot").ID
			assert.Contains(t, a["description"], `<user data-id="`+user+`">Cron Bot</user>`)
			assert.Equal(t, user, a["parameters"].(map[string]any)["user"])
			assert.Equal(t, user, a["payload"].(map[string]any)["user"].(map[string]any)["id"])
			assert.Equal(t, user, c.get("/users/me").object(t)["id"])
			assert.Equal(t, tt.activity == "environment.backup", a["payload"].(map[string]any)["backup_name"] != nil)

			accepted := c.server.Accepted()
			require.Len(t, accepted, 1)
			assert.Equal(t, tt.path, "/"+accepted[0].Operation)
			assert.Equal(t, tt.body, accepted[0].Body)
			assert.Equal(t, "cron-bot", accepted[0].User)
			assert.Equal(t, []string{a["id"].(string)}, accepted[0].Activities)
			assert.Equal(t, main+tt.path, c.server.Requests()[accepted[0].Request].Path)
		})
	}
}

func TestActivitiesProgressByTheServersClock(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[sandbox.Outcome][3]any{ // state, result, failure_reason
		sandbox.Success:    {"complete", "success", nil},
		sandbox.Failure:    {"complete", "failure", "shell"},
		sandbox.Cancelled:  {"cancelled", nil, nil},
		sandbox.Unfinished: {"in_progress", nil, nil},
		sandbox.Staged:     {"staged", nil, nil},
	} {
		t.Run("outcome "+string(outcome), func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: 10 * time.Second})
			c.fault(sandbox.Fault{On: "post", Outcome: outcome})
			c.post(main+"/backup", "")
			path := project + "/activities/" + c.server.Activities()[0].ID
			if outcome != sandbox.Staged {
				clock.advance(2*time.Second - 1)
				assert.Equal(t, "pending", c.get(path).object(t)["state"])
				clock.advance(1)
				a := c.get(path).object(t)
				assert.Equal(t, "in_progress", a["state"])
				assert.Nil(t, a["completed_at"])
				assert.NotNil(t, a["started_at"])
				assert.NotContains(t, c.get(path+"/log").body, "seal")
				clock.advance(8*time.Second - 1)
				assert.Equal(t, "in_progress", c.get(path).object(t)["state"])
			}
			assert.Empty(t, c.get(main+"/backups").list(t), "no backup before it is complete")
			clock.advance(1)
			a := c.get(path).object(t)
			assert.Equal(t, want, [3]any{a["state"], a["result"], a["failure_reason"]})
			ended := outcome != sandbox.Staged && outcome != sandbox.Unfinished
			assert.Equal(t, ended, a["completed_at"] != nil)
			assert.Equal(t, ended, strings.HasSuffix(c.get(path+"/log").body, "{\"seal\":true}\n"))
			backups := c.get(main + "/backups").list(t)
			if outcome != sandbox.Success {
				assert.Empty(t, backups)
				return
			}
			require.Len(t, backups, 1)
			assert.Equal(t, a["payload"].(map[string]any)["backup_name"], backups[0]["id"])
			assert.Equal(t, a["completed_at"], c.get(main).object(t)["last_backup_at"])
		})
	}
}

func TestActivityListsFilterAndPage(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: time.Second})
	for i := range 12 {
		environment := []string{"main", "staging"}[i%2]
		operation := []string{"backup", "redeploy"}[i/6]
		require.Equal(t, 202, c.post(project+"/environments/"+environment+"/"+operation, "").status)
		clock.advance(time.Second)
	}
	ids := func(target string) (all []string) {
		for _, a := range c.get(target).list(t) {
			all = append(all, a["id"].(string))
		}
		return all
	}
	var newestFirst []string
	for _, a := range c.server.Activities() {
		newestFirst = append([]string{a.ID}, newestFirst...)
	}
	clock.advance(-time.Second / 2) // the last one is running
	assert.Equal(t, newestFirst[:10], ids(project+"/activities"), "ten without count")
	assert.Equal(t, newestFirst, ids(project+"/activities?count=50"))
	assert.Equal(t, newestFirst[:3], ids(project+"/activities?count=3"))
	assert.Len(t, ids(main+"/activities?count=50"), 6)
	assert.Len(t, ids(main+"/activities?count=50&type=environment.backup"), 3)
	assert.Len(t, ids(main+"/activities?count=50&type=environment.backup&type=environment.redeploy"), 6)
	assert.Len(t, ids(main+"/activities?count=50&type=environment.cron"), 0)
	assert.Equal(t, newestFirst[:1], ids(project+"/activities?state=in_progress&state=pending"))
	assert.Len(t, ids(project+"/activities?count=50&result=success"), 11)
	since := c.get(project + "/activities/" + newestFirst[4]).object(t)["created_at"].(string)
	assert.Equal(t, newestFirst[4:6], ids(project+"/activities?count=2&starts_at="+url.QueryEscape(since)),
		"a page begins with the activity whose date was given")
}

func TestEventsOfOthers(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: -1, Users: []sandbox.User{
		{Username: "robot", Token: "other-token", Role: sandbox.ProductionAdmin},
	}})
	require.NoError(t, c.server.Happen(sandbox.Event{At: clock.Now().Add(time.Minute)}))
	require.NoError(t, c.server.Happen(sandbox.Event{By: sandbox.Colleague, Environment: "staging", Type: "environment.redeploy"}))
	require.Error(t, c.server.Happen(sandbox.Event{By: "nobody"}))
	require.Error(t, c.server.Happen(sandbox.Event{Environment: "none"}))
	require.Error(t, c.server.Happen(sandbox.Event{Outcome: "perhaps"}))

	assert.Empty(t, c.get(main+"/activities").list(t), "what is planned is not seen before")
	redeploy := c.get(project + "/environments/staging/activities").list(t)
	require.Len(t, redeploy, 1)
	assert.Contains(t, redeploy[0]["description"], c.server.User(sandbox.Colleague).ID)

	clock.advance(5 * time.Minute)
	backups := c.get(main + "/backups").list(t)
	require.Len(t, backups, 1)
	assert.Equal(t, true, backups[0]["automated"])
	automated := c.get(main + "/activities").list(t)[0]
	assert.Contains(t, automated["description"], `<user data-id="admin">`)
	assert.Equal(t, "2026-01-02T03:05:05.678901+00:00", automated["created_at"], "created when it was due, not when first seen")

	require.NoError(t, c.server.Happen(sandbox.Event{By: sandbox.Colleague, At: clock.Now().Add(-time.Hour)}))
	assert.Equal(t, clock.Now().Add(-time.Hour), c.server.Activities()[0].Created, "what happened earlier comes first, whenever it is told")

	c.exchange("other-token")
	assert.Equal(t, "robot", c.get("/users/me").object(t)["username"])
	c.post(main+"/backup", "")
	assert.Contains(t, c.get(main + "/activities").list(t)[0]["description"], c.server.User("robot").ID)
	require.Len(t, c.server.Accepted(), 1, "events are not accepted requests")
	assert.Equal(t, "robot", c.server.Accepted()[0].User)
}

func TestRequestsAreRecordedWithoutSecrets(t *testing.T) {
	t.Parallel()
	const token = "tok en/+&=ü-0123456789"
	var mu sync.Mutex
	var told []sandbox.Request
	c := login(t, sandbox.Options{Token: token, OnRequest: func(r sandbox.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r)
	}})
	c.get(main + "?x=1")
	c.do("GET", "/users/me", "", "Authorization", "Bearer wrong", "X-Odd", token, "Cookie", "a=b")
	c.do("POST", "/oauth2/token", `{"api_token": "mistaken"}`, "Authorization", "")
	c.do("GET", "/nowhere?api_token="+url.QueryEscape(token), "", "Authorization", "")
	c.do("GET", "/nowhere?note="+c.bearer, "", "Authorization", "")

	all := c.server.Requests()
	require.Len(t, all, 6)
	mu.Lock()
	assert.Equal(t, all, told)
	mu.Unlock()
	for i, want := range []struct{ line, credentials, user string }{
		{"POST /oauth2/token 200", "right", "cron-bot"},
		{"GET " + main + "?x=1 200", "right", "cron-bot"},
		{"GET /users/me 401", "wrong", ""},
		{"POST /oauth2/token 400", "none", ""},
		{"GET /nowhere?api_token=[masked] 404", "none", ""},
		{"GET /nowhere?note=[masked] 404", "none", ""},
	} {
		assert.Equal(t, want.line, all[i].String())
		assert.Equal(t, want.credentials, all[i].Credentials, want.line)
		assert.Equal(t, want.user, all[i].User, want.line)
	}
	assert.Equal(t, "platform-cli", all[0].Client)
	assert.Contains(t, all[0].Body, "api_token="+sandbox.Mask)
	assert.Contains(t, all[0].Body, "grant_type=api_token")
	assert.Equal(t, `{"api_token": "[masked]"}`, all[3].Body)
	assert.Equal(t, sandbox.Mask, all[1].Header.Get("Authorization"))
	text, err := json.Marshal(all)
	require.NoError(t, err)
	for _, secret := range []string{token, url.QueryEscape(token), c.bearer, "mistaken", "a=b"} {
		assert.NotContains(t, string(text), secret)
	}
}

func TestDateIsTheServersClock(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, sandbox.Options{Now: clock.Now})
	assert.Equal(t, "Fri, 02 Jan 2026 03:04:05 GMT", c.get("/nowhere").header.Get("Date"))
	assert.Equal(t, clock.Now(), c.last().Time)
}

package platform_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestReadFindsEnvironmentsByEitherName(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{})
	for _, name := range []string{"main", "main-bvxea6i"} {
		raw, err := c.Read(within(t, time.Minute), platform.Target{Project: sandbox.DefaultProject, Environment: name}, operation.OfEnvironment, "backups")
		require.NoError(t, err)
		assert.JSONEq(t, "[]", string(raw))
	}
	raw, err := c.Read(within(t, time.Minute), onMain, operation.OfProject, "")
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"title":"Sandbox"`)
	raw, err = c.Read(within(t, time.Minute), platform.Target{}, operation.OfAccount, "users/me")
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"username":"cron-bot"`)

	id, err := c.DefaultEnvironment(within(t, time.Minute), sandbox.DefaultProject)
	require.NoError(t, err)
	assert.Equal(t, "main", id)
	assert.Zero(t, count(server, "POST", posts))

	for name, test := range map[string]struct {
		target platform.Target
		scope  operation.Scope
		path   string
		reason platform.Reason
		absent bool
	}{
		"no such backup":      {onMain, operation.OfEnvironment, "backups/x", platform.Unexplained, true},
		"no such variable":    {onMain, operation.OfProject, "variables/x", platform.Unexplained, true},
		"no such environment": {platform.Target{Project: sandbox.DefaultProject, Environment: "x"}, operation.OfEnvironment, "backups", platform.UnknownEnvironment, false},
		"no such project":     {platform.Target{Project: "x", Environment: "x"}, operation.OfEnvironment, "backups", platform.UnknownProject, false},
		"another address":     {platform.Target{Project: "..", Environment: "x"}, operation.OfProject, "", platform.Unexplained, false},
	} {
		_, err := c.Read(within(t, time.Minute), test.target, test.scope, test.path)
		e := platformError(t, err)
		assert.Equal(t, test.reason, e.Reason, name)
		assert.Equal(t, test.absent, e.NotFound(), name)
	}
}

func TestMembersAreFoundByTheirAddress(t *testing.T) {
	t.Parallel()
	_, c := listen(t, sandbox.Options{})
	members, err := c.Members(within(t, time.Minute), sandbox.DefaultProject)
	require.NoError(t, err)
	assert.Len(t, members, 2)
	assert.NotEmpty(t, members["cron-bot@example.com"])

	// A link to somewhere else is followed on our own host, or not at all.
	elsewhere := bystander(t)
	for _, href := range []string{elsewhere + "/ref/users?in=1", ".example.com/ref", "@example.com/ref", "//example.com/ref", "", "ref/users"} {
		var asked []string
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RequestURI())
			switch {
			case r.URL.Path == "/oauth2/token":
				_, _ = io.WriteString(w, `{"access_token": "access", "expires_in": 900}`)
			case strings.Contains(r.URL.Path, "user-access"):
				link, _ := json.Marshal(href)
				_, _ = fmt.Fprintf(w, `{"items": [], "_links": {"ref:users:0": {"href": %s}}}`, link)
			default:
				_, _ = io.WriteString(w, `{"1": {"email": "a@example.com"}, "2": null}`)
			}
		})
		server := httptest.NewServer(handler)
		members, err := client(server.URL).Members(within(t, time.Minute), "p")
		server.Close()
		require.NoError(t, err)
		followed := strings.Contains(href, "//")
		assert.Equal(t, followed, len(members) == 1, href)
		if followed {
			assert.True(t, strings.HasPrefix(asked[len(asked)-1], "/ref"), asked)
		}
	}
}

func TestLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	const items = 2500
	pages := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth2/token" {
			_, _ = io.WriteString(w, `{"access_token": "access", "expires_in": 900}`)
			return
		}
		pages++
		if pages == 2 { // an access token that has ended
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var start, count int
		_, _ = fmt.Sscan(r.URL.Query().Get("start_at"), &start)
		_, _ = fmt.Sscan(r.URL.Query().Get("max_items"), &count)
		for i := start; i < min(items, start+count); i++ {
			_, _ = fmt.Fprintf(w, "{\"_id\": \"%d\", \"data\": {\"timestamp\": \"2026-01-02T03:04:05+00:00\", \"message\": \"line %d\\n\"}}\n", i+1, i)
		}
		if start+count >= items {
			_, _ = io.WriteString(w, `{"seal": true}`)
		}
	})
	c := inside(handler)
	all, sealed, err := c.ActivityLog(within(t, time.Minute), "p", "a", 0)
	require.NoError(t, err)
	assert.True(t, sealed)
	require.Len(t, all, items)
	assert.Equal(t, platform.LogItem{Timestamp: "2026-01-02T03:04:05+00:00", Message: "line 2499\n"}, all[items-1])
	assert.Equal(t, 4, pages)
	all, _, err = c.ActivityLog(within(t, time.Minute), "p", "a", items)
	require.NoError(t, err)
	assert.Empty(t, all)
	_, _, err = inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, map[bool]string{true: `{"access_token": "access"}`, false: "<html>"}[r.URL.Path == "/oauth2/token"])
	})).ActivityLog(within(t, time.Minute), "p", "a", 0)
	assert.ErrorContains(t, err, "the answer is no log")
	_, _, err = c.ActivityLog(within(t, time.Minute), "p", "..", 0)
	assert.Error(t, err)
}

// TestNothingThatChangesIsSentTwice: whatever is lost, whatever it was.
func TestNothingThatChangesIsSentTwice(t *testing.T) {
	t.Parallel()
	secret := "hunter2-is-the-value"
	for name, r := range map[string]operation.Request{
		"created": {Operation: "variable:create", Argument: "a", Activity: "environment.variable.create", Path: "variables", Body: []byte(`{"name":"a","value":"` + secret + `"}`), Secret: secret},
		"changed": {Operation: "variable:update", Argument: "old", Activity: "project.variable.update", Method: "PATCH", Scope: operation.OfProject, Path: "variables/old", Body: []byte(`{"value":"` + secret + `"}`), Secret: secret},
		"deleted": {Operation: "variable:delete", Argument: "old", Activity: "project.variable.delete", Method: "DELETE", Scope: operation.OfProject, Path: "variables/old"},
		"invited": {Operation: "user:add", Argument: "a@example.com", Scope: operation.OfProject, Path: "invitations", Body: []byte(`{"email":"a@example.com","role":"admin"}`)},
	} {
		for _, fault := range []sandbox.Fault{{Drop: true}, {Status: 502, Content: sandbox.ContentHTML}, {Status: 500}, {Status: 200, Content: sandbox.ContentHTML}, {Status: 204, Content: sandbox.ContentEmpty}} {
			for _, act := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					server, c := fake(t, sandbox.Options{ActivityDuration: -1})
					_, err := c.Fire(within(t, 30*time.Second), onMain, operation.Request{
						Operation: "variable:create", Argument: "old", Activity: "project.variable.create", Scope: operation.OfProject, Path: "variables", Body: []byte(`{"name":"old","value":"x"}`)})
					require.NoError(t, err)
					target := onMain
					if r.Scope == operation.OfProject { // whose activities are not those of this environment
						target.Environment = "staging"
					}
					method := r.Method
					if method == "" {
						method = "POST"
					}
					fault := fault
					fault.Act, fault.On = act, strings.ToLower(method)
					require.NoError(t, server.Fault(fault))
					before := len(server.Requests())
					accepted, err := c.Fire(within(t, 30*time.Second), target, r)
					sent := 0
					for _, request := range server.Requests()[before:] {
						if request.Method != "GET" {
							sent++
						}
					}
					assert.Equal(t, 1, sent, "%s %v", name, fault)
					if act && r.Activity != "" {
						require.NoError(t, err, "%s %v", name, fault)
						require.Len(t, accepted.Activities, 1)
						return
					}
					e := platformError(t, err)
					assert.Equal(t, platform.Uncertain, e.Kind, "%s %v", name, fault)
					assert.NotContains(t, e.Error(), secret)
				})
			}
		}
	}
}

// TestRefusalsRepeatNoValue: the API may say what it was sent.
func TestRefusalsRepeatNoValue(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"hunter2", `with "quotes" & <tags>`, "two\nlines", strings.Repeat("long", 200)} {
		quoted, _ := json.Marshal(value)
		_, c := listen(t, sandbox.Options{}, sandbox.Fault{On: "post", Status: 400,
			Body: `{"status":"error","code":400,"message":"Bad Request","detail":{"value":` + string(quoted) + `,"why":"because"}}`})
		_, err := c.Fire(within(t, time.Minute), onMain, operation.Request{Operation: "variable:create", Path: "variables", Body: []byte(`{}`), Secret: value})
		require.ErrorContains(t, err, "because")
		assert.NotContains(t, err.Error(), strings.Trim(string(quoted), `"`))
		assert.NotContains(t, err.Error(), value)
	}
}

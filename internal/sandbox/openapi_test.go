package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// openAPIVariable names the environment variable that holds the path of the
// vendor's OpenAPI file, which is not part of this repository.
const openAPIVariable = "CRONAGENT_OPENAPI"

// TestTalkFollowsTheVendorsOpenAPI sends every request that the platform client
// sends, and the others that are served, and holds requests and answers against
// the vendor's description.
func TestTalkFollowsTheVendorsOpenAPI(t *testing.T) {
	t.Parallel()
	file := os.Getenv(openAPIVariable)
	if file == "" {
		t.Skipf("%s is not set: it holds the path of the vendor's OpenAPI file", openAPIVariable)
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(file)
	require.NoError(t, err)

	const below = "/projects/{projectId}/environments/{environmentId}"
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now, ActivityDuration: 10 * time.Second})
	c.fault(sandbox.Fault{On: "POST " + main + "/redeploy", Outcome: sandbox.Failure})
	require.NoError(t, c.server.Happen(sandbox.Event{At: clock.Now().Add(-time.Minute)}))
	automated := c.server.Activities()[0]

	type exchange struct {
		method, path, query, body string
		ids                       map[string]string
		status                    int
	}
	// Sent by the client, or read by people with the vendor's CLI.
	described := []exchange{
		{method: "GET", path: "/users/me"},
		{method: "GET", path: "/projects/{projectId}"},
		{method: "GET", path: "/projects/{projectId}/environments"},
		{method: "GET", path: below},
		{method: "GET", path: below, ids: map[string]string{"environmentId": "feature/new-menu"}},
		{method: "GET", path: below + "/source-operations"},
		{method: "POST", path: below + "/backup", body: `{"safe":true}`, status: 202},
		{method: "POST", path: below + "/backup", body: `{"safe":false}`, status: 202},
		{method: "POST", path: below + "/source-operation", body: `{"operation":"update","variables":{"env":{"A":"b"}}}`, status: 202},
		{method: "POST", path: below + "/source-operation", body: `{"operation":"update","variables":{}}`, status: 202},
		{method: "POST", path: below + "/redeploy", status: 202},
		{method: "GET", path: below + "/activities", query: "count=50&type=environment.backup"},
		{method: "GET", path: "/projects/{projectId}/activities", query: "count=50"},
		{method: "GET", path: "/projects/{projectId}/activities/{activityId}", ids: map[string]string{"activityId": automated.ID}},
		{method: "GET", path: below + "/activities/{activityId}", ids: map[string]string{"activityId": automated.ID}},
		{method: "GET", path: below + "/backups"},
		{method: "GET", path: below + "/backups/{backupId}", ids: map[string]string{"backupId": automated.Backup}},
	}
	described = append(described,
		exchange{method: "GET", path: "/projects/{projectId}/environment-types"},
		exchange{method: "POST", path: "/projects/{projectId}/environments/{environmentId}/synchronize", ids: map[string]string{"environmentId": "staging"},
			body: `{"synchronize_code":true,"synchronize_data":false,"rebase":false}`, status: 202},
		exchange{method: "POST", path: below + "/deployments/{deploymentId}/operations", ids: map[string]string{"deploymentId": "current"},
			body: `{"service":"app","operation":"clear-cache"}`, status: 202},
		exchange{method: "GET", path: below + "/variables"},
		exchange{method: "GET", path: below + "/variables/{variableId}", ids: map[string]string{"variableId": "env:A"}},
		exchange{method: "GET", path: below + "/variables/{variableId}", ids: map[string]string{"environmentId": "staging", "variableId": "env:A"}},
		exchange{method: "GET", path: "/projects/{projectId}/variables"},
		exchange{method: "GET", path: "/projects/{projectId}/variables/{projectVariableId}", ids: map[string]string{"projectVariableId": "plain"}},
		exchange{method: "PATCH", path: below + "/variables/{variableId}", ids: map[string]string{"variableId": "env:A"}, body: `{"value":"c"}`, status: 202},
	)
	require.Equal(t, 201, c.post(main+"/variables", `{"name":"env:A","value":"secret","is_sensitive":true}`).status)
	require.Equal(t, 201, c.post(project+"/variables", `{"name":"plain","value":"b"}`).status)
	// Served, and left out of the file. If it has them one day, they belong above.
	for _, path := range []string{
		"/oauth2/token",
		"/projects/{projectId}/activities/{activityId}/log",
		below + "/activities/{activityId}/log",
		below + "/deployments/{deploymentId}",
		below + "/settings",
		"/projects/{projectId}/capabilities",
		"/projects/{projectId}/settings",
		"/projects/{projectId}/invitations",
		"/projects/{projectId}/user-access",
		"/ref/users",
	} {
		assert.Nil(t, doc.Paths.Value(path), path)
	}

	// Twice, since activities look different when they have ended.
	for range 2 {
		for _, x := range described {
			name := x.method + " " + x.path
			item := doc.Paths.Value(x.path)
			require.NotNil(t, item, name)
			operation := item.GetOperation(x.method)
			require.NotNil(t, operation, name)

			target := x.path
			for _, p := range append(item.Parameters, operation.Parameters...) {
				id := x.ids[p.Value.Name]
				switch {
				case id != "":
				case p.Value.Name == "projectId":
					id = sandbox.DefaultProject
				case p.Value.Name == "environmentId":
					id = "main"
				}
				require.NotEmpty(t, id, "%s: a value for %s", name, p.Value.Name)
				target = strings.ReplaceAll(target, "{"+p.Value.Name+"}", url.PathEscape(id))
			}
			if operation.RequestBody == nil {
				require.Empty(t, x.body, name)
			} else {
				require.NoError(t, validate(t, operation.RequestBody.Value.Content, x.body, openapi3.VisitAsRequest()), name)
			}

			if x.query != "" {
				target += "?" + x.query
			}
			r := c.do(x.method, target, x.body)
			want := x.status
			if want == 0 {
				want = http.StatusOK
			}
			require.Equal(t, want, r.status, "%s: %s", name, r.body)
			response := operation.Responses.Status(r.status)
			if response == nil {
				response = operation.Responses.Default()
			}
			require.NotNil(t, response, name)
			assert.NoError(t, validate(t, response.Value.Content, r.body, openapi3.VisitAsResponse()), "%s: %s", name, r.body)

			// What stands in an operation's answer is an activity, though the file
			// has no word for it.
			if x.status == http.StatusAccepted {
				made := r.activities(t)
				require.Len(t, made, 1)
				text, err := json.Marshal(made[0])
				require.NoError(t, err)
				activity := doc.Paths.Value("/projects/{projectId}/activities/{activityId}").Get.Responses.Default()
				assert.NoError(t, validate(t, activity.Value.Content, string(text), openapi3.VisitAsResponse()), name)
			}
		}
		clock.advance(time.Minute)
	}
}

// validate holds a body against a description. Links and embedded objects are
// taken out first: every client of the API reads them, and the file, which
// allows no keys beside its own, leaves them out.
func validate(t *testing.T, content openapi3.Content, body string, as openapi3.SchemaValidationOption) error {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return err
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "_links")
			delete(v, "_embedded")
			for _, member := range v {
				strip(member)
			}
		case []any:
			for _, element := range v {
				strip(element)
			}
		}
	}
	strip(v)
	media := content.Get("application/json")
	require.NotNil(t, media)
	return media.Schema.Value.VisitJSON(v, as, openapi3.MultiErrors(), openapi3.EnableFormatValidation())
}

// TestOpenAPIValidationCanFail makes sure that the test above is not blind.
func TestOpenAPIValidationCanFail(t *testing.T) {
	t.Parallel()
	schema := openapi3.NewObjectSchema().WithProperty("safe", openapi3.NewBoolSchema()).WithoutAdditionalProperties()
	content := openapi3.NewContentWithJSONSchema(schema)
	for body, ok := range map[string]bool{
		`{"safe":true}`:               true,
		`{"safe":true,"_links":{}}`:   true,
		`{"safe":"true"}`:             false,
		`{"safe":true,"unknown":[1]}`: false,
		``:                            false,
	} {
		err := validate(t, content, body, openapi3.VisitAsRequest())
		assert.Equal(t, ok, err == nil, body)
	}
}

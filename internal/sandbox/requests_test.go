package sandbox_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestOurRequestsFollowTheVendorsOpenAPI fires every operation that we know with
// the client that does it in life, and holds what arrived against the file.
func TestOurRequestsFollowTheVendorsOpenAPI(t *testing.T) {
	t.Parallel()
	file := os.Getenv(openAPIVariable)
	if file == "" {
		t.Skipf("%s is not set: it holds the path of the vendor's OpenAPI file", openAPIVariable)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	require.NoError(t, err)
	server := sandbox.New(sandbox.Options{})
	address, err := server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := &platform.Client{APIURL: address, AuthURL: address, ClientID: "platform-api-user", Token: platform.NewToken(sandbox.DefaultToken)}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	options := map[string][][]string{
		"backup:create":           {nil, {"--live"}},
		"source-operation:run":    {{"update"}, {"update", "--variable", "env:A=b", "--variable", "env:C=d=e"}},
		"environment:redeploy":    {nil},
		"environment:pause":       {nil},
		"environment:resume":      {nil},
		"environment:synchronize": {{"code", "data"}, {"code", "--rebase"}, {"resources"}},
	}
	for _, o := range operation.Fireable() {
		require.Contains(t, options, o.Name, "each operation is tried")
		for _, words := range options[o.Name] {
			request, err := operation.Parse(append([]string{o.Name}, words...))
			require.NoError(t, err)
			accepted, err := client.Fire(ctx, staging, request)
			require.NoError(t, err)
			require.Len(t, accepted.Activities, 1)
			assert.Equal(t, o.Activity, accepted.Activities[0].Type)
			follows(t, doc, server)
		}
	}
}

var staging = platform.Target{Project: sandbox.DefaultProject, Environment: "staging"}

// follows holds the last request that arrived against the file.
func follows(t *testing.T, doc *openapi3.T, server *sandbox.Server) {
	t.Helper()
	requests := server.Requests()
	sent := requests[len(requests)-1]
	path := strings.NewReplacer(sandbox.DefaultProject, "{projectId}", "/staging/", "/{environmentId}/").Replace(sent.Path)
	for pattern, replacement := range map[string]string{
		"environments/{environmentId}/variables/": "environments/{environmentId}/variables/{variableId}",
		"{projectId}/variables/":                  "{projectId}/variables/{projectVariableId}",
		"backups/":                                "backups/{backupId}",
		"{projectId}/activities/":                 "{projectId}/activities/{activityId}",
		"deployments/":                            "deployments/{deploymentId}",
	} {
		if before, rest, found := strings.Cut(path, pattern); found && !strings.Contains(rest, "{") {
			_, after, _ := strings.Cut(rest, "/")
			path = strings.TrimSuffix(before+replacement+"/"+after, "/")
		}
	}
	item := doc.Paths.Value(path)
	require.NotNil(t, item, "%s is in the file", path)
	operation := item.GetOperation(sent.Method)
	require.NotNil(t, operation, "%s %s is in the file", sent.Method, path)
	if operation.RequestBody == nil {
		assert.Empty(t, sent.Body, path)
		return
	}
	assert.NoError(t, validate(t, operation.RequestBody.Value.Content, sent.Body, openapi3.VisitAsRequest()), "%s: %s", path, sent.Body)
}

// TestOurOtherRequestsFollowTheVendorsOpenAPI does the same for the commands of the
// platform CLI that change something and are nothing to fire.
func TestOurOtherRequestsFollowTheVendorsOpenAPI(t *testing.T) {
	t.Parallel()
	file := os.Getenv(openAPIVariable)
	if file == "" {
		t.Skipf("%s is not set: it holds the path of the vendor's OpenAPI file", openAPIVariable)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	require.NoError(t, err)
	server := sandbox.New(sandbox.Options{ActivityDuration: -1})
	address, err := server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client := &platform.Client{APIURL: address, AuthURL: address, ClientID: "platform-api-user", Token: platform.NewToken(sandbox.DefaultToken)}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, server.Happen(sandbox.Event{Environment: "staging"}))
	backup := server.Activities()[0].Backup

	request := func(name string, args []string, options ...string) (*operation.Operation, operation.Values, operation.Request) {
		o, _ := operation.Lookup(name)
		fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
		v := o.AllFlags(fs)
		require.NoError(t, fs.Parse(options))
		r, err := o.Request(args, v)
		require.NoError(t, err)
		return o, v, r
	}
	fire := func(r operation.Request, activity string) {
		t.Helper()
		accepted, err := client.Fire(ctx, staging, r)
		require.NoError(t, err)
		if activity != "" {
			require.Len(t, accepted.Activities, 1)
			assert.Equal(t, activity, accepted.Activities[0].Type)
			assert.Equal(t, activity, r.Activity)
		}
		follows(t, doc, server)
	}
	for level, scope := range map[string]string{"environment": "environment", "project": "project"} {
		_, _, create := request("variable:create", []string{"env:A"}, "--level", level, "--value", "b", "--sensitive", "true", "--visible-build", "true", "--app-scope", "app")
		fire(create, scope+".variable.create")
		o, v, _ := request("variable:update", []string{"env:A"}, "--value", "c", "--json", "false")
		change, changed, err := operation.Change(o, "env:A", level, v, map[string]any{"is_json": true})
		require.NoError(t, err)
		require.True(t, changed)
		fire(change, scope+".variable.update")
		o, _ = operation.Lookup("variable:delete")
		fire(operation.Delete(o, "env:A", level), scope+".variable.delete")
	}
	_, _, run := request("operation:run", []string{"clear-cache"}, "--app", "app")
	fire(run, "environment.operation")
	_, _, restore := request("backup:restore", []string{backup}, "--target", "new", "--branch-from", "staging", "--no-code", "--resources-init", "parent")
	fire(restore, "environment.restore")
	_, _, remove := request("backup:delete", []string{backup})
	fire(remove, "environment.backup.delete")
	require.NoError(t, server.Happen(sandbox.Event{Environment: "staging", Outcome: sandbox.Unfinished}))
	activities := server.Activities()
	_, _, cancelling := request("activity:cancel", []string{activities[len(activities)-1].ID})
	fire(cancelling, "")
	now := server.Activities()
	assert.Equal(t, "cancelled", now[len(now)-1].State)
}

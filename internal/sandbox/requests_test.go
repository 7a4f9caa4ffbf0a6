package sandbox_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
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
		"backup:create":        {nil, {"--live"}},
		"source-operation:run": {{"update"}, {"update", "--variable", "env:A=b", "--variable", "env:C=d=e"}},
		"environment:redeploy": {nil},
		"environment:pause":    {nil},
		"environment:resume":   {nil},
	}
	for _, o := range operation.All() {
		require.Contains(t, options, o.Name, "each operation is tried")
		for _, words := range options[o.Name] {
			request, err := operation.Parse(append([]string{o.Name}, words...))
			require.NoError(t, err)
			accepted, err := client.Fire(ctx, platform.Target{Project: sandbox.DefaultProject, Environment: "staging"}, request)
			require.NoError(t, err)
			require.Len(t, accepted.Activities, 1)
			assert.Equal(t, o.Activity, accepted.Activities[0].Type)

			requests := server.Requests()
			sent := requests[len(requests)-1]
			path := strings.NewReplacer(sandbox.DefaultProject, "{projectId}", "/staging/", "/{environmentId}/").Replace(sent.Path)
			item := doc.Paths.Value(path)
			require.NotNil(t, item, "%s is in the file", path)
			post := item.GetOperation(sent.Method)
			require.NotNil(t, post, "%s %s is in the file", sent.Method, path)
			if post.RequestBody == nil {
				assert.Empty(t, sent.Body, path)
				continue
			}
			assert.NoError(t, validate(t, post.RequestBody.Value.Content, sent.Body, openapi3.VisitAsRequest()), "%s: %s", path, sent.Body)
		}
	}
}

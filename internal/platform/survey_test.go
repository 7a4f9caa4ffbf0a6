package platform_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestReachTakesWhateverTheAPISays(t *testing.T) {
	t.Parallel()
	for status, reached := range map[int]bool{
		200: true, 401: true, 403: true, 404: true, 429: true, 302: false, 407: false, 500: false, 503: false,
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			assert.Equal(t, "GET", r.Method)
			assert.NotContains(t, r.Header, "Authorization")
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(status)
		}))
		got, err := client(server.URL).Reach(within(t, time.Minute))
		server.Close()
		if !reached {
			assert.Equal(t, platform.Unavailable, platformError(t, err).Kind, status)
			assert.Equal(t, 2, asked, status)
			continue
		}
		require.NoError(t, err, status)
		assert.Equal(t, 1, asked, status)
		assert.Positive(t, got.Took)
		assert.True(t, got.Dated)
		assert.InDelta(t, time.Hour, got.Ahead, float64(2*time.Second))
	}
}

func TestReachSaysThatNobodyIsThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := client(server.URL).Reach(within(t, time.Minute))
	e := platformError(t, err)
	assert.Equal(t, platform.Unavailable, e.Kind)
	assert.Equal(t, platform.NoConnection, e.Reason)
}

// TestOffersFiresNothing: what the platform would take, and why it would not.
func TestOffersFiresNothing(t *testing.T) {
	t.Parallel()
	backup := request(t, "backup:create")
	for name, test := range map[string]struct {
		opts   sandbox.Options
		reason platform.Reason
		fine   bool
	}{
		"admin":       {sandbox.Options{}, 0, true},
		"least role":  {sandbox.Options{Role: sandbox.ProductionAdmin}, 0, true},
		"contributor": {sandbox.Options{Role: sandbox.Contributor}, platform.RoleTooSmall, false},
		"viewer":      {sandbox.Options{Role: sandbox.Viewer}, platform.RoleTooSmall, false},
		"paused":      {sandbox.Options{Environments: []sandbox.Environment{{ID: "main", Type: "production", Status: "paused"}}}, platform.NotActive, false},
	} {
		server, c := listen(t, test.opts)
		env, err := c.Environment(within(t, time.Minute), onMain)
		require.NoError(t, err, name)
		e := c.Offers(within(t, time.Minute), onMain, env, backup)
		if test.fine {
			assert.Nil(t, e, name)
		} else if assert.NotNil(t, e, name) {
			assert.Equal(t, test.reason, e.Reason, name)
			assert.Equal(t, platform.Forbidden, e.Kind, name)
			assert.Zero(t, e.Status, name)
		}
		assert.Empty(t, server.Accepted(), name)
	}
}

func TestDeploymentThatCannotBeReadLeavesTheRest(t *testing.T) {
	t.Parallel()
	_, c := listen(t, sandbox.Options{}, sandbox.Fault{On: "GET /projects/*/environments/main", Status: 200, Body: `{"id":"main","status":"active","deployment_state":{"crons":7}}`})
	env, err := c.Environment(within(t, time.Minute), onMain)
	require.NoError(t, err)
	assert.Equal(t, "active", env.Status)
}

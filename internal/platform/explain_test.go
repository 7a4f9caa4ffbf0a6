package platform_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestRefusalsAreExplained also offers links to another host in every resource,
// which must not be called.
func TestRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	menu := platform.Target{Project: sandbox.DefaultProject, Environment: "feature/new-menu"}
	on := func(status string) []sandbox.Environment {
		return []sandbox.Environment{{ID: "main", Type: "production", Status: status}}
	}
	for name, test := range map[string]struct {
		opts   sandbox.Options
		events []sandbox.Event
		faults []sandbox.Fault
		target platform.Target
		words  string
		kind   platform.Kind
		reason platform.Reason
		text   string
	}{
		"inactive":                {target: menu, kind: platform.Forbidden, reason: platform.NotActive, text: "environment feature/new-menu is inactive"},
		"paused":                  {opts: sandbox.Options{Environments: on("paused")}, kind: platform.Forbidden, reason: platform.NotActive, text: "environment main is paused"},
		"role viewer":             {opts: sandbox.Options{Role: sandbox.Viewer}, kind: platform.Forbidden, reason: platform.RoleTooSmall, text: "user cron-bot is viewer on this project, but this needs admin on environments of type production"},
		"role on another type":    {opts: sandbox.Options{Role: sandbox.ProductionAdmin}, target: platform.Target{Project: sandbox.DefaultProject, Environment: "staging"}, kind: platform.Forbidden, reason: platform.RoleTooSmall, text: "user cron-bot is viewer, production:admin on this project, but this needs admin on environments of type staging"},
		"the role is not told":    {opts: sandbox.Options{Role: sandbox.Viewer}, faults: []sandbox.Fault{{On: "/projects/*/user-access/*", Status: 403}}, kind: platform.Forbidden, reason: platform.RoleTooSmall, text: "the token's user may not do this on main, which is of type production"},
		"forbidden for no reason": {faults: []sandbox.Fault{{On: "post", Status: 403}}, kind: platform.Forbidden, text: "403 Forbidden"},
		"role contributor":        {opts: sandbox.Options{Role: sandbox.Contributor}, kind: platform.Forbidden, reason: platform.RoleTooSmall, text: "403 Forbidden"},
		"busy": {
			opts: sandbox.Options{Environments: []sandbox.Environment{{ID: "main", Type: "production", Dirty: true}}},
			events: []sandbox.Event{
				{Type: "environment.variable.create", By: sandbox.Colleague, Outcome: sandbox.Staged},
				{Type: "environment.cron", By: sandbox.Platform, Outcome: sandbox.Unfinished, At: time.Now().Add(-3 * time.Hour)},
				{Type: "environment.push", By: sandbox.Colleague, Outcome: sandbox.Unfinished, At: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC).AddDate(-2, 0, 0)},
				{Type: "environment.redeploy", By: sandbox.Colleague},
			},
			kind: platform.Forbidden, reason: platform.Busy, text: "environment main is busy with environment.push (activity ",
		},
		"busy, and 409 although it is offered": {
			events: []sandbox.Event{{By: sandbox.Platform}}, faults: []sandbox.Fault{{On: "post", Status: 409}},
			kind: platform.Forbidden, reason: platform.Busy, text: "pending since ",
		},
		"only our own cron is running": {
			events: []sandbox.Event{{Type: "environment.cron", Outcome: sandbox.Unfinished}}, faults: []sandbox.Fault{{On: "post", Status: 409}},
			kind: platform.Failed, text: "409 Conflict",
		},
		"staged": {
			opts: sandbox.Options{Environments: []sandbox.Environment{{ID: "main", Type: "production", Dirty: true, Staged: true}}},
			kind: platform.Forbidden, reason: platform.Staged, text: "changes on environment main are staged and wait for a deployment by hand",
		},
		"pause of production":      {words: "environment:pause", kind: platform.Forbidden, reason: platform.NotAvailable, text: "does not offer environment:pause on main"},
		"changes pending":          {opts: sandbox.Options{Environments: []sandbox.Environment{{ID: "main", Dirty: true}}}, kind: platform.Forbidden, reason: platform.NotAvailable, text: "does not offer backup:create on main"},
		"not on the project":       {opts: sandbox.Options{Role: sandbox.NoMember}, kind: platform.Forbidden, reason: platform.UnknownProject, text: "this token's user is not on it"},
		"unknown project":          {target: platform.Target{Project: "zzz", Environment: "main"}, kind: platform.Failed, reason: platform.UnknownProject, text: `project "zzz" does not exist`},
		"unknown environment":      {target: platform.Target{Project: sandbox.DefaultProject, Environment: "mian"}, kind: platform.Failed, reason: platform.UnknownEnvironment, text: `environment "mian" does not exist`},
		"unknown source operation": {words: "source-operation:run nope", kind: platform.Failed, text: "There is no such source operation"},
		"a page that says 404":     {faults: []sandbox.Fault{{On: "api", Status: 404, Content: sandbox.ContentHTML}}, kind: platform.Failed, reason: platform.NotFromAPI, text: "not the API's own"},
		"a page that says 403":     {faults: []sandbox.Fault{{On: "api", Status: 403, Content: sandbox.ContentHTML}}, kind: platform.Forbidden, reason: platform.NotFromAPI, text: "not the API's own"},
		"the reading fails":        {faults: []sandbox.Fault{{On: "post", Status: 403}, {On: "get", Status: 500}}, kind: platform.Forbidden, text: "403 Forbidden"},
		"422 is left as it is":     {faults: []sandbox.Fault{{On: "post", Status: 422, Body: `{"title":"Odd","detail":["a","b"]}`}}, kind: platform.Failed, text: `Odd: ["a","b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.opts.RegionalURL = bystander(t)
			if test.target == (platform.Target{}) {
				test.target = onMain
			}
			if test.words == "" {
				test.words = "backup:create"
			}
			server, c := listen(t, test.opts, test.faults...)
			for _, event := range test.events {
				require.NoError(t, server.Happen(event))
			}
			deadline := 10 * time.Second
			if name == "the reading fails" {
				deadline = 3 * time.Second // which it uses up
			}
			began := time.Now()
			_, err := c.Fire(within(t, deadline), test.target, request(t, strings.Fields(test.words)...))
			assert.Less(t, time.Since(began), deadline+time.Second)
			e := platformError(t, err)
			assert.Equal(t, test.kind, e.Kind, "%v", e)
			assert.Equal(t, test.reason, e.Reason, "%v", e)
			assert.Contains(t, e.Error(), test.text)
			assert.Contains(t, e.Error(), " on "+test.target.Environment)
			if e.Reason == platform.UnknownEnvironment {
				assert.Equal(t, []string{"main", "staging", "feature/new-menu"}, e.Names)
			}
			assert.Empty(t, server.Accepted())
			assert.Equal(t, 1, count(server, "POST", posts))
			assert.Equal(t, 1, count(server, "POST", exchanges))
		})
	}
}

// TestWhatIsSoAlreadyIsDone: also if it was named by its machine name.
func TestWhatIsSoAlreadyIsDone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"staging", "staging-y77w3ti"} {
		target := platform.Target{Project: sandbox.DefaultProject, Environment: name}
		server, c := listen(t, sandbox.Options{RegionalURL: bystander(t)})
		accepted, err := c.Fire(within(t, 10*time.Second), target, request(t, "environment:resume"))
		require.NoError(t, err)
		assert.Equal(t, platform.Accepted{Already: true, Note: "environment staging is already active"}, accepted)
		assert.Empty(t, server.Accepted())

		accepted, err = c.Fire(within(t, 10*time.Second), target, request(t, "environment:pause"))
		require.NoError(t, err)
		assert.Len(t, accepted.Activities, 1)
		assert.False(t, accepted.Already)
		require.Len(t, server.Accepted(), 1)
		accepted, err = c.Fire(within(t, 10*time.Second), target, request(t, "environment:pause"))
		require.NoError(t, err)
		assert.True(t, accepted.Already)
		assert.Len(t, server.Accepted(), 1)
	}
}

func TestMachineNameFindsTheEnvironment(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{RegionalURL: bystander(t)})
	target := platform.Target{Project: sandbox.DefaultProject, Environment: "main-bvxea6i"}
	_, err := c.Fire(within(t, 10*time.Second), target, request(t, "backup:create"))
	require.NoError(t, err)
	require.Len(t, server.Accepted(), 1)
	assert.Equal(t, "main", server.Accepted()[0].Environment)

	env, err := c.Environment(within(t, 10*time.Second), target)
	require.NoError(t, err)
	assert.Equal(t, "main", env.ID)
	assert.Equal(t, "production", env.Type)

	_, err = c.Environment(within(t, 10*time.Second), platform.Target{Project: sandbox.DefaultProject, Environment: "x"})
	e := platformError(t, err)
	assert.Equal(t, platform.UnknownEnvironment, e.Reason)
	assert.Equal(t, []string{"main", "staging", "feature/new-menu"}, e.Names)
}

// TestTheLinkIsFollowedOnOurOwnHost: the direct path is unknown, and the link
// names another host.
func TestTheLinkIsFollowedOnOurOwnHost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status              int
		base, before, wants string
	}{
		{404, "", "/api", "/api"},
		{405, "", "/api", "/api"},
		{404, "/api", "", ""}, // a base as the old regional hosts have it
	} {
		path := "/projects/" + sandbox.DefaultProject + "/environments/main/backup"
		link := bystander(t) + test.before + path
		server, c := listen(t, sandbox.Options{},
			sandbox.Fault{On: "post", Times: 1, Status: test.status},
			sandbox.Fault{On: "get", Body: `{"id":"main","status":"active","_links":{"#backup":{"href":"` + link + `"},"self":[]}}`})
		c.APIURL += test.base
		_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
		require.NoError(t, err)
		require.Len(t, server.Accepted(), 1)
		last := server.Requests()[server.Accepted()[0].Request]
		assert.Equal(t, test.wants+path, last.Path, "the link's path begins at the root of the host")
	}
	for _, href := range []string{"", "backup", "https://other.example", "//other.example", ":", "%zz"} {
		server, c := listen(t, sandbox.Options{},
			sandbox.Fault{On: "post", Times: 1, Status: 404},
			sandbox.Fault{On: "get", Body: `{"id":"main","status":"active","_links":{"#backup":{"href":"` + href + `"}}}`})
		_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
		assert.Equal(t, 404, platformError(t, err).Status, href)
		assert.Equal(t, 1, count(server, "POST", posts), href)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, on := range []string{"token", "post", "get"} {
			for _, own := range []bool{false, true} {
				server, c := listen(t, sandbox.Options{}, sandbox.Fault{On: on, Status: status, Header: map[string]string{"Location": bystander(t) + "/elsewhere"}})
				if own {
					transport := &http.Transport{}
					t.Cleanup(transport.CloseIdleConnections)
					c.HTTP = &http.Client{Transport: transport} // follows by itself
				}
				var err error
				if on == "get" {
					_, err = c.Me(within(t, 10*time.Second))
				} else {
					_, err = c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
				}
				e := platformError(t, err)
				assert.Equal(t, platform.Failed, e.Kind, "%v", e)
				assert.Equal(t, platform.Redirected, e.Reason, "%s %d", on, status)
				assert.Empty(t, server.Accepted())
			}
		}
	}
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"http://api.example.com", "http://127.0.0.1.example.com", "http://192.0.2.7:80", "http://localhost.example.com", "ftp://api.example.com", "api.example.com", ""} {
		c := client(base)
		c.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			t.Errorf("a request went out to %s", r.URL)
			return nil, net.ErrClosed
		})}
		_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
		e := platformError(t, err)
		assert.Equal(t, platform.Failed, e.Kind, "%v", e)
		assert.NotContains(t, e.Error(), secretPart)
	}
	// The token endpoint may be loopback while the API is not.
	server, c := listen(t, sandbox.Options{})
	c.APIURL = "http://api.example.com"
	_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
	assert.Contains(t, platformError(t, err).Error(), "not sent over plain http to api.example.com")
	assert.Len(t, server.Requests(), 1)
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	server := sandbox.New(sandbox.Options{Token: apiToken})
	base, ca, err := server.StartTLS()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })

	began := time.Now()
	_, err = client(base).Fire(within(t, 20*time.Second), onMain, request(t, "backup:create"))
	e := platformError(t, err)
	assert.Equal(t, platform.Unavailable, e.Kind, "%v", e)
	assert.Equal(t, platform.BadCertificate, e.Reason, "%v", e)
	assert.Less(t, time.Since(began), 10*time.Second, "it is not tried again")
	assert.Empty(t, server.Requests())

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	c := client(base)
	c.HTTP = &http.Client{Transport: transport}
	_, err = c.Fire(within(t, 20*time.Second), onMain, request(t, "backup:create"))
	require.NoError(t, err)

	// As users name it: by SSL_CERT_FILE. A file that is not there leaves the
	// system's, which know nothing of this server; so does a folder.
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bundle, ca, 0o600))
	c = client(base)
	c.CertFile = bundle
	_, err = c.Fire(within(t, 20*time.Second), onMain, request(t, "backup:create"))
	require.NoError(t, err)
	for _, c := range []*platform.Client{
		{CertFile: bundle + ".gone"}, {CertFile: bundle, CertDir: t.TempDir()},
	} {
		certFile, certDir := c.CertFile, c.CertDir
		c = client(base)
		c.CertFile, c.CertDir = certFile, certDir
		_, err = c.Fire(within(t, 20*time.Second), onMain, request(t, "backup:create"))
		assert.Equal(t, platform.BadCertificate, platformError(t, err).Reason)
	}

	// The API's certificate alone is bad: the POST was surely not sent.
	c = client(base)
	_, plain := listen(t, sandbox.Options{})
	c.AuthURL = plain.AuthURL
	_, err = c.Fire(within(t, 20*time.Second), onMain, request(t, "backup:create"))
	e = platformError(t, err)
	assert.Equal(t, platform.Unavailable, e.Kind)
	assert.Equal(t, platform.BadCertificate, e.Reason)
}

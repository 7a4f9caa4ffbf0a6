package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestExchangeIsRepeatedFreely(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"500":                     {Status: 500},
		"502 with a page":         {Status: 502, Content: sandbox.ContentHTML},
		"503":                     {Status: 503},
		"429":                     {Status: 429},
		"429 with Retry-After":    {Status: 429, Header: map[string]string{"Retry-After": "4"}},
		"408":                     {Status: 408},
		"200 with a page":         {Content: sandbox.ContentHTML},
		"200 without a body":      {Content: sandbox.ContentEmpty},
		"a cut body":              {Content: sandbox.ContentCut, Act: true},
		"a drop":                  {Drop: true},
		"no answer for some time": {DelayBefore: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fault.On, fault.Times = "token", 2
				server, c := fake(t, sandbox.Options{}, fault)
				_, err := c.Fire(within(t, 60*time.Second), onMain, request(t, "backup:create"))
				require.NoError(t, err)
				assert.Equal(t, 3, count(server, "POST", exchanges))
				assert.Len(t, server.Accepted(), 1)
			})
		})
	}
}

func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   sandbox.TokenError
		reason platform.Reason
		text   string
	}{
		"classic":         {sandbox.TokenErrorClassic, platform.TokenRefused, "400 Bad Request from localhost: Invalid API token"},
		"newer":           {sandbox.TokenErrorModern, platform.TokenRefused, "could not be authorized: Check that the API token"},
		"the vendor mock": {sandbox.TokenErrorMockAPI, platform.TokenRefused, "invalid API token"},
		"single sign-on":  {sandbox.TokenErrorSSO, platform.SessionExpired, "SSO session has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := fake(t, sandbox.Options{TokenError: test.kind})
			c.Token = platform.NewToken("revoked-token")
			_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
			e := platformError(t, err)
			assert.Equal(t, platform.Unauthorized, e.Kind)
			assert.Equal(t, test.reason, e.Reason)
			assert.Contains(t, e.Error(), "exchange the API token")
			assert.Contains(t, e.Error(), test.text)
			assert.Len(t, server.Requests(), 1, "a refusal is not repeated")
		})
	}
	t.Run("no token is known before anything is sent", func(t *testing.T) {
		t.Parallel()
		server, c := fake(t, sandbox.Options{})
		c.Token = platform.NewToken(" \n")
		_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
		e := platformError(t, err)
		assert.Equal(t, platform.Unauthorized, e.Kind)
		assert.Equal(t, platform.NoToken, e.Reason)
		assert.Empty(t, server.Requests())
	})
	t.Run("400 with a page is not about the token", func(t *testing.T) {
		t.Parallel()
		_, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "token", Status: 400, Content: sandbox.ContentHTML})
		_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
		e := platformError(t, err)
		assert.Equal(t, platform.Failed, e.Kind)
		assert.Equal(t, platform.NotFromAPI, e.Reason)
	})
}

func TestExchangeAnswersThatHoldNoToken(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"an empty object":     `{}`,
		"null":                `null`,
		"a list":              `[]`,
		"an empty token":      `{"access_token":""}`,
		"a number":            `{"access_token":7}`,
		"a line break":        `{"access_token":"abc\r\nX-Injected: 1"}`,
		"a space":             `{"access_token":"abc def"}`,
		"a letter, not ASCII": `{"access_token":"é"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "token", Body: body})
			_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
			e := platformError(t, err)
			assert.Equal(t, platform.Failed, e.Kind, "%v", e)
			assert.Equal(t, platform.NotFromAPI, e.Reason)
			assert.Zero(t, count(server, "POST", posts))
		})
	}
}

// TestAccessTokenLives: an access token is used until a minute before its end.
func TestAccessTokenLives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		expires string
		life    time.Duration
	}{
		"a number":            {`900`, 14 * time.Minute},
		"a string":            {`"900"`, 14 * time.Minute},
		"a fraction":          {`900.5`, 14 * time.Minute},
		"absent":              {``, 4 * time.Minute},
		"null":                {`null`, 4 * time.Minute},
		"zero":                {`0`, 4 * time.Minute},
		"negative":            {`-5`, 4 * time.Minute},
		"no number":           {`"NaN"`, 4 * time.Minute},
		"infinite":            {`"Inf"`, 4 * time.Minute},
		"more than there is":  {`1e300`, 4 * time.Minute},
		"an object":           {`{}`, 4 * time.Minute},
		"shorter than margin": {`30`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				made := 0
				c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/oauth2/token" {
						_, _ = io.WriteString(w, `{"id":"x"}`)
						return
					}
					made++
					body := `{"access_token":"a"}`
					if test.expires != "" {
						body = `{"access_token":"a","expires_in":` + test.expires + `}`
					}
					_, _ = io.WriteString(w, body)
				}))
				me := func() {
					_, err := c.Me(within(t, time.Minute))
					require.NoError(t, err)
				}
				me()
				if test.life > 0 {
					time.Sleep(test.life - time.Second)
					me()
				}
				assert.Equal(t, 1, made)
				time.Sleep(2 * time.Second)
				me()
				assert.Equal(t, 2, made)
			})
		})
	}
}

func TestAnExpiredAccessTokenIsRenewedByThe401(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{TokenLifetime: 10 * time.Minute})
		_, err := c.Fire(within(t, time.Minute), onMain, request(t, "backup:create"))
		require.NoError(t, err)
		time.Sleep(20 * time.Minute)
		_, err = c.Fire(within(t, time.Minute), onMain, request(t, "backup:create"))
		require.NoError(t, err)
		assert.Len(t, server.Accepted(), 2)
		assert.Equal(t, 2, count(server, "POST", exchanges))
	})
}

func TestConcurrentFiresMakeOneExchange(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{}, sandbox.Fault{On: "token", DelayAfter: 100 * time.Millisecond})
	var wg sync.WaitGroup
	ctx := within(t, 20*time.Second)
	backup := request(t, "backup:create")
	for range 12 {
		wg.Go(func() {
			_, err := c.Fire(ctx, onMain, backup)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, 1, count(server, "POST", exchanges))
	assert.Len(t, server.Accepted(), 12)
}

// TestOnesOwnDeadlineHoldsDuringAnothersExchange: waiting is no excuse.
func TestOnesOwnDeadlineHoldsDuringAnothersExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "token", DelayAfter: 9 * time.Second})
		ctx := within(t, time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Me(ctx)
			assert.NoError(t, err)
		})
		synctest.Wait() // it is exchanging
		began := time.Now()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := c.Fire(short, onMain, request(t, "backup:create"))
		e := platformError(t, err)
		assert.Equal(t, platform.Unavailable, e.Kind)
		assert.Contains(t, e.Error(), "no answer in time")
		assert.Equal(t, time.Second, time.Since(began))
		wg.Wait()
		assert.Equal(t, 1, count(server, "POST", exchanges))
		assert.Empty(t, server.Accepted())
	})
}

func TestMe(t *testing.T) {
	t.Parallel()
	server, c := fake(t, sandbox.Options{})
	user, err := c.Me(within(t, 10*time.Second))
	require.NoError(t, err)
	assert.Equal(t, sandbox.DefaultUser, user.Username)
	assert.Equal(t, server.User(sandbox.DefaultUser).ID, user.ID)

	_, c = fake(t, sandbox.Options{}, sandbox.Fault{On: "get", Status: 500, Times: 2})
	_, err = c.Me(within(t, 10*time.Second))
	require.NoError(t, err, "a GET is repeated freely")

	_, c = fake(t, sandbox.Options{}, sandbox.Fault{On: "get", Body: `[]`})
	_, err = c.Me(within(t, 10*time.Second))
	assert.Equal(t, platform.NotFromAPI, platformError(t, err).Reason)

	_, c = fake(t, sandbox.Options{}, sandbox.Fault{On: "get", Status: 403})
	_, err = c.Me(within(t, 10*time.Second))
	assert.Equal(t, platform.Forbidden, platformError(t, err).Kind)
}

func TestActivityJSON(t *testing.T) {
	t.Parallel()
	var all []platform.Activity
	require.NoError(t, json.Unmarshal([]byte(`[{"id":"a","result":null},{"id":"b","payload":null},{"id":"c","payload":{"backup_name":null}},{"id":"d","payload":{"backup_name":7}}]`), &all))
	assert.Equal(t, []platform.Activity{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}, all)
	require.Error(t, json.Unmarshal([]byte(`{"id":7}`), new(platform.Activity)))
}

func TestALongListIsRead(t *testing.T) {
	t.Parallel()
	one := `{"id":"b%d","machine_name":"m-%d","_links":{"self":{"href":"https://other.example/"}},"title":"` + strings.Repeat("x", 1000) + `"},`
	var list strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&list, one, i, i)
	}
	c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/oauth2/token":
			_, _ = io.WriteString(w, `{"access_token":"a"}`)
		case strings.HasSuffix(r.URL.Path, "/environments"):
			_, _ = io.WriteString(w, "["+strings.TrimSuffix(list.String(), ",")+"]")
		default:
			http.Error(w, `{"status":"error","code":404}`, http.StatusNotFound)
		}
	}))
	env, err := c.Environment(within(t, 20*time.Second), platform.Target{Project: "p", Environment: "m-1999"})
	require.NoError(t, err, "more than a megabyte, as busy projects have")
	assert.Equal(t, "b1999", env.ID)
}

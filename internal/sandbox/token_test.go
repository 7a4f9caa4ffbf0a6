package sandbox_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// credentials sends a form to the token endpoint; a client that is not empty
// goes into Basic.
func (c *client) credentials(client string, form url.Values) reply {
	c.t.Helper()
	req := c.request("POST", "/oauth2/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	req.Header.Del("Authorization")
	if client != "" {
		req.SetBasicAuth(client, "")
	}
	r, err := c.try(req)
	require.NoError(c.t, err)
	return r
}

func TestTokenExchangeInTheThreeStylesOfReleasedClients(t *testing.T) {
	t.Parallel()
	const token = "p@ss+word/%41 =&é"
	for name, tt := range map[string]struct {
		basic, client string
		extra         url.Values
	}{
		"documentation: Basic":                {"platform-api-user", "platform-api-user", nil},
		"CLI 4: Basic with an empty scope":    {"platform-cli", "platform-cli", url.Values{"scope": {""}}},
		"CLI 5: client id in the form":        {"", "platform-cli", url.Values{"client_id": {"platform-cli"}, "client_secret": {""}}},
		"CLI 5 of Upsun: client id in a form": {"", "upsun-cli", url.Values{"client_id": {"upsun-cli"}}},
		"OVH: Basic":                          {"ovh-eu-cli", "ovh-eu-cli", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, sandbox.Options{Token: token})
			form := url.Values{"grant_type": {"api_token"}, "api_token": {token}}
			for key, values := range tt.extra {
				form[key] = values
			}
			r := c.credentials(tt.basic, form)
			require.Equal(t, http.StatusOK, r.status, r.body)
			said := r.object(t)
			assert.EqualValues(t, 900, said["expires_in"])
			assert.Equal(t, "bearer", said["token_type"])
			assert.Contains(t, said["access_token"], sandbox.AccessTokenPrefix)
			assert.Equal(t, tt.client, c.last().Client)
			c.bearer = said["access_token"].(string)
			assert.Equal(t, http.StatusOK, c.get(main).status)
		})
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	right := url.Values{"grant_type": {"api_token"}, "api_token": {sandbox.DefaultToken}}
	wrong := url.Values{"grant_type": {"api_token"}, "api_token": {"revoked-token"}}
	for name, tt := range map[string]struct {
		kind               sandbox.TokenError
		client             string
		form               url.Values
		status             int
		code, describe     string
		credentials, extra string
	}{
		"wrong token, classic":         {"", "platform-cli", wrong, 400, "invalid_grant", "API token", "wrong", ""},
		"wrong token, newer provider":  {sandbox.TokenErrorModern, "platform-cli", wrong, 401, "request_unauthorized", "", "wrong", "API token"},
		"wrong token, vendor's mock":   {sandbox.TokenErrorMockAPI, "platform-cli", wrong, 400, "invalid API token", "", "wrong", ""},
		"owner's SSO session is over":  {sandbox.TokenErrorSSO, "platform-cli", wrong, 400, "invalid_grant", "SSO session has expired", "wrong", ""},
		"no token":                     {"", "platform-cli", url.Values{"grant_type": {"api_token"}}, 400, "invalid_grant", "", "none", ""},
		"other grant":                  {"", "platform-cli", url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type", "", "none", ""},
		"unknown client":               {"", "mallory", right, 401, "invalid_client", "", "none", ""},
		"no client":                    {"", "", right, 401, "invalid_client", "", "none", ""},
		"a client that has no secret":  {"", "", url.Values{"client_id": {"platform-cli"}, "client_secret": {"x"}}, 401, "invalid_client", "", "none", ""},
		"colleague has no empty token": {"", "platform-cli", url.Values{"grant_type": {"api_token"}, "api_token": {""}}, 400, "invalid_grant", "", "none", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, sandbox.Options{TokenError: tt.kind})
			r := c.credentials(tt.client, tt.form)
			assert.Equal(t, tt.status, r.status)
			said := r.object(t)
			assert.Equal(t, tt.code, said["error"])
			if tt.describe != "" {
				assert.Contains(t, said["error_description"], tt.describe)
			}
			if tt.extra != "" {
				assert.Contains(t, said["error_hint"], tt.extra)
			}
			assert.Equal(t, tt.credentials, c.last().Credentials)
			assert.NotContains(t, r.body, "revoked-token")
		})
	}
	t.Run("a JSON body", func(t *testing.T) {
		t.Parallel()
		c := start(t, sandbox.Options{})
		r := c.post("/oauth2/token", `{"grant_type":"api_token","api_token":"sandbox-token"}`)
		assert.Equal(t, http.StatusBadRequest, r.status)
		assert.Equal(t, "invalid_request", r.object(t)["error"])
	})
	t.Run("an undecodable form", func(t *testing.T) {
		t.Parallel()
		c := start(t, sandbox.Options{})
		r := c.do("POST", "/oauth2/token", "api_token=100%", "Content-Type", "application/x-www-form-urlencoded")
		assert.Equal(t, http.StatusBadRequest, r.status)
	})
}

func TestAccessTokensAreCheckedAndExpire(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now, TokenLifetime: time.Minute})
	clock.advance(time.Minute - 1)
	assert.Equal(t, http.StatusOK, c.get(main).status)
	clock.advance(1)
	expired := c.post(main+"/backup", "")
	assert.Equal(t, http.StatusUnauthorized, expired.status)
	assert.Contains(t, expired.header.Get("WWW-Authenticate"), "invalid_token")
	assert.Equal(t, "wrong", c.last().Credentials)

	for name, header := range map[string]string{
		"none": "", "unknown": "Bearer nonsense", "an API token": "Bearer " + sandbox.DefaultToken, "Basic": "Basic Y3Jvbjo=",
	} {
		r := c.do("POST", main+"/backup", "", "Authorization", header)
		assert.Equal(t, http.StatusUnauthorized, r.status, name)
	}
	c.exchange(sandbox.DefaultToken)
	lower := c.do("GET", main, "", "Authorization", "bearer "+c.bearer)
	assert.Equal(t, http.StatusOK, lower.status, "the scheme's case does not matter")
	assert.Empty(t, c.server.Accepted())
}

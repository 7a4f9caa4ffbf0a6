package envdetect_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/envdetect"
)

const platformToken, upsunToken, ovhToken = "PLATFORMSH_CLI_TOKEN", "UPSUN_CLI_TOKEN", "OVHCLOUD_WEBPAAS_CLI_TOKEN"

func TestVendorAndToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vars     vars
		opts     envdetect.Options
		vendor   string
		token    string
		reason   string
		clientID string
	}{
		"nothing":             {vars: vars{}, vendor: "upsun", reason: "nothing names a vendor"},
		"--vendor":            {opts: envdetect.Options{Vendor: "webpaas", CalledAs: "upsun"}, vars: vars{"CRONAGENT_VENDOR": "upsun", "PLATFORM_VENDOR": "upsun"}, vendor: "webpaas", reason: "--vendor"},
		"called as":           {opts: envdetect.Options{CalledAs: "webpaas"}, vars: vars{"CRONAGENT_VENDOR": "upsun", "PLATFORM_VENDOR": "upsun"}, vendor: "webpaas", reason: "called as webpaas"},
		"called as platform":  {opts: envdetect.Options{CalledAs: "platform"}, vars: vars{upsunToken: secret}, vendor: "platformsh", token: upsunToken, reason: "called as platform"},
		"called as ourselves": {opts: envdetect.Options{CalledAs: "cronagent"}, vars: vars{"PLATFORM_VENDOR": "ovh"}, vendor: "webpaas", reason: "PLATFORM_VENDOR"},
		"CRONAGENT_VENDOR":    {vars: vars{"CRONAGENT_VENDOR": "webpaas", "PLATFORM_VENDOR": "upsun", upsunToken: secret}, vendor: "webpaas", token: upsunToken, reason: "CRONAGENT_VENDOR"},
		"CRONAGENT_VENDOR saves an unknown vendor": {vars: vars{"CRONAGENT_VENDOR": "upsun", "PLATFORM_VENDOR": "acme"}, vendor: "upsun", reason: "CRONAGENT_VENDOR"},
		"PLATFORM_VENDOR":                          {vars: vars{"PLATFORM_VENDOR": "upsun", ovhToken: secret}, vendor: "upsun", token: ovhToken, reason: "PLATFORM_VENDOR"},
		"other spellings":                          {vars: vars{"PLATFORM_VENDOR": " Platform.sh "}, vendor: "platformsh", reason: "PLATFORM_VENDOR"},
		"its own token first":                      {vars: vars{"CRONAGENT_VENDOR": "webpaas", platformToken: secret, upsunToken: secret, ovhToken: secret}, vendor: "webpaas", token: ovhToken, reason: "CRONAGENT_VENDOR"},
		"then the others in order":                 {vars: vars{"CRONAGENT_VENDOR": "webpaas", platformToken: secret, upsunToken: secret}, vendor: "webpaas", token: platformToken, reason: "CRONAGENT_VENDOR"},
		"Upsun's token selects Upsun":              {vars: vars{upsunToken: secret}, vendor: "upsun", token: upsunToken, reason: "the token is in UPSUN_CLI_TOKEN"},
		"OVH's token selects OVH":                  {vars: vars{ovhToken: secret}, vendor: "webpaas", token: ovhToken, reason: "the token is in OVHCLOUD_WEBPAAS_CLI_TOKEN"},
		"Platform.sh's token selects nobody":       {vars: vars{platformToken: secret}, vendor: "upsun", token: platformToken, reason: "nothing names a vendor"},
		"an empty token is none":                   {vars: vars{platformToken: " ", ovhToken: secret}, vendor: "webpaas", token: ovhToken, reason: "the token is in"},
		"an access token is no API token":          {vars: vars{"UPSUN_CLI_API_TOKEN": secret}, vendor: "upsun", reason: "nothing names a vendor"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, test.opts)
			assert.Equal(t, test.vendor, e.Vendor.Name)
			assert.Contains(t, e.Reasons["vendor"], test.reason)
			assert.Equal(t, test.token, e.TokenVariable)
			if test.token == "" {
				assert.Equal(t, "none of PLATFORMSH_CLI_TOKEN, UPSUN_CLI_TOKEN, OVHCLOUD_WEBPAAS_CLI_TOKEN is set", e.Reasons["token_variable"])
			} else {
				assert.Equal(t, test.token+" is set", e.Reasons["token_variable"])
			}
			hasStale := slices.ContainsFunc(e.Warnings, func(w string) bool { return strings.Contains(w, "UPSUN_CLI_API_TOKEN holds an access token") })
			assert.Equal(t, test.vars["UPSUN_CLI_API_TOKEN"] != "", hasStale)
		})
	}
}

func TestUnknownVendorIsNeverGuessed(t *testing.T) {
	t.Parallel()
	for source, test := range map[string]struct {
		vars vars
		opts envdetect.Options
	}{
		"--vendor":         {vars{"CRONAGENT_VENDOR": "upsun"}, envdetect.Options{Vendor: "acme"}},
		"CRONAGENT_VENDOR": {vars{"CRONAGENT_VENDOR": "acme", "PLATFORM_VENDOR": "upsun"}, envdetect.Options{}},
		"PLATFORM_VENDOR":  {container().and(vars{"PLATFORM_VENDOR": "acme"}), envdetect.Options{}},
	} {
		e := refused(t, test.vars, test.opts)
		assert.Equal(t, source, e.Variable)
		assert.Equal(t, `unknown vendor "acme"`, e.Problem)
		assert.Contains(t, e.Hint, "set CRONAGENT_VENDOR to ")
	}
}

func TestVendors(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{platformToken, upsunToken, ovhToken}, envdetect.TokenVariables())
	for command, want := range map[string]envdetect.Vendor{
		"platform": {Name: "platformsh", Command: "platform", Prefix: "PLATFORMSH_CLI_", APIURL: "https://api.upsun.com", AuthURL: "https://auth.upsun.com", ClientID: "platform-api-user"},
		"upsun":    {Name: "upsun", Command: "upsun", Prefix: "UPSUN_CLI_", APIURL: "https://api.upsun.com", AuthURL: "https://auth.upsun.com", ClientID: "platform-api-user"},
		"webpaas":  {Name: "webpaas", Command: "webpaas", Prefix: "OVHCLOUD_WEBPAAS_CLI_", APIURL: "https://eu.api.webpaas.ovhcloud.com", AuthURL: "https://eu.auth.webpaas.ovhcloud.com", ClientID: "ovh-eu-cli"},
	} {
		got, ok := envdetect.VendorByCommand(command)
		require.True(t, ok)
		assert.Equal(t, want, got)
		text, err := json.Marshal(got)
		require.NoError(t, err)
		assert.Equal(t, `"`+want.Name+`"`, string(text))
	}
	for _, command := range []string{"", "cronagent", "platformsh", "Platform"} {
		_, ok := envdetect.VendorByCommand(command)
		assert.False(t, ok, command)
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	ovh := vars{"CRONAGENT_VENDOR": "webpaas", ovhToken: secret}
	for name, test := range map[string]struct {
		vars            vars
		api, auth       string
		apiWhy, authWhy string
	}{
		"the vendor's":                       {vars{}, "https://api.upsun.com", "https://auth.upsun.com", "the vendor's", "the vendor's"},
		"OVH's":                              {ovh, "https://eu.api.webpaas.ovhcloud.com", "https://eu.auth.webpaas.ovhcloud.com", "the vendor's", "the vendor's"},
		"ours first":                         {vars{"CRONAGENT_API_URL": "https://a", "CRONAGENT_AUTH_URL": "https://b", "UPSUN_CLI_API_URL": "https://c", "UPSUN_CLI_AUTH_URL": "https://d"}, "https://a", "https://b", "CRONAGENT_API_URL", "CRONAGENT_AUTH_URL"},
		"each for itself":                    {vars{"CRONAGENT_API_URL": "https://a"}, "https://a", "https://auth.upsun.com", "CRONAGENT_API_URL", "the vendor's"},
		"short names":                        {vars{"UPSUN_CLI_API_URL": "https://c", "UPSUN_CLI_AUTH_URL": "https://d"}, "https://c", "https://d", "UPSUN_CLI_API_URL", "UPSUN_CLI_AUTH_URL"},
		"long names":                         {vars{"UPSUN_CLI_API_BASE_URL": "https://c", "UPSUN_CLI_API_AUTH_URL": "https://d"}, "https://c", "https://d", "UPSUN_CLI_API_BASE_URL", "UPSUN_CLI_API_AUTH_URL"},
		"the token URL":                      {vars{"UPSUN_CLI_OAUTH2_TOKEN_URL": "https://d/x/oauth2/token"}, "https://api.upsun.com", "https://d/x", "the vendor's", "UPSUN_CLI_OAUTH2_TOKEN_URL"},
		"a token URL with a slash":           {vars{"UPSUN_CLI_OAUTH2_TOKEN_URL": "https://d/oauth2/token/"}, "https://api.upsun.com", "https://d", "the vendor's", "UPSUN_CLI_OAUTH2_TOKEN_URL"},
		"another vendor's are not read":      {vars{"CRONAGENT_VENDOR": "webpaas", "UPSUN_CLI_API_URL": "http://x"}, "https://eu.api.webpaas.ovhcloud.com", "https://eu.auth.webpaas.ovhcloud.com", "the vendor's", "the vendor's"},
		"those of the token's are":           {vars{"PLATFORMSH_CLI_API_URL": "https://c", platformToken: secret}, "https://c", "https://auth.upsun.com", "PLATFORMSH_CLI_API_URL", "the vendor's"},
		"slashes at the end":                 {vars{"CRONAGENT_API_URL": " https://a/api// "}, "https://a/api", "https://auth.upsun.com", "CRONAGENT_API_URL", "the vendor's"},
		"plain http to loopback":             {vars{"CRONAGENT_API_URL": "http://127.0.0.1:8080", "CRONAGENT_AUTH_URL": "http://[::1]:8080"}, "http://127.0.0.1:8080", "http://[::1]:8080", "CRONAGENT_API_URL", "CRONAGENT_AUTH_URL"},
		"plain http to localhost":            {vars{"CRONAGENT_API_URL": "http://localhost:8080"}, "http://localhost:8080", "https://auth.upsun.com", "CRONAGENT_API_URL", "the vendor's"},
		"an auth URL that names the token's": {vars{"CRONAGENT_AUTH_URL": "https://b/oauth2/token"}, "https://api.upsun.com", "https://b", "the vendor's", "CRONAGENT_AUTH_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := found(t, test.vars, envdetect.Options{})
			assert.Equal(t, test.api, e.APIURL)
			assert.Equal(t, test.auth, e.AuthURL)
			assert.Equal(t, test.apiWhy, e.Reasons["api_url"])
			assert.Equal(t, test.authWhy, e.Reasons["auth_url"])
			assert.Empty(t, e.Warnings)
		})
	}
	for value, problem := range map[string]string{
		"http://api.example.com":             "plain http is for loopback only",
		"http://127.0.0.1.example.com":       "plain http is for loopback only",
		"http://localhost.example.com":       "plain http is for loopback only",
		"http://192.168.0.1":                 "plain http is for loopback only",
		"http://0.0.0.0":                     "plain http is for loopback only",
		"api.example.com":                    "is no https:// address",
		"//api.example.com":                  "is no https:// address",
		"ftp://127.0.0.1":                    "is no https:// address",
		"https://":                           "is no https:// address",
		"https://:443":                       "is no https:// address",
		"https://a b":                        "is no https:// address",
		"https://%zz":                        "is no https:// address",
		"https://me:" + secret + "@a":        "without user",
		"https://" + secret + "@a":           "without user",
		"https://a?token=" + secret:          "without user, query or fragment",
		"https://a?":                         "without user, query or fragment",
		"https://a#":                         "without user, query or fragment",
		"https://a#" + secret:                "without user, query or fragment",
		"http://me:" + secret + "@127.0.0.1": "without user",
		"://" + secret:                       "is no https:// address",
	} {
		for _, variable := range []string{"CRONAGENT_API_URL", "CRONAGENT_AUTH_URL", "UPSUN_CLI_API_URL", "UPSUN_CLI_API_AUTH_URL"} {
			e := refused(t, vars{variable: value}, envdetect.Options{})
			assert.Equal(t, variable, e.Variable)
			assert.Contains(t, e.Problem, problem, value)
		}
	}
	e := refused(t, vars{"UPSUN_CLI_OAUTH2_TOKEN_URL": "https://a/token"}, envdetect.Options{})
	assert.Contains(t, e.Problem, "does not end in /oauth2/token")
	assert.Contains(t, e.Hint, "CRONAGENT_AUTH_URL")
}

func TestSkipSSLIsIgnoredAloud(t *testing.T) {
	t.Parallel()
	e := found(t, vars{"UPSUN_CLI_SKIP_SSL": "1"}, envdetect.Options{})
	require.Len(t, e.Warnings, 1)
	assert.Contains(t, e.Warnings[0], "UPSUN_CLI_SKIP_SSL is ignored")
	assert.Empty(t, found(t, vars{"UPSUN_CLI_SKIP_SSL": "0"}, envdetect.Options{}).Warnings)
	assert.Empty(t, found(t, vars{"PLATFORMSH_CLI_SKIP_SSL": "1"}, envdetect.Options{}).Warnings, "it is not this vendor's")
}

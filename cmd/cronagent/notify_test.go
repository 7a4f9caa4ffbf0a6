package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/agent"
	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/envdetect"
	"github.com/cronagent/cronagent/internal/ledger"
)

// The words of the configuration are the agent's.
func TestEvents(t *testing.T) {
	t.Parallel()
	var words []string
	for _, event := range []agent.Event{agent.Failure, agent.Uncertain, agent.Missed, agent.Recovered, agent.SkippedAgain, agent.Success} {
		words = append(words, string(event))
	}
	assert.Equal(t, words, appconfig.Events())
	assert.Equal(t, words[:4], appconfig.DefaultEvents())
}

func inContainer(vars map[string]string) proc {
	return proc{stderr: new(strings.Builder), lookup: func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}}
}

func TestSender(t *testing.T) {
	t.Parallel()
	routes := base64.StdEncoding.EncodeToString([]byte(`{"https://api.example.com/": {"primary": false}, "https://www.example.com/": {"primary": true}, "http://www.example.com/": {"type": "redirect"}}`))
	for name, c := range map[string]struct {
		vars map[string]string
		want string
	}{
		"MAILFROM":       {map[string]string{"MAILFROM": "Shop <cron@shop.example>", "PLATFORM_ROUTES": routes}, "Shop <cron@shop.example>"},
		"the site":       {map[string]string{"PLATFORM_ROUTES": routes}, "cronagent@www.example.com"},
		"a bad MAILFROM": {map[string]string{"MAILFROM": "nobody", "PLATFORM_ROUTES": routes}, "cronagent@www.example.com"},
	} {
		assert.Equal(t, c.want, inContainer(c.vars).circles(envdetect.Environment{}, "app").from(), name)
	}
	assert.Empty(t, primarySite("not base64"))
	assert.Empty(t, primarySite(base64.StdEncoding.EncodeToString([]byte("[]"))))
	assert.Regexp(t, "^cronagent@", inContainer(nil).circles(envdetect.Environment{}, "app").from())
}

// A variable of the project without the prefix env: is in PLATFORM_VARIABLES alone.
func TestAddressesFromVariables(t *testing.T) {
	t.Parallel()
	env := envdetect.Environment{Variables: map[string]json.RawMessage{"CHAT": json.RawMessage(`"https://chat.example.com/s3cr3t"`), "ODD": json.RawMessage(`{"a": 1}`), "TEAM": json.RawMessage(`"a@example.com, B <b@example.com>"`)}}
	c := inContainer(map[string]string{"PLATFORM_SMTP_HOST": "smtp"}).circles(env, "app")
	s := c.sender(&appconfig.Notify{Webhook: appconfig.NewURL("$CHAT"), Ping: appconfig.NewURL("$ODD"), Mail: []string{"$TEAM", "c@example.com", "$NOBODY"}})
	assert.Equal(t, "https://chat.example.com/s3cr3t", s.Webhook)
	assert.Equal(t, []string{"<a@example.com>", `"B" <b@example.com>`, "c@example.com"}, s.To)
	assert.Equal(t, []string{"the variable ODD, which ping is to come from, is not set", "the variable NOBODY, which mail is to come from, is not set"}, c.problems)
	assert.Equal(t, "see ******** and ********", c.mask("see https://chat.example.com/s3cr3t and https://chat.example.com/s3cr3t"))
	assert.Nil(t, c.sender(nil))
	assert.Nil(t, c.sender(&appconfig.Notify{}))
}

// What a command printed of its own variables is not sent, nor a line of which a
// record has lost the beginning.
func TestOwnVariablesAreNotSent(t *testing.T) {
	t.Parallel()
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		sent = append(sent, string(body))
	}))
	defer server.Close()
	c := inContainer(nil).circles(envdetect.Environment{}, "app")
	telling := c.telling(&appconfig.Notify{Webhook: appconfig.NewURL(server.URL)}, nil, []string{"hunter2", "-----BEGIN\nMIIEvQIBADANBg\n-----END", "abc"})
	for _, output := range []string{
		"the password is hunter2, abc\nMIIEvQIBADANBg and so on\n",
		strings.Repeat("cut-off-secret", 400) + "\nthe end\n",
	} {
		left, why := telling.Send(context.Background(), agent.Notice{Event: agent.Failure, Ways: telling.Ways,
			Run: ledger.Run{ID: "id", Outcome: ledger.Failed, Output: output[max(0, len(output)-4096):], Error: "hunter2 is wrong"}})
		require.Empty(t, left, why)
	}
	require.Len(t, sent, 2)
	assert.Contains(t, sent[0], "the password is *******, abc")
	assert.Contains(t, sent[0], "************** and so on")
	assert.Contains(t, sent[0], "******* is wrong")
	assert.NotContains(t, sent[1], "secret")
	assert.Contains(t, sent[1], "the end")
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{"import": "import", "two words": "'two words'", "it's": `'it'\''s'`, "$(rm)": "'$(rm)'", "": "''", "feature/x": "feature/x"} {
		assert.Equal(t, want, shellWord(word))
	}
}

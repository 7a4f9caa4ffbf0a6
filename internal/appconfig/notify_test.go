package appconfig_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
)

func TestNotify(t *testing.T) {
	t.Parallel()
	app, err := inFile(t, `
variables:
  cronagent:
    heartbeat: $HEARTBEAT
    notify:
      mail: [ops@example.com, 'Night Shift <night@example.com>', $MAILTO]
      webhook: https://hooks.example.com/services/T0/s3cr3t
      ping: $PING_URL
    crons:
      general: { spec: '0 5 * * *', fire: backup:create }
      own: { spec: '0 5 * * *', fire: backup:create, notify: { ping: 'http://127.0.0.1:8000/p', on: success } }
      quiet: { spec: '0 5 * * *', fire: backup:create, notify: {} }
`)
	require.NoError(t, err)
	n := app.Settings.Notify
	assert.Equal(t, []string{"ops@example.com", "Night Shift <night@example.com>", "$MAILTO"}, n.Mail)
	assert.Equal(t, "https://hooks.example.com/services/T0/s3cr3t", n.Webhook.Reveal())
	assert.Equal(t, "$PING_URL", n.Ping.Reveal())
	assert.Equal(t, []string{"failure", "uncertain", "missed", "recovered"}, n.On)
	assert.Equal(t, "$HEARTBEAT", app.Settings.Heartbeat.Reveal())
	assert.Nil(t, cron(t, app, "general").Notify)
	own := cron(t, app, "own").Notify
	assert.Equal(t, []string{"success"}, own.On)
	assert.Empty(t, own.Mail)
	assert.False(t, own.Quiet())
	quiet := cron(t, app, "quiet").Notify
	require.NotNil(t, quiet)
	assert.True(t, quiet.Quiet())

	// However it is printed, an address is not to be seen.
	text, err := json.Marshal(n)
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(n), fmt.Sprintf("%+v %#v %s", n, n, n.Webhook), string(text), n.Webhook.String()} {
		assert.NotContains(t, shown, "s3cr3t")
	}
	assert.Equal(t, "hooks.example.com", n.Webhook.String())
	assert.Equal(t, "$PING_URL", n.Ping.String())
}

func TestNotifyIsRefused(t *testing.T) {
	t.Parallel()
	const urlHint = " | write https://HOST/PATH, or $NAME to take it from the variable NAME"
	for notify, want := range map[string]string{
		"{email: a@example.com}":                `unknown key "email" of notify | did you mean: mail; the keys are mail, webhook, ping, on`,
		"{on: [failure]}":                       `notify does not say how to tell | give it mail, webhook or ping; notify: {} tells nobody`,
		"{mail: }":                              `mail must be an address or a list of them, not empty`,
		"{mail: []}":                            `mail is an empty list | to tell nobody, write notify: {}`,
		"{mail: s3cr3t}":                        `mail is not an address | for example mail: [ops@example.com, $MAILTO]`,
		"{mail: ['https://x.example/s3cr3t']}":  `mail is not an address | for example mail: [ops@example.com, $MAILTO]`,
		"{mail: [7]}":                           `mail must be an address or a list of them, not a number`,
		`{mail: "a@example.com\r\nBcc: b@c.d"}`: `mail is not an address | for example mail: [ops@example.com, $MAILTO]`,
		"{webhook: s3cr3t.example.com}":         `webhook is not an https or http URL` + urlHint,
		"{webhook: 'file:///s3cr3t'}":           `webhook is not an https or http URL` + urlHint,
		"{webhook: 'https:///s3cr3t'}":          `webhook is a URL without a host` + urlHint,
		"{webhook: 'https://x.example/#s3cr3t'}": `webhook is a URL with a fragment, which is never sent` +
			urlHint,
		"{webhook: '${NAME}'}":                       `webhook is not an https or http URL` + urlHint,
		"{ping: [a]}":                                `ping must be a string, not a list`,
		"{ping: true}":                               `ping must be a string, not true or false`,
		"{mail: a@example.com, on: []}":              `on is an empty list | to tell nobody, write notify: {}`,
		"{mail: a@example.com, on: [failed]}":        `unknown event "failed" | did you mean: failure; the events are failure, uncertain, missed, recovered, skipped, success`,
		"{mail: a@example.com, on: true}":            `on must be a string, not true | put it in quotes: 'true'`,
		"{mail: a@example.com, mail: b@example.com}": `notify has "mail" twice, first on line 4 | remove one of them`,
	} {
		_, err := inFile(t, oneCron(fire+", notify: "+notify))
		var all appconfig.Errors
		if assert.ErrorAs(t, err, &all, notify) && assert.Len(t, all, 1, notify) {
			assert.Equal(t, want, strings.TrimSuffix(all[0].Message+" | "+all[0].Hint, " | "), notify)
			assert.Equal(t, 4, all[0].Position.Line, notify)
			assert.NotContains(t, err.Error()+all[0].Hint, "s3cr3t")
		}
	}
	_, err := inFile(t, "variables: {cronagent: {heartbeat: 'ftp://x.example/s3cr3t'}}")
	assert.ErrorContains(t, err, "1:36: heartbeat is not an https or http URL")
	assert.NotContains(t, err.Error(), "s3cr3t")
}

// What an environment sets replaces the file's, as a whole.
func TestNotifyOfAnEnvironment(t *testing.T) {
	t.Parallel()
	application := []byte(`{"name": "app", "timezone": null, "variables": {"cronagent": {"notify": {"mail": "a@example.com"}, "crons": {"c": {"spec": "0 5 * * *", "fire": "backup:create"}}}}}`)
	read := func(value string) (*appconfig.App, error) {
		source, err := appconfig.FromVariables(application, map[string]json.RawMessage{"cronagent:notify": json.RawMessage(value), "cronagent:heartbeat": json.RawMessage(`"https://x.example/y"`)})
		require.NoError(t, err)
		return source.App(appconfig.Options{})
	}
	for value, mails := range map[string]int{`{"mail": ["b@example.com", "c@example.com"]}`: 2, `"{\"mail\": \"b@example.com\"}"`: 1, `{}`: 0, `[]`: 0} {
		app, err := read(value)
		require.NoError(t, err, value)
		assert.Len(t, app.Settings.Notify.Mail, mails, value)
		assert.Equal(t, "x.example", app.Settings.Heartbeat.String())
	}
	_, err := read(`{"mail": 7}`)
	assert.ErrorContains(t, err, "PLATFORM_VARIABLES:cronagent:notify")
}

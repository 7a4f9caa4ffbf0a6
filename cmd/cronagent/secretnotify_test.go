package main

// unheard is people and monitors who cannot be told, by addresses that are secrets, of
// commands that print secrets.
func unheard() map[string]act {
	const application = `{"name": "app", "timezone": null, "variables": {"cronagent": {
  "notify": {"webhook": "http://127.0.0.1:1/$TOKEN?t=$TOKEN", "ping": "$LINK", "mail": ["ops@example.com", "$MAILBOX"]},
  "heartbeat": "http://127.0.0.1:1/$TOKEN",
  "crons": {"a": {"spec": "@every 1s", "commands": {"start": "exit 7"}, "env": {"A": "$TOKEN"}}}}}}`
	acts := map[string]act{}
	for line, code := range map[string]int{
		"cronagent trigger a": 1, "cronagent tick": anyCode, "cronagent status": 0, "cronagent status --json": 0, "cronagent status --format prometheus": 0, "cronagent env": 0, "cronagent doctor": 1, "cronagent doctor --json": 1,
		"cronagent exec --webhook $LINK --ping $LINK -- false": 1,
	} {
		acts[line] = with(typed(line), func(a *act) {
			a.code = code
			a.before = []string{"cronagent", "trigger", "a"}
			a.vars = map[string]string{
				"PLATFORM_APPLICATION": application, "PLATFORM_SMTP_HOST": "127.0.0.1:1", "MAILFROM": "$TOKEN", "MAILTO": "$TOKEN",
				"LINK": "https://x:$TOKEN@127.0.0.1:1/$TOKEN", "MAILBOX": "$TOKEN",
			}
		})
	}
	return acts
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/cronagent/cronagent/internal/sandbox"
)

// This file is what TestNoSecretIsLetOut plays.

// sent is whether the API token goes to the auth host only, the access token to
// the API host only, and neither to a proxy, which sees no more than a name.
func (s *suite) sent() map[string]act {
	hosts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, true)
		auth := strings.HasPrefix(r.URL.Path, "/auth/")
		s.mu.Lock()
		defer s.mu.Unlock()
		for needle, what := range searchFor(oddToken).needles {
			if strings.Contains(string(dump), needle) && strings.Contains(what, "access token") == auth {
				s.strayed = append(s.strayed, fmt.Sprintf("%s: %q", what, dump))
			}
		}
		switch {
		case auth:
			_, _ = io.WriteString(w, `{"access_token": "`+sandbox.AccessTokenPrefix+`SENT", "expires_in": 900}`)
		case r.Header.Get("Authorization") != "Bearer "+sandbox.AccessTokenPrefix+"SENT":
			s.strayed = append(s.strayed, fmt.Sprintf("no bearer: %q", dump))
		default:
			_, _ = io.WriteString(w, `{"id": "main", "type": "production"}`)
		}
	})
	proxy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dump, _ := httputil.DumpRequest(r, true)
		_, _ = s.proxied.Write(dump)
		w.WriteHeader(http.StatusBadGateway)
	})
	acts := map[string]act{}
	for _, line := range []string{"cronagent fire backup:create", "cronagent fire backup:create --project p --environment main", "platform auth:info", "upsun redeploy"} {
		acts[line] = with(typed(line), func(a *act) {
			a.token, a.server = oddToken, hosts
			a.vars = map[string]string{"CRONAGENT_AUTH_URL": "$SERVER/auth", "CRONAGENT_API_URL": "$SERVER/api"}
		})
	}
	link := fmt.Sprintf(`{"id": "main", "status": "active", "_links": {"#backup": {"href": "%s/api/projects/%s/environments/main/backup"}}}`, s.bystander, sandbox.DefaultProject)
	acts["a link to another host"] = with(typed("platform backup:create"), func(a *act) {
		a.faults = []sandbox.Fault{{On: "post", Status: http.StatusNotFound, Times: 1}, {On: "get", Body: link}}
	})
	acts["by a proxy"] = with(typed("cronagent fire backup:create --deadline 2s"), func(a *act) {
		a.token, a.server, a.code, a.says = oddToken, proxy, exitUnavailable, "Bad Gateway"
		a.vars = map[string]string{"CRONAGENT_AUTH_URL": "https://auth.example.com", "CRONAGENT_API_URL": "https://api.example.com",
			"HTTP_PROXY": "$SERVER", "HTTPS_PROXY": "$SERVER"}
	})
	return acts
}

// ordinary is every command and name as it is used.
func (s *suite) ordinary() map[string]act {
	acts := map[string]act{}
	for _, line := range []string{
		"cronagent env", "cronagent env --json", "cronagent list", "cronagent list --json", "cronagent next", "cronagent next --json backup",
		"cronagent explain backup", "cronagent explain show", "cronagent fire backup:create", "cronagent fire backup:create --json",
		"cronagent fire backup:create --dry-run", "cronagent fire backup:create --wait", "cronagent fire source-operation:run update --variable env:A=b",
		"cronagent fire environment:redeploy", "cronagent fire backup:create --project " + sandbox.DefaultProject + " --environment main-bvxea6i",
		"cronagent tick", "cronagent tick --dry-run", "cronagent demo",
		"platform backup:create --yes --no-wait", "platform backup:create -vvv --wait", "upsun redeploy -y", "webpaas auth:info", "platform auth:info email",
		"platform source-operation:run update", "cronagent backup:create", "platform project:info", "platform environment:list",
		"platform environment:sync data -e staging", "platform variable:create env:A -l e --value b", "platform auth:api-token-login",
		"platform user:add robot@example.com -r viewer -r production:admin", "upsun operation:run clear-cache", "cronagent", "cronagent --json",
	} {
		for name, token := range map[string]string{"": apiToken, ", with a line break": apiToken + "\r\n", ", odd": oddToken} {
			a := typed(line)
			a.token = token
			a.vars = map[string]string{"PLATFORM_APPLICATION": strings.ReplaceAll(crons, "$TOKEN", jsonText(token))}
			acts[line+name] = a
		}
	}
	for _, line := range []string{
		"cronagent --help", "cronagent version", "cronagent completion bash", "cronagent next --spec @daily",
		"cronagent fire --help", "platform backup:create --help",
	} {
		acts[line] = with(typed(line), func(a *act) { a.mute = true })
	}
	for name, token := range map[string]string{"": apiToken, ", odd": oddToken} {
		config := map[string]string{
			"PLATFORM_APPLICATION":   strings.ReplaceAll(crons, "$TOKEN", jsonText(token)),
			"PLATFORM_VARIABLES":     `{"some:where": ` + quoted(token) + `}`,
			"PLATFORM_RELATIONSHIPS": `{"db": [{"username": "u", "password": ` + quoted(token) + `, "path": "main"}]}`,
		}
		acts["tick with crons"+name] = act{args: []string{"cronagent", "tick"}, before: []string{"cronagent", "tick"}, token: token, vars: config, code: 1, says: "exit=7"}
		acts["tick with crons, JSON"+name] = act{args: []string{"cronagent", "tick", "--json"}, before: []string{"cronagent", "tick"}, token: token, vars: config, code: 1, says: `"outcome": "failed"`}
	}
	for name, token := range map[string]string{"": apiToken, ", odd": oddToken} {
		config := map[string]string{"PLATFORM_APPLICATION": strings.ReplaceAll(crons, "$TOKEN", jsonText(token))}
		acts["exec"+name] = act{args: []string{"cronagent", "exec", "--name", "show", "--", "env"}, token: token, vars: config, says: "PLATFORM_BRANCH=main"}
		acts["exec, failing"+name] = act{args: []string{"cronagent", "exec", "--", "sh", "-c", "env >&2; exit 3"}, token: token, vars: config, code: anyCode, says: "PLATFORM_BRANCH=main"}
		acts["trigger, a command"+name] = act{args: []string{"cronagent", "trigger", "show"}, token: token, vars: config, code: exitFailed}
		acts["trigger, a fire"+name] = act{args: []string{"cronagent", "trigger", "backup"}, token: token, vars: config}
		acts["run"+name] = act{args: []string{"cronagent", "run"}, token: token, vars: config, says: "exit=7",
			during: func(s *stage) {
				s.until("a run of each", func() bool { return strings.Contains(s.err.String(), "exit=7") && len(s.server.Accepted()) > 0 })
				s.signal(syscall.SIGTERM)
			}}
	}
	// The value of a variable that is a secret, and an API that repeats it.
	for name, faults := range map[string][]sandbox.Fault{
		"taken":   nil,
		"refused": {{On: "post", Status: 400, Body: `{"status":"error","code":400,"message":"Bad Request","detail":{"value":` + quoted(oddToken) + `}}`}},
		"lost":    {{On: "post", Drop: true}},
	} {
		for _, level := range []string{"environment", "project"} {
			acts["a secret variable, "+name+", of the "+level] = act{
				args:   []string{"platform", "variable:create", "env:SECRET", "-l", level, "--sensitive", "true", "--value-file", "../secret"},
				files:  map[string]string{"secret": oddToken + "\n"},
				faults: faults, code: anyCode,
			}
		}
	}
	acts["the real tool"] = act{args: []string{"platform", "environment:url", "--pipe"}, mute: true, says: "real one: environment:url --pipe",
		files: map[string]string{"bin/platform": "#!/bin/sh\necho \"real one: $*\"\n"}, vars: map[string]string{"PATH": os.Getenv("PATH") + ":$DIR/bin"}}
	acts["the sandbox"] = act{args: []string{"cronagent", "sandbox"}, mute: true, says: "waiting for requests", during: tokensToTheSandbox}
	return acts
}

// tokensToTheSandbox sends real tokens to a sandbox that prints what it gets.
func tokensToTheSandbox(s *stage) {
	s.until("the sandbox", func() bool { return strings.Contains(s.out.String(), "waiting for requests") })
	base := regexp.MustCompile(`CRONAGENT_API_URL=(\S+)`).FindStringSubmatch(s.out.String())[1]
	for path, body := range map[string]string{
		"/oauth2/token": "grant_type=api_token&api_token=" + url.QueryEscape(oddToken), "/oauth2/token?a": "api_token=" + apiToken, "/": `{"api_token":"` + apiToken + `"}`,
	} {
		r, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(body))
		if !assert.NoError(s.t, err) {
			break
		}
		r.Header.Set("Authorization", "Bearer "+trap)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(r)
		if assert.NoError(s.t, err) {
			_ = answer.Body.Close()
		}
	}
	s.signal(syscall.SIGTERM)
}

func quoted(v any) string {
	data, _ := json.Marshal(v) // texts, lists and maps of them can always be encoded
	return string(data)
}

func jsonText(s string) string { return strings.Trim(quoted(s), `"`) }

// failing is every way in which requests fail.
func (s *suite) failing() map[string]act {
	faults := map[string]sandbox.Fault{
		"dropped": {Drop: true}, "dropped after acting": {Drop: true, Act: true}, "slow": {DelayBefore: time.Minute}, "slow after acting": {DelayAfter: time.Minute},
		"other status in another form": {Status: 418, Body: `["no object"]`}, "a gateway's 503": {Status: 503, Content: sandbox.ContentHTML},
		"bearer challenge": {Status: 401, Header: map[string]string{"WWW-Authenticate": `Bearer realm="x", error="insufficient_user_authentication"`}},
	}
	for _, status := range []int{204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503, 504} {
		f := sandbox.Fault{Status: status}
		if status/100 == 3 {
			f.Header = map[string]string{"Location": s.bystander + "/elsewhere"}
		}
		faults[strconv.Itoa(status)] = f
	}
	for _, content := range []sandbox.Content{sandbox.ContentHTML, sandbox.ContentEmpty, sandbox.ContentHuge, sandbox.ContentEndless, sandbox.ContentStalled, sandbox.ContentCut} {
		faults["content "+string(content)] = sandbox.Fault{Content: content}
	}
	acts := map[string]act{}
	for name, fault := range faults {
		for _, on := range []string{"token", "post", "get"} {
			fault.On = on
			a := typed("cronagent fire backup:create --json --deadline 700ms")
			if on == "get" {
				a = typed("cronagent fire backup:create --deadline 700ms --project " + sandbox.DefaultProject + " --environment main")
			}
			a.code, a.faults, a.token = anyCode, []sandbox.Fault{fault}, oddToken
			acts[on+", "+name] = a
			// Refused, and the reading that explains it fails.
			if on == "get" {
				a = typed("platform redeploy")
				a.code, a.faults, a.token = anyCode, []sandbox.Fault{{On: "post", Status: 404, Times: 2}, fault}, oddToken
				a.faults[1].Times = 2
				if name != "slow" && name != "slow after acting" && name != "content stalled" {
					acts["explaining, "+name] = a
				}
			}
		}
	}
	for kind, text := range map[string]sandbox.TokenError{"classic": sandbox.TokenErrorClassic, "modern": sandbox.TokenErrorModern, "mock": sandbox.TokenErrorMockAPI, "sso": sandbox.TokenErrorSSO} {
		a := typed("cronagent fire backup:create")
		// The fake platform knows another one.
		a.opts.TokenError, a.code, a.vars = text, exitToken, map[string]string{"PLATFORMSH_CLI_TOKEN": oddToken}
		acts["wrong token, "+kind] = a
	}
	for name, role := range map[string]sandbox.Role{"viewer": sandbox.Viewer, "none": sandbox.NoMember} {
		acts["role "+name] = act{args: []string{"platform", "backup:create"}, opts: sandbox.Options{Role: role}, code: exitForbidden}
	}
	for name, vars := range map[string]map[string]string{
		"plain http, API":         {"CRONAGENT_API_URL": "http://api.example.com"},
		"plain http, auth":        {"CRONAGENT_AUTH_URL": "http://192.0.2.7"},
		"plain http, vendor's":    {"CRONAGENT_API_URL": "", "UPSUN_CLI_API_URL": "http://127.0.0.1.example.com", "CRONAGENT_VENDOR": "upsun"},
		"a token in the address":  {"CRONAGENT_API_URL": "https://u:$TOKEN@api.example.com"},
		"a token as the address":  {"CRONAGENT_AUTH_URL": "$TOKEN"},
		"a token as the query":    {"CRONAGENT_API_URL": "https://api.example.com/?t=$TOKEN"},
		"a token as the vendor":   {"CRONAGENT_VENDOR": "$TOKEN"},
		"a token as the branch":   {"PLATFORM_BRANCH": "..", "PLATFORM_ENVIRONMENT": "$TOKEN"},
		"a token as the switch":   {debugVariable: "$TOKEN"},
		"a token as variables":    {"PLATFORM_VARIABLES": "$TOKEN"},
		"a token as the ledger":   {"CRONAGENT_LEDGER": "$TOKEN"},
		"a token as the type":     {"PLATFORM_ENVIRONMENT_TYPE": "$TOKEN"},
		"two tokens, both broken": {"UPSUN_CLI_TOKEN": "$TOKEN\nX-Header: y", "OVHCLOUD_WEBPAAS_CLI_TOKEN": " $TOKEN\t", "CRONAGENT_VENDOR": "upsun"},
	} {
		for _, line := range []string{"cronagent fire backup:create --deadline 2s", "cronagent env", "cronagent tick"} {
			a := typed(line)
			a.vars, a.code = vars, anyCode
			a.mute = strings.Contains(name, "plain") || strings.Contains(name, "address") || strings.Contains(name, "query") ||
				slices.Contains([]string{"a token as the vendor", "a token as the branch", "a token as the switch", "a token as variables"}, name)
			acts[name+": "+line] = a
		}
	}
	return acts
}

// stopped is panic output, of which Go's answer to SIGQUIT is the fullest, in the
// middle of things; and what a crash may leave of the ledger.
func stopped() map[string]act {
	posted := func(s *stage) {
		s.until("the POST", func() bool { return len(s.server.Requests()) == 2 })
		s.signal(syscall.SIGQUIT)
	}
	slow := []sandbox.Fault{{On: "post", DelayBefore: time.Minute}}
	const dump = `(?s)SIGQUIT: quit.*goroutine 1 .*net/http`
	acts := map[string]act{
		"in the POST of fire":      {args: []string{"cronagent", "fire", "backup:create"}, faults: slow, during: posted, code: 2, says: dump},
		"in the POST of a drop-in": {args: []string{"platform", "backup:create"}, token: oddToken, faults: slow, during: posted, code: 2, says: dump},
		"in the token exchange": {args: []string{"upsun", "backup:create"}, token: oddToken, faults: []sandbox.Fault{{On: "token", DelayBefore: time.Minute}}, code: 2, says: dump,
			during: func(s *stage) {
				s.until("the exchange", func() bool { return len(s.server.Requests()) == 1 })
				s.signal(syscall.SIGQUIT)
			}},
		"in a command": {args: []string{"cronagent", "tick"}, before: []string{"cronagent", "tick"}, code: 2, says: `(?s)SIGQUIT: quit.*goroutine 1 .*runner`,
			vars: map[string]string{"PLATFORM_APPLICATION": `{"name": "app", "timezone": null, "variables": {"cronagent": {"crons": {"long": {"spec": "@every 1s",
				"commands": {"start": "echo begun; env; echo > begun; exec sleep 600"}}}}}}`},
			during: func(s *stage) {
				s.until("the command", func() bool { _, err := os.Stat(filepath.Join(s.dir, "app", "begun")); return err == nil })
				s.signal(syscall.SIGQUIT)
			}},
	}
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		acts[name] = act{args: []string{"cronagent", "fire", "backup:create", "--json"}, faults: slow, code: exitUncertain, says: "uncertain",
			during: func(s *stage) {
				s.until("the POST", func() bool { return len(s.server.Requests()) == 2 })
				s.signal(signal)
			}}
	}
	for name, broken := range map[string]map[string]string{
		"a line that is none":    {"state/ledger.jsonl": "{\"token\": \"$TOKEN\n$TOKEN\n"},
		"a file, not a folder":   {"state": "$TOKEN"},
		"a folder, not a ledger": {"state/ledger.jsonl/x": ""},
		"a folder, not a lock":   {"state/ledger.lock/x": ""},
	} {
		for _, line := range []string{"cronagent tick", "cronagent fire backup:create", "platform backup:create"} {
			acts["ledger: "+name+": "+line] = with(typed(line), func(a *act) {
				a.files, a.code = broken, anyCode
				a.vars = map[string]string{"PLATFORM_APPLICATION": strings.ReplaceAll(crons, "$TOKEN", "x")}
			})
		}
	}
	return acts
}

// configured is a token in odd places of the configuration.
func configured() map[string]act {
	const crons = "name: app\nvariables:\n  cronagent:\n    crons:\n      a:\n        "
	acts := map[string]act{}
	for name, yaml := range map[string]string{
		"a variable":                 "name: app\nvariables: {env: {PLATFORMSH_CLI_TOKEN: $TOKEN}}\ncrons: {a: {spec: '0 * * * *', cmd: 'true'}}",
		"a variable of a cron":       crons + "{spec: '0 * * * *', cmd: 'true', env: {A: $TOKEN, B: [$TOKEN]}}",
		"a refused variable":         crons + "{spec: '0 * * * *', cmd: 'true', env: {PLATFORMSH_CLI_TOKEN: $TOKEN}}",
		"a spec":                     crons + "{spec: $TOKEN, cmd: 'true'}",
		"a zone":                     crons + "{spec: '0 * * * *', timezone: $TOKEN, cmd: 'true'}",
		"an operation":               crons + "{spec: '0 * * * *', fire: $TOKEN}",
		"an operation's argument":    crons + "{spec: '0 * * * *', fire: 'backup:create $TOKEN'}",
		"an operation's option":      crons + "{spec: '0 * * * *', fire: 'backup:create --$TOKEN'}",
		"an unknown key":             crons + "{spec: '0 * * * *', cmd: 'true', $TOKEN: 1}",
		"a value of an unknown key":  crons + "{spec: '0 * * * *', cmd: 'true', x: $TOKEN}",
		"a number":                   crons + "{spec: '0 * * * *', cmd: 'true', timeout: $TOKEN, retries: $TOKEN}",
		"a choice":                   crons + "{spec: '0 * * * *', cmd: 'true', overlap: $TOKEN, missed: $TOKEN, environment_types: [$TOKEN], enabled: $TOKEN}",
		"broken YAML":                crons + "{spec: $TOKEN\n  : $TOKEN",
		"an alias":                   crons + "*$TOKEN",
		"a tag":                      crons + "!!int $TOKEN",
		"an include":                 crons + "!include $TOKEN",
		"a setting":                  "name: app\nvariables: {cronagent: {notify: {mail: $TOKEN, webhook: $TOKEN, on: [$TOKEN]}, timezone: $TOKEN, $TOKEN: 1}}",
		"a list where crons are due": "name: app\nvariables: {cronagent: {crons: [$TOKEN]}}",
		"a platform cron":            "name: app\ncrons: {a: {spec: $TOKEN, cmd: 'true', timeout: $TOKEN}}",
	} {
		for _, line := range []string{"cronagent list --json", "cronagent next", "cronagent explain a", "cronagent tick --dry-run", "cronagent list"} {
			acts[name+": "+line] = with(typed(line+" --file .platform.app.yaml"), func(a *act) {
				a.files, a.code = map[string]string{"app/.platform.app.yaml": yaml}, anyCode
			})
		}
	}
	for name, variables := range map[string]string{
		"no JSON": `$TOKEN`, "cut": `{"a": "$TOKEN`, "crons are a text": `{"cronagent:crons": "$TOKEN"}`, "crons are a list": `{"cronagent:crons": ["$TOKEN"]}`,
		"a cron is a text": `{"cronagent:crons": {"a": "$TOKEN"}}`, "a cron's spec": `{"cronagent:crons": {"a": {"spec": "$TOKEN", "fire": "$TOKEN"}}}`,
		"settings": `{"cronagent:timezone": "$TOKEN", "cronagent:notify": "$TOKEN", "cronagent:$TOKEN": "$TOKEN"}`,
		"a ledger": `{"cronagent:ledger": "$TOKEN"}`, "a ledger's output": `{"cronagent:ledger_output": "$TOKEN"}`,
		"a secret": `{"env:PLATFORMSH_CLI_TOKEN": "$TOKEN", "cronagent:crons": {"a": {"spec": "@every 1s", "cmd": "env", "env": {"A": "$TOKEN"}}}}`,
	} {
		for _, line := range []string{"cronagent list --json", "cronagent env --json", "cronagent tick", "cronagent explain a"} {
			acts["variables: "+name+": "+line] = with(typed(line), func(a *act) {
				a.vars = map[string]string{"PLATFORM_APPLICATION": `{"name": "app", "timezone": null}`, "PLATFORM_VARIABLES": variables}
				a.code = anyCode
				a.mute = name == "no JSON" || name == "cut" // not detected
			})
		}
	}
	for _, line := range []string{"cronagent $TOKEN", "cronagent fire $TOKEN", "cronagent --$TOKEN", "cronagent fire backup:create --deadline $TOKEN", "cronagent next --spec $TOKEN",
		"platform $TOKEN", "platform backup:create --$TOKEN", "platform auth:info $TOKEN", "cronagent fire backup:create --environment-types $TOKEN"} {
		acts["typed: "+line] = with(typed(strings.ReplaceAll(line, "$TOKEN", apiToken)), func(a *act) {
			a.code, a.argued, a.mute = anyCode, true, !strings.Contains(line, "auth:info")
		})
	}
	return acts
}

// repeated is servers that repeat the credentials which they got, in every place
// of an answer, good or bad.
func (s *suite) repeated() map[string]act {
	acts := map[string]act{}
	for shape, body := range map[string]func(secret string) any{
		"error": func(s string) any { return map[string]any{"error": s, "error_description": s, "error_hint": s} },
		"detail": func(s string) any {
			return map[string]any{"status": "error", "code": s, "detail": map[string]any{s: []string{s}}}
		},
		"activity": func(s string) any {
			return map[string]any{"id": s, "_embedded": map[string]any{"activities": []any{map[string]any{"id": s, "type": s, "state": s, "result": s, "payload": map[string]any{"backup_name": s}}}}}
		},
		"resource": func(s string) any {
			return map[string]any{"id": s, "type": "production", "status": s, "username": s, "email": s, "first_name": s, "_links": map[string]any{"#backup": map[string]any{"href": s}}}
		},
		"list": func(s string) any {
			return []any{map[string]any{"id": s, "type": s, "machine_name": s, "state": s, "created_at": s}}
		},
		"text": func(s string) any { return s },
	} {
		for _, status := range []int{200, 202, 302, 400, 401, 403, 404, 503} {
			for _, on := range []string{"token", "api"} {
				handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					sent, _ := io.ReadAll(r.Body)
					form, _ := url.ParseQuery(string(sent))
					secret := form.Get("api_token") + " " + string(sent) + " " + r.Header.Get("Authorization")
					if on == "api" {
						secret = oddToken + " " + url.QueryEscape(oddToken) + " " + r.Header.Get("Authorization")
					}
					token := r.URL.Path == "/oauth2/token"
					if token && on == "api" {
						_, _ = io.WriteString(w, `{"access_token": "`+sandbox.AccessTokenPrefix+`REPEATED", "expires_in": 900}`)
						return
					}
					for _, name := range []string{"Location", "Retry-After", "WWW-Authenticate", "Content-Type", "Date"} {
						w.Header().Set(name, url.PathEscape(secret))
					}
					w.WriteHeader(status)
					_, _ = io.WriteString(w, quoted(body(secret)))
				})
				for _, line := range []string{
					"cronagent fire backup:create --json --deadline 700ms", "cronagent fire backup:create --deadline 700ms --project p --environment main", "webpaas auth:info",
				} {
					// The drop-in has no deadline to shorten.
					if line == "webpaas auth:info" && (status == 503 || on == "token" && status < 300 || shape == "text") {
						continue
					}
					acts[fmt.Sprintf("%s %d on %s: %s", shape, status, on, line)] = with(typed(line), func(a *act) {
						a.token, a.server, a.code = oddToken, handler, anyCode
					})
				}
			}
		}
	}
	return acts
}

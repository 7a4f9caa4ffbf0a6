package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

const (
	activityPath = "/projects/*/activities/*"
	logPath      = activityPath + "/log"
)

// told is what Wait told.
type told struct {
	events []platform.Event
}

func (w *told) tell(e platform.Event) { w.events = append(w.events, e) }

func (w *told) states() (all []string) {
	for _, e := range w.events {
		all = append(all, e.Now.State)
	}
	return slices.Compact(all)
}

func (w *told) log() (all []string) {
	for _, e := range w.events {
		all = append(all, e.Log...)
	}
	return all
}

func (w *told) aways() (n int) {
	for _, e := range w.events {
		if e.Away != nil {
			n++
		}
	}
	return n
}

// accept fires a backup and returns its activity.
func accept(t *testing.T, c *platform.Client) platform.Activity {
	t.Helper()
	accepted, err := c.Fire(within(t, time.Minute), onMain, request(t, "backup:create"))
	require.NoError(t, err)
	require.Len(t, accepted.Activities, 1)
	return accepted.Activities[0]
}

// polls are the times of the requests for activities and for logs.
func polls(server *sandbox.Server) (states, logs []time.Time) {
	for _, r := range server.Requests() {
		switch {
		case strings.HasSuffix(r.Path, "/log"):
			logs = append(logs, r.Time)
		case strings.Contains(r.Path, "/activities/"):
			states = append(states, r.Time)
		}
	}
	return states, logs
}

// assertKind: no two requests of a kind within a second.
func assertKind(t *testing.T, times []time.Time) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		assert.GreaterOrEqual(t, times[i].Sub(times[i-1]), time.Second, "request %d", i)
	}
}

var wholeLog = []string{"Started environment.backup", "Step 1 of 3 is done", "Step 2 of 3 is done", "Step 3 of 3 is done"}

func TestWaitFollowsUntilTheEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcome       sandbox.Outcome
		fault         sandbox.Fault
		state, result string
		log           []string
		aways         int
	}{
		"success":                  {sandbox.Success, sandbox.Fault{}, "complete", "success", wholeLog, 0},
		"failure":                  {sandbox.Failure, sandbox.Fault{}, "complete", "failure", wholeLog, 0},
		"cancelled":                {sandbox.Cancelled, sandbox.Fault{}, "cancelled", "", wholeLog, 0},
		"staged never ends":        {sandbox.Staged, sandbox.Fault{}, "staged", "", nil, 0},
		"the API is away":          {sandbox.Success, sandbox.Fault{On: "get", Status: 503, Times: 40}, "complete", "success", wholeLog, 1},
		"the API hangs":            {sandbox.Success, sandbox.Fault{On: "get", DelayBefore: time.Hour, Times: 5}, "complete", "success", wholeLog, 1},
		"the API drops":            {sandbox.Success, sandbox.Fault{On: "get", Drop: true, Times: 9}, "complete", "success", wholeLog, 1},
		"a gateway's page":         {sandbox.Success, sandbox.Fault{On: "get", Content: sandbox.ContentHTML, Times: 9}, "complete", "success", wholeLog, 1},
		"a gateway's 404":          {sandbox.Success, sandbox.Fault{On: "get", Status: 404, Content: sandbox.ContentHTML, Times: 3}, "complete", "success", wholeLog, 1},
		"an answer about another":  {sandbox.Success, sandbox.Fault{On: "get", Body: `{"id":"other","state":"complete"}`, Times: 3}, "complete", "success", wholeLog, 1},
		"an answer without state":  {sandbox.Success, sandbox.Fault{On: "get", Body: `{}`, Times: 3}, "complete", "success", wholeLog, 1},
		"the access token ended":   {sandbox.Success, sandbox.Fault{On: "get", Status: 401, Times: 1}, "complete", "success", wholeLog, 0},
		"logs that do not exist":   {sandbox.Success, sandbox.Fault{On: logPath, Status: 404}, "complete", "success", nil, 0},
		"logs that are refused":    {sandbox.Failure, sandbox.Fault{On: logPath, Status: 401}, "complete", "failure", nil, 0},
		"logs that hang":           {sandbox.Success, sandbox.Fault{On: logPath, DelayBefore: time.Hour}, "complete", "success", nil, 0},
		"logs that are pages":      {sandbox.Success, sandbox.Fault{On: logPath, Content: sandbox.ContentHTML}, "complete", "success", nil, 0},
		"logs that are garbage":    {sandbox.Success, sandbox.Fault{On: logPath, Body: "null\n[1]\n{\"data\":7}\n\x00\n{"}, "complete", "success", nil, 0},
		"logs that are cut at all": {sandbox.Success, sandbox.Fault{On: logPath, Drop: true}, "complete", "success", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{ActivityDuration: 20 * time.Minute}, sandbox.Fault{On: "post", Times: 1, Outcome: test.outcome}, test.fault)
				a := accept(t, c)
				var heard told
				ended, err := c.Wait(context.Background(), onMain.Project, a, heard.tell)
				require.NoError(t, err)
				assert.Equal(t, a.ID, ended.ID)
				assert.Equal(t, test.state, ended.State)
				assert.Equal(t, test.result, ended.Result)
				assert.Equal(t, test.log, heard.log(), "in order, each line once")
				assert.Equal(t, test.aways, heard.aways())
				if test.outcome == sandbox.Failure {
					assert.Equal(t, "shell", ended.FailureReason)
					assert.Equal(t, []platform.Command{{App: "app", Type: "hook", ExitCode: 1}}, ended.Commands)
				}
				if test.outcome != sandbox.Staged {
					last := heard.events[len(heard.events)-1]
					assert.Equal(t, platform.Event{Now: ended}, last)
					assert.Equal(t, 100, last.Now.Percent)
					ends := slices.DeleteFunc(heard.events, func(e platform.Event) bool { return !e.Now.Over() || e.Log != nil })
					assert.Len(t, ends, 1, "told once")
				}
				states, logs := polls(server)
				assertKind(t, states)
				assertKind(t, logs)
			})
		})
	}
}

// TestWaitAsksKindly: ten minutes take few requests, none within a second of
// another of its kind, and none for a log that was sealed.
func TestWaitAsksKindly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{ActivityDuration: 10 * time.Minute})
		a := accept(t, c)
		began := time.Now()
		var heard told
		_, err := c.Wait(context.Background(), onMain.Project, a, heard.tell)
		require.NoError(t, err)
		assert.Equal(t, []string{"pending", "in_progress", "complete"}, append([]string{a.State}, heard.states()...))
		states, logs := polls(server)
		assert.LessOrEqual(t, len(server.Requests()), 80)
		assert.Greater(t, len(states), 20, "and yet somebody looks")
		assert.Equal(t, time.Second, states[0].Sub(began), "the first poll is after a second")
		assert.Less(t, time.Since(began), 10*time.Minute+30*time.Second)
		assertKind(t, states)
		assertKind(t, logs)
		sealed := began.Add(9 * time.Minute)
		assert.False(t, slices.ContainsFunc(logs, func(at time.Time) bool { return at.After(sealed.Add(25 * time.Second)) }), "the log has its seal by then")
		soon := slices.IndexFunc(states, func(at time.Time) bool { return at.After(logs[len(logs)-1]) })
		assert.LessOrEqual(t, states[soon].Sub(logs[len(logs)-1]), 2*time.Second, "the end is near, and looked for")
		after := 0
		for _, at := range states {
			if at.After(sealed.Add(25 * time.Second)) {
				after++
			}
		}
		assert.Positive(t, after, "the end of the log is not the end of the activity")
		assert.Less(t, after, 15)
	})
}

func TestWaitObeysRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{ActivityDuration: -1},
			sandbox.Fault{On: "post", Times: 1, Outcome: sandbox.Failure},
			sandbox.Fault{On: "get", Times: 1, Status: 429, Header: map[string]string{"Retry-After": "60"}},
			sandbox.Fault{On: "get", Times: 1, Status: 503, Header: map[string]string{"Retry-After": "999999"}})
		_, err := c.Wait(context.Background(), onMain.Project, accept(t, c), new(told).tell)
		require.NoError(t, err)
		states, _ := polls(server)
		require.Len(t, states, 3)
		assert.Equal(t, time.Minute, states[1].Sub(states[0]))
		assert.Equal(t, 2*time.Minute, states[2].Sub(states[1]), "within reason")
	})
}

func TestWaitStopsWhereWaitingIsOfNoUse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault  sandbox.Fault
		kind   platform.Kind
		reason platform.Reason
		status int
		after  time.Duration
	}{
		"not there":             {sandbox.Fault{Status: 404}, platform.Failed, platform.Unexplained, 404, time.Second},
		"forbidden":             {sandbox.Fault{Status: 403}, platform.Forbidden, platform.Unexplained, 403, time.Second},
		"refused twice":         {sandbox.Fault{Status: 401}, platform.Unauthorized, platform.TokenRefused, 401, time.Minute},
		"another factor needed": {sandbox.Fault{Status: 401, Header: map[string]string{"WWW-Authenticate": `Bearer error="insufficient_user_authentication"`}}, platform.Unauthorized, platform.StepUp, 401, time.Second},
		"elsewhere":             {sandbox.Fault{Status: 302, Header: map[string]string{"Location": "https://elsewhere.example/"}}, platform.Failed, platform.Redirected, 302, time.Second},
		"away too long":         {sandbox.Fault{Status: 503}, platform.Unavailable, platform.Unexplained, 503, 17 * time.Minute},
		"hanging too long":      {sandbox.Fault{DelayBefore: time.Hour}, platform.Unavailable, platform.NoConnection, 0, 17 * time.Minute},
		"pages too long":        {sandbox.Fault{Status: 403, Content: sandbox.ContentHTML}, platform.Forbidden, platform.NotFromAPI, 403, 17 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.fault.On = activityPath
				server, c := fake(t, sandbox.Options{ActivityDuration: time.Hour}, test.fault)
				a := accept(t, c)
				began := time.Now()
				now, err := c.Wait(context.Background(), onMain.Project, a, new(told).tell)
				e := platformError(t, err)
				assert.Equal(t, test.kind, e.Kind)
				assert.Equal(t, test.reason, e.Reason)
				assert.Equal(t, test.status, e.Status)
				assert.Contains(t, e.Error(), "follow activity "+a.ID)
				assert.Equal(t, a, now.Activity, "what was known of it")
				assert.LessOrEqual(t, time.Since(began), test.after)
				if test.after > time.Minute {
					assert.Greater(t, time.Since(began), 15*time.Minute)
				}
				states, _ := polls(server)
				assertKind(t, states)
				assert.Less(t, len(states), 60)
			})
		})
	}
	t.Run("the API token was revoked", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			_, c := fake(t, sandbox.Options{ActivityDuration: time.Hour, TokenLifetime: 10 * time.Minute},
				sandbox.Fault{On: "token", Times: 1}, sandbox.Fault{On: "token", Status: 400})
			_, err := c.Wait(context.Background(), onMain.Project, accept(t, c), new(told).tell)
			e := platformError(t, err)
			assert.Equal(t, platform.Unauthorized, e.Kind)
			assert.Equal(t, platform.TokenRefused, e.Reason)
		})
	})
	t.Run("nobody said which activity", func(t *testing.T) {
		t.Parallel()
		server, c := fake(t, sandbox.Options{})
		for _, id := range []string{"", ".", ".."} {
			_, err := c.Wait(context.Background(), onMain.Project, platform.Activity{ID: id, State: "pending"}, nil)
			assert.Contains(t, platformError(t, err).Error(), "has not said which one")
		}
		assert.Empty(t, server.Requests())
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"between two polls": {},
		"in a poll":         {On: "get", DelayBefore: time.Hour},
		"reading the log":   {On: logPath, DelayBefore: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, c := fake(t, sandbox.Options{ActivityDuration: time.Hour}, fault)
				a := accept(t, c)
				began := time.Now()
				now, err := c.Wait(within(t, 14*time.Minute), onMain.Project, a, new(told).tell)
				e := platformError(t, err)
				assert.Equal(t, platform.Failed, e.Kind)
				assert.Contains(t, e.Error(), "follow activity "+a.ID+": it has not ended in time; it goes on without us")
				assert.Equal(t, a.ID, now.ID)
				assert.Equal(t, 14*time.Minute, time.Since(began))

				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(5*time.Second, cancel)
				_, err = c.Wait(ctx, onMain.Project, a, new(told).tell)
				assert.Contains(t, platformError(t, err).Error(), "interrupted; it goes on without us")
			})
		})
	}
}

func TestWaitKnowsWhatIsOverAlready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{ActivityDuration: -1}, sandbox.Fault{On: "post", Outcome: sandbox.Failure})
		for _, a := range []platform.Activity{{ID: "x", State: "complete", Result: "success"}, {ID: "x", State: "staged"}} {
			now, err := c.Wait(context.Background(), onMain.Project, a, nil)
			require.NoError(t, err)
			assert.Equal(t, a, now.Activity)
		}
		assert.Empty(t, server.Requests())

		a := accept(t, c)
		require.Equal(t, "failure", a.Result)
		var heard told
		now, err := c.Wait(context.Background(), onMain.Project, a, heard.tell)
		require.NoError(t, err)
		assert.Equal(t, "shell", now.FailureReason, "why it failed has to be asked")
		assert.Equal(t, wholeLog, heard.log())
	})
}

// TestWaitFollowsUnknownStates: what the platform may call a state one day.
func TestWaitFollowsUnknownStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answers []string
		for _, state := range []string{"scheduled", "frozen", "frozen", "in_progress"} {
			answers = append(answers, fmt.Sprintf(`{"id":"a1","state":%q,"completion_percent":"x","commands":{},"failure_reason":7}`, state))
		}
		answers = slices.Insert(answers, 2, `{"id":"a1"}`)
		answers = append(answers, `{"id":"a1","type":"environment.backup","state":"complete","result":null,"completion_percent":1e9}`)
		c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/oauth2/token":
				_, _ = io.WriteString(w, `{"access_token":"access-of-mine"}`)
			case strings.HasSuffix(r.URL.Path, "/log"):
			default:
				_, _ = io.WriteString(w, answers[0])
				answers = answers[1:]
			}
		}))
		var heard told
		now, err := c.Wait(within(t, time.Hour), "p", platform.Activity{ID: "a1", State: "pending"}, heard.tell)
		require.NoError(t, err)
		var events []string
		for _, e := range heard.events {
			events = append(events, e.Now.State)
			if e.Away != nil {
				events[len(events)-1] += " away"
			}
		}
		assert.Equal(t, []string{"scheduled", "frozen", "frozen away", "frozen", "in_progress", "complete"}, events)
		assert.Empty(t, now.Result)
		assert.Equal(t, 100, now.Percent)
	})
}

// TestWaitReadsLogs: whatever way a server sends a log, each line is told once.
func TestWaitReadsLogs(t *testing.T) {
	t.Parallel()
	item := func(id, message string) string {
		return fmt.Sprintf(`{"_id":%q,"data":{"timestamp":"2026-01-02T03:04:05+00:00","message":%q}}`, id, message) + "\n"
	}
	const seal = "{\"seal\":true}\n"
	for name, test := range map[string]struct {
		logs []string // one for each time that it is asked for; the last for ever
		want []string
		asks int // 0: not checked
	}{
		"it repeats all of it":              {[]string{item("1", "a\n"), item("1", "a\n") + item("2", "b\n"), item("1", "a\n") + item("2", "b\n") + item("3", "c\n") + seal}, []string{"a", "b", "c"}, 3},
		"it counts from one":                {[]string{item("1", "a\n"), item("1", "a\n") + item("2", "b\n") + seal}, []string{"a", "b"}, 2},
		"a line in pieces":                  {[]string{item("1", "a") + item("2", "b"), item("3", "c\nd\ne"), seal}, []string{"abc", "d", "e"}, 3},
		"a last line without an end":        {[]string{item("1", "a\nb")}, []string{"a", "b"}, 0},
		"the seal only":                     {[]string{seal}, nil, 1},
		"nothing is read after the seal":    {[]string{seal + item("1", "a\n")}, nil, 1},
		"ids that are numbers":              {[]string{strings.Replace(item("1", "a\n"), `"1"`, `1`, 1), strings.Replace(item("1", "a\n"), `"1"`, `1`, 1) + seal}, []string{"a"}, 2},
		"no ids, repeated":                  {[]string{`{"data":{"timestamp":null,"message":"a\n"}}` + "\n", `{"data":{"timestamp":null,"message":"a\n"}}` + "\n" + seal}, []string{"a"}, 2},
		"garbage among the items":           {[]string{"<html>\n" + item("1", "a\n") + "{]\n\n" + `{"_id":"2","data":{"message":["b"]}}` + "\n" + item("3", "c\n") + seal}, []string{"a", "c"}, 1},
		"no line end after the seal":        {[]string{item("1", "a\n") + strings.TrimSpace(seal)}, []string{"a"}, 1},
		"empty, then there":                 {[]string{"", "\n", item("1", "a\n") + seal}, []string{"a"}, 3},
		"a line without limits":             {[]string{item("1", strings.Repeat("é", 3000)+"\nb\n") + seal}, []string{strings.Repeat("é", 500) + "...", "b"}, 1},
		"pieces without limits":             {[]string{item("1", strings.Repeat("x", 1500)) + item("2", strings.Repeat("y", 1500)+"\nb\n") + seal}, []string{strings.Repeat("x", 1000) + "...", "b"}, 1},
		"empty lines stay":                  {[]string{item("1", "a\n\nb\n") + seal}, []string{"a", "", "b"}, 1},
		"secrets are taken out":             {[]string{item("1", "token "+apiToken+"\n") + item("2", "Bearer access-of-mine\n") + seal}, []string{"token ********", "Bearer ********"}, 1},
		"a secret where the line is cut":    {[]string{item("1", strings.Repeat("x", 990)+apiToken+"\n") + seal}, []string{strings.Repeat("x", 990) + "********"}, 1},
		"a secret in two pieces":            {[]string{item("1", "token "+apiToken[:5]) + item("2", apiToken[5:]+"\n") + seal}, []string{"token ********"}, 1},
		"pages now and then":                {slices.Concat(slices.Repeat([]string{"<html>"}, 15), []string{item("1", "a\n")}, slices.Repeat([]string{"<html>"}, 15), []string{item("2", "b\n") + seal}), []string{"a", "b"}, 32},
		"it is left alone when it is pages": {[]string{"<html></html>"}, nil, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asks, starts := 0, ""
				ends := time.Now().Add(time.Hour)
				c := inside(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path == "/oauth2/token":
						_, _ = io.WriteString(w, `{"access_token":"access-of-mine","expires_in":90000}`)
					case strings.HasSuffix(r.URL.Path, "/log"):
						starts += r.URL.Query().Get("start_at") + " "
						_, _ = io.WriteString(w, test.logs[min(asks, len(test.logs)-1)])
						asks++
					case time.Now().Before(ends):
						_, _ = io.WriteString(w, `{"id":"a1","state":"in_progress"}`)
					default:
						_, _ = io.WriteString(w, `{"id":"a1","state":"complete","result":"success"}`)
					}
				}))
				var heard told
				_, err := c.Wait(context.Background(), "p", platform.Activity{ID: "a1", State: "pending"}, heard.tell)
				require.NoError(t, err)
				assert.Equal(t, test.want, heard.log())
				if test.asks > 0 {
					assert.Equal(t, test.asks, asks)
				}
				assert.True(t, strings.HasPrefix(starts, "0 "), starts)
			})
		})
	}
}

// held is a body that stays open behind what it holds, until the request ends.
type held struct {
	ctx  context.Context
	data io.Reader
}

func (b held) Read(p []byte) (int, error) {
	if n, err := b.data.Read(p); err == nil {
		return n, nil
	}
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (held) Close() error { return nil }

// endless is a body without an end and without a line.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func (endless) Close() error { return nil }

// TestWaitLeavesLogsThatDoNotEnd: of a log that is held open, what has come is
// told; one that pours is left, and after some time not asked for again.
func TestWaitLeavesLogsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body func(r *http.Request) io.ReadCloser
		want []string
	}{
		"held open": {func(r *http.Request) io.ReadCloser {
			return held{r.Context(), strings.NewReader("{\"_id\":\"1\",\"data\":{\"message\":\"a\\n\"}}\n{\"_id\":\"2\",\"da")}
		}, []string{"a"}},
		"pouring": {func(*http.Request) io.ReadCloser { return endless{} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ends := time.Now().Add(10 * time.Minute)
				logs := 0
				c := client("http://localhost")
				c.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					connect(r)
					recorder := httptest.NewRecorder()
					switch {
					case r.URL.Path == "/oauth2/token":
						_, _ = recorder.WriteString(`{"access_token":"access-of-mine","expires_in":90000}`)
					case strings.HasSuffix(r.URL.Path, "/log"):
						logs++
						return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: test.body(r)}, nil
					case time.Now().Before(ends):
						_, _ = recorder.WriteString(`{"id":"a1","state":"in_progress"}`)
					default:
						_, _ = recorder.WriteString(`{"id":"a1","state":"complete","result":"success"}`)
					}
					return recorder.Result(), nil
				})}
				var heard told
				now, err := c.Wait(context.Background(), "p", platform.Activity{ID: "a1", State: "pending"}, heard.tell)
				require.NoError(t, err)
				assert.Equal(t, "success", now.Result)
				assert.Equal(t, test.want, heard.log())
				assert.LessOrEqual(t, time.Since(ends), 30*time.Second)
				if test.want == nil {
					assert.Equal(t, 20, logs)
				}
			})
		})
	}
}

func TestProgressJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]platform.Progress{
		`{"id":"a","state":"complete","result":"failure","completion_percent":100,"failure_reason":"error","commands":[{"app":"app","type":"hook","exit_code":2}],"payload":{"backup_name":"b"}}`: {
			Activity: platform.Activity{ID: "a", State: "complete", Result: "failure", BackupName: "b"},
			Percent:  100, FailureReason: "error", Commands: []platform.Command{{App: "app", Type: "hook", ExitCode: 2}},
		},
		`{"id":"a","completion_percent":-3.5,"failure_reason":null,"commands":null}`: {Activity: platform.Activity{ID: "a"}},
		`{"id":"a","completion_percent":null,"failure_reason":{},"commands":[7]}`:    {Activity: platform.Activity{ID: "a"}},
		`{"id":"a","completion_percent":49.9}`:                                       {Activity: platform.Activity{ID: "a"}, Percent: 49},
	} {
		got := platform.Progress{Percent: 5, FailureReason: "old"}
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		assert.Equal(t, want, got, text)
	}
	require.Error(t, json.Unmarshal([]byte(`{"id":7}`), new(platform.Progress)))
	require.Error(t, json.Unmarshal([]byte(`[]`), new(platform.Progress)))
}

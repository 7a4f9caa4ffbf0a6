package sandbox_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestFaultsReplaceTheAnswer(t *testing.T) {
	t.Parallel()
	const jsonType, htmlType = "application/json", "text/html; charset=utf-8"
	for name, tt := range map[string]struct {
		fault    sandbox.Fault
		status   int
		kind     string
		body     string // what the body holds
		accepted int
	}{
		"status without acting":             {sandbox.Fault{Status: 503}, 503, jsonType, `"code":503`, 0},
		"status after acting":               {sandbox.Fault{Status: 502, Act: true}, 502, jsonType, `"code":502`, 1},
		"gateway's page without acting":     {sandbox.Fault{Status: 504, Content: "html"}, 504, htmlType, "<h1>504 Gateway Timeout</h1>", 0},
		"gateway's page after acting":       {sandbox.Fault{Status: 502, Content: "html", Act: true}, 502, htmlType, "502", 1},
		"empty 200 without acting":          {sandbox.Fault{Status: 200, Content: "empty"}, 200, "", "", 0},
		"empty 200 after acting":            {sandbox.Fault{Status: 200, Content: "empty", Act: true}, 200, "", "", 1},
		"empty body keeps the status":       {sandbox.Fault{Content: "empty", Act: true}, 202, "", "", 1},
		"200 with a page":                   {sandbox.Fault{Status: 200, Content: "html"}, 200, htmlType, "200 OK", 0},
		"200 that names no activities":      {sandbox.Fault{Status: 200}, 200, jsonType, `{"code":200,"status":"OK"}`, 0},
		"201 after acting":                  {sandbox.Fault{Status: 201, Act: true}, 201, jsonType, `"activities":[{`, 1},
		"a body of one's own":               {sandbox.Fault{Body: `{"odd":1}`}, 200, jsonType, `{"odd":1}`, 0},
		"a body of one's own after acting":  {sandbox.Fault{Body: `{"status":"Accepted"}`, Act: true}, 202, jsonType, `{"status":"Accepted"}`, 1},
		"plain text":                        {sandbox.Fault{Status: 500, Body: "oops"}, 500, "text/plain; charset=utf-8", "oops", 0},
		"a header alone changes nothing":    {sandbox.Fault{Header: map[string]string{"X-Request-Id": "1"}}, 202, jsonType, `"activities":[{`, 1},
		"no fault at all":                   {sandbox.Fault{}, 202, jsonType, `"activities":[{`, 1},
		"an operation without activities":   {sandbox.Fault{Activities: new(0)}, 202, jsonType, `"activities":[]`, 1},
		"an answer before the platform did": {sandbox.Fault{ActAfter: time.Hour}, 202, jsonType, `"activities":[]`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(tt.fault)
			r := c.post(main+"/backup", `{"safe":true}`)
			assert.Equal(t, tt.status, r.status)
			assert.Equal(t, tt.kind, r.header.Get("Content-Type"))
			assert.Contains(t, r.body, tt.body)
			assert.Equal(t, tt.body == "", r.body == "")
			assert.Len(t, c.server.Accepted(), tt.accepted)
			assert.True(t, c.last().Faulty)
			assert.Equal(t, tt.status, c.last().Status)
			assert.False(t, c.last().Dropped)
		})
	}
}

func TestFaultsDoNotMakeASuccessOfARefusal(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{})
	c.fault(sandbox.Fault{Status: 200, Act: true})
	assert.JSONEq(t, `{"code":200,"status":"OK"}`, c.post(preview+"/backup", "").body)
	assert.Empty(t, c.server.Accepted())
}

func TestFaultsWithManyActivities(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{})
	c.fault(sandbox.Fault{On: "post", Activities: new(3)})
	assert.Len(t, c.post(main+"/backup", "").activities(t), 3)
	assert.Len(t, c.get(main+"/activities").list(t), 3)
	require.Len(t, c.server.Accepted(), 1, "one operation was accepted")
	assert.Len(t, c.server.Accepted()[0].Activities, 3)
}

func TestFaultHeaders(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{})
	c.fault(
		sandbox.Fault{Times: 1, Status: 429, Header: map[string]string{"retry-after": "7"}},
		sandbox.Fault{Times: 1, Status: 429},
		sandbox.Fault{Times: 1, Status: 401, Header: map[string]string{
			"WWW-Authenticate": `Bearer error="insufficient_user_authentication", max_age="60"`}},
		sandbox.Fault{Times: 1, Status: 307, Header: map[string]string{"Location": "https://elsewhere.invalid/x"}},
		sandbox.Fault{Times: 1, Header: map[string]string{"Date": "", "Content-Type": "text/html"}},
	)
	assert.Equal(t, "7", c.get(main).header.Get("Retry-After"))
	assert.NotContains(t, c.get(main).header, "Retry-After")
	assert.Contains(t, c.get(main).header.Get("WWW-Authenticate"), "insufficient_user_authentication")
	assert.Equal(t, "https://elsewhere.invalid/x", c.post(main+"/backup", "").header.Get("Location"))
	odd := c.get(main)
	assert.NotContains(t, odd.header, "Date")
	assert.Equal(t, "text/html", odd.header.Get("Content-Type"))
	assert.Equal(t, http.StatusOK, odd.status)
	assert.NotEmpty(t, c.get(main).header.Get("Date"))
	assert.Empty(t, c.server.Accepted())
}

func TestFaultsChooseRequests(t *testing.T) {
	t.Parallel()
	token, get, post := "POST /oauth2/token", "GET "+main, "POST "+preview+"/backup"
	for on, hit := range map[string][]string{
		"":                                       {token, get, post},
		"token":                                  {token},
		"api":                                    {get, post},
		"get":                                    {get},
		"post":                                   {post},
		"delete":                                 {},
		main:                                     {get},
		"/api" + main:                            {get},
		"/projects/*/environments/*":             {get},
		"GET /projects/*/environments/*":         {get},
		"POST /projects/*/environments/*":        {},
		"POST /projects/*/environments/*/backup": {post},
		"POST /projects/*/environments/feature%2Fnew-menu/backup": {post},
		"POST /projects/*/environments/feature/new-menu/backup":   {},
		"POST /oauth2/token": {token},
	} {
		t.Run("on "+on, func(t *testing.T) {
			t.Parallel()
			c := start(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Status: 418})
			got := []string{}
			for _, line := range []string{token, get, post} {
				method, target, _ := strings.Cut(line, " ")
				if c.do(method, target, "").status == 418 {
					got = append(got, line)
				}
			}
			assert.Equal(t, hit, got)
		})
	}
}

func TestFaultsAreAScript(t *testing.T) {
	t.Parallel()
	c := login(t, sandbox.Options{})
	c.fault(
		sandbox.Fault{On: "get", Times: 1}, // lets one pass
		sandbox.Fault{On: "get", Times: 2, Status: 500},
		sandbox.Fault{On: "api", Times: 1, Status: 429},
	)
	statuses := []int{c.get(main).status, c.get(main).status}
	statuses = append(statuses, c.post(main+"/backup", "").status, c.get(main).status, c.get(main).status)
	assert.Equal(t, []int{200, 500, 429, 500, 200}, statuses)
	c.fault(sandbox.Fault{Status: 500})
	assert.Equal(t, 500, c.get(main).status)
	assert.Equal(t, 500, c.get(main).status, "Times 0 is for ever")
	c.server.ClearFaults()
	assert.Equal(t, 200, c.get(main).status)
}

func TestFaultsOnTheTokenEndpointSpeakOAuth(t *testing.T) {
	t.Parallel()
	c := start(t, sandbox.Options{})
	c.fault(sandbox.Fault{On: "token", Status: 503})
	r := c.post("/oauth2/token", "")
	assert.Equal(t, 503, r.status)
	assert.Equal(t, "service_unavailable", r.object(t)["error"])
}

// what the kinds of endpoint are asked in the tests that treat them alike.
func endpoints() map[string][2]string {
	return map[string][2]string{
		"token": {"POST", "/oauth2/token"},
		"post":  {"POST", main + "/backup"},
		"get":   {"GET", main + "/activities"},
	}
}

func TestDroppedConnectionsAreSeenAsSuch(t *testing.T) {
	t.Parallel()
	for on, target := range endpoints() {
		for name, tt := range map[string]struct {
			fault    sandbox.Fault
			accepted int // of a POST
		}{
			"before acting":               {sandbox.Fault{Drop: true}, 0},
			"after acting":                {sandbox.Fault{Drop: true, Act: true}, 1},
			"before acting, after a wait": {sandbox.Fault{Drop: true, DelayBefore: time.Millisecond}, 0},
			"after acting, after a wait":  {sandbox.Fault{Drop: true, Act: true, DelayAfter: time.Millisecond}, 1},
		} {
			t.Run(on+" "+name, func(t *testing.T) {
				t.Parallel()
				c := login(t, sandbox.Options{})
				tt.fault.On = on
				c.fault(tt.fault)
				_, err := c.try(c.request(target[0], target[1], ""))
				require.ErrorIs(t, err, io.EOF)
				if on == "post" {
					assert.Len(t, c.server.Accepted(), tt.accepted)
				}
				last := c.last()
				assert.True(t, last.Dropped)
				assert.Zero(t, last.Status)
				assert.Equal(t, target[0]+" "+target[1]+" dropped", last.String())
			})
		}
	}
}

func TestActingAfterTheConnectionWasCut(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{5 * time.Second, 5 * time.Minute} {
		clock := newClock()
		c := login(t, sandbox.Options{Now: clock.Now})
		c.fault(sandbox.Fault{On: "post", Times: 1, Drop: true, ActAfter: after})
		_, err := c.try(c.request("POST", main+"/backup", ""))
		require.Error(t, err)
		sent := clock.Now()

		clock.advance(after - 1)
		assert.Empty(t, c.server.Accepted())
		assert.Empty(t, c.get(main+"/activities").list(t))
		clock.advance(1 + time.Minute)
		require.Len(t, c.get(main+"/activities").list(t), 1)
		require.Len(t, c.server.Accepted(), 1)
		assert.Equal(t, sent.Add(after), c.server.Accepted()[0].Time, "it acted when it was due")
		assert.Len(t, c.server.Accepted(), 1, "and once")
	}
}

func TestActingLaterOnlyOnWhatWouldBeAccepted(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := login(t, sandbox.Options{Now: clock.Now})
	c.fault(sandbox.Fault{On: "post", Times: 1, Status: 504, ActAfter: time.Second}, sandbox.Fault{On: "post", Status: 504, Act: true})
	c.do("POST", main+"/backup", "", "Authorization", "Bearer wrong")
	c.post(preview+"/backup", "")
	clock.advance(5 * time.Minute)
	assert.Empty(t, c.server.Accepted())
}

// timeOut sends a request and leaves when the server has it.
func (c *client) timeOut(method, target string) {
	c.t.Helper()
	ctx, leave := context.WithCancel(c.t.Context())
	defer leave()
	before := len(c.server.Requests())
	failed := make(chan error, 1)
	go func() {
		_, err := c.try(c.request(method, target, "").WithContext(ctx))
		failed <- err
	}()
	require.Eventually(c.t, func() bool { return len(c.server.Requests()) > before }, 10*time.Second, time.Millisecond)
	select {
	case err := <-failed:
		require.Fail(c.t, "the server answered", err)
	default:
	}
	leave()
	require.ErrorIs(c.t, <-failed, context.Canceled)
	require.Eventually(c.t, func() bool { return c.last().Dropped }, 10*time.Second, time.Millisecond,
		"the server sees that the client has left")
}

func TestTimeOuts(t *testing.T) {
	t.Parallel()
	for on, target := range endpoints() {
		t.Run(on+" before acting", func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Times: 1, DelayBefore: time.Hour})
			c.timeOut(target[0], target[1])
			assert.Empty(t, c.server.Accepted())
		})
		t.Run(on+" after acting", func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Times: 1, DelayAfter: time.Hour})
			c.timeOut(target[0], target[1])
			want := 0
			if on == "post" {
				want = 1
			}
			// The client leaves as soon as the request is recorded, acting follows.
			require.Eventually(t, func() bool { return len(c.server.Accepted()) == want }, 10*time.Second, time.Millisecond)
		})
	}
	t.Run("acting later, after the client has left", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		c := login(t, sandbox.Options{Now: clock.Now})
		c.fault(sandbox.Fault{On: "post", Times: 1, ActAfter: time.Minute, DelayAfter: time.Hour})
		c.timeOut("POST", main+"/backup")
		assert.Empty(t, c.server.Accepted())
		clock.advance(time.Minute)
		assert.Len(t, c.server.Accepted(), 1)
	})
}

func TestDelaysPassAndThenTheAnswerComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sandbox.New(sandbox.Options{})
		require.NoError(t, s.Fault(sandbox.Fault{DelayBefore: time.Minute, DelayAfter: time.Hour}))
		w := httptest.NewRecorder()
		begin := time.Now()
		s.ServeHTTP(w, httptest.NewRequest("GET", "/users/me", nil))
		assert.Equal(t, time.Hour+time.Minute, time.Since(begin))
		assert.Equal(t, http.StatusUnauthorized, w.Code)
		assert.Equal(t, time.Now().UTC().Format(http.TimeFormat), w.Header().Get("Date"), "the time of the answer, not of the request")
	})
}

func TestHugeBodies(t *testing.T) {
	t.Parallel()
	for on, target := range endpoints() {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Content: sandbox.ContentHuge, Act: true})
			response, err := c.http.Do(c.request(target[0], target[1], ""))
			require.NoError(t, err)
			defer response.Body.Close()
			assert.EqualValues(t, sandbox.HugeBody, response.ContentLength)
			begin, err := io.ReadAll(io.LimitReader(response.Body, 20))
			require.NoError(t, err)
			assert.Equal(t, `{"padding":"xxxxxxxx`, string(begin))
			_, err = io.CopyN(io.Discard, response.Body, sandbox.HugeBody-20-2)
			require.NoError(t, err)
			end, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, `"}`, string(end), "it is whole JSON of exactly that size")
		})
	}
}

func TestEndlessBodies(t *testing.T) {
	t.Parallel()
	for on, target := range endpoints() {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Content: sandbox.ContentEndless})
			response, err := c.http.Do(c.request(target[0], target[1], ""))
			require.NoError(t, err)
			n, err := io.CopyN(io.Discard, response.Body, sandbox.HugeBody+1)
			require.NoError(t, err)
			assert.EqualValues(t, sandbox.HugeBody+1, n)
			require.NoError(t, response.Body.Close())
		})
	}
}

func TestBodiesThatStallOrBreakOff(t *testing.T) {
	t.Parallel()
	for on, target := range endpoints() {
		t.Run(on+" cut", func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Content: sandbox.ContentCut, Act: true})
			r, err := c.try(c.request(target[0], target[1], ""))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.NotEmpty(t, r.body)
			assert.False(t, json.Valid([]byte(r.body)))
			assert.True(t, c.last().Dropped)
			assert.Equal(t, r.status, c.last().Status)
		})
		t.Run(on+" stalled", func(t *testing.T) {
			t.Parallel()
			c := login(t, sandbox.Options{})
			c.fault(sandbox.Fault{On: on, Content: sandbox.ContentStalled, Body: `{"half":true}`})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			response, err := c.http.Do(c.request(target[0], target[1], "").WithContext(ctx))
			require.NoError(t, err)
			defer response.Body.Close()
			half := make([]byte, 6)
			_, err = io.ReadFull(response.Body, half)
			require.NoError(t, err)
			assert.Equal(t, `{"half`, string(half))
			leave()
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func TestFaultsFromJSON(t *testing.T) {
	t.Parallel()
	got, err := sandbox.ParseFaults([]byte(`[
		{"on": "POST /projects/*/environments/*/backup", "times": 2, "delay_before": "1.5s", "delay_after": "2m",
		 "act": true, "status": 502, "header": {"Retry-After": "3"}, "body": "no", "activities": 0, "outcome": "failure"},
		{"on": "token", "content": "html", "act_after": "90s", "outcome": "success"},
		{"drop": true},
		{}
	]`))
	require.NoError(t, err)
	assert.Equal(t, []sandbox.Fault{
		{On: "POST /projects/*/environments/*/backup", Times: 2, DelayBefore: 1500 * time.Millisecond, DelayAfter: 2 * time.Minute,
			Act: true, Status: 502, Header: map[string]string{"Retry-After": "3"}, Body: "no", Activities: new(0), Outcome: sandbox.Failure},
		{On: "token", Content: sandbox.ContentHTML, ActAfter: 90 * time.Second},
		{Drop: true},
		{},
	}, got)
	require.NoError(t, sandbox.New(sandbox.Options{}).Fault(got...))

	empty, err := sandbox.ParseFaults([]byte(`[]`))
	require.NoError(t, err)
	assert.Empty(t, empty)
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                  "faults: want a JSON array",
		`{}`:                                "faults: want a JSON array",
		`null`:                              "faults: want a JSON array",
		`[] []`:                             "faults: want a JSON array",
		`[{}, 5]`:                           "fault 2: want an object, got 5",
		`[null]`:                            "fault 1: want an object, got null",
		`[{}, {"stauts": 500}]`:             `fault 2: unknown field "stauts"`,
		`[{"status": "500"}]`:               "fault 1: status: a string does not belong there",
		`[{"delay_before": 5}]`:             "fault 1: delay_before: a number does not belong there",
		`[{"delay_before": "5"}]`:           `"5" is no duration such as "90s"`,
		`[{"delay_after": "-5s"}]`:          "delay_after: -5s is negative",
		`[{"times": -1}]`:                   "times: -1 is negative",
		`[{"status": 99}]`:                  "status: 99 is not from 200 to 599",
		`[{"on": "posts"}]`:                 `on: "posts" is no token, api, get`,
		`[{"on": "FETCH /x"}]`:              `on: "FETCH /x" begins neither`,
		`[{"on": "post /x"}]`:               `on: "post /x" begins neither`,
		`[{"on": " /x"}]`:                   `on: " /x" begins neither`,
		`[{"on": "GET x"}]`:                 `on: "GET x" is no token`,
		`[{"on": "/[x"}]`:                   "is no pattern",
		`[{"content": "xml"}]`:              `content: "xml" is none of html`,
		`[{"outcome": "maybe"}]`:            `outcome: "maybe" is none of success`,
		`[{"activities": -1}]`:              "activities: -1 is not from 0 to 100",
		`[{"act": true, "act_after":"1s"}]`: "act and act_after: give one of them",
		`[{"drop": true, "status": 500}]`:   "drop: there is no answer",
		`[{"body": "x", "content":"html"}]`: `body: content "html" has a body of its own`,
	} {
		_, err := sandbox.ParseFaults([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	s := sandbox.New(sandbox.Options{})
	require.ErrorContains(t, s.Fault(sandbox.Fault{Status: 500}, sandbox.Fault{Status: 99}), "fault 2: status")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/nowhere", nil))
	assert.Equal(t, http.StatusNotFound, w.Code, "none was added")
}

package platform_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestFireIsTwoRequests holds the bytes on the wire against what the vendor's
// documentation says, without the help of a fake platform.
func TestFireIsTwoRequests(t *testing.T) {
	t.Parallel()
	type seen struct {
		line, body string
		header     http.Header
	}
	var mu sync.Mutex
	var requests []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		requests = append(requests, seen{r.Method + " " + r.RequestURI + " " + r.Proto, string(body), r.Header})
		mu.Unlock()
		if r.URL.Path == "/oauth2/token" {
			_, _ = io.WriteString(w, `{"access_token":"eyJ","expires_in":900,"token_type":"bearer"}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"status":"Accepted","code":202,"_embedded":{"activities":[
			{"id":"h7k2","type":"environment.backup","state":"pending","result":null,"payload":{"backup_name":"kq5s"}},
			{"id":"j8l3","type":"environment.backup","state":"complete","result":"success","payload":[]}]}}`)
	}))
	t.Cleanup(server.Close)
	c := client(server.URL)
	for _, test := range []struct {
		words             []string
		environment, line string
		body              string
	}{
		{[]string{"backup:create"}, "feature/new menu#1", "POST /projects/abc/environments/feature%2Fnew%20menu%231/backup HTTP/1.1", `{"safe":true}`},
		{[]string{"backup", "--live"}, "100%?", "POST /projects/abc/environments/100%25%3F/backup HTTP/1.1", `{"safe":false}`},
		{[]string{"redeploy"}, "main", "POST /projects/abc/environments/main/redeploy HTTP/1.1", ""},
		{[]string{"source-operation:run", "update", "--variable", "env:A=b=c"}, "é", "POST /projects/abc/environments/%C3%A9/source-operation HTTP/1.1", `{"operation":"update","variables":{"env":{"A":"b=c"}}}`},
	} {
		requests = nil
		target := platform.Target{Project: "abc", Environment: test.environment}
		c := client(server.URL)
		accepted, err := c.Fire(within(t, 10*time.Second), target, request(t, test.words...))
		require.NoError(t, err)
		assert.Equal(t, []platform.Activity{
			{ID: "h7k2", Type: "environment.backup", State: "pending", BackupName: "kq5s"},
			{ID: "j8l3", Type: "environment.backup", State: "complete", Result: "success"},
		}, accepted.Activities)

		require.Len(t, requests, 2)
		exchange, post := requests[0], requests[1]
		assert.Equal(t, "POST /oauth2/token HTTP/1.1", exchange.line)
		assert.Equal(t, "Basic cGxhdGZvcm0tYXBpLXVzZXI6", exchange.header.Get("Authorization"), "the client id and an empty secret")
		assert.Equal(t, "application/x-www-form-urlencoded", exchange.header.Get("Content-Type"))
		assert.Equal(t, "api_token=t%C3%B6k%2Ben%26%3D%25%2F+%3C%22%5Csandbox%3E&grant_type=api_token", exchange.body)

		assert.Equal(t, test.line, post.line)
		assert.Equal(t, "Bearer eyJ", post.header.Get("Authorization"))
		assert.Equal(t, "application/json", post.header.Get("Content-Type"))
		assert.Equal(t, test.body, post.body)
		for _, r := range requests {
			assert.Equal(t, "cronagent/1.2.3 (linux; amd64)", r.header.Get("User-Agent"))
			assert.Equal(t, "application/json", r.header.Get("Accept"))
			assert.Equal(t, fmt.Sprint(len(r.body)), r.header.Get("Content-Length"))
		}
	}
	preview := c.Preview(platform.Target{Project: "abc", Environment: "a/b"}, request(t, "backup"))
	assert.Equal(t, platform.Preview{Method: "POST", URL: server.URL + "/projects/abc/environments/a%2Fb/backup", Body: `{"safe":true}`}, preview)
}

func TestAnOddTokenArrivesWhole(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{})
	accepted, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
	require.NoError(t, err)
	require.Len(t, accepted.Activities, 1)
	assert.Equal(t, server.Activities()[0].ID, accepted.Activities[0].ID)
	assert.Equal(t, server.Activities()[0].Backup, accepted.Activities[0].BackupName)
	require.Len(t, server.Requests(), 2)
	assert.Equal(t, "right", server.Requests()[0].Credentials)
}

func TestAnyNumberOfActivitiesIsAccepted(t *testing.T) {
	t.Parallel()
	none, three := 0, 3
	for name, test := range map[string]struct {
		fault sandbox.Fault
		want  int
	}{
		"none":                       {sandbox.Fault{Activities: &none}, 0},
		"three":                      {sandbox.Fault{Activities: &three}, 3},
		"200":                        {sandbox.Fault{Status: 200, Act: true}, 1},
		"201":                        {sandbox.Fault{Status: 201, Act: true}, 1},
		"an empty object":            {sandbox.Fault{Body: `{}`, Act: true}, 0},
		"activities of odd shape":    {sandbox.Fault{Body: `{"_embedded":{"activities":"soon"}}`, Act: true}, 0},
		"embedded is an empty list":  {sandbox.Fault{Body: `{"_embedded":[]}`, Act: true}, 0},
		"a result that is no string": {sandbox.Fault{Body: `{"_embedded":{"activities":null}}`, Act: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.fault.On = "post"
			server, c := listen(t, sandbox.Options{}, test.fault)
			accepted, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "redeploy"))
			require.NoError(t, err)
			assert.Len(t, accepted.Activities, test.want)
			assert.Len(t, server.Accepted(), 1)
		})
	}
}

// TestInterruptedFireIsUncertainOnlyOnceItWasSent is about SIGTERM.
func TestInterruptedFireIsUncertainOnlyOnceItWasSent(t *testing.T) {
	t.Parallel()
	for on, want := range map[string]platform.Kind{"post": platform.Uncertain, "token": platform.Unavailable} {
		t.Run(on, func(t *testing.T) {
			t.Parallel()
			server, c := listen(t, sandbox.Options{}, sandbox.Fault{On: on, DelayBefore: time.Hour})
			ctx, cancel := context.WithCancel(within(t, 30*time.Second))
			part := map[string]string{"post": posts, "token": exchanges}[on]
			go func() {
				for count(server, "POST", part) == 0 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			began := time.Now()
			_, err := c.Fire(ctx, onMain, request(t, "backup:create"))
			assert.Less(t, time.Since(began), 20*time.Second)
			e := platformError(t, err)
			assert.Equal(t, want, e.Kind, "%v", e)
			assert.Contains(t, e.Detail, "interrupted")
			assert.Empty(t, server.Accepted())
		})
	}
}

// TestASignalWaitsForAnAnswerThatIsOnItsWay: within the client's grace.
func TestASignalWaitsForAnAnswerThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		on           string
		delay, grace time.Duration
		kind         platform.Kind // with took
		took         time.Duration
		accepted     int
	}{
		"the answer comes in time":  {"post", 1900 * time.Millisecond, time.Second, -1, 1900 * time.Millisecond, 1},
		"the answer comes too late": {"post", time.Minute, time.Second, platform.Uncertain, 2 * time.Second, 0},
		"nothing was sent yet":      {"token", 1500 * time.Millisecond, time.Second, platform.Unavailable, 1500 * time.Millisecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: test.on, DelayBefore: test.delay})
				c.Grace = test.grace
				ctx, cancel := context.WithCancel(within(t, 30*time.Second))
				defer time.AfterFunc(time.Second, cancel).Stop()
				began := time.Now()
				_, err := c.Fire(ctx, onMain, request(t, "backup:create"))
				if test.kind < 0 {
					require.NoError(t, err)
				} else {
					e := platformError(t, err)
					assert.Equal(t, test.kind, e.Kind, "%v", e)
				}
				assert.LessOrEqual(t, time.Since(began), test.took)
				assert.Len(t, server.Accepted(), test.accepted)
			})
		})
	}
}

func TestWhatWasSurelyNotTakenIsSentAgain(t *testing.T) {
	t.Parallel()
	later := map[string]string{"Retry-After": "5"}
	for name, test := range map[string]struct {
		fault    sandbox.Fault
		sent     int
		at, most time.Duration
	}{
		"429 without Retry-After":  {sandbox.Fault{Status: 429, Times: 1}, 2, 0, time.Second},
		"429 with a page":          {sandbox.Fault{Status: 429, Times: 1, Content: sandbox.ContentHTML}, 2, 0, time.Second},
		"429 with Retry-After":     {sandbox.Fault{Status: 429, Times: 1, Header: later}, 2, 5 * time.Second, 10 * time.Second},
		"429 with a date":          {sandbox.Fault{Status: 429, Times: 1, Header: map[string]string{"Retry-After": "Sat, 01 Jan 2000 00:00:07 GMT"}}, 2, 6 * time.Second, 14 * time.Second},
		"429 with odd Retry-After": {sandbox.Fault{Status: 429, Times: 1, Header: map[string]string{"Retry-After": "soon"}}, 2, 0, time.Second},
		"429 with a past date":     {sandbox.Fault{Status: 429, Times: 1, Header: map[string]string{"Retry-After": "Fri, 31 Dec 1999 00:00:00 GMT"}}, 2, 0, time.Second},
		"the API's own 503":        {sandbox.Fault{Status: 503, Times: 1}, 2, 0, time.Second},
		"503 with Retry-After":     {sandbox.Fault{Status: 503, Times: 1, Header: later}, 2, 5 * time.Second, 10 * time.Second},
		"four times":               {sandbox.Fault{Status: 429, Times: 4}, 5, 0, 15 * time.Second},
		"a first 401":              {sandbox.Fault{Status: 401, Times: 1}, 2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				test.fault.On = "post"
				server, c := fake(t, sandbox.Options{}, test.fault)
				began := time.Now()
				accepted, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
				require.NoError(t, err)
				assert.Len(t, accepted.Activities, 1)
				assert.Len(t, server.Accepted(), 1)
				assert.Equal(t, test.sent, count(server, "POST", posts))
				assert.GreaterOrEqual(t, time.Since(began), test.at)
				assert.LessOrEqual(t, time.Since(began), test.most)
			})
		})
	}
}

func TestGivingUpIsKnownToBeSafe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault sandbox.Fault
		most  time.Duration
	}{
		"429 for ever":                            {sandbox.Fault{On: "post", Status: 429}, 30 * time.Second},
		"the API's own 503 for ever":              {sandbox.Fault{On: "post", Status: 503}, 30 * time.Second},
		"Retry-After beyond the deadline, POST":   {sandbox.Fault{On: "post", Status: 429, Header: map[string]string{"Retry-After": "3600"}}, 0},
		"Retry-After beyond the deadline, token":  {sandbox.Fault{On: "token", Status: 503, Header: map[string]string{"Retry-After": "3600"}}, 0},
		"Retry-After beyond all time":             {sandbox.Fault{On: "post", Status: 429, Header: map[string]string{"Retry-After": "2147483647"}}, 0},
		"the token endpoint says 500 for ever":    {sandbox.Fault{On: "token", Status: 500}, 30 * time.Second},
		"the token endpoint drops":                {sandbox.Fault{On: "token", Drop: true}, 30 * time.Second},
		"the token endpoint hangs":                {sandbox.Fault{On: "token", DelayBefore: time.Hour}, 30 * time.Second},
		"the token endpoint answers late":         {sandbox.Fault{On: "token", DelayAfter: time.Hour}, 30 * time.Second},
		"the token endpoint sends pages for ever": {sandbox.Fault{On: "token", Content: sandbox.ContentHTML}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, c := fake(t, sandbox.Options{}, test.fault)
				began := time.Now()
				_, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
				e := platformError(t, err)
				assert.Equal(t, platform.Unavailable, e.Kind, "%v", e)
				assert.LessOrEqual(t, time.Since(began), test.most)
				assert.Empty(t, server.Accepted())
				if test.most > 0 {
					assert.Greater(t, len(server.Requests()), 2, "it was tried again")
				}
				if test.fault.On == "token" {
					assert.Zero(t, count(server, "POST", posts))
				}
			})
		})
	}
}

// TestNoTimeLeftIsNotUncertain: a POST that would surely be cut off is not sent.
func TestNoTimeLeftIsNotUncertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "post", DelayBefore: 500 * time.Millisecond})
		_, err := c.Me(within(t, time.Hour)) // the exchange is over
		require.NoError(t, err)
		_, err = c.Fire(within(t, 150*time.Millisecond), onMain, request(t, "backup:create"))
		e := platformError(t, err)
		assert.Equal(t, platform.Unavailable, e.Kind, "%v", e)
		assert.Zero(t, count(server, "POST", posts))
	})
}

func TestUnauthorized(t *testing.T) {
	t.Parallel()
	stepUp := map[string]string{"WWW-Authenticate": `Bearer error="insufficient_user_authentication", max_age="5"`}
	for name, test := range map[string]struct {
		fault            sandbox.Fault
		reason           platform.Reason
		exchanges, posts int
	}{
		"a second 401":    {sandbox.Fault{Status: 401}, platform.TokenRefused, 2, 2},
		"401 with a page": {sandbox.Fault{Status: 401, Content: sandbox.ContentHTML}, platform.TokenRefused, 2, 2},
		"step-up":         {sandbox.Fault{Status: 401, Header: stepUp}, platform.StepUp, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.fault.On = "api"
			server, c := listen(t, sandbox.Options{}, test.fault)
			_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
			e := platformError(t, err)
			assert.Equal(t, platform.Unauthorized, e.Kind, "%v", e)
			assert.Equal(t, test.reason, e.Reason)
			assert.Equal(t, test.exchanges, count(server, "POST", exchanges))
			assert.Equal(t, test.posts, count(server, "POST", posts))

			other := client(c.APIURL)
			_, err = other.Me(within(t, 10*time.Second))
			e = platformError(t, err)
			assert.Equal(t, platform.Unauthorized, e.Kind, "%v", e)
			assert.Equal(t, test.reason, e.Reason)
			assert.Equal(t, 2*test.exchanges, count(server, "POST", exchanges), "a GET is no different")
		})
	}
}

func TestATokenThatIsRevokedMeanwhile(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{},
		sandbox.Fault{On: "token", Times: 1}, sandbox.Fault{On: "token", Status: 400}, sandbox.Fault{On: "api", Status: 401})
	_, err := c.Fire(within(t, 10*time.Second), onMain, request(t, "backup:create"))
	e := platformError(t, err)
	assert.Equal(t, platform.Unauthorized, e.Kind)
	assert.Contains(t, e.Error(), "exchange the API token: 400")
	assert.Equal(t, 1, count(server, "POST", posts))
	assert.Equal(t, 2, count(server, "POST", exchanges))
}

func TestIDsThatWouldMeanSomethingElse(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{})
	for _, id := range []string{"", ".", ".."} {
		for _, target := range []platform.Target{{Project: id, Environment: "main"}, {Project: sandbox.DefaultProject, Environment: id}} {
			_, err := c.Fire(within(t, 10*time.Second), target, request(t, "backup:create"))
			assert.Equal(t, platform.Failed, platformError(t, err).Kind)
			_, err = c.Environment(within(t, 10*time.Second), target)
			assert.Contains(t, platformError(t, err).Error(), "cannot be the id")
		}
	}
	assert.Empty(t, server.Requests())
}

// TestConnectionsAreTriedAgain: two are refused, as during a restart.
func TestConnectionsAreTriedAgain(t *testing.T) {
	t.Parallel()
	server, c := listen(t, sandbox.Options{})
	var dials atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) <= 2 {
			address = closedPort(t)
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c.HTTP = &http.Client{Transport: transport}
	_, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
	require.NoError(t, err)
	assert.EqualValues(t, 3, dials.Load())
	assert.Len(t, server.Accepted(), 1)
}

// TestThePostIsSentAgainIfThereWasNoConnection has another API host than token
// host, so that the POST dials.
func TestThePostIsSentAgainIfThereWasNoConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{})
		refused := 0
		c.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, posts) && refused < 3 {
				refused++
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
			}
			return transport(server)(r)
		})
		_, err := c.Fire(within(t, 30*time.Second), onMain, request(t, "backup:create"))
		require.NoError(t, err)
		assert.Equal(t, 3, refused)
		assert.Len(t, server.Accepted(), 1)
	})
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	address := closedPort(t)
	c := client("http://" + address)
	began := time.Now()
	_, err := c.Fire(within(t, time.Second), onMain, request(t, "backup:create"))
	assert.Less(t, time.Since(began), 2*time.Second)
	e := platformError(t, err)
	assert.Equal(t, platform.Unavailable, e.Kind)
	assert.Equal(t, platform.NoConnection, e.Reason)
	assert.Contains(t, e.Error(), address)
	assert.Contains(t, e.Error(), "refused")
	assert.NotContains(t, e.Error(), "http://", "the proxy of the environment is not for loopback")
}

// TestOnePOSTGetsThreeQuartersOfTheTime: the rest is for finding out what became
// of it.
func TestOnePOSTGetsThreeQuartersOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, c := fake(t, sandbox.Options{}, sandbox.Fault{On: "post", DelayAfter: time.Hour})
		began := time.Now()
		accepted, err := c.Fire(within(t, 40*time.Second), onMain, request(t, "backup:create"))
		require.NoError(t, err)
		assert.Len(t, accepted.Activities, 1)
		assert.Equal(t, 30*time.Second, time.Since(began))
		assert.Len(t, server.Accepted(), 1)
	})
}

package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	project = "/projects/abcdefgh1234567"
	main    = project + "/environments/main"
	preview = project + "/environments/feature%2Fnew-menu"
)

// clock is a server's clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// client is a client of a Server that listens, as plain as can be: a connection
// for each request, no redirects.
type client struct {
	t      *testing.T
	server *sandbox.Server
	base   string
	http   *http.Client
	bearer string
}

func start(t *testing.T, opts sandbox.Options) *client {
	t.Helper()
	s := sandbox.New(opts)
	base, err := s.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return &client{t: t, server: s, base: base, http: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// login is start with an access token.
func login(t *testing.T, opts sandbox.Options) *client {
	t.Helper()
	c := start(t, opts)
	c.exchange(c.server.User(sandbox.DefaultUser).Token)
	return c
}

func (c *client) exchange(token string) {
	c.t.Helper()
	form := url.Values{"grant_type": {"api_token"}, "api_token": {token}, "client_id": {"platform-cli"}}
	r := c.do(http.MethodPost, "/oauth2/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(c.t, http.StatusOK, r.status, r.body)
	c.bearer = r.object(c.t)["access_token"].(string)
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) object(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

func (r reply) list(t *testing.T) []map[string]any {
	t.Helper()
	var v []map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

func (r reply) activities(t *testing.T) []any {
	t.Helper()
	return r.object(t)["_embedded"].(map[string]any)["activities"].([]any)
}

func (c *client) request(method, target, body string, header ...string) *http.Request {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+target, strings.NewReader(body))
	require.NoError(c.t, err)
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// try sends a request and reads the whole answer; the error is a connection's.
func (c *client) try(req *http.Request) (reply, error) {
	response, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, string(body)}, err
}

func (c *client) do(method, target, body string, header ...string) reply {
	c.t.Helper()
	r, err := c.try(c.request(method, target, body, header...))
	require.NoError(c.t, err)
	return r
}

func (c *client) get(target string) reply { c.t.Helper(); return c.do(http.MethodGet, target, "") }
func (c *client) post(target, body string) reply {
	c.t.Helper()
	return c.do(http.MethodPost, target, body)
}

func (c *client) fault(faults ...sandbox.Fault) {
	c.t.Helper()
	require.NoError(c.t, c.server.Fault(faults...))
}

// last is the newest recorded request.
func (c *client) last() sandbox.Request {
	c.t.Helper()
	all := c.server.Requests()
	require.NotEmpty(c.t, all)
	return all[len(all)-1]
}

func href(t *testing.T, v map[string]any, name string) string {
	t.Helper()
	l, ok := v["_links"].(map[string]any)[name].(map[string]any)
	if !ok {
		return ""
	}
	return l["href"].(string)
}

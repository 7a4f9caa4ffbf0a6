package platform_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cronagent/cronagent/internal/operation"
	"github.com/cronagent/cronagent/internal/platform"
	"github.com/cronagent/cronagent/internal/sandbox"
)

// TestMain gives all tests a proxy at which nobody listens: whatever is sent to
// loopback arrives only because it is sent there directly.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// apiToken holds what a form, JSON and quotes each write in another way, and
// what encoding/json writes in two ways.
const apiToken = "tök+en&=%/ <\"\\sandbox>"

// secretPart is in apiToken and in none of the tests' other words.
const secretPart = "\\sandbox>"

var onMain = platform.Target{Project: sandbox.DefaultProject, Environment: "main"}

func request(t *testing.T, words ...string) operation.Request {
	t.Helper()
	r, err := operation.Parse(words)
	require.NoError(t, err)
	return r
}

// listen starts a fake platform on loopback and makes a client for it.
func listen(t *testing.T, opts sandbox.Options, faults ...sandbox.Fault) (*sandbox.Server, *platform.Client) {
	t.Helper()
	opts.Token = apiToken
	server := sandbox.New(opts)
	base, err := server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	require.NoError(t, server.Fault(faults...))
	return server, client(base)
}

func client(base string) *platform.Client {
	return &platform.Client{
		APIURL: base, AuthURL: base, ClientID: "platform-api-user",
		Token: platform.NewToken(apiToken), UserAgent: "cronagent/1.2.3 (linux; amd64)",
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// inside makes a client that calls handler without a network, for bubbles of
// fake time.
func inside(handler http.Handler) *platform.Client {
	c := client("http://localhost")
	c.HTTP = &http.Client{Transport: transport(handler)}
	return c
}

func transport(handler http.Handler) roundTripper {
	return func(r *http.Request) (response *http.Response, err error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		connect(r)
		defer func() {
			if dropped := recover(); dropped != nil {
				response, err = nil, io.ErrUnexpectedEOF
			}
			if late := r.Context().Err(); late != nil {
				response, err = nil, late
			}
		}()
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		return recorder.Result(), nil
	}
}

// connect tells the request's trace that there is a connection.
func connect(r *http.Request) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
}

// fake is a fake platform for bubbles; its clock is the bubble's.
func fake(t *testing.T, opts sandbox.Options, faults ...sandbox.Fault) (*sandbox.Server, *platform.Client) {
	t.Helper()
	opts.Token = apiToken
	server := sandbox.New(opts)
	require.NoError(t, server.Fault(faults...))
	return server, inside(server)
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// count is how many of the requests have this method and a path with this part.
func count(server *sandbox.Server, method, part string) int {
	n := 0
	for _, r := range server.Requests() {
		if r.Method == method && strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

const exchanges, posts = "/oauth2/token", "/environments/"

func platformError(t *testing.T, err error) *platform.Error {
	t.Helper()
	e, ok := errors.AsType[*platform.Error](err)
	require.True(t, ok, "want a *platform.Error, got %T: %v", err, err)
	return e
}

// bystander is a server that must get no request.
func bystander(t *testing.T) (url string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
	}))
	t.Cleanup(func() {
		server.Close()
		mu.Lock()
		defer mu.Unlock()
		if len(got) > 0 {
			t.Errorf("requests went to another server: %q", got)
		}
	})
	return server.URL
}

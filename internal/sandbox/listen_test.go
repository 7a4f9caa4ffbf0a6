package sandbox_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/sandbox"
)

func TestTLSIsTrustedByItsPEMOnly(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Options{})
	base, pem, err := s.StartTLS()
	require.NoError(t, err)
	defer s.Close()
	require.True(t, strings.HasPrefix(base, "https://127.0.0.1:"), base)
	get := func(roots *x509.CertPool) error {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
		response, err := (&http.Client{Transport: transport}).Get(base + "/users/me")
		if err != nil {
			return err
		}
		assert.Equal(t, "HTTP/1.1", response.Proto)
		return response.Body.Close()
	}
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	require.NoError(t, get(roots))
	require.ErrorContains(t, get(x509.NewCertPool()), "certificate")
	require.NoError(t, s.Fault(sandbox.Fault{Drop: true}))
	require.ErrorIs(t, get(roots), io.EOF)
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:0":     "not a loopback address",
		":0":            "not a loopback address",
		"192.0.2.1:0":   "not a loopback address",
		"example.com:0": "not a loopback address",
		"127.0.0.1":     "want host:port",
	} {
		_, err := sandbox.New(sandbox.Options{Address: address}).Start()
		assert.ErrorContains(t, err, want, address)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = sandbox.New(sandbox.Options{Address: taken.Addr().String()}).Start()
	require.ErrorContains(t, err, taken.Addr().String())

	c := start(t, sandbox.Options{})
	_, err = c.server.Start()
	require.ErrorContains(t, err, "already started")
	_, _, err = c.server.StartTLS()
	require.ErrorContains(t, err, "already started")
	require.NoError(t, c.server.Close())
	require.NoError(t, c.server.Close(), "a second time does nothing")
	_, err = c.server.Start()
	require.ErrorContains(t, err, "closed")
}

func TestCloseBreaksOffWhatHangs(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"delay before": {DelayBefore: time.Hour},
		"delay after":  {DelayAfter: time.Hour},
		"stalled":      {Content: sandbox.ContentStalled, Body: "[1]"},
		"endless":      {Content: sandbox.ContentEndless},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, sandbox.Options{})
			c.fault(fault)
			failed := make(chan error, 1)
			go func() {
				response, err := c.http.Do(c.request("GET", main, ""))
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				failed <- err
			}()
			require.Eventually(t, func() bool { return len(c.server.Requests()) == 1 }, 10*time.Second, time.Millisecond)
			require.NoError(t, c.server.Close())
			require.Error(t, <-failed)
			assert.Len(t, c.server.Requests(), 1, "what was recorded can still be read")
		})
	}
}

func TestCloseFreesAHandlerThatListensNowhere(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Options{})
	require.NoError(t, s.Fault(sandbox.Fault{DelayBefore: time.Hour}))
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/users/me", nil))
	}()
	require.Eventually(t, func() bool { return len(s.Requests()) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	assert.Equal(t, http.ErrAbortHandler, <-ended)

	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/users/me", nil))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Len(t, s.Requests(), 1, "a closed sandbox records nothing more")
}

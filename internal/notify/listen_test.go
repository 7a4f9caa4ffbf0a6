package notify_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/notify"
)

func TestPages(t *testing.T) {
	t.Parallel()
	var problem error
	p := &notify.Pages{
		Health: func() error { return problem },
		Metrics: func(w io.Writer) error {
			_, err := io.WriteString(w, "cronagent_up 1\n")
			return errors.Join(err, problem)
		},
	}
	l, err := notify.Listen("127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { assert.NoError(t, p.Serve(ctx, l)) })
	defer serving.Wait()
	defer cancel()
	ask := func(method, path string) (int, string, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(request)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, answer.Header.Get("Content-Type"), string(body)
	}
	is := func(wantCode int, wantType, wantBody, method, path string) {
		t.Helper()
		code, kind, body := ask(method, path)
		assert.Equal(t, wantCode, code)
		assert.Equal(t, wantType, kind)
		assert.Equal(t, wantBody, body)
	}
	is(200, "text/plain; charset=utf-8", "ok\n", "GET", "/healthz")
	is(200, notify.MetricsType, "cronagent_up 1\n", "GET", "/metrics")
	is(405, "text/plain; charset=utf-8", "Method Not Allowed\n", "POST", "/metrics")
	is(404, "text/plain; charset=utf-8", "404 page not found\n", "GET", "/")
	problem = errors.New("the ledger is\nout of reach")
	is(503, "text/plain; charset=utf-8", "the ledger is\\nout of reach\n", "GET", "/healthz")
	is(500, "text/plain; charset=utf-8", "the ledger is\\nout of reach\n", "GET", "/metrics")
}

func TestListenOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		_, err := notify.Listen(address)
		var elsewhere *notify.NotLoopback
		assert.ErrorAs(t, err, &elsewhere, address)
	}
	for _, address := range []string{"127.0.0.1", "127.0.0.1:port", ""} {
		_, err := notify.Listen(address)
		assert.Error(t, err, address)
	}
	for _, address := range []string{"127.0.0.1:0", "localhost:0"} {
		l, err := notify.Listen(address)
		require.NoError(t, err, address)
		require.NoError(t, l.Close())
	}
	l, err := notify.ListenAnywhere(":0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

func TestWhatTheLedgerWentThroughIsToldAtOnce(t *testing.T) {
	t.Parallel()
	l, err := ledger.OpenFile(t.Context(), t.TempDir())
	require.NoError(t, err)
	key := ledger.Key{App: "app", Cron: "backup"}
	require.NoError(t, l.Begin(t.Context(), []ledger.Key{key}, time.Now()))
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lookAfter(ctx, l, ledger.Outputs{Dir: t.TempDir()}, slog.New(slog.NewTextHandler(w, nil)))
	}()
	lines := bufio.NewScanner(r)
	for range 2 {
		require.NoError(t, os.Remove(l.Path()))
		_, err = l.Load(t.Context(), []ledger.Key{key})
		require.NoError(t, err)
		require.True(t, lines.Scan())
		assert.Contains(t, lines.Text(), "had been deleted and was written anew")
	}
	cancel()
	<-done
}

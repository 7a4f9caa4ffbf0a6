package main

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/appconfig"
	"github.com/cronagent/cronagent/internal/runner"
)

// TestALockIsFreeWhenItsRunHasEnded, however many others are being started just
// then, each of which holds copies of all our files for a moment.
func TestALockIsFreeWhenItsRunHasEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := func(lock *os.File) { runner.Run(context.Background(), runner.Command{Line: "true", Lock: lock}) }
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			for ctx.Err() == nil {
				run(nil)
			}
		})
	}
	for range 300 {
		lock, err := overlapLock(ctx, dir, "app", "cron", appconfig.OverlapSkip)
		require.NoError(t, err)
		require.NotNil(t, lock, "nobody else runs it")
		run(lock)
		require.NoError(t, lock.Close())
	}
	cancel()
	others.Wait()
}

package ledger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger"
)

// manyCrons writes a ledger of so many crons with so many runs each, and returns
// their keys.
func manyCrons(t testing.TB, dir string, crons, runs int) []ledger.Key {
	t.Helper()
	l := open(t, dir)
	defer l.Close()
	keys := make([]ledger.Key, crons)
	for i := range keys {
		keys[i] = backup
		keys[i].Cron = fmt.Sprintf("cron-%05d", i)
	}
	for n := range runs {
		claims := make([]ledger.Claim, crons)
		records := make([]ledger.Run, crons)
		for i, key := range keys {
			claims[i] = minute(key, n)
			claims[i].Operation = "backup:create"
			records[i] = ended(claims[i], ledger.Fired)
			records[i].Started, records[i].Ended = new(claims[i].Due.Add(time.Second)), new(claims[i].Due.Add(2*time.Second))
			records[i].Activities = []ledger.Activity{{ID: "abcdefghijklm", Type: "environment.backup", State: "pending"}}
		}
		_, err := l.Claim(context.Background(), claims)
		require.NoError(t, err)
		require.NoError(t, l.Record(context.Background(), records...))
	}
	return keys
}

func BenchmarkTenThousandCrons(b *testing.B) {
	dir := b.TempDir()
	keys := manyCrons(b, dir, 10_000, 10)
	info, err := os.Stat(filepath.Join(dir, "ledger.jsonl"))
	require.NoError(b, err)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			open(b, dir).Close()
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			l := open(b, dir)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "heapMB")
			l.Close()
		}
	})
	l := open(b, dir)
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			_, err := l.Load(b.Context(), keys)
			require.NoError(b, err)
		}
	})
	b.Run("unsettled", func(b *testing.B) {
		scope := keys[0]
		scope.Cron = ""
		for b.Loop() {
			_, err := l.Unsettled(b.Context(), scope)
			require.NoError(b, err)
		}
	})
	b.Run("history", func(b *testing.B) {
		for b.Loop() {
			_, err := l.History(b.Context(), ledger.Key{}, 1)
			require.NoError(b, err)
		}
	})
	b.Run("claim", func(b *testing.B) {
		for n := 100; b.Loop(); n++ {
			claims := make([]ledger.Claim, len(keys))
			for i, key := range keys {
				claims[i] = minute(key, n)
				claims[i].ID = fmt.Sprintf("%d-%s", n, key.Cron)
			}
			require.Len(b, wins(b, l, claims...), len(keys))
		}
	})
	l.Close()
	text, err := os.ReadFile(filepath.Join(dir, "ledger.jsonl"))
	require.NoError(b, err)
	b.Run("compact", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			dir := b.TempDir()
			require.NoError(b, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), text, 0o600))
			b.StartTimer()
			l, err := ledger.OpenFileWith(b.Context(), dir, 0, 0)
			require.NoError(b, err)
			l.Close()
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	for _, at := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("%d at once", at), func(b *testing.B) {
			l := open(b, b.TempDir())
			defer l.Close()
			output := strings.Repeat("done\n", 20)
			for b.Loop() {
				var all sync.WaitGroup
				for n := range at {
					all.Go(func() {
						run := ended(minute(backup, n), ledger.Succeeded)
						run.Output = output
						if err := l.Record(b.Context(), run); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
			}
		})
	}
}

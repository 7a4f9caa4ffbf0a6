package runner

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMaskingDoesNotDependOnThePieces compares a stream that comes in pieces with
// the same text masked at once by the plainest means.
func TestMaskingDoesNotDependOnThePieces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 7))
	word := func(most int) string {
		b := make([]byte, random.IntN(most+1))
		for i := range b {
			b[i] = "ab\n"[random.IntN(3)]
		}
		return string(b)
	}
	masked := 0
	for range 20_000 {
		secrets := []string{word(5), word(5), word(3)}
		text := word(60)
		want := []byte(text)
		for _, secret := range secrets {
			for i := range text {
				if secret != "" && strings.HasPrefix(text[i:], secret) {
					copy(want[i:], strings.Repeat("*", len(secret)))
				}
			}
		}
		masked += bytes.Count(want, []byte("*"))
		m := newMasker(secrets)
		var got []byte
		for rest := text; rest != ""; {
			n := 1 + random.IntN(min(len(rest), 9))
			got = append(got, m.next([]byte(rest[:n]))...)
			rest = rest[n:]
		}
		got = append(got, m.rest()...)
		require.Equal(t, string(want), string(got), "%q without %q", text, secrets)
	}
	require.Positive(t, masked)
}

func TestNoMoreIsHeldBackThanCouldBeASecret(t *testing.T) {
	t.Parallel()
	m := newMasker([]string{"s3cr3t-one", "three"})
	for _, c := range []struct{ in, out string }{
		{"a line\n", "a line\n"},
		{"x s3cr3t-o", "x "},
		{"thing th", "s3cr3t-othing "},
		{"ree", "*****"},
		{"s3cr3t-on", ""},
		{"e", "**********"},
		{"th", ""},
	} {
		assert.Equal(t, c.out, string(m.next([]byte(c.in))), "after %q", c.in)
	}
	assert.Equal(t, "th", string(m.rest()))
}

// writerFunc is a writer of one's own.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAWriterThatDoesNotComeBackIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var got bytes.Buffer
		s := newSink(writerFunc(func(p []byte) (int, error) {
			if got.Len() > 0 {
				<-release
			}
			return got.Write(p)
		}))
		hurried := make(chan struct{})
		begin := time.Now()
		piece := []byte("one ")
		s.write(piece, hurried)
		assert.Zero(t, time.Since(begin))
		piece = []byte("two ")
		s.write(piece, hurried)
		copy(piece, "XXXX")
		assert.Equal(t, patience, time.Since(begin))
		s.write([]byte("three "), hurried)
		assert.Equal(t, patience, time.Since(begin), "it is waited for once")
		require.ErrorContains(t, s.end(), "nobody took it for 1m0s")
		close(release)
		synctest.Wait()
		assert.Equal(t, "one two ", got.String(), "the piece that it had is not overwritten")
	})
}

func TestAWriterIsNotWaitedForInAHurry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newSink(writerFunc(func(p []byte) (int, error) { <-release; return len(p), nil }))
		hurried := make(chan struct{})
		close(hurried)
		begin := time.Now()
		s.write([]byte("one"), hurried)
		assert.Zero(t, time.Since(begin))
		require.Error(t, s.end())
		close(release)
	})
}

func TestAWriterThatFailsIsGivenUp(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	calls := 0
	s := newSink(writerFunc(func(p []byte) (int, error) { calls++; return 0, full }))
	s.write([]byte("one"), nil)
	s.write([]byte("two"), nil)
	require.ErrorIs(t, s.end(), full)
	assert.Equal(t, 1, calls)
	s = newSink(writerFunc(func(p []byte) (int, error) { return len(p) - 1, nil }))
	s.write([]byte("one"), nil)
	require.Error(t, s.end(), "a short write is one")
}

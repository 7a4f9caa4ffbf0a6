package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Batch lets calls that come at the same time share one write: whoever is first to
// write does it for all that wait. The zero value is ready for use.
type Batch[T any] struct {
	mu      sync.Mutex
	waiting []*waiting[T]
}

// waiting is one call.
type waiting[T any] struct {
	what T
	done chan error // takes one
}

// Do writes what together with everything that waits, as soon as busy, which holds
// one value while somebody writes, has a place. Write calls take for what waits by
// then, when nothing can come in between any more. Its error is that of everybody
// whose part was taken: what is wrong with one part alone must have been found out
// before; what was not taken stays, and the error is this call's alone. If ctx ends
// first, this part is not written, unless somebody has taken it.
func (b *Batch[T]) Do(ctx context.Context, busy chan struct{}, what T, write func(take func() []T) error) error {
	w := &waiting[T]{what, make(chan error, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	var err error
	select {
	case err := <-w.done:
		return err
	case busy <- struct{}{}:
		err = b.write(write)
		<-busy
	case <-ctx.Done():
		err = fmt.Errorf("wait for the ledger: %w", ctx.Err())
	}
	// Whoever took it along tells what came of it, which may have been this call.
	b.mu.Lock()
	i := slices.Index(b.waiting, w)
	if i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	b.mu.Unlock()
	if i >= 0 {
		return err
	}
	return <-w.done
}

// write lets write take all that wait, and tells each what came of it.
func (b *Batch[T]) write(write func(take func() []T) error) error {
	var all []*waiting[T]
	err := write(func() (parts []T) {
		b.mu.Lock()
		defer b.mu.Unlock()
		all, b.waiting = b.waiting, nil
		for _, w := range all {
			parts = append(parts, w.what)
		}
		return parts
	})
	for _, w := range all {
		w.done <- err
	}
	return err
}

// Len is how many calls wait.
func (b *Batch[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

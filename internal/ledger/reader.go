package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Reader is what a ledger's file held at one moment, for who only looks at it. It
// takes no lock, so it never waits and holds nobody up, and it makes, compacts and
// mends nothing, so it works where nothing can be written, and root who looks
// leaves no file behind that the agent cannot write. Its methods are not safe for
// concurrent use.
type Reader struct {
	path string
	reading
}

// ReadFile reads the ledger in a folder. One that is not there is an empty one.
// The caller calls Close.
func ReadFile(dir string) (*Reader, error) {
	r := &Reader{path: filepath.Join(dir, fileName), reading: reading{contents: newContents()}}
	info, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(r.path)
	}
	if err == nil {
		r.reading, err = readFrom(file, nil)
	}
	if err != nil {
		return nil, r.readError(err)
	}
	return r, nil
}

func (r *Reader) readError(err error) error {
	return fmt.Errorf("read the ledger %s: %w", r.path, reason(err))
}

// Close lets go of the file.
func (r *Reader) Close() error {
	r.reading.close()
	return nil
}

// Name is the path of the ledger's file.
func (r *Reader) Name() string { return r.path }

// Written is when the file was last written before it was read; nil if there was
// none.
func (r *Reader) Written() *time.Time {
	if r.info == nil {
		return nil
	}
	return new(r.info.ModTime().UTC())
}

// Changed tells whether there is something else to read by now. A file that is not
// there may just be being put back, and is nothing to read.
func (r *Reader) Changed() (bool, error) {
	now, err := os.Stat(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, r.readError(err)
	}
	return r.info == nil || !os.SameFile(r.info, now) || r.info.Size() != now.Size() || !r.info.ModTime().Equal(now.ModTime()), nil
}

// Damaged is how many lines could not be read. A last one without an end does not
// count: somebody may just be writing it.
func (r *Reader) Damaged() int {
	if r.torn && r.damaged > 0 {
		return r.damaged - 1
	}
	return r.damaged
}

// Keys are the crons in scope that the ledger knows, sorted; the scope is History's.
func (r *Reader) Keys(scope Key) []Key {
	var keys []Key
	for key := range r.crons {
		if scope.Contains(key) {
			keys = append(keys, key)
		}
	}
	SortKeys(keys)
	return keys
}

// Load returns the state of each key, in the order of keys.
func (r *Reader) Load(keys []Key) []State {
	states := make([]State, len(keys))
	for i, key := range keys {
		states[i] = r.state(key)
	}
	return states
}

// OwnPause is the pause that was set for exactly this key, where State's may be the
// general one; nil if there was none, or it was ended.
func (r *Reader) OwnPause(key Key) *Pause {
	if s := r.crons[key]; s != nil && s.pause != nil && !s.pause.Until.IsZero() {
		return new(*s.pause)
	}
	return nil
}

// History is Ledger's, of what was read.
func (r *Reader) History(scope Key, n int) ([]Run, error) {
	if r.file == nil || n <= 0 {
		return nil, nil
	}
	runs, err := readRuns(context.Background(), r.file, r.offset, r.names, scope, n)
	if err != nil {
		return nil, r.readError(err)
	}
	return runs, nil
}

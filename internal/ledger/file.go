package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// The names inside the state directory.
const (
	fileName = "ledger.jsonl"
	lockName = "ledger.lock"
)

// lockPoll is how often a lock that another process holds is asked for. It is
// held for one read and one write, so who holds it for lockLimit hangs.
const (
	lockPoll  = 5 * time.Millisecond
	lockLimit = 30 * time.Second
)

// knownBytes is how much of the end of what was read is compared the next time.
// A line holds an ID and times, so it covers what tells two files apart.
const knownBytes = 256

// File is a ledger in one file of JSON lines, which only ever grows at its end.
// Every change is made under a lock, after reading what others have added, and
// is on the disk before it is acknowledged.
type File struct {
	dir  string
	lock *flock.Flock

	// busy holds a value while a method works on what follows: a mutex that a
	// context can end the wait for.
	busy    chan struct{}
	info    os.FileInfo // of the file that offset belongs to
	offset  int64       // how far it was read
	end     []byte      // what stands there before offset
	torn    bool        // its last line has no end
	damaged int         // lines that could not be read
	crons   map[Key]*cronState
}

// cronState is State in the form in which lines change it.
type cronState struct {
	watermark  time.Time
	handedBack map[string]Run // by run ID
	open       map[string]Claim
	last       *Run
}

// OpenFile opens the ledger in a folder, which it makes if need be. The folder
// must belong to the user: a ledger that others can write would let them stop
// or double a backup. It reads the file once, so that what is wrong with it is
// found now; ctx bounds the wait for another process that holds the lock.
func OpenFile(ctx context.Context, dir string) (*File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, reason(err))
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, reason(err))
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() && os.Geteuid() != 0 {
		return nil, fmt.Errorf("state directory %s: it belongs to another user", dir)
	}
	f := &File{dir: dir, busy: make(chan struct{}, 1), crons: map[Key]*cronState{}}
	f.lock = flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	if err := f.locked(ctx, func() error { return nil }); err != nil {
		return nil, err
	}
	return f, nil
}

// Path is the ledger's file.
func (f *File) Path() string { return filepath.Join(f.dir, fileName) }

// Damaged is how many lines of the file could not be read and were passed over.
func (f *File) Damaged() int {
	f.busy <- struct{}{}
	defer func() { <-f.busy }()
	return f.damaged
}

// reason is the cause of a file error without the operation and path, which the
// message names itself.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// locked runs do with the file locked and everything that others wrote read.
func (f *File) locked(ctx context.Context, do func() error) error {
	select {
	case f.busy <- struct{}{}:
		defer func() { <-f.busy }()
	case <-ctx.Done():
		return fmt.Errorf("lock the ledger in %s: %w", f.dir, ctx.Err())
	}
	wait, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	if _, err := f.lock.TryLockContext(wait, lockPoll); err != nil {
		if wait.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("lock the ledger in %s: another process has held the lock for %s", f.dir, lockLimit)
		}
		return fmt.Errorf("lock the ledger in %s: %w", f.dir, reason(err))
	}
	defer f.lock.Unlock()
	if err := f.refresh(); err != nil {
		return fmt.Errorf("read the ledger %s: %w", f.Path(), reason(err))
	}
	return do()
}

// refresh reads the lines that were added since the last time; all of them if
// the file is another one by now.
func (f *File) refresh() error {
	file, err := os.Open(f.Path())
	if errors.Is(err, fs.ErrNotExist) {
		f.forget(nil)
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if f.info == nil || !os.SameFile(f.info, info) || info.Size() < f.offset {
		f.forget(info)
	}
	text, err := f.readFrom(file, info.Size())
	if err != nil {
		return err
	}
	// A new file may have the number of the old one, and copying a backup over it
	// keeps the number.
	if !bytes.HasPrefix(text, f.end) {
		f.forget(info)
		if text, err = f.readFrom(file, info.Size()); err != nil {
			return err
		}
	}
	added := text[len(f.end):]
	if len(added) == 0 {
		return nil
	}
	f.offset += int64(len(added))
	f.end = bytes.Clone(text[max(0, len(text)-knownBytes):])
	// Nobody is writing now, so a last line without an end was torn by a crash or
	// a full disk. It counts if it happens to be whole.
	f.torn = added[len(added)-1] != '\n'
	for line := range bytes.Lines(added) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !f.apply(line) {
			f.damaged++
		}
	}
	return nil
}

// readFrom reads what is known of the end and everything after it.
func (f *File) readFrom(file *os.File, size int64) ([]byte, error) {
	start := f.offset - int64(len(f.end))
	return io.ReadAll(io.NewSectionReader(file, start, size-start))
}

func (f *File) forget(info os.FileInfo) {
	f.info, f.offset, f.end, f.torn, f.damaged = info, 0, nil, false, 0
	f.crons = map[Key]*cronState{}
}

// The events, one for each kind of line.
const (
	beginEvent = "begin"
	claimEvent = "claim"
	runEvent   = "run"
)

type beginLine struct {
	Event string `json:"event"`
	Key
	At time.Time `json:"at"`
}

type claimLine struct {
	Event string `json:"event"`
	Claim
}

type runLine struct {
	Event string `json:"event"`
	Run
}

// apply changes the state by one line; false if the line is none of ours.
func (f *File) apply(line []byte) bool {
	var event struct {
		Event string `json:"event"`
	}
	if json.Unmarshal(line, &event) != nil {
		return false
	}
	switch event.Event {
	case beginEvent:
		var begin beginLine
		if json.Unmarshal(line, &begin) != nil {
			return false
		}
		f.cron(begin.Key).advance(begin.At)
	case claimEvent:
		var claim claimLine
		if json.Unmarshal(line, &claim) != nil || claim.ID == "" {
			return false
		}
		c := f.cron(claim.Key)
		c.advance(claim.Due)
		maps.DeleteFunc(c.handedBack, func(_ string, r Run) bool { return r.Due.Equal(claim.Due) })
		c.open[claim.ID] = claim.Claim
	case runEvent:
		var run runLine
		if json.Unmarshal(line, &run) != nil {
			return false
		}
		c := f.cron(run.Key)
		delete(c.open, run.ID)
		delete(c.handedBack, run.ID)
		if run.Outcome == Deferred && run.Due != nil {
			c.handedBack[run.ID] = run.Run
		}
		c.last = &run.Run
	default:
		return false
	}
	return true
}

func (f *File) cron(key Key) *cronState {
	c := f.crons[key]
	if c == nil {
		c = &cronState{handedBack: map[string]Run{}, open: map[string]Claim{}}
		f.crons[key] = c
	}
	return c
}

// advance moves the watermark, which never goes back.
func (c *cronState) advance(to time.Time) {
	if to.After(c.watermark) {
		c.watermark = to
	}
}

// append writes lines with one call and waits until they are on the disk. If
// that fails the file is cut back to what it was, so that half a line of ours
// does not spoil the next one.
func (f *File) append(lines []any) error {
	var text bytes.Buffer
	if f.torn {
		text.WriteByte('\n')
	}
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	for _, line := range lines {
		if err := encoder.Encode(line); err != nil {
			return fmt.Errorf("write the ledger %s: %w", f.Path(), err)
		}
	}
	file, err := os.OpenFile(f.Path(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("write the ledger %s: %w", f.Path(), reason(err))
	}
	defer file.Close()
	if _, err = file.Write(text.Bytes()); err == nil {
		err = file.Sync()
	}
	if err == nil && f.info == nil {
		err = syncFolder(f.dir) // the file is new
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the ledger %s: %w", f.Path(), reason(err)), file.Truncate(f.offset))
	}
	// Read back like anybody's lines: there is one way from the file to the state.
	if err := f.refresh(); err != nil {
		return fmt.Errorf("read the ledger %s: %w", f.Path(), reason(err))
	}
	return nil
}

// syncFolder waits until the names in a folder are on the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Load implements Ledger.
func (f *File) Load(ctx context.Context, keys []Key) (states []State, err error) {
	err = f.locked(ctx, func() error {
		for _, key := range keys {
			var s State
			if c := f.crons[key]; c != nil {
				s = State{Watermark: c.watermark, Last: c.last}
				s.HandedBack = slices.SortedFunc(maps.Values(c.handedBack), func(a, b Run) int { return a.Due.Compare(*b.Due) })
				s.Open = slices.SortedFunc(maps.Values(c.open), func(a, b Claim) int {
					return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
				})
			}
			states = append(states, s)
		}
		return nil
	})
	return states, err
}

// Begin implements Ledger.
func (f *File) Begin(ctx context.Context, keys []Key, at time.Time) error {
	return f.locked(ctx, func() error {
		var lines []any
		for _, key := range keys {
			if err := key.check(); err != nil {
				return err
			}
			if c := f.crons[key]; c == nil || c.watermark.IsZero() {
				lines = append(lines, beginLine{beginEvent, key, at.UTC()})
			}
		}
		if len(lines) == 0 {
			return nil
		}
		return f.append(lines)
	})
}

// Claim implements Ledger.
func (f *File) Claim(ctx context.Context, claims []Claim) (won []Claim, err error) {
	err = f.locked(ctx, func() error {
		now := time.Now().UTC().Round(0)
		marks := map[Key]time.Time{}
		taken := map[string]bool{} // hand-backs
		var lines []any
		for _, claim := range claims {
			if err := claim.Key.check(); err != nil {
				return err
			}
			var state cronState
			if c := f.crons[claim.Key]; c != nil {
				state = *c
			}
			mark, moved := marks[claim.Key]
			if !moved {
				mark = state.watermark
			}
			if claim.Due.After(mark) {
				marks[claim.Key] = claim.Due
			} else if run, ok := state.handedBack[claim.ID]; ok && run.Due.Equal(claim.Due) && !taken[claim.ID] {
				taken[claim.ID] = true
			} else {
				continue
			}
			claim.At, claim.Due = now, claim.Due.UTC()
			won = append(won, claim)
			lines = append(lines, claimLine{claimEvent, claim})
		}
		if len(lines) == 0 {
			return nil
		}
		return f.append(lines)
	})
	if err != nil {
		return nil, err
	}
	return won, nil
}

// Record implements Ledger.
func (f *File) Record(ctx context.Context, runs ...Run) error {
	if len(runs) == 0 {
		return nil
	}
	return f.locked(ctx, func() error { return f.append(runLines(runs)) })
}

// Settle implements Ledger.
func (f *File) Settle(ctx context.Context, runs ...Run) (settled []Run, err error) {
	err = f.locked(ctx, func() error {
		now := time.Now()
		for _, run := range runs {
			if c := f.crons[run.Key]; c != nil {
				if claim, open := c.open[run.ID]; open && claim.Overdue(now) {
					settled = append(settled, run)
				}
			}
		}
		if len(settled) == 0 {
			return nil
		}
		return f.append(runLines(settled))
	})
	if err != nil {
		return nil, err
	}
	return settled, nil
}

func runLines(runs []Run) []any {
	lines := make([]any, len(runs))
	for i, run := range runs {
		if run.Activities == nil {
			run.Activities = []Activity{}
		}
		lines[i] = runLine{runEvent, run}
	}
	return lines
}

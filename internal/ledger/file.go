package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// The names inside the state directory.
const (
	fileName    = "ledger.jsonl"
	lockName    = "ledger.lock"
	newName     = "ledger.jsonl.new"
	damagedName = "ledger.damaged.jsonl"
)

// File is a ledger in one file of JSON lines. Every change is added to its end,
// under a lock, after reading what others have added, and is on the disk before
// it is acknowledged. When it has grown enough it is compacted: a new file, with
// the watermarks, what is not settled, and the last 100 runs of each cron, takes
// its place.
//
// A file that somebody deletes under an open File is written anew, and to one that
// is put in its place is added what is known to be taken, so that nothing is done
// twice. What only another process knew when a file's text was overwritten in
// place is lost; when the file is deleted or renamed over, not even that.
type File struct {
	// Notebook tells when the file was deleted, replaced or cannot be compacted, lines
	// of it were moved, the clock stands before the newest claim.
	*Notebook

	dir  string
	lock *flock.Flock

	// busy holds a value while a method works on what follows: a mutex that a
	// context can end the wait for.
	busy chan struct{}
	reading
	// clockTold is set when the clock was complained of.
	clockTold bool
	// floor and ratio say when to compact, and tryAt the size before which it is not
	// tried again.
	floor, ratio, tryAt int64

	records Batch[[]byte]
}

// OpenFile opens the ledger in a folder, which it makes if need be. The folder
// must belong to the user: a ledger that others can write would let them stop
// or double a backup. It must not lie on a network file system. OpenFile reads
// the file once, so that what is wrong with it is found now; ctx bounds the wait
// for another process that holds the lock.
//
// The File keeps its file open until Close.
func OpenFile(ctx context.Context, dir string) (*File, error) {
	return openFile(ctx, dir, compactFloor, compactRatio)
}

func openFile(ctx context.Context, dir string, floor, ratio int64) (*File, error) {
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
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	if name := networkFileSystem(int64(system.Type)); name != "" {
		return nil, fmt.Errorf("state directory %s: it is on a network file system (%s), where neither locks nor appends can be relied on", dir, name)
	}
	f := &File{dir: dir, busy: make(chan struct{}, 1), Notebook: NewNotebook(), floor: floor, ratio: ratio, reading: reading{contents: newContents()}}
	f.lock = flock.New(filepath.Join(dir, lockName), flock.SetPermissions(0o600))
	err = f.locked(ctx, func() error {
		// What a compaction left that was killed.
		if err := os.Remove(filepath.Join(dir, newName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.Note("what an unfinished compaction left could not be removed: %s", err)
		}
		return nil
	})
	if err != nil {
		f.reading.close()
		return nil, err
	}
	return f, nil
}

// networkFileSystem names the network file system of a type as statfs tells it,
// empty if it is none. FUSE and 9p may be anything, and are none.
func networkFileSystem(kind int64) string {
	switch uint32(kind) {
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "smb"
	case unix.CEPH_SUPER_MAGIC:
		return "ceph"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "afs"
	case unix.CODA_SUPER_MAGIC:
		return "coda"
	}
	return ""
}

// Path is the ledger's file.
func (f *File) Path() string { return filepath.Join(f.dir, fileName) }

// Name is Path: what to call this ledger.
func (f *File) Name() string { return f.Path() }

// Close lets go of the file. Nothing is lost without it, since what was
// acknowledged is on the disk.
func (f *File) Close() error {
	f.busy <- struct{}{}
	defer func() { <-f.busy }()
	f.reading.close()
	return nil
}

// Damaged is how many lines of the file could not be read and were passed over.
// Compaction moves them to ledger.damaged.jsonl, which a note tells.
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

// Now implements Ledger.
func (f *File) Now() time.Time { return time.Now() }

// Load implements Ledger.
func (f *File) Load(ctx context.Context, keys []Key) (states []State, err error) {
	err = f.locked(ctx, func() error {
		states = make([]State, len(keys))
		for i, key := range keys {
			states[i] = f.state(key)
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
			if err := key.Check(); err != nil {
				return err
			}
			if s := f.crons[key]; s == nil || s.watermark.IsZero() {
				lines = append(lines, markLine{beginEvent, key, at.UTC()})
			}
		}
		return f.appendLines(lines...)
	})
}

// Claim implements Ledger.
func (f *File) Claim(ctx context.Context, claims []Claim) (won []Claim, err error) {
	err = f.locked(ctx, func() error {
		now := time.Now().UTC().Round(0)
		f.checkClock(now)
		marks := map[Key]time.Time{}
		type handedBack struct {
			Key
			id string
		}
		taken := map[handedBack]bool{}
		var lines []any
		var runs []Run
		for _, claim := range claims {
			if err := claim.Key.Check(); err != nil {
				return err
			}
			if err := CheckID(claim.ID); err != nil {
				return err
			}
			var state cronState
			if s := f.crons[claim.Key]; s != nil {
				state = *s
			}
			mark, moved := marks[claim.Key]
			if !moved {
				mark = state.watermark
			}
			back := handedBack{claim.Key, claim.ID}
			if claim.Due.After(mark) && (claim.From.IsZero() || claim.From.Equal(state.watermark)) {
				marks[claim.Key] = claim.Due
			} else if run, ok := state.handedBack[claim.ID]; ok && run.Due.Equal(claim.Due) && !taken[back] {
				taken[back] = true
			} else {
				continue
			}
			claim.At, claim.Due = now, claim.Due.UTC()
			won = append(won, claim)
			lines = append(lines, claimLine{claimEvent, claim})
			if claim.Run != nil {
				runs = append(runs, *claim.Run)
			}
		}
		records, err := runLines(runs)
		if err != nil {
			return err
		}
		return f.appendLines(append(lines, records...)...)
	})
	if err != nil {
		return nil, err
	}
	return won, nil
}

// clockMargin is how far the clock may stand before the newest claim without a
// note: corrections of a second or two are everyday.
const clockMargin = time.Minute

// checkClock notes once that the clock stands before the newest claim. The order
// of the lines decides what is claimed, so that nothing is done twice; but what is
// due by such a clock may have been claimed already.
func (f *File) checkClock(now time.Time) {
	if !f.clockTold && f.newest.Sub(now) > clockMargin {
		f.clockTold = true
		f.Note("the clock says %s, but the newest claim in the ledger was made at %s: the clock is wrong now, or was then",
			now.Format(time.RFC3339), f.newest.UTC().Format(time.RFC3339))
	}
}

// Record implements Ledger. Calls that come at the same time share one write.
func (f *File) Record(ctx context.Context, runs ...Run) error {
	if len(runs) == 0 {
		return nil
	}
	lines, err := runLines(runs)
	if err != nil {
		return err
	}
	text, err := encode(lines...)
	if err != nil {
		return f.writeError(err)
	}
	return f.records.Do(ctx, f.busy, text, func(take func() [][]byte) error {
		return f.lockedBusy(ctx, func() error {
			if texts := take(); len(texts) > 0 {
				return f.append(bytes.Join(texts, nil))
			}
			return nil
		})
	})
}

// Settle implements Ledger.
func (f *File) Settle(ctx context.Context, runs ...Run) (settled []Run, err error) {
	err = f.locked(ctx, func() error {
		now := time.Now()
		for _, run := range runs {
			if s := f.crons[run.Key]; s != nil {
				before, pending := s.pending[run.ID]
				pending = pending && before.Attempts == run.Attempts
				if claim, open := s.open[run.ID]; pending || open && claim.Overdue(now) {
					settled = append(settled, run)
				}
			}
		}
		lines, err := runLines(settled)
		if err != nil {
			return err
		}
		return f.appendLines(lines...)
	})
	if err != nil {
		return nil, err
	}
	return settled, nil
}

// Pause implements Ledger.
func (f *File) Pause(ctx context.Context, keys []Key, p Pause) error {
	return f.locked(ctx, func() error {
		p = p.Kept(time.Now())
		lines := make([]any, len(keys))
		for i, key := range keys {
			if err := key.Check(); err != nil {
				return err
			}
			lines[i] = p.line(key)
		}
		return f.appendLines(lines...)
	})
}

// Tell implements Ledger.
func (f *File) Tell(ctx context.Context, key Key, told Told) (won bool, err error) {
	if err := key.Check(); err != nil {
		return false, err
	}
	err = f.locked(ctx, func() error {
		var now *Told
		if s := f.crons[key]; s != nil {
			now = s.told
		}
		if told.Version != now.version() {
			return nil
		}
		won = true
		return f.appendLines(toldLine{toldEvent, key, told.Kept()})
	})
	return won && err == nil, err
}

// Unsettled implements Ledger.
func (f *File) Unsettled(ctx context.Context, scope Key) (keys []Key, err error) {
	if scope.Cron != "" {
		return nil, fmt.Errorf("what is unsettled can be asked of an app, not of the cron %q alone", scope.Cron)
	}
	err = f.locked(ctx, func() error {
		for key := range f.unsettled {
			if scope == (Key{Project: key.Project, Environment: key.Environment, App: key.App}) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	SortKeys(keys)
	return keys, err
}

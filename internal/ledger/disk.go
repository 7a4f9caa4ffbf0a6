package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
	"unicode"
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

// reading is a file and how far it was read. It stays open, so that what was
// added to it is not lost to us when somebody deletes or replaces it.
type reading struct {
	file   *os.File    // nil: there is none yet
	info   os.FileInfo // of file
	offset int64       // how far it was read
	end    []byte      // what stands there before offset
	torn   bool        // its last line has no end
	*contents
}

func (r *reading) close() {
	if r.file != nil {
		r.file.Close()
	}
	*r = reading{contents: newContents()}
}

// identity names the file and all that was read of it. Two files with one
// beginning, a file and its backup, have two.
func (r *reading) identity() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", r.first, r.offset, r.end))
	return hex.EncodeToString(sum[:8])
}

// locked runs do with the file locked and everything that others wrote read.
func (f *File) locked(ctx context.Context, do func() error) error {
	select {
	case f.busy <- struct{}{}:
		defer func() { <-f.busy }()
	case <-ctx.Done():
		return fmt.Errorf("lock the ledger in %s: %w", f.dir, ctx.Err())
	}
	return f.lockedBusy(ctx, do)
}

// lockedBusy is locked for who has already filled busy.
func (f *File) lockedBusy(ctx context.Context, do func() error) error {
	wait, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	for {
		if _, err := f.lock.TryLockContext(wait, lockPoll); err != nil {
			switch {
			case wait.Err() != nil && ctx.Err() == nil:
				return fmt.Errorf("lock the ledger in %s: another process has held the lock for %s", f.dir, lockLimit)
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("the state directory %s has vanished, and nothing can be claimed or recorded before it is back: %w", f.dir, reason(err))
			}
			return fmt.Errorf("lock the ledger in %s: %w", f.dir, reason(err))
		}
		// Who waited may have got the lock of a file that was deleted meanwhile, and
		// somebody else that of the new one.
		if f.holdsLock() {
			break
		}
		f.lock.Unlock()
	}
	defer f.lock.Unlock()
	if err := f.refresh(); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	f.compactIfDue()
	return nil
}

// holdsLock tells whether the file that was locked is the one that others would
// lock.
func (f *File) holdsLock() bool {
	held, err := f.lock.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(filepath.Join(f.dir, lockName))
	return err == nil && os.SameFile(held, now)
}

func (f *File) readError(err error) error {
	return fmt.Errorf("read the ledger %s: %w", f.Path(), reason(err))
}

func (f *File) writeError(err error) error {
	return fmt.Errorf("write the ledger %s: %w", f.Path(), reason(err))
}

// refresh reads the lines that were added since the last time. If the file was
// deleted or replaced since, it first brings together what is known and what is
// there.
func (f *File) refresh() error {
	info, err := os.Stat(f.Path())
	gone := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !gone:
		return f.readError(err)
	case !gone && !info.Mode().IsRegular():
		return f.readError(errors.New("it is not a regular file"))
	case gone && f.file == nil:
		return nil
	case f.file == nil:
		other, err := f.read(nil)
		if err != nil {
			return f.readError(err)
		}
		f.reading = other
		return nil
	}
	whole, err := f.catchUp()
	switch {
	case err != nil:
		return f.readError(err)
	case gone:
		return f.restore(whole)
	case whole && os.SameFile(f.info, info):
		return nil
	}
	return f.merge()
}

// catchUp reads what was added to the file that is open. Not whole: what was read
// before does not stand there any more.
func (r *reading) catchUp() (whole bool, err error) {
	info, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() < r.offset {
		return false, nil
	}
	end := make([]byte, len(r.end))
	if _, err := r.file.ReadAt(end, r.offset-int64(len(end))); err != nil {
		return false, err
	}
	if !bytes.Equal(end, r.end) {
		return false, nil
	}
	if info.Size() == r.offset {
		return true, nil
	}
	added := io.NewSectionReader(r.file, r.offset, info.Size()-r.offset)
	err = eachLine(added, func(text []byte, _ int64) error {
		if !r.apply(text) {
			r.damaged++
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	r.offset = info.Size()
	r.end = make([]byte, min(r.offset, knownBytes))
	if _, err := r.file.ReadAt(r.end, r.offset-int64(len(r.end))); err != nil {
		return false, err
	}
	// Nobody is writing now, so a last line without an end was torn by a crash or a
	// full disk. It counts if it happens to be whole.
	r.torn = r.end[len(r.end)-1] != '\n'
	return true, nil
}

// read reads the file from its beginning. It notes which of the wanted runs have
// a record in it.
func (f *File) read(wanted map[string]bool) (reading, error) {
	file, err := os.Open(f.Path())
	if err != nil {
		return reading{}, err
	}
	return readFrom(file, wanted)
}

// readFrom owns the file from here on: it is closed if it cannot be read.
func readFrom(file *os.File, wanted map[string]bool) (reading, error) {
	r := reading{file: file, contents: newContents()}
	r.seen = wanted
	var err error
	if r.info, err = file.Stat(); err == nil {
		_, err = r.catchUp()
	}
	if err != nil {
		file.Close()
		return reading{}, err
	}
	return r, nil
}

// eachLine calls do with each line that is not blank, without its end and the
// spaces around it, and with the place where it begins. Of a line longer than any
// of ours it is only told the beginning.
func eachLine(r *io.SectionReader, do func(text []byte, at int64) error) error {
	chunk := make([]byte, min(64<<10, r.Size()+1))
	var rest []byte // the line that the last chunk has not ended
	var at, next int64
	line := func(text []byte) error {
		trimmed := bytes.TrimLeftFunc(text, unicode.IsSpace)
		place := at + int64(len(text)-len(trimmed))
		at = next
		if trimmed = bytes.TrimSpace(trimmed); len(trimmed) == 0 {
			return nil
		}
		return do(trimmed, place)
	}
	keep := func(text []byte) {
		if room := maxLine + 1 - len(rest); room > 0 {
			rest = append(rest, text[:min(len(text), room)]...)
		}
	}
	for {
		n, err := r.Read(chunk)
		for text := chunk[:n]; len(text) > 0; {
			end := bytes.IndexByte(text, '\n')
			if end < 0 {
				keep(text)
				next += int64(len(text))
				break
			}
			whole := text[:end]
			next += int64(end) + 1
			if len(rest) > 0 {
				keep(whole)
				whole = rest
			}
			if err := line(whole); err != nil {
				return err
			}
			rest, text = rest[:0], text[end+1:]
		}
		if err == io.EOF {
			return line(rest)
		}
		if err != nil {
			return err
		}
	}
}

// append writes lines with one call and waits until they are on the disk. If
// that fails the file is cut back to what it was, so that half a line of ours
// does not spoil the next one.
func (f *File) append(text []byte) error {
	if f.torn {
		text = slices.Concat([]byte{'\n'}, text)
	}
	flag := os.O_WRONLY | os.O_APPEND
	created := f.file == nil
	if created {
		flag = os.O_RDWR | os.O_APPEND | os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(f.Path(), flag, 0o600)
	if err != nil {
		return f.writeError(err)
	}
	defer func() {
		if f.file != file {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return f.writeError(err)
	}
	if !created && !os.SameFile(info, f.info) {
		return f.writeError(errors.New("another file has just taken its place"))
	}
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	if err == nil && created {
		err = syncFolder(f.dir)
	}
	if err != nil {
		return errors.Join(f.writeError(err), file.Truncate(info.Size()))
	}
	if created {
		f.file, f.info = file, info
	}
	// Read back like anybody's lines: there is one way from the file to the state.
	// If the file was deleted meanwhile, it is here that they get into a new one.
	if err := f.refresh(); err != nil {
		return err
	}
	if !f.holdsLock() {
		return f.writeError(errors.New("the lock's file was deleted meanwhile, and another process may have written at the same time"))
	}
	return nil
}

// appendLines is append of lines as values; nothing is done if there are none.
func (f *File) appendLines(lines ...any) error {
	if len(lines) == 0 {
		return nil
	}
	text, err := encode(lines...)
	if err != nil {
		return f.writeError(err)
	}
	return f.append(text)
}

// syncFolder waits until the names in a folder are on the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil // the file system has no such thing
}

// merge goes over to the file that has taken the place of the one that was read:
// by compaction, which left nothing out, or by somebody's hand. In the second
// case that file counts, but what is known to be taken stays taken, here and for
// every process that reads it from now on.
func (f *File) merge() error {
	now := time.Now()
	other, err := f.read(f.runIDs())
	if err != nil {
		return f.readError(err)
	}
	known := f.reading
	f.reading = other
	if !slices.Contains(other.after, known.identity()) {
		lines := known.lacking(other.contents, now)
		if err := f.appendLines(lines...); err != nil {
			// Still to be done: what is known must not be forgotten.
			if f.file != other.file {
				f.file.Close()
			}
			other.file.Close()
			f.reading = known
			return err
		}
		f.Note("another file has taken the place of the ledger's file: it counts now; %d lines were added to it so that nothing is done twice", len(lines))
	}
	f.seen = nil
	known.file.Close()
	return nil
}

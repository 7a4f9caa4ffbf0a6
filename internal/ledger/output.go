package ledger

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputLimit is how much of one run's output is kept, outputsKept how much of all.
const (
	outputLimit = 64 << 10
	outputsKept = 32 << 20
	blockSize   = 4 << 10
)

// Outputs are what runs printed, each in a file of its own, output/ID.log in the
// state directory. Any number of processes may use them at once.
type Outputs struct {
	// Dir is the state directory.
	Dir string
}

func (o Outputs) folder() string { return filepath.Join(o.Dir, "output") }

// path is where the output of a run is. An ID becomes a file's name, so one that
// could lead elsewhere is refused.
func (o Outputs) path(id string) (string, error) {
	odd := strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
	if id == "" || len(id) > 128 || id[0] == '.' || odd {
		return "", fmt.Errorf("%q is not a run's ID: it must be letters, digits, dots, hyphens and underscores, 128 at most", id)
	}
	return filepath.Join(o.folder(), id+".log"), nil
}

// Create begins the output of a run, in place of one that it had. What is written
// beyond the first 64 KiB is counted instead of kept, and Close adds a line that
// says how much that was. Writing never fails: a job must not die of a full disk
// that only its log is on. Close returns what went wrong. Safe for concurrent use.
func (o Outputs) Create(id string) (io.WriteCloser, error) {
	path, err := o.path(id)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.folder(), 0o700); err != nil {
		return nil, fmt.Errorf("folder for output %s: %w", o.folder(), reason(err))
	}
	// A new file, since the old one may be read, or be something else than a file.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace the output %s: %w", path, reason(err))
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the output %s: %w", path, reason(err))
	}
	// Tells Prune that it is being written; the kernel drops it when the process
	// ends. Where locks cannot be had, only its age protects it.
	_ = unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	return &output{file: file}, nil
}

// Open reads the output of a run. If there is none, errors.Is tells fs.ErrNotExist.
func (o Outputs) Open(id string) (io.ReadCloser, error) {
	path, err := o.path(id)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run %s has no output, or it was removed to make room: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("read the output %s: %w", path, reason(err))
	}
	return file, nil
}

// Prune removes the oldest outputs until no more than 32 MiB are left in all. One
// that is being written stays. It is fine to have none at all.
func (o Outputs) Prune() error {
	files, err := os.ReadDir(o.folder())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("folder for output %s: %w", o.folder(), reason(err))
	}
	type kept struct {
		path string
		size int64
		at   time.Time
	}
	var all []kept
	for _, entry := range files {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || filepath.Ext(entry.Name()) != ".log" {
			continue // gone by now, or not ours
		}
		// In blocks, so that many small ones count as well.
		blocks := (info.Size() + blockSize - 1) / blockSize
		all = append(all, kept{filepath.Join(o.folder(), entry.Name()), max(blocks, 1) * blockSize, info.ModTime()})
	}
	sortBy(all, func(a, b kept) int { return b.at.Compare(a.at) })
	var sum int64
	var errs []error
	for _, file := range all {
		if sum += file.size; sum <= outputsKept {
			continue
		}
		removed, err := removeUnwritten(file.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("remove the output %s: %w", file.path, reason(err)))
		}
		if removed {
			sum -= file.size
		}
	}
	return errors.Join(errs...)
}

// removeUnwritten removes a file unless somebody is writing it.
func removeUnwritten(path string) (bool, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // another process removed it
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return false, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return true, nil
}

// output is one that is being written.
type output struct {
	mu      sync.Mutex
	file    *os.File // nil once closed
	size    int
	left    int64 // bytes that were not kept
	midline bool
	err     error
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return 0, fs.ErrClosed
	}
	kept := 0
	if part := text[:min(len(text), outputLimit-o.size)]; len(part) > 0 && o.err == nil {
		kept, o.err = o.file.Write(part)
		o.size += kept
		if kept > 0 {
			o.midline = part[kept-1] != '\n'
		}
	}
	o.left += int64(len(text) - kept)
	return len(text), nil
}

func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil {
		return fs.ErrClosed
	}
	path := o.file.Name()
	if o.left > 0 && o.err == nil {
		line := fmt.Sprintf("cronagent: %d bytes more were left out\n", o.left)
		if o.midline {
			line = "\n" + line
		}
		_, o.err = io.WriteString(o.file, line)
	}
	// Closing alone would leave the lock to a child that is just being started.
	_ = unix.Flock(int(o.file.Fd()), unix.LOCK_UN)
	err := o.file.Close()
	o.file = nil
	if o.err != nil {
		return fmt.Errorf("write the output %s, of which %d bytes were lost: %w", path, o.left, reason(o.err))
	}
	if err != nil {
		return fmt.Errorf("write the output %s: %w", path, reason(err))
	}
	return nil
}

package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A file is compacted when it is larger than compactFloor and more than
// compactRatio times what would be kept.
const (
	compactFloor = 1 << 20
	compactRatio = 4
)

// maxDamaged is how much of what could not be read is kept.
const maxDamaged = 1 << 20

// maxAfter is how many earlier files a file names. A process that has slept
// through more compactions than that takes the file for a stranger's, and merges.
const maxAfter = 200

// compactIfDue compacts the file if it has grown enough. That it could not be
// done is noted and nothing else: what was written stands.
func (f *File) compactIfDue() {
	if f.file == nil || f.offset <= max(f.floor, f.tryAt) || f.offset <= f.ratio*f.kept {
		return
	}
	err := f.replace(f.compact)
	// Not again at every line, whether it failed or kept more than was guessed.
	f.tryAt = f.offset + f.offset/4
	if err != nil {
		f.Note("the ledger's file could not be compacted and goes on growing: %s", err)
	}
}

// restore writes the file anew after somebody has deleted it: with its history,
// if what was read before still stands in the file that is open.
func (f *File) restore(whole bool) error {
	write := f.compact
	if !whole {
		write = f.remember
	}
	err := f.replace(write)
	if errors.Is(err, errLessKept) {
		err = f.replace(f.remember)
	}
	if err != nil {
		return f.writeError(fmt.Errorf("it was deleted, and could not be written anew: %w", reason(err)))
	}
	f.Note("the ledger's file had been deleted and was written anew")
	return nil
}

var errLessKept = errors.New("the new file would not hold what the old one holds")

// replace puts a new file in the place of the ledger's, with everything that
// counts: write writes it, after a first line that names what it replaces. It is
// on the disk, and was read back and compared, before it takes the place.
func (f *File) replace(write func(w io.Writer, now time.Time) error) (err error) {
	now := time.Now().UTC()
	path := filepath.Join(f.dir, newName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			file.Close()
			os.Remove(path)
		}
	}()
	if err := sameOwner(file, f.info); err != nil {
		return err
	}
	after := slices.Concat([]string{f.identity()}, f.after)
	text, err := encode(compactedLine{compactedEvent, now, after[:min(len(after), maxAfter)]})
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 64<<10)
	w.Write(text) // its error comes back from Flush
	if err := write(w, now); err != nil {
		return err
	}
	if err := cmp.Or(w.Flush(), file.Sync()); err != nil {
		return err
	}
	copied := reading{file: file, contents: newContents()}
	if copied.info, err = file.Stat(); err != nil {
		return err
	}
	if _, err := copied.catchUp(); err != nil {
		return err
	}
	if !f.sameAs(copied.contents, now) {
		return errLessKept
	}
	if !f.holdsLock() {
		return errors.New("the lock's file was deleted meanwhile")
	}
	if err := os.Rename(path, f.Path()); err != nil {
		return err
	}
	keep = true
	f.file.Close()
	f.reading = copied
	return syncFolder(f.dir)
}

// sameOwner gives a new file the mode and owner of the old one: root may look at a
// ledger, and must not take it away from the application.
func sameOwner(file *os.File, old os.FileInfo) error {
	if err := file.Chmod(old.Mode().Perm()); err != nil {
		return err
	}
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() && int(stat.Gid) == os.Getegid() {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// remember writes what is known without the old file.
func (f *File) remember(w io.Writer, now time.Time) error {
	lines := f.lines(now)
	text, err := encode(lines...)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// compact writes what is kept of the old file: watermarks, pauses that have not
// ended, what people were told, and then, in the order in which they stand there, the claims without a
// record and the newest records of the runs. What could not be read is put aside.
func (f *File) compact(w io.Writer, now time.Time) error {
	s := survey{n: KeepRuns}
	type run struct {
		Key
		id string
	}
	claims := map[run]span{}
	must := map[run]entry{} // runs that count, however many came after
	var damaged bytes.Buffer
	var dropped int
	err := eachLine(io.NewSectionReader(f.file, 0, f.offset), func(text []byte, at int64) error {
		l, ok := parse(text, f.names)
		if !ok {
			if damaged.Len()+len(text) >= maxDamaged {
				dropped++
				return nil
			}
			damaged.Write(text)
			return damaged.WriteByte('\n')
		}
		here, id := span{at, len(text)}, run{l.claim.Key, l.claim.ID}
		cron := f.crons[l.claim.Key]
		switch l.event {
		case claimEvent:
			if _, open := cron.open[id.id]; open {
				claims[id] = here
			}
		case runEvent:
			e := s.add(id.Key, id.id, here)
			_, back := cron.handedBack[id.id]
			_, waiting := cron.pending[id.id]
			if back || waiting {
				if first, known := must[id]; known {
					e.place = first.place
				}
				must[id] = e
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	kept := map[int64]span{} // by place
	twice := map[int64]bool{}
	for _, e := range must {
		kept[e.place], twice[e.at] = e.span, true
	}
	for _, runs := range s.runs {
		for _, e := range runs {
			if !twice[e.at] {
				kept[e.place] = e.span
			}
		}
	}
	for _, here := range claims {
		kept[here.at] = here
	}

	var lines []any
	for _, key := range sortedKeys(f.crons) {
		cron := f.crons[key]
		if !cron.watermark.IsZero() {
			lines = append(lines, markLine{watermarkEvent, key, cron.watermark})
		}
		if cron.pause != nil && cron.pause.Until.After(now) {
			lines = append(lines, cron.pause.line(key))
		}
		if cron.told != nil {
			lines = append(lines, toldLine{toldEvent, key, *cron.told})
		}
	}
	text, err := encode(lines...)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	for _, place := range slices.Sorted(maps.Keys(kept)) {
		text, err := kept[place].read(f.file)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(text, '\n')); err != nil {
			return err
		}
	}
	return f.putAside(damaged.Bytes(), dropped)
}

// putAside adds lines that could not be read to a file of their own, as they are.
func (f *File) putAside(text []byte, dropped int) error {
	if len(text) == 0 && dropped == 0 {
		return nil
	}
	path := filepath.Join(f.dir, damagedName)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := sameOwner(file, f.info); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	count := bytes.Count(text, []byte{'\n'}) + dropped
	for room := maxDamaged - info.Size(); int64(len(text)) > room; {
		text = text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	f.Note("%d lines of the ledger's file could not be read; %d of them were moved to %s, as many as it has room for",
		count, bytes.Count(text, []byte{'\n'}), path)
	return nil
}

// span is where a line stands in a file.
type span struct {
	at   int64
	size int
}

// read reads the line. Spaces may stand before it.
func (s span) read(file io.ReaderAt) ([]byte, error) {
	text := make([]byte, s.size, s.size+1)
	_, err := file.ReadAt(text, s.at)
	return text, err
}

// entry is the newest record of a run, and the place of its first one.
type entry struct {
	id    uint64
	place int64
	span
}

// survey finds the newest n runs of each cron, and where their newest records
// stand. It holds no text, since a file may be large.
type survey struct {
	n    int
	runs map[Key][]entry
	seed maphash.Seed
}

func (s *survey) add(key Key, id string, here span) entry {
	if s.runs == nil {
		s.runs, s.seed = map[Key][]entry{}, maphash.MakeSeed()
	}
	e := entry{maphash.String(s.seed, id), here.at, here}
	runs := s.runs[key]
	for i := len(runs) - 1; i >= 0; i-- {
		if runs[i].id == e.id {
			runs[i].span = here
			return runs[i]
		}
	}
	if len(runs) == s.n {
		copy(runs, runs[1:])
		runs = runs[:s.n-1]
	}
	s.runs[key] = append(runs, e)
	return e
}

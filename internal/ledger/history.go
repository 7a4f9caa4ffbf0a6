package ledger

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
)

// History implements Ledger. It holds the lock only to find out how far the file
// is whole, and reads it without; what it holds meanwhile is a few words for each
// of the last runs, and the runs that it returns.
func (f *File) History(ctx context.Context, scope Key, n int) (runs []Run, err error) {
	var file *os.File
	var size int64
	var names map[string]string
	err = f.locked(ctx, func() (err error) {
		if f.file == nil || n <= 0 {
			return nil
		}
		if file, err = os.Open(f.Path()); err != nil {
			return f.readError(err)
		}
		size, names = f.offset, maps.Clone(f.names)
		return nil
	})
	if err != nil || file == nil {
		return nil, err
	}
	defer file.Close()
	runs, err = readRuns(ctx, file, size, names, scope, n)
	if err != nil && ctx.Err() == nil {
		err = f.readError(err)
	}
	return runs, err
}

// readRuns reads the newest n runs of each cron in scope from the first size bytes
// of a ledger's file.
func readRuns(ctx context.Context, file io.ReaderAt, size int64, names map[string]string, scope Key, n int) (runs []Run, err error) {
	// A run that was pushed out would look like a new one if it is recorded again,
	// so more are looked at than are asked for.
	s := survey{n: max(n, KeepRuns)}
	err = eachLine(io.NewSectionReader(file, 0, size), func(text []byte, at int64) error {
		if l, ok := parse(text, names); ok && l.event == runEvent && scope.Contains(l.claim.Key) {
			s.add(l.claim.Key, l.claim.ID, span{at, len(text)})
		}
		return ctx.Err()
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	var found []entry
	for _, entries := range s.runs {
		found = append(found, entries[max(0, len(entries)-n):]...)
	}
	sortBy(found, func(a, b entry) int { return cmp.Compare(a.place, b.place) })
	runs = make([]Run, 0, len(found))
	for _, e := range found {
		text, err := e.span.read(file)
		if err != nil {
			return nil, err
		}
		run, ok := parseRun(text)
		if !ok {
			return nil, errors.New("it was overwritten while it was read")
		}
		runs = append(runs, run)
	}
	return runs, nil
}

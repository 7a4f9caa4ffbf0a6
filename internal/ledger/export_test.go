package ledger

import "context"

// OpenFileWith opens a ledger that is compacted from other sizes on than usual.
func OpenFileWith(ctx context.Context, dir string, floor, ratio int64) (*File, error) {
	return openFile(ctx, dir, floor, ratio)
}

// NetworkFileSystem is networkFileSystem.
var NetworkFileSystem = networkFileSystem

// The bounds that tests come up against.
const (
	MaxDamaged  = maxDamaged
	MaxLine     = maxLine
	OutputLimit = outputLimit
	OutputsKept = outputsKept
)

// Queued is how many calls of Record wait.
func (f *File) Queued() int { return f.records.Len() }

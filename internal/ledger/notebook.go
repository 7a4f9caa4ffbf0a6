package ledger

import (
	"fmt"
	"slices"
	"sync"
)

// Notebook holds sentences about what was out of the ordinary with a ledger, each
// told once. They are for the log.
type Notebook struct {
	mu    sync.Mutex
	notes []string
	noted chan struct{} // holds a value while there are notes
}

// NewNotebook is an empty one.
func NewNotebook() *Notebook { return &Notebook{noted: make(chan struct{}, 1)} }

// maxNotes bounds the notes that nobody fetches.
const maxNotes = 20

// Note adds a note, unless it is there already.
func (n *Notebook) Note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if note := fmt.Sprintf(format, args...); len(n.notes) < maxNotes && !slices.Contains(n.notes, note) {
		n.notes = append(n.notes, note)
		select {
		case n.noted <- struct{}{}:
		default:
		}
	}
}

// Notes are those since the last call.
func (n *Notebook) Notes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	notes := n.notes
	n.notes = nil
	select {
	case <-n.noted:
	default:
	}
	return notes
}

// Noted is for who stays: it lets one receive when there are notes to fetch.
func (n *Notebook) Noted() <-chan struct{} { return n.noted }

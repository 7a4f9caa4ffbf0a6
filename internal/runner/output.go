package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// MaxOutput bounds Result.Output, in bytes.
const MaxOutput = 4096

// output is what becomes of the command's output: one pipe for both streams, or
// one for each.
type output struct {
	tail     *tail
	standard *stream
	// apart is standard error's own; nil if it has none.
	apart *stream
	// hurried is closed when writers are waited for no more.
	hurried chan struct{}
	reading sync.WaitGroup
}

func newOutput(c Command) (*output, error) {
	o := &output{tail: new(tail), hurried: make(chan struct{})}
	var err error
	if o.standard, err = newStream(c.Secrets, c.Output); err != nil {
		return nil, err
	}
	if c.Errors != nil {
		if o.apart, err = newStream(c.Secrets, c.Errors); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func (o *output) errors() *stream {
	if o.apart != nil {
		return o.apart
	}
	return o.standard
}

func (o *output) streams() []*stream {
	if o.apart != nil {
		return []*stream{o.standard, o.apart}
	}
	return []*stream{o.standard}
}

// close is for what was never read from.
func (o *output) close() {
	for _, s := range o.streams() {
		s.to.end()
		s.pipe.Close()
		s.write.Close()
	}
}

// read begins to read; end ends it.
func (o *output) read() {
	for _, s := range o.streams() {
		o.reading.Go(func() { s.copy(o.tail, o.hurried) })
	}
}

// end reads what there still is, and returns the end of all output and why not
// all of it could be passed on.
func (o *output) end(ctx context.Context) (string, error) {
	until := func(wait time.Duration) {
		for _, s := range o.streams() {
			s.pipe.SetReadDeadline(time.Now().Add(wait))
		}
	}
	for _, s := range o.streams() {
		s.write.Close()
	}
	until(drain)
	done := make(chan struct{})
	go func() { o.reading.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		until(hurry)
		timer := time.NewTimer(hurry)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			close(o.hurried)
			<-done
		}
	}
	var errs []error
	for _, s := range o.streams() {
		s.pipe.Close()
		errs = append(errs, s.to.end())
	}
	return o.tail.String(), errors.Join(errs...)
}

// stream is one pipe and where it leads.
type stream struct {
	pipe, write *os.File
	mask        masker
	to          *sink
}

func newStream(secrets []string, w io.Writer) (*stream, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &stream{pipe: read, write: write, mask: newMasker(secrets), to: newSink(w)}, nil
}

// What is read when time is up: as much as a pipe holds, which was there before,
// as long as it comes at once.
const (
	lastBytes = 64 << 10
	lastLook  = 5 * time.Millisecond
)

// How much is read at once, at first and at most: most commands print little, and
// a thousand may run at once.
const (
	firstRead = 1 << 10
	lastRead  = 32 << 10
)

// copy reads to the end, or for lastBytes beyond the pipe's deadline: whoever is
// slow to take the output must not lose what lies in the pipe already.
func (s *stream) copy(tail *tail, hurried <-chan struct{}) {
	buf := make([]byte, firstRead)
	pass := func(p []byte) {
		tail.Write(p)
		s.to.write(p, hurried)
	}
	late := false
	for left := lastBytes; left > 0; {
		if late {
			s.pipe.SetReadDeadline(time.Now().Add(lastLook))
		}
		n, err := s.pipe.Read(buf)
		pass(s.mask.next(buf[:n]))
		if n == len(buf) && n < lastRead {
			buf = make([]byte, 2*n)
		}
		if late {
			left -= n
		}
		if err != nil {
			if late || !errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			late = true
		}
	}
	pass(s.mask.rest())
}

// sink gives output to a writer of the caller's, one piece at a time.
type sink struct {
	// buf is the piece that the writer has. It is the sink's own, since a writer that
	// does not come back keeps it.
	buf      []byte
	work     chan []byte
	done     chan error
	finished chan struct{}
	timer    *time.Timer
	err      error
	stuck    bool
}

// patience is how long a writer may take for one piece of at most some 32 KiB.
const patience = time.Minute

// newSink starts a goroutine, which end ends. Without a writer there is none.
func newSink(w io.Writer) *sink {
	if w == nil {
		return nil
	}
	s := &sink{work: make(chan []byte), done: make(chan error, 1), finished: make(chan struct{}), timer: time.NewTimer(patience)}
	go func() {
		defer close(s.finished)
		for p := range s.work {
			n, err := w.Write(p)
			if err == nil && n < len(p) {
				err = io.ErrShortWrite
			}
			s.done <- err
		}
	}()
	return s
}

// write waits until the writer has taken p, or is given up.
func (s *sink) write(p []byte, hurried <-chan struct{}) {
	if s == nil || s.err != nil || len(p) == 0 {
		return
	}
	s.buf = append(s.buf[:0], p...)
	s.work <- s.buf
	s.timer.Reset(patience)
	select {
	case s.err = <-s.done:
	case <-s.timer.C:
		s.err, s.stuck = fmt.Errorf("nobody took it for %s", patience), true
	case <-hurried:
		s.err, s.stuck = errors.New("nobody took it before the command had to end"), true
	}
}

// end ends the sink's goroutine, if the writer lets it, and returns why the
// writer was given up.
func (s *sink) end() error {
	if s == nil {
		return nil
	}
	s.timer.Stop()
	close(s.work)
	if !s.stuck {
		<-s.finished
	}
	return s.err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// keep is a character more than the limit, so that the one at the cut is seen
// whole.
const keep = MaxOutput + utf8.UTFMax

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p[max(0, len(p)-keep):]...)
	// Cut only when twice as much has come together, to copy each byte once.
	if len(t.kept) > 2*keep {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-keep:]...)
	}
	return len(p), nil
}

// String is the end of the output as valid UTF-8.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	// A replacement is longer than the byte it stands for, hence the second cut.
	return last(strings.ToValidUTF8(last(string(t.kept)), "\uFFFD"))
}

// last is the end of s that the limit allows, not beginning within a character.
func last(s string) string {
	if len(s) <= MaxOutput {
		return s
	}
	s = s[len(s)-MaxOutput:]
	for i := range min(len(s), utf8.UTFMax) {
		if utf8.RuneStart(s[i]) {
			return s[i:]
		}
	}
	return s
}

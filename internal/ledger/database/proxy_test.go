package database_test

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cronagent/cronagent/internal/ledger/database"
)

// proxy stands between ledgers and their server, and does to what they say what a
// network does.
type proxy struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	// judge is asked about each piece that a client sends; nil passes all.
	judge func(piece []byte) verdict
	// stalled is closed when what was held may pass; nil: nothing is held.
	stalled chan struct{}
}

// verdict is what becomes of a piece.
type verdict int

const (
	pass  verdict = iota
	cut           // it does not arrive, and the connection ends
	lose          // it arrives, and its answer does not
	stall         // from it on nothing passes, either way, on any connection
)

// through puts a proxy before the server of a configuration.
func through(t testing.TB, config *database.Config) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, target: net.JoinHostPort(config.Host, strconv.Itoa(config.Port)), conns: map[net.Conn]bool{}}
	config.Port = listener.Addr().(*net.TCPAddr).Port
	p.all.Go(p.accept)
	t.Cleanup(func() {
		listener.Close()
		p.pass()
		p.mu.Lock()
		for conn := range p.conns {
			conn.Close()
		}
		p.mu.Unlock()
		p.all.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		losing := make(chan struct{})
		p.all.Go(func() { p.copy(server, client, losing, true) })
		p.all.Go(func() { p.copy(client, server, losing, false) })
	}
}

// copy passes on what one side sends, until either ends. Losing is closed when no
// answer is to arrive any more.
func (p *proxy) copy(to, from net.Conn, losing chan struct{}, asks bool) {
	defer func() {
		to.Close()
		from.Close()
		p.mu.Lock()
		delete(p.conns, to)
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		if asks {
			switch p.judged(piece[:n]) {
			case cut:
				return
			case lose:
				close(losing)
			}
		} else {
			select {
			case <-losing:
				return // the server has answered, so it has done it
			default:
			}
		}
		p.mu.Lock()
		stalled := p.stalled
		p.mu.Unlock()
		if stalled != nil {
			<-stalled
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) judged(piece []byte) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.judge == nil {
		return pass
	}
	v := p.judge(piece)
	if v == stall && p.stalled == nil {
		p.stalled = make(chan struct{})
	}
	return v
}

// once has a verdict on the nth piece from now on that holds a word, and lets
// everything else pass.
func (p *proxy) once(v verdict, word string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = func(piece []byte) verdict {
		if bytes.Contains(piece, []byte(word)) {
			if n--; n == 0 {
				return v
			}
		}
		return pass
	}
}

// pass lets everything pass again.
func (p *proxy) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = nil
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// asked counts the pieces that a function makes clients send.
func (p *proxy) asked(do func()) (n int) {
	p.mu.Lock()
	p.judge = func([]byte) verdict { n++; return pass }
	p.mu.Unlock()
	do()
	p.pass()
	return n
}

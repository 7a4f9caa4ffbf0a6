package dbtest

import (
	"bytes"
	"net"
	"strconv"
	"sync"
)

// Proxy stands between ledgers and their server, and does to what they say what a
// network does.
type Proxy struct {
	// Port is where it listens, on 127.0.0.1.
	Port int

	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	// judge is Judge's; nil passes all.
	judge func(piece []byte) Verdict
	// stalled is closed when what was held may pass; nil: nothing is held.
	stalled chan struct{}
}

// Verdict is what becomes of a piece.
type Verdict int

// The Verdicts.
const (
	Pass  Verdict = iota
	Cut           // it does not arrive, and the connection ends
	Lose          // it arrives, and its answer does not
	Stall         // from it on nothing passes, either way, on any connection
)

// Through makes a proxy before the server. The caller calls Close.
func (s *Server) Through() (*Proxy, error) {
	p := &Proxy{target: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), conns: map[net.Conn]bool{}}
	return p, p.Up()
}

// Up makes a proxy that is down take connections again, on the port that it had. One
// that is up stays so.
func (p *Proxy) Up() (err error) {
	if p.listener != nil {
		return nil
	}
	p.listener, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)))
	if err != nil {
		return err
	}
	p.Port = p.listener.Addr().(*net.TCPAddr).Port
	listener := p.listener
	p.all.Go(func() { p.accept(listener) })
	return nil
}

// Down ends the connections and refuses new ones.
func (p *Proxy) Down() {
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	p.End()
}

// End ends the connections.
func (p *Proxy) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

// Close ends everything, and waits for it.
func (p *Proxy) Close() {
	p.Down()
	p.Pass()
	p.all.Wait()
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
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
func (p *Proxy) copy(to, from net.Conn, losing chan struct{}, asks bool) {
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
			switch p.judgement(piece[:n]) {
			case Cut:
				return
			case Lose:
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

func (p *Proxy) judgement(piece []byte) Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.judge == nil {
		return Pass
	}
	v := p.judge(piece)
	if v == Stall && p.stalled == nil {
		p.stalled = make(chan struct{})
	}
	return v
}

// Once has a verdict on the nth piece from now on that holds a word, and lets
// everything else pass.
func (p *Proxy) Once(v Verdict, word string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = func(piece []byte) Verdict {
		if bytes.Contains(piece, []byte(word)) {
			if n--; n == 0 {
				return v
			}
		}
		return Pass
	}
}

// Judge is asked about each piece that a client sends.
func (p *Proxy) Judge(judge func(piece []byte) Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

// Pass lets everything pass again.
func (p *Proxy) Pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = nil
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// Asked counts the pieces that a function makes clients send.
func (p *Proxy) Asked(do func()) (n int) {
	p.Judge(func([]byte) Verdict { n++; return Pass })
	do()
	p.Pass()
	return n
}

package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// MetricsType is the content type of Prometheus's text format.
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// Pages are what monitors ask for over HTTP: /healthz and /metrics.
type Pages struct {
	// Health tells why the program does not do its work; nil: it does.
	Health func() error
	// Metrics writes a page in Prometheus's text format.
	Metrics func(w io.Writer) error

	mu sync.Mutex // one page of metrics is made at a time
}

// NotLoopback is the error for an address that others than this machine can reach.
type NotLoopback struct{ Address string }

func (e *NotLoopback) Error() string {
	return fmt.Sprintf("%q is not an address of loopback: whoever reaches it could read the names of the crons and how they end", e.Address)
}

// Listen listens on a TCP address, host:port, on loopback only.
func Listen(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, &NotLoopback{address}
	}
	return ListenAnywhere(address)
}

// ListenAnywhere listens on a TCP address, host:port. Without a host it is every
// address of this machine.
func ListenAnywhere(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, reason(err)
	}
	return l, nil
}

// How long a monitor has for its request and for taking the answer.
const (
	requestLimit = 5 * time.Second
	answerLimit  = 30 * time.Second
)

// Serve answers until ctx ends, and returns when it has closed the listener. Its
// error is why it cannot go on.
func (p *Pages) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.HandleFunc("GET /metrics", p.metrics)
	server := &http.Server{Handler: mux, ReadTimeout: requestLimit, WriteTimeout: answerLimit, IdleTimeout: answerLimit, MaxHeaderBytes: 16 << 10}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	err := server.Serve(l)
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (p *Pages) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := p.Health(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, line(err.Error()))
		return
	}
	fmt.Fprintln(w, "ok")
}

func (p *Pages) metrics(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	var page bytes.Buffer
	err := p.Metrics(&page)
	p.mu.Unlock()
	if err != nil {
		http.Error(w, line(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", MetricsType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(page.Bytes()) // who left needs none
}

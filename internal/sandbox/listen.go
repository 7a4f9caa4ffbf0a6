package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Start listens on Options.Address over plain HTTP and returns the base URL,
// which serves as API URL and as auth URL. Close stops it.
func (s *Server) Start() (url string, err error) {
	l, err := s.listen()
	if err != nil {
		return "", err
	}
	if err := s.serve(l); err != nil {
		return "", err
	}
	return "http://" + l.Addr().String(), nil
}

// StartTLS is Start over HTTPS, with a certificate made for the occasion. The
// PEM is what a client must trust, for instance by SSL_CERT_FILE.
func (s *Server) StartTLS() (url string, caPEM []byte, err error) {
	certificate, caPEM, err := selfSigned()
	if err != nil {
		return "", nil, fmt.Errorf("make a certificate: %w", err)
	}
	l, err := s.listen()
	if err != nil {
		return "", nil, err
	}
	// HTTP/1.1 only: closing a connection is a fault that HTTP/2 would turn into
	// the reset of one stream.
	err = s.serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}))
	if err != nil {
		return "", nil, err
	}
	return "https://" + l.Addr().String(), caPEM, nil
}

// listen refuses addresses that others could reach: whoever tries the sandbox
// may well send it a real token.
func (s *Server) listen() (net.Listener, error) {
	host, _, err := net.SplitHostPort(s.opts.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want host:port, such as 127.0.0.1:8080: %w", s.opts.Address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen on %q: not a loopback address; use 127.0.0.1 or [::1]", s.opts.Address)
	}
	l, err := net.Listen("tcp", s.opts.Address)
	if err != nil {
		return nil, err // it names the address and the reason
	}
	return l, nil
}

// serve answers on l, in a goroutine that Close ends.
func (s *Server) serve(l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listener != nil {
		_ = l.Close()
		if s.closed {
			return errors.New("the sandbox is closed")
		}
		return errors.New("the sandbox is already started")
	}
	s.listener = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		// It would tell of handshakes that a client broke off, a fault like others.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	server := s.listener
	s.serving.Go(func() { _ = server.Serve(l) })
	return nil
}

// Close stops listening, breaks off every request still held, and waits until
// all that the Server started has ended. What was recorded can still be read.
// A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.closing)
	server := s.listener
	s.mu.Unlock()
	var err error
	if server != nil {
		err = server.Close()
	}
	s.serving.Wait()
	s.handlers.Wait()
	return err
}

// selfSigned makes a certificate for loopback that is its own authority.
func selfSigned() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	// Valid for so long because clients are run with clocks that are wrong.
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "cronagent sandbox"},
		NotBefore:             time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caPEM, nil
}
